"""One source at work: what its lane notes with a commit, and that no record is forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from detector.contracts.moments import EPOCH_MS_MAX
from detector.contracts.policy import DEFAULT
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source
from streams.deadletters import KEY_BYTES_MAX
from streams.intake.fetch import Fetched, Listed
from streams.intake.half import Counted
from streams.intake.lane import Lane
from streams.intake.placing import ORDERS, PAYMENTS, SAMPLE_EVENTS
from streams.intake.recovery import UNKNOWN_FLOOR, Begin

T = 1_700_000_000_000
MINUTE_MS = 60_000
AHEAD_MS = 86_400_000
ONE = {"payments": PAYMENTS}
BOTH = {"payments": PAYMENTS, "orders": ORDERS}


def batch(first: int, *records: tuple[int, int]) -> Fetched:
    """Payments from an offset on: (when it occurred, when it was written)."""
    return Listed.of([record(offset, written_ms, one_payment(offset, occurred_ms))
                      for offset, (occurred_ms, written_ms) in enumerate(records, first)])  # fmt: skip


def one_payment(offset: int, occurred_ms: int = T) -> bytes:
    """An approved payment."""
    return json.dumps({"payment_id": f"p{offset}", "order_id": "o", "bank": "bnp", "method": "card",
                       "status": "approved", "occurred_at": occurred_ms}).encode()  # fmt: skip


def record(offset: int, written_ms: int, value: bytes) -> Any:
    """A record as the client makes it."""
    return SimpleNamespace(offset=offset, timestamp=written_ms, value=value, key=b"o", headers=())


def orders(offset: int, at_ms: int) -> Fetched:
    """An order placed at a moment."""
    said = {"order_id": f"o{offset}", "status": "placed", "occurred_at": at_ms}
    return Listed.of([record(offset, at_ms, json.dumps(said).encode())])


def lane(
    read: int = 0, noted_ms: int | None = None, topics: Mapping[str, int] = ONE, cut: frozenset[str] = frozenset()
) -> Lane:
    names = Names(DEFAULT)
    begin = Begin(7, noted_ms, dict.fromkeys(topics, 0), dict.fromkeys(topics, read), cut=cut)
    counter = Counter(DEFAULT, names, Source("default", 0), {"default": 1}, term=7, noted_ms=noted_ms)
    return Lane(counter, Decoder(DEFAULT, names), begin, dict(topics))


def letters(counted: Counted) -> list[int]:
    return [bad.offset for bad in counted.bad]


def test_what_is_in_doubt_was_not_read_yet() -> None:
    """A record from the future after a long silence waits for witnesses: an owner that is killed meanwhile has not
    told of it, so the next one must."""
    spoken, odd = batch(0, (T, T + 50)), batch(1, (T + AHEAD_MS, T + 10 * MINUTE_MS))
    first = lane()
    assert letters(first.count("payments", spoken)) + letters(first.idle(0)) == []
    assert letters(first.count("payments", odd)) == []
    _, note = first.commits()["payments"]
    assert note.read == 1

    second = lane(note.read)
    heard = letters(second.count("payments", spoken)) + letters(second.idle(0))
    heard += letters(second.count("payments", odd))
    assert heard + letters(second.finish()) == [1]
    assert second.commits()["payments"][1].read == 2


def test_what_is_in_doubt_is_told_of_however_late() -> None:
    """A record from the future waits for witnesses, and hundreds of bad records come between: it has its dead letter,
    with its own key, all the same."""
    one = lane()
    found = one.count("payments", batch(0, (T, T + 50), (T + AHEAD_MS, T + AHEAD_MS))).bad
    for offset in range(2, 602):
        found += one.count("payments", Listed.of([record(offset, T + 60, b"no event")])).bad
    for offset in range(602, 622):
        found += one.count("payments", batch(offset, (T + 70, T + 80))).bad
    assert [(bad.offset, bad.reason, bad.key) for bad in found if bad.reason != "not_json"] == [
        (1, "clock_ahead", b"o")
    ]  # fmt: skip
    assert len(found) == 601
    assert one.halves["payments"].doubted == {}


def test_of_what_is_in_doubt_a_letter_is_kept() -> None:
    """No more: twenty records may wait for hours, and the key of each may be 60 MiB."""
    one = lane()
    one.count("payments", batch(0, (T, T)))
    long = record(1, T + 10 * MINUTE_MS, one_payment(1, T))
    long.key = b"k" * (KEY_BYTES_MAX + 1)
    one.count("payments", Listed.of([long]))
    kept = one.halves["payments"].doubted[1]
    assert (kept.key, kept.reason, kept.field, kept.size) == (None, "clock_ahead", "occurred_at", len(long.value))


def test_who_has_read_what_is_deleted_leaves_the_floor_to_the_next() -> None:
    """A living owner whose payments are deleted up to where it stands, or before, goes on telling all; its note says
    since when the next one has them, and where it has read less, what is read next says so."""
    one = lane()
    for second in range(0, 60, 2):
        one.count("payments", batch(second, *((T + n * 1_000, T + n * 1_000) for n in (second, second + 1))))
    half = one.halves["payments"]
    assert one.pass_over(half, 30) == 0
    assert T + 29_000 <= one.floor_ms <= T + 36_000
    assert one.commits()["payments"][1].floor_ms == one.floor_ms
    assert one.pass_over(half, 70) == 10
    assert one.commits()["payments"][1].floor_ms == UNKNOWN_FLOOR
    one.count("payments", batch(70, (T + 70_000, T + 70_000)))
    assert one.commits()["payments"][1].floor_ms == T + 70_000
    counted = one.count("payments", batch(71, (T + 50_000, T + 71_000), (T + 80_000, T + 80_000)))
    assert (T + 50_000) // DEFAULT.pane_ms in {pane for one in counted.tallies for pane in one.cells.pane.tolist()}


def test_payments_begin_no_later_than_now() -> None:
    """Where fewer than five are left when an owner comes, they may be late, or of a clock that is ahead: then it is
    now. So it is where none is, and the topic is read to its end."""
    for written_ms in (T - 180 * MINUTE_MS, T + 50 * MINUTE_MS):
        for clock_ms, floor_ms in ((T + 1_000, T + 1_000), (None, max(written_ms, T))):
            one = lane(topics=ONE, cut=frozenset(ONE))
            one.count("payments", batch(0, (T, written_ms), (T, T)), clock_ms=clock_ms)
            assert one.floor_ms == floor_ms
    one = lane(topics=BOTH, cut=frozenset(ONE))
    one.end({"payments": True, "orders": False}, T + 1_000)
    assert one.floor_ms == T + 1_000


def test_nothing_is_told_of_what_lies_before_payments_of_which_nothing_is_noted() -> None:
    """Also where no boundary was noted at all, as when somebody committed offsets of both topics: an answer to an older
    payment would be all that its pane has."""
    one = lane(topics=ONE, cut=frozenset(ONE))
    first = batch(0, (T - MINUTE_MS, T), *((T + n * 1_000, T + n * 1_000) for n in range(40)))
    told = [*one.count("payments", first).tallies, *one.finish().tallies]
    panes = {pane for tally in told for pane in tally.cells.pane.tolist()}
    assert panes
    assert min(panes) * DEFAULT.pane_ms >= T


def test_how_bad_records_are_keyed_says_nothing() -> None:
    """They may name an order, of any length at that, and be no event: a producer that is not ours makes nobody not
    ready."""
    one = lane()
    one.count("payments", Listed.of([record(offset, T, b'{"order_id":"other"}') for offset in range(3)]))
    assert one.keys.sampled == 0
    wrong = [record(3, T, b"no event"), *(record(4 + n, T, one_payment(n)) for n in range(6))]
    wrong[1].key = b"other"
    one.count("payments", Listed.of(wrong))
    assert (one.keys.sampled, one.keys.mismatched) == (SAMPLE_EVENTS, 1)


def test_what_the_end_of_the_other_topic_decides_is_told_at_once() -> None:
    """A record from the future waits in a quiet topic, until that is at its end and the other one is further: a commit
    says that it was read, so it must have been told of."""
    one = lane(topics=BOTH)
    one.count("payments", batch(0, (T, T + 50), (T + AHEAD_MS, T + 60 * MINUTE_MS)))
    for minute in range(0, 61, 4):
        one.count("orders", orders(minute, T + minute * MINUTE_MS))
    assert one.counter.doubted_from(PAYMENTS) == 0
    assert letters(one.end({"payments": True, "orders": False})) == [1]
    assert one.commits()["payments"][1].read == 2


def test_a_time_beyond_all_years_is_none() -> None:
    """Older brokers keep records of any time: those that no calendar has refuse nobody else's payments, and a letter
    says the last moment that can be written."""
    one = lane()
    one.count("payments", batch(0, *((T + second, T + second) for second in range(0, 30_000, 1_000))))
    one.count("payments", batch(30, *((T + 30_000 + n, 2**63 - 1) for n in range(25))))
    assert letters(one.count("payments", batch(55, *((T + 31_000 + n, T + 31_000 + n) for n in range(50))))) == []
    assert one.counter.log_time_ms == T + 31_049
    (bad,) = one.count("payments", Listed.of([record(105, 2**63 - 1, b"no event")])).bad
    assert bad.received_at_ms == EPOCH_MS_MAX


def test_no_result_comes_new_while_metrics_are_read() -> None:
    """They are read beside the thread that counts: of a table that another one makes longer nobody can tell all."""
    one = lane()
    totals = one.totals().events
    assert set(totals.values()) == {0}
    one.count("payments", batch(0, (T, T + 50)))
    one.count("payments", Listed.of([record(1, T + 60, b"no event")]))
    assert one.totals().events.keys() == totals.keys()


def results(lane: Lane) -> dict[str, int]:
    """What became of the payments' records, as metrics have it."""
    return {result: count for (_, _, result), count in lane.totals().events.items() if count}


