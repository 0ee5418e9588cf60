"""Hashes that all want the last place of an index, as somebody could choose them: every payment counts, and nothing is
written past an end."""

from __future__ import annotations

import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.columns import APPROVED, CONFIRMED, NONE, PAYMENT, Columns, UInt64s
from detector.counting.counter import Counter
from detector.counting.hashing import hash_text
from detector.counting.names import Names
from detector.counting.tally import Source

PAYMENTS = 400
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
