"""The sliding windows that are kept up hold what a walk over the whole ring sums up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from detector.contracts.policy import Policy
from detector.counting.tally import Marker, Source, Tally
from detector.judging.board import Board
from detector.judging.judge import Judge
from detector.judging.ring import APPROVED, END, ERROR
from detector.judging.windows import SPANS_MS
from tests.property.dumb_judge import Payment, Teller, history
from tests.property.test_judge import LEAVES, POLICY, START_MS, split

LENGTH_MS = 1_500_000
LONG = replace(POLICY, ring_ms=1_200_000)
LAYOUT = {"default": 2}


def walked(board: Board) -> np.ndarray:
    """[node, window, status], every row of the ring looked at."""
    rows, pane_ms = board.rows, board.policy.pane_ms
    end = -(-board.boundary_ms // pane_ms)
    begins = [max(board.oldest, end - span // pane_ms) for span in SPANS_MS]
    found = np.zeros((len(board.nodes.scopes), len(SPANS_MS), 6), np.int64)
    for leaf in range(len(board.nodes.leaves)):
        for head in rows.head[leaf].tolist():
            row = head
            while row != END:
                said = rows.counts[row].astype(np.int64)
                said[APPROVED : ERROR + 1] += rows.late[row, APPROVED : ERROR + 1]
                for window, begin in enumerate(begins):
                    if begin <= rows.pane[row] < end:
                        found[board.nodes.scopes_of(leaf), window] += said
                row = int(rows.next[row])
    return found


def told(chance: random.Random, payments: list[Payment]) -> Iterator[Tally | Marker]:
    """Two sources at odd paces that fall silent, move to new owners, tell late answers; rules with shorter and longer
    rings."""
    tellers = [Teller(LONG, part) for part in split(payments, 2)]
    at, term, since = [START_MS, START_MS], [1, 1], [START_MS, START_MS]
    while min(at) < START_MS + LENGTH_MS:
        number = chance.randrange(2) if abs(at[0] - at[1]) < 100_000 else at.index(min(at))
        source = Source("default", number)
        at[number] += chance.choice((1_000, 1_000, 4_000, 20_000, 250_000))
        snapshot = chance.random() < 0.05
        if snapshot:
            term[number] += 1
            since[number] = at[number] - LONG.open_ms
        said = tellers[number].tally(source, LAYOUT, at[number], since[number])
        late = said.cells.late.copy()
        for cell in late:
            cell[APPROVED : ERROR + 1] = [chance.choice((0, 0, 3)) for _ in range(3)]
        since[number] = at[number]
        first = (at[number] - LONG.open_ms) // LONG.pane_ms if snapshot else said.first_pane
        yield replace(said, term=term[number], first_pane=first, cells=replace(said.cells, late=late))
        if chance.random() < 0.02:
            yield Marker("policy", text=policy_of(chance.choice((60_000, 400_000, 1_200_000, 3_900_000))).canonical())


def policy_of(ring_ms: int) -> Policy:
    """Rules with a ring of this length."""
    return replace(LONG, ring_ms=ring_ms)


@pytest.mark.parametrize("seed", range(10))
def test_windows_hold_what_a_walk_over_the_ring_finds(seed: int) -> None:
    """After every record of the log, by scope, window and status; also of a Judge that was restored from a snapshot."""
    chance = random.Random(seed)
    payments = history(chance, LONG, LEAVES, LENGTH_MS, START_MS)
    judge, log, seen = Judge(LONG), [], 0
    restored_at = chance.randrange(20, 40)
    for number, record in enumerate(told(chance, payments)):
        if number == restored_at:
            judge = Judge.restore(judge.export())
            for before in log:
                judge.refill(before)
        log.append(record)
        judge.take(record)
        if judge.time_ms < 0:
            continue
        expected = walked(judge.board)
        assert (expected == judge.board.payments_in(SPANS_MS)).all(), f"seed {seed}, record {number}"
        seen = max(seen, int(expected.sum()))
    assert len(log) > restored_at, f"seed {seed}"
    assert seen > 100, f"seed {seed}"


def test_windows_are_told_in_the_order_they_are_asked() -> None:
    """A window is found by its span, whatever else is asked."""
    judge, payments = Judge(LONG), history(random.Random(1), LONG, LEAVES[:2], 300_000, START_MS)
    judge.take(Teller(LONG, payments).tally(Source("default", 0), {"default": 1}, START_MS + 300_000, START_MS))
    every = judge.board.payments_in(SPANS_MS)
    assert every[0, -1].sum() < every[0, 0].sum()
    assert (judge.board.payments_in((60_000, 3_600_000)) == every[:, [3, 0]]).all()
