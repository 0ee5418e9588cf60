"""What the statistics cost: CPU time of a boundary, and the memory of a Judge, at 5,000 and 50,000 leaves.

Beside each time stands that of the same arithmetic in plain numpy over arrays of the same size: machines differ.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from detector.arrays import Float64s
from detector.compiled import allocating
from detector.counting.ages import EDGES
from detector.counting.tally import Cells
from detector.judging.advance import run as run_boundary
from detector.judging.board import Board
from detector.judging.evidence import ALTERNATIVES, COUNTS, PAGE, Evidence, accumulate
from tests.benchmarks.detection.engine import Fleet, Traffic, give, make_first, policy

LEAVES, SOURCES = (5_000, 50_000), 64
REPEATS = 41
METHODS = 10
SOME_REFUSED = 54
"""Each ninth vote is refused, for a technical reason, so that no channel rests."""


def run(quick: bool) -> Iterator[list[dict[str, Any]]]:
    """Rows: times, then memory."""
    for leaves in LEAVES[:1] if quick else LEAVES:
        yield [boundary(leaves)]
    if not quick:
        yield [memory(LEAVES[-1], SOURCES)]


def boundary(leaves: int) -> dict[str, Any]:
    """Milliseconds of a boundary, median: one channel with votes at every node, all channels with votes at every sixth
    leaf (ten a minute), and numpy for one channel."""
    fleet = Fleet([(f"bank-{n // METHODS}", f"method-{n % METHODS}") for n in range(leaves)], leaves_max=leaves)
    rate, approved = np.full(leaves, 10 / 60), np.full(leaves, 0.9)
    fleet.signals.baseline.level[:] = 900.0, 100.0
    fleet.answer_at_once(np.full(leaves, 1_000.0), approved)
    fleet.know()
    fleet.play(1, Traffic(rate, approved), make_first(leaves), 30, learns=False)
    state = fleet.state()
    evidence = fleet.signals.evidence
    llr = np.random.default_rng(1).normal(0, 0.1, (len(evidence.m), ALTERNATIVES))
    r, m = evidence.r[:, PAGE].copy(), evidence.m[:, PAGE].copy()

    def everything() -> None:
        run_boundary(*state[:12], False, False, state[12], state[12] + 1_000, 1_000, *state[13:])

    def come() -> None:
        votes = np.array([0, 1, 0, 0, 0, 0], np.int32)
        for leaf in range(0, leaves, 6):
            refused = leaf % SOME_REFUSED == 0
            give(state[2], EDGES, votes, leaf, 1 - refused, refused, refused)

    one = median_ms(lambda: one_channel(evidence, llr))
    return {
        "what": "boundary", "leaves": leaves, "nodes": len(evidence.m), "one_channel_ms": one,
        "all_channels_ms": median_ms(everything, come), "numpy_one_channel_ms": median_ms(lambda: in_numpy(r, m, llr)),
    }  # fmt: skip


@allocating
def one_channel(evidence: Evidence, llr: Float64s) -> None:
    """The page's channel for every node, all of which have votes."""
    for node in range(len(llr)):
        for j in range(llr.shape[1]):
            evidence.llr[node, PAGE, j] = llr[node, j]
        accumulate(evidence, node, PAGE, COUNTS[PAGE], 1_000, 1.0)


def in_numpy(r: Float64s, m: Float64s, llr: Float64s) -> None:
    """R ← (R + dt) · exp(llr), M ← mean."""
    np.minimum((r + 1.0) * np.exp(llr), 1e200, out=r)
    np.mean(r, axis=1, out=m)


def median_ms(work: Callable[[], object], prepare: Callable[[], object] = dict) -> float:
    """CPU milliseconds of a call, the median; the first is not counted. `prepare` comes before each, untimed."""
    work()
    times = []
    for _ in range(REPEATS):
        prepare()
        before = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - before) / 1e6)
    return round(float(np.median(times)), 3)


def memory(leaves: int, sources: int) -> dict[str, Any]:
    """The most memory a process ever had that fills a board: each source says one pane of each leaf."""
    code = f"from tests.benchmarks.detection.limits import fill; fill({leaves}, {sources})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {"what": "memory", "leaves": leaves, "sources": sources, "gigabytes": float(done.stdout)}


def fill(leaves: int, sources: int) -> None:
    """Fill a board and print the gigabytes this process had at most."""
    rules = replace(policy(), leaves_max=leaves)
    board = Board(rules)
    names = tuple((f"bank-{n // METHODS}", f"method-{n % METHODS}") for n in range(leaves))
    hashes = 6
    board.boundary_ms = 1_700_006_400_000
    for source in range(1, sources + 1):
        board.expect()
        board.put(source, _cells(names, board.boundary_ms // rules.pane_ms - 1, hashes), 0)
        board.weigh()
        board.boundary_ms += 1_000
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e9)


_RSS_UNIT = 1 if sys.platform == "darwin" else 1_024
"""Bytes: the system says the largest size in these."""


def _cells(names: tuple[tuple[str, str], ...], pane: int, hashes: int) -> Cells:
    """One pane of every leaf: nine approved, one refused."""
    size = len(names)
    counts, lengths = np.zeros((size, 6), np.int32), np.zeros((size, 5), np.uint8)
    counts[:, 1], counts[:, 2] = 9, 1
    lengths[:] = (2, 0, 2, 0, 2)
    return Cells(
        names, np.arange(size, dtype=np.int32), np.full(size, pane), counts, counts.copy(),
        np.zeros((size, 5), np.int32), np.full(size, -1), lengths,
        np.arange(1, size * hashes + 1, dtype=np.uint64),
    )  # fmt: skip
