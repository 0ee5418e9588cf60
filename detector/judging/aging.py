"""What waits grows older: votes change bins as the boundary moves on, pane by pane while their pane is open.

Reads the ring, changes the flow. Knows no rates.
"""

from __future__ import annotations

from detector.arrays import Int64s
from detector.compiled import compiled
from detector.counting.ages import age_bin
from detector.judging.flow import Flow, reach, touch
from detector.judging.later import begin_long
from detector.judging.ring import END, PENDING, Rows


@compiled
def pending_in(rows: Rows, leaf: int, pane: int) -> int:
    """Votes of a cell that wait."""
    pending, row = 0, rows.head[leaf, pane % rows.head.shape[1]]
    while row != END:
        if rows.pane[row] == pane:
            pending += rows.votes[row, PENDING]
        row = rows.next[row]
    return pending


@compiled
def begin_waiting(rows: Rows, flow: Flow, edges: Int64s, boundary_ms: int, pane_ms: int, closing_ms: int) -> None:
    """What waits in panes that are open at the boundary, by its age then, in a flow that knows of nothing yet."""
    for pane in range((boundary_ms - closing_ms) // pane_ms, boundary_ms // pane_ms + 1):
        bin_ = age_bin(edges, boundary_ms - (pane + 1) * pane_ms)
        for leaf in range(len(flow.waiting)):
            pending = pending_in(rows, leaf, pane)
            if pending:
                reach(flow, leaf, bin_)
                flow.waiting[leaf, bin_] += pending


@compiled
def grow_older(rows: Rows, flow: Flow, edges: Int64s, boundary_ms: int, step_ms: int, pane_ms: int,
               closing_ms: int) -> None:  # fmt: skip
    """The boundary moves on by one step, which is no longer than a pane: what waits changes bins, and a pane that has
    just closed is aged without it."""
    closed = (boundary_ms - closing_ms) // pane_ms - 1
    if closed != (boundary_ms - step_ms - closing_ms) // pane_ms - 1:
        _close(rows, flow, edges, closed, boundary_ms - step_ms - (closed + 1) * pane_ms)
    for edge in range(len(edges)):
        pane = (boundary_ms - edges[edge]) // pane_ms - 1
        if pane <= closed:
            break
        if (pane + 1) * pane_ms <= boundary_ms - step_ms - edges[edge]:
            continue
        for leaf in range(len(flow.waiting)):
            pending = pending_in(rows, leaf, pane)
            if pending:
                reach(flow, leaf, edge + 1)
                flow.waiting[leaf, edge] -= pending
                flow.waiting[leaf, edge + 1] += pending
                flow.moved[leaf, edge] -= pending
                flow.moved[leaf, edge + 1] += pending
                flow.entered[leaf, edge + 1] += pending
                touch(flow, leaf)


@compiled
def _close(rows: Rows, flow: Flow, edges: Int64s, pane: int, age_ms: int) -> None:
    bin_ = age_bin(edges, age_ms)
    for leaf in range(len(flow.waiting)):
        pending = pending_in(rows, leaf, pane)
        if pending:
            reach(flow, leaf, bin_)
            flow.waiting[leaf, bin_] -= pending
            begin_long(flow, edges, leaf, age_ms, pending)
