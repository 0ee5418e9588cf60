"""A Judge with many leaves and sources: the time of a boundary, and what all of it holds; no Kafka.

Sources tell what they would of so many payments a second, spread over the leaves as shops are over banks: few have
most. An hour is told in steps of a pane, so that the ring is full; then minutes second by second, which are measured.
Each Judge has a process of its own, whose memory is its alone.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.columns import APPROVED, DECLINED
from detector.counting.tally import Cells, Source, Tally
from detector.judging.judge import Judge
from detector.warm import warm
from tests.benchmarks.scale.memory import memory_bytes

METHODS, RATE = 20, 1_000
FULL_S, MEASURED_S = 3_600, 120
START_MS = 1_700_006_400_000
PANE_S = DEFAULT.pane_ms // 1000
APPROVED_SHARE = 0.9
STEEP = 0.8
"""The n-th leaf has a share like n to the power of -STEEP."""
POLICY = replace(DEFAULT, leaves_max=100_000)


@dataclass(frozen=True, slots=True)
class Tick:
    """A Judge of so many leaves and sources: CPU ms of a boundary, and MB of its process beside what it began with."""

    leaves: int
    sources: int
    rate: int
    p50_ms: float
    p99_ms: float
    memory_mb: float


def ticked(leaves: int, sources: int, full_s: int = FULL_S, measured_s: int = MEASURED_S) -> Tick:
    """Measure one, in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_ticked, leaves, sources, full_s, measured_s).result()


def _ticked(leaves: int, sources: int, full_s: int, measured_s: int) -> Tick:
    warm()  # what is compiled, and a Judge that was thrown away, are not this one's
    shops = Told(leaves, sources)
    before_mb, judge, took_ms = memory_bytes() / 1e6, Judge(POLICY), []
    # Every leaf is known from the first second on, as after a day.
    for tally in shops.second(0, every_leaf=True):
        judge.take(tally)
    for second in range(PANE_S, full_s, PANE_S):
        for tally in shops.second(second, PANE_S):
            judge.take(tally)
    for second in range(full_s, full_s + measured_s):
        tallies = list(shops.second(second))
        began_s = time.process_time()
        for tally in tallies:
            judge.take(tally)
        took_ms.append(1000 * (time.process_time() - began_s))
        assert judge.time_ms == tallies[-1].boundary_ms, "every boundary is judged"
    p50, p99 = np.quantile(took_ms, (0.5, 0.99))
    return Tick(leaves, sources, RATE, float(p50), float(p99), memory_bytes() / 1e6 - before_mb)


class Told:
    """What sources say, second by second; the same at every call."""

    def __init__(self, leaves: int, sources: int) -> None:
        self._random = np.random.default_rng(leaves + sources)
        self._names = tuple((f"bank-{n // METHODS}", f"method-{n % METHODS}") for n in range(leaves))
        self._layout = {"main": sources}
        self._counts = np.zeros((sources, leaves, 2), np.int32)
        self._pane = 0
        weights = np.arange(1, leaves + 1) ** -STEEP
        self._shares = np.cumsum(weights / weights.sum())

    def second(self, second: int, spans_s: int = 1, every_leaf: bool = False) -> Iterator[Tally]:
        """One tally a source of the payments of `spans_s` seconds that end here."""
        pane = (START_MS // 1000 + second) // PANE_S
        if pane != self._pane:
            self._counts[:], self._pane = 0, pane
        for source in range(len(self._counts)):
            asked = self._random.poisson(RATE * spans_s / len(self._counts))
            leaf = np.searchsorted(self._shares, self._random.random(asked))
            if every_leaf and source == 0:
                leaf = np.arange(len(self._names))
            red = (self._random.random(len(leaf)) > APPROVED_SHARE).astype(np.int64)
            np.add.at(self._counts[source], (leaf, red), 1)
            yield self._tally(source, second, np.unique(leaf))

    def _tally(self, source: int, second: int, leaf: np.ndarray) -> Tally:
        counts = np.zeros((len(leaf), 6), np.int32)
        counts[:, [APPROVED, DECLINED]] = self._counts[source, leaf]
        lengths = np.zeros((len(leaf), 5), np.uint8)
        lengths[:, 0], lengths[:, 2] = np.minimum(counts[:, DECLINED], 10), np.minimum(counts[:, DECLINED], 2)
        lengths[:, 4] = np.minimum(counts[:, APPROVED], 2)
        hashes = np.sort(self._random.integers(1, 1 << 62, int(lengths.sum())).astype(np.uint64))
        cells = Cells(
            tuple(self._names[number] for number in leaf.tolist()), np.arange(len(leaf), dtype=np.int32),
            np.full(len(leaf), self._pane), counts, counts.copy(), np.zeros((len(leaf), 5), np.int32),
            np.full(len(leaf), -1), lengths, hashes,
        )  # fmt: skip
        ends_ms = START_MS + (second + 1) * 1000
        return Tally(Source("main", source), self._layout, 1, ends_ms, ends_ms - 1, second, cells)
