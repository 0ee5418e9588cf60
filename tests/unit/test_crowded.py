"""What crowds, by chance or on purpose: hashes that want the last place of an index, one order or one shopper for all,
one cell for all late answers. Every payment counts, nothing is written past an end, nothing is walked for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detector.arrays import UInt64s
from detector.contracts.policy import DEFAULT
from detector.counting.columns import APPROVED, CONFIRMED, DECLINED, NONE, PAYMENT, PENDING, Columns
from detector.counting.counter import Counter
from detector.counting.hashing import hash_text, mix_hashes
from detector.counting.mates import RING_MAX
from detector.counting.names import Names
from detector.counting.tally import Source, Tally

PAYMENTS = 400
"""More than an index has places past the last home."""
SHARING = 160
"""More than twice as many as any order, or shopper, may have."""
START_MS = 1_772_000_000_000
LAST = np.uint64(0x7FFFFFFF)


def crowded(first: int) -> UInt64s:
    """Distinct hashes, of which an index keeps the same bits."""
    return (np.arange(first, first + PAYMENTS, dtype=np.uint64) << np.uint64(32)) | LAST


def events(names: Names, kind: int, offset: int) -> Columns:
    """A payment of each order, or what became of each order."""
    same = np.zeros(PAYMENTS, np.int64)
    leaf = names.leaf(tuple(f"a {dimension}" for dimension in DEFAULT.dimensions))
    return Columns(
        kind=np.full(PAYMENTS, kind, np.uint8), status=np.full(PAYMENTS, APPROVED, np.uint8),
        leaf=np.full(PAYMENTS, leaf, np.int32), code=np.full(PAYMENTS, NONE, np.int32),
        payment=crowded(1) if kind == PAYMENT else same.astype(np.uint64), order=crowded(1_001),
        shopper=crowded(2_001), merchant=np.full(PAYMENTS, hash_text("shop"), np.uint64),
        occurred_at=same + START_MS, started_at=same + NONE, log_time=same + START_MS + offset,
        offset=np.arange(offset, offset + PAYMENTS),
    )  # fmt: skip


def test_all_want_the_last_place() -> None:
    """An index grows until they have room, while payments come, and when the first order event has all put anew."""
    names = Names(DEFAULT)
    counter = Counter(DEFAULT, names, Source("default", 0), {"default": 1})
    counter.at_end(1, True)
    told = counter.take(events(names, PAYMENT, 0), 0) + counter.idle(10_000)
    assert counter.stats.payments == PAYMENTS
    told += counter.take(events(names, PAYMENT, PAYMENTS), 0)
    told += counter.take(events(names, CONFIRMED, 0), 1) + counter.idle(10_000)
    assert counter.stats.payments == PAYMENTS
    assert max(int(tally.cells.counts.sum()) for tally in told) == PAYMENTS


def made() -> Counter:
    counter = Counter(DEFAULT, Names(DEFAULT), Source("default", 0), {"default": 1})
    counter.at_end(1, True)
    return counter


def payments(counter: Counter, **differ: int) -> Columns:
    """Payments of ids, orders and shoppers of their own, a second apart; but for what `differ` says of all."""
    plain, each = events(counter.names, PAYMENT, 0).rows(0, SHARING), np.arange(1, SHARING + 1, dtype=np.uint64)
    at = START_MS + 1_000 * np.arange(SHARING)
    own = replace(plain, payment=each, order=each, shopper=each, occurred_at=at, log_time=at + 1)
    return replace(own, **{
        name: np.full(SHARING, value).astype(getattr(own, name).dtype) for name, value in differ.items()
    })  # fmt: skip


def newest(tallies: list[Tally], what: str) -> dict[tuple[int, int], list[int]]:
    """Of each cell told its payments, or votes, by status."""
    told: dict[tuple[int, int], list[int]] = {}
    for tally in tallies:
        for pane, leaf, counts in zip(tally.cells.pane, tally.cells.leaf, getattr(tally.cells, what), strict=True):
            told[int(pane), int(leaf)] = counts.tolist()
    return told


@pytest.mark.parametrize("orders", [False, True])
def test_one_order_for_all(orders: bool) -> None:
    """A shop gives every order the same id: as many payments as any order may have are chained, all are counted, and
    all are forgotten; whether orders are told of, or only payments."""
    counter, sound = made(), made()
    told = counter.take(payments(counter, order=7, status=DECLINED))
    if orders:
        placed = events(counter.names, CONFIRMED, 0).rows(0, SHARING)
        counter.take(replace(placed, order=np.full(SHARING, 7, np.uint64)), 1)
    told += counter.idle(10_000)
    expected = sound.take(payments(sound, status=DECLINED)) + sound.idle(10_000)
    for what in ("counts", "votes"):
        assert newest(told, what) == newest(expected, what)
    assert counter.stats.crowded >= SHARING - RING_MAX
    later, ids = payments(counter), np.arange(SHARING + 1, 2 * SHARING + 1, dtype=np.uint64)
    at = later.occurred_at + 3 * DEFAULT.horizon_ms
    counter.take(replace(later, payment=ids, order=ids, occurred_at=at, log_time=at + 1))
    assert counter.stats.payments == SHARING - 1  # the last is held
    assert counter._get("alone") == 0


@pytest.mark.parametrize("minutes", [3, 23])
def test_of_one_order_for_all_each_payment_is_found_again(minutes: int) -> None:
    """What an order has room for side by side, and what is past it; also when the first ones are forgotten."""
    told: list[tuple[int, Any]] = []
    for one, differ in ((made(), {}), (made(), {"order": 7})):
        asked = payments(one, status=PENDING, **differ)
        one.take(asked)
        for minute in range(3, minutes):
            at = START_MS + minute * 60_000
            one.take(payments(one, payment=1_000 + minute, order=8, occurred_at=at, log_time=at).rows(0, 1))
        forgotten = SHARING + minutes - 3 - one.stats.payments - one.stats.held
        at = START_MS + minutes * 60_000
        again = {"occurred_at": at, "log_time": at, "status": APPROVED}
        one.take(payments(one, **differ, **again))
        one.idle(10_000)
        assert one.stats.payments == SHARING + minutes - 3
        told.append((forgotten, one.payments_total.tolist()))
    assert told[0] == told[1]
    assert (0 < told[0][0] < SHARING) == (minutes > 20)


def test_one_shopper_for_all() -> None:
    """A shop gives all its guests one name, and another bank answers than was asked: each bank has one vote, which is
    left to one of the last that came."""
    counter = made()
    ids = np.array(sorted(range(1, SHARING + 1), key=lambda each: mix_hashes(each, each)), np.uint64)  # of one moment
    sent = payments(counter, shopper=7, status=PENDING, occurred_at=START_MS)
    sent = replace(sent, order=ids, payment=ids)
    told = counter.take(sent)
    other = counter.names.leaf(tuple(f"another {dimension}" for dimension in DEFAULT.dimensions))
    answered = replace(
        sent, leaf=np.full(SHARING, other, np.int32), status=np.full(SHARING, APPROVED, np.uint8),
        log_time=sent.log_time + 2_000, occurred_at=np.full(SHARING, START_MS + 2_000), started_at=sent.occurred_at,
    )  # fmt: skip
    half = SHARING // 2
    told += counter.take(answered.rows(0, half)) + counter.idle(10_000)
    assert [sum(counts) for counts in newest(told, "counts").values()] == [half, half]
    assert [sum(votes) for votes in newest(told, "votes").values()] == [1, 1]
    told += counter.take(answered.rows(half, SHARING)) + counter.idle(10_000)
    assert [sum(counts) for counts in newest(told, "counts").values()] == [0, SHARING]
    assert [sum(votes) for votes in newest(told, "votes").values()] == [0, 1]
    assert counter.stats.crowded == 1