def test_what_is_ahead_of_the_clock_is_refused_and_not_counted() -> None:
    """A producer's clock is an hour ahead: an alert that asks whether anything is counted must see that nothing is."""
    one = lane()
    one.count("payments", batch(0, *((T + n, T + n) for n in range(25))))
    one.count("payments", batch(25, *((T + 60 * MINUTE_MS, T + 30 + n) for n in range(30))))
    assert results(one) == {"counted": 25, "rejected": 30}


def test_what_is_in_doubt_is_counted_when_it_is_decided() -> None:
    """Until then it is nothing; and what Prometheus takes for a counter never becomes less."""
    one, seen = lane(), []
    told = [batch(0, (T, T)), batch(1, (T + AHEAD_MS, T + AHEAD_MS)), batch(2, *((T + n, T + n) for n in range(20)))]
    for part in told:
        one.count("payments", part)
        seen.append(results(one))
    assert seen == [{}, {}, {"counted": 21, "rejected": 1}]
    two = lane()
    two.count("payments", batch(0, (T, T + 50)))
    two.count("payments", batch(1, (T + AHEAD_MS, T + 10 * MINUTE_MS)))
    two.finish()
    assert results(two) == {"counted": 1, "rejected": 1}


def test_the_batch_in_which_rebuilding_ends_is_told_apart() -> None:
    """What the owner before us has counted is rebuilt, whatever it was; of the rest is said what became of it."""
    one = lane(read=20)
    bad = [record(offset, T, b"no event") for offset in range(20)]
    good = [record(offset, T, one_payment(offset)) for offset in range(20, 28)]
    worse = [record(offset, T, b"no event") for offset in range(28, 30)]
    told = one.count("payments", Listed.of([*bad, *good, *worse]))
    one.finish()
    assert (letters(told), results(one)) == ([28, 29], {"rebuilt": 20, "counted": 8, "rejected": 2})


def test_only_what_is_rebuilt_is_counted_while_it_is() -> None:
    """One order with a hundred payments comes to its limit, and a name looks like a card: who counted them first has
    said so."""
    one = lane(read=100, noted_ms=T + 60_000)
    card = json.loads(one_payment(0)) | {"shopper_id": "5500005555555559"}
    one.count("payments", Listed.of([
        record(n, T + n, json.dumps(card | {"payment_id": f"p{n}"}).encode()) for n in range(100)]))  # fmt: skip
    totals = one.totals()
    assert results(one) == {"rebuilt": 100}
    assert (totals.crowded, totals.card_like) == (0, {})
