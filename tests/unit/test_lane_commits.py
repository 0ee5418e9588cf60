"""What a lane commits: from there the next owner's snapshot is what the last one told, however odd times are."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from detector.contracts.policy import DEFAULT, Policy, load_policy
from detector.counting.columns import APPROVED
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source, Tally
from streams.intake.fetch import Listed
from streams.intake.lane import Lane
from streams.intake.placing import ORDERS, PAYMENTS
from streams.intake.recovery import Begin

T = 1_699_999_800_000
"""The start of a block of votes."""
SECOND_MS, MINUTE_MS, YEAR_MS = 1_000, 60_000, 365 * 86_400_000
BOTH = {"payments": PAYMENTS, "orders": ORDERS}
ONE = {"payments": PAYMENTS}
Log = dict[str, list[Any]]
Told = dict[int, int]
"""Approved payments by pane."""
A_MINUTE = 12
"""Records, one every five seconds."""


def record(topic: str, offset: int, occurred_ms: int, written_ms: int) -> Any:
    """As the client makes one: an approved payment, or an order."""
    said = {"order_id": f"{topic}-{offset}", "bank": "bnp", "method": "card", "occurred_at": occurred_ms}
    said |= {"payment_id": f"p{offset}", "status": "approved"} if topic == "payments" else {"status": "placed"}
    return SimpleNamespace(offset=offset, timestamp=written_ms, value=json.dumps(said).encode(), key=b"", headers=())


def lane(topics: dict[str, int], policy: Policy = DEFAULT, begin: Begin | None = None) -> Lane:
    start = dict.fromkeys(topics, 0)
    begin = begin or Begin(7, None, start, start)
    names = Names(policy)
    counter = Counter(policy, names, Source("default", 0), {"default": 1}, term=begin.term, noted_ms=begin.noted_ms)
    return Lane(counter, Decoder(policy, names), begin, topics)


def follow(one: Lane) -> Lane:
    """The next owner, after what this one would commit now."""
    commits = one.commits()
    _, note = next(iter(commits.values()))
    offsets = {topic: offset for topic, (offset, _) in commits.items()}
    return lane(BOTH if len(commits) > 1 else ONE, begin=Begin(8, note.boundary_ms, offsets, offsets))


def hear(told: Told, tallies: list[Tally]) -> None:
    """Take tallies as the Judge does: a snapshot stands for every pane from its first on."""
    for tally in tallies:
        if tally.first_pane >= 0:
            for pane in [pane for pane in told if pane >= tally.first_pane]:
                del told[pane]
        for pane, counts in zip(tally.cells.pane.tolist(), tally.cells.counts.tolist(), strict=True):
            told[pane] = counts[APPROVED]


def read(one: Lane, log: Log, told: Told, until: int, size: int = 1) -> None:
    """Read every topic in turns up to an offset, as far as the lane wants it."""
    while any(half.next < until for half in one.halves.values()):
        for topic in one.wanted():
            at = one.halves[topic].next
            if part := log[topic][at : min(at + size, until)]:
                hear(told, one.count(topic, Listed.of(part)).tallies)


@pytest.mark.parametrize("behind_min", [0, 15, 40])
def test_a_topic_whose_events_come_late_costs_no_payment(behind_min: int) -> None:
    """Orders are written long after they happened and hold the panes open: a crash then changes nothing."""
    seconds = range(0, 3 * 3600, 10)
    log = {
        "payments": [record("payments", n, T + s * SECOND_MS, T + s * SECOND_MS) for n, s in enumerate(seconds)],
        "orders": [record("orders", n, T + s * SECOND_MS - behind_min * MINUTE_MS, T + s * SECOND_MS)
                   for n, s in enumerate(seconds)],
    }  # fmt: skip
    first, told = lane(BOTH), Told()
    read(first, log, told, until=len(seconds) * 2 // 3)
    second, after = follow(first), dict(told)
    read(first, log, told, len(seconds))
    read(second, log, after, len(seconds))
    assert after == told


def test_what_was_in_doubt_is_read_again() -> None:
    """A day begins after a silence of an hour: its first records are in doubt while the next batch begins."""
    times = [T, T + 6 * SECOND_MS, *(T + 60 * MINUTE_MS + 100 * n for n in range(60))]
    log = {"payments": [record("payments", n, at, at + 50) for n, at in enumerate(times)]}
    first, told = lane(ONE), Told()
    for until in (8, 40, len(times)):
        read(first, log, told, until, size=40)
    second, after = follow(first), dict(told)
    read(second, log, after, len(times), size=40)
    hear(after, second.end({"payments": True}).tallies)
    assert after == told


def test_a_time_that_is_not_believed_holds_nothing_up() -> None:
    """One payment of a backlog is written next year, as its broker says: its topic waits for the other no longer."""
    count = 2_000
    log = {topic: [record(topic, n, T + 2 * n * SECOND_MS, T + 2 * n * SECOND_MS) for n in range(count)]
           for topic in BOTH}  # fmt: skip
    log["payments"][30].timestamp += YEAR_MS
    one = lane(BOTH)
    while one.halves["orders"].next < count:
        read(one, log, Told(), one.halves["orders"].next + 50, size=50)
        first, second = (half.next for half in one.halves.values())
        assert abs(first - second) <= 300  # AHEAD_MS_MAX, and a batch


@pytest.mark.parametrize("wrong", [0, 5])
def test_a_time_that_is_wrong_keeps_nothing_for_ever(wrong: int) -> None:
    """Be it the first record: what is told is forgotten, and commits move on."""
    log = {"payments": [record("payments", n, T + 5 * n * SECOND_MS, T + 5 * n * SECOND_MS) for n in range(1_440)]}
    log["payments"][wrong].timestamp += YEAR_MS
    one = lane(ONE)
    read(one, log, Told(), 1_440)
    offset, _ = one.commits()["payments"]
    assert offset >= 1_440 - 46 * A_MINUTE
    assert one.counter.stats.payments < 1_000


def test_records_without_a_time_are_counted_by_their_events() -> None:
    """A producer may leave the time out, and an old format has none: then an event's own time is its record's."""
    log = {"payments": [record("payments", n, T + 5 * n * SECOND_MS, -1) for n in range(1_440)]}
    for each in log["payments"][::2]:
        each.timestamp = None
    one, told = lane(ONE), Told()
    read(one, log, told, 1_440, size=10)
    hear(told, one.end({"payments": True}).tallies)
    offset, _ = one.commits()["payments"]
    assert offset >= 1_440 - 46 * A_MINUTE
    assert sum(told.values()) == 1_439  # the last is held


@pytest.mark.parametrize("timeless", [{"payments"}, {"orders"}, {"payments", "orders"}])
def test_topics_without_times_wait_for_each_other(timeless: set[str]) -> None:
    """By the times of their events."""
    count = 2_000
    log = {topic: [record(topic, n, T + 2 * n * SECOND_MS, -1 if topic in timeless else T + 2 * n * SECOND_MS)
                   for n in range(count)] for topic in BOTH}  # fmt: skip
    one = lane(BOTH)
    while left := [topic for topic in one.wanted() if one.halves[topic].next < count]:
        at = one.halves[left[-1]].next  # orders first, as far as they may
        one.count(left[-1], Listed.of(log[left[-1]][at : at + 50]))
        first, second = (half.next for half in one.halves.values())
        assert abs(first - second) <= 300  # AHEAD_MS_MAX, and a batch
    assert {half.next for half in one.halves.values()} == {count}


@pytest.mark.parametrize(("horizon_s", "minutes"), [(60, 20), (120, 23), (600, 46)])
def test_commits_move_on(horizon_s: int, minutes: int) -> None:
    """However short the horizon, what is read again after two hours is so many minutes of them."""
    policy = load_policy(f"horizon_s = {horizon_s}\n")
    log = {"payments": [record("payments", n, T + 5 * n * SECOND_MS, T + 5 * n * SECOND_MS) for n in range(1_440)]}
    one = lane(ONE, policy)
    read(one, log, Told(), 1_440)
    offset, _ = one.commits()["payments"]
    assert offset >= 1_440 - minutes * A_MINUTE
