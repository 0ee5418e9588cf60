"""All tables of a board as one, and the doors through which it calls the loops of every boundary.

A door takes the whole and hands each loop its groups. Called with groups one by one, a boundary would spend more time
on handing over than most loops take. Knows which loop needs what, not what it does.
"""

from __future__ import annotations

from typing import NamedTuple

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.compiled import compiled
from detector.judging.flow import Flow
from detector.judging.fold import Fold, leave_ring
from detector.judging.ring import Leaves, Marks, Rows, put_cells
from detector.judging.streak import Moment, Verdicts, evaluate_nodes
from detector.judging.tree import Tree
from detector.judging.windows import Windows, slide


class Picture(NamedTuple):
    """What a board holds of counts and verdicts; the statistics have tables of their own."""

    rows: Rows
    leaves: Leaves
    marks: Marks
    fold: Fold
    tree: Tree
    found: Verdicts
    windows: Windows


@compiled
def put(picture: Picture, flow: Flow, source: int, oldest: int, pane_ms: int, boundary_ms: int, closing_ms: int,
        leaf: Int32s, pane: Int64s, counts: Int32s, votes: Int32s, late: Int32s, late_start: Int64s, lengths: UInt8s,
        hashes: UInt64s, technical: Int32s, orders: Int32s, ages: UInt8s) -> None:  # fmt: skip
    """See `ring.put_cells`."""
    put_cells(
        picture.rows, picture.leaves, picture.marks, flow, picture.windows, picture.tree.leaf_nodes, source, oldest,
        pane_ms, boundary_ms, closing_ms, leaf, pane, counts, votes, late, late_start, lengths, hashes, technical,
        orders, ages,
    )  # fmt: skip


@compiled
def move(picture: Picture, boundary_ms: int, pane_ms: int, oldest: int) -> None:
    """See `windows.slide`."""
    slide(picture.rows, picture.windows, boundary_ms, pane_ms, oldest)


@compiled
def leave(picture: Picture, begin: int, end: int, pane_ms: int, newest_start_ms: int) -> None:
    """See `fold.leave_ring`."""
    leave_ring(
        picture.rows, picture.leaves, picture.marks, picture.fold, picture.tree, begin, end, pane_ms, newest_start_ms
    )


@compiled
def evaluate(picture: Picture, boundary_ms: int, oldest: int, pane_ms: int, closing_ms: int, ring_ms: int,
             now: Int64s) -> tuple[int, int]:  # fmt: skip
    """See `streak.evaluate_nodes`; a `Moment` is handed over field by field, see `hand.Hand`."""
    moment = Moment(boundary_ms, oldest, pane_ms, closing_ms, ring_ms, now)
    return evaluate_nodes(
        picture.rows, picture.leaves, picture.marks, picture.fold, picture.tree, picture.found, moment
    )
