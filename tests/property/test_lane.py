"""A lane that is killed anywhere, while one topic runs minutes behind the other and some of Kafka's times are wrong:
the next owner brings the Judge to the panes of an owner that was never killed (I3)."""

from __future__ import annotations

import json
from random import Random
from types import SimpleNamespace
from typing import Any

from hypothesis import given

from detector.contracts.policy import Policy
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source
from streams.intake.fetch import Listed
from streams.intake.lane import Lane
from streams.intake.placing import ORDERS, PAYMENTS
from streams.intake.recovery import Begin, Committed, begin_from
from tests.property.dumb import Event, ModelJudge
from tests.property.histories import copied, history, shuffled
from tests.property.policies import POLICIES
from tests.property.test_counter import EXAMPLES, SEEDS

TOPICS = {"payments": PAYMENTS, "orders": ORDERS}
YEAR_MS = 365 * 86_400_000
LAGS_MS = (50, 50, 300_000, 1_500_000)
SLOWER = (1, 1, 1, 4)
"""By how much a record is written after its event; a backlog that is read may also take four times as long to be
written as it took to happen."""
Log = dict[str, list[Any]]


def said(event: Event, policy: Policy) -> bytes:
    """As a producer says it."""
    fields: dict[str, Any] = {"order_id": event.order, "occurred_at": event.occurred, "merchant_id": event.merchant}
    if event.kind == "payment":
        fields |= {"payment_id": event.payment, "status": event.status, "code": event.code}
    else:
        fields |= {"status": event.kind}
    fields |= {"started_at": event.started, "shopper_id": event.shopper}
    fields |= dict(zip(policy.dimensions, event.leaf or (), strict=False))
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def written(events: list[Event], policy: Policy, lag_ms: int, slower: int) -> list[Any]:
    """The records of one topic: late, and slower than life."""
    records: list[Any] = []
    newest = 0
    for offset, event in enumerate(events):
        newest = max(newest, event.occurred + lag_ms + (event.occurred - events[0].occurred) * (slower - 1))
        records.append(SimpleNamespace(offset=offset, timestamp=newest, value=said(event, policy), key=b"", headers=()))
    return records


def log_of(seed: int, policy: Policy) -> Log:
    """What a source's two partitions hold. In half of them one record is of another time, or has none; in a quarter the
    first of one is from a clock that is wrong in all it says, which is seen where neither is far behind the other. What
    comes later than lateness allows may be too late for one owner, and in time for the next: nothing does."""
    random = Random(seed)
    span_ms = random.choice((1_500_000, 3_000_000, 2 * policy.reach_ms))
    events = history(seed, policy, span_ms=span_ms, payments=150, orders=40)
    events = copied(random, shuffled(random, events, random.choice((0, 900)), policy), 0.1)
    ahead_ms = policy.clock_ahead_ms + random.choice((YEAR_MS, span_ms))
    odd = random.choice(("nothing", "record", "record", "clock"))
    log: Log = {}
    for topic, kind in TOPICS.items():
        part = [event for event in events if (event.kind == "payment") == (kind == PAYMENTS)]
        lag_ms, slower = (LAGS_MS[0], 1) if odd == "clock" else (random.choice(LAGS_MS), random.choice(SLOWER))
        log[topic] = written(part, policy, lag_ms, slower)
    records = random.choice([records for records in log.values() if records])
    if odd == "record":
        wrong = random.choice((records[0], random.choice(records)))
        wrong.timestamp = random.choice((wrong.timestamp + ahead_ms, -1))
    elif odd == "clock":
        fields = json.loads(records[0].value)
        records[0].value = json.dumps(fields | {"occurred_at": fields["occurred_at"] + ahead_ms}).encode()
        records[0].timestamp = random.choice((records[0].timestamp + ahead_ms, -1))
    return log


def lane(begin: Begin, policy: Policy) -> Lane:
    names = Names(policy)
    counter = Counter(policy, names, Source("main", 0), {"main": 1}, term=begin.term, noted_ms=begin.noted_ms)
    return Lane(counter, Decoder(policy, names), begin, TOPICS)


def read(one: Lane, log: Log, random: Random, judge: ModelJudge, parts: int | None = None) -> int:
    """Read to the end, or so many parts, as the lane wants; how many they were."""
    count = 0
    while count != parts and (left := [topic for topic, half in one.halves.items() if half.next < len(log[topic])]):
        topic = random.choice([topic for topic in one.wanted() if topic in left] or left)
        at = one.halves[topic].next
        for tally in one.count(topic, Listed.of(log[topic][at : at + random.choice((1, 1, 5, 30))])).tallies:
            judge.take(tally)
        count += 1
    if parts is None:
        for tally in one.end(dict.fromkeys(TOPICS, True)).tallies + one.idle(5_000).tallies:
            judge.take(tally)
    return count


@EXAMPLES
@given(SEEDS, POLICIES)
def test_a_killed_lane_leaves_no_trace(seed: int, policy: Policy) -> None:
    """Commits are far enough back, whatever is late, in doubt, refused or held."""
    log, random = log_of(seed, policy), Random(seed)
    begin = Begin(0, None, dict.fromkeys(TOPICS, 0), dict.fromkeys(TOPICS, 0))
    expected, judge = ModelJudge(policy), ModelJudge(policy)
    parts = read(lane(begin, policy), log, Random(seed), expected)
    killed = lane(begin, policy)
    read(killed, log, Random(seed), judge, random.randrange(1, parts))
    committed = {topic: Committed(offset, note) for topic, (offset, note) in killed.commits().items()}
    read(lane(begin_from(committed, begin.offsets, 1), policy), log, random, judge)
    assert judge.newest == expected.newest
    assert judge.holding() == expected.holding()
