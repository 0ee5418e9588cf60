"""One source's ledger at a rate of payments, filled until it forgets as much as it learns; no Kafka.

What is measured is the memory that the ledger took (its tables are longer than what of them lies in memory), beside the
payments it holds then, and what the source says a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.columns import Columns
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.tally import Source
from streams.tallylog import pack
from tests.benchmarks.scale.memory import memory_bytes

START_MS = 1_700_006_400_000
LEAVES, MERCHANTS, SHOPPERS = 250, 200, 200_000
FILLED_S = 2 * DEFAULT.horizon_ms // 1000 + 300
SAID_S = 120
"""The last seconds of a run, whose tallies are weighed."""
STATUSES = np.array([1, 1, 1, 1, 2], np.uint8)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A full ledger: payments held, bytes of memory that it took, and bytes a second that its source says."""

    rate: int
    payments: int
    memory: int
    said_per_s: float

    @property
    def bytes_each(self) -> float:
        """Of a payment that is held."""
        return self.memory / self.payments


def filled(rate: int) -> Ledger:
    """Count so many payments a second until the ledger is full."""
    names, said = Names(DEFAULT), 0
    leaves = np.array([names.leaf((f"bank-{n // 5}", f"method-{n % 5}")) for n in range(LEAVES)], np.int32)
    merchants = np.array([names.merchant(f"shop-{n}") for n in range(MERCHANTS)], np.uint64)
    before = memory_bytes()
    counter = Counter(DEFAULT, names, Source("main", 0), {"main": 1})
    counter.at_end(1, True)
    for second, columns in enumerate(_seconds(rate, leaves, merchants)):
        for tally in counter.take(columns):
            if second >= FILLED_S - SAID_S:
                said += sum(map(len, pack([tally])))
    return Ledger(rate, counter.stats.payments, memory_bytes() - before, said / SAID_S)


def _seconds(rate: int, leaves: np.ndarray, merchants: np.ndarray) -> Iterator[Columns]:
    random = np.random.default_rng(rate)
    for second in range(FILLED_S):
        start = START_MS + second * 1000 + np.sort(random.integers(0, 1000, rate))
        yield Columns(
            np.zeros(rate, np.uint8), random.choice(STATUSES, rate), random.choice(leaves, rate),
            np.full(rate, -1, np.int32), random.integers(1, 1 << 62, rate).astype(np.uint64),
            random.integers(1, 1 << 62, rate).astype(np.uint64),
            random.integers(1, SHOPPERS, rate).astype(np.uint64), random.choice(merchants, rate), start,
            np.full(rate, -1), start, np.arange(second * rate, (second + 1) * rate),
        )  # fmt: skip
