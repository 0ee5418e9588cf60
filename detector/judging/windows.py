"""How many payments each leaf had in the sliding windows that end now, kept up with the ring: never summed anew.

    sums[leaf, window, status]      window w is the panes begins[w] ≤ pane < end[0], the first window the longest

What a row of the ring says is taken out before it changes and put in again after; a pane that leaves a window is taken
out of that window alone. Late answers count in the pane in which they came. Does not know what the windows are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detector.arrays import Int64s
from detector.compiled import allocating, compiled
from detector.counting.columns import APPROVED, ERROR, NONE

if TYPE_CHECKING:
    from detector.judging.ring import Rows
    from detector.judging.tree import Tree

SPANS_MS = (3_600_000, 900_000, 300_000, 60_000)
"""The windows that are kept, the longest first."""


class Windows(NamedTuple):
    """The sums, and which panes they are of."""

    sums: Int64s  # [leaf, window, 6]
    begins: Int64s  # [window]
    end: Int64s  # [1]


def make_windows(leaves: int) -> Windows:
    """No pane lies in any window yet."""
    return Windows(
        np.zeros((leaves, len(SPANS_MS), 6), np.int64), np.zeros(len(SPANS_MS), np.int64), np.zeros(1, np.int64)
    )


def more_leaves(windows: Windows, leaves: int) -> Windows:
    """The same windows with room for so many leaves."""
    sums = np.zeros((leaves, *windows.sums.shape[1:]), np.int64)
    sums[: len(windows.sums)] = windows.sums
    return windows._replace(sums=sums)


@compiled
def slide(rows: Rows, windows: Windows, boundary_ms: int, pane_ms: int, oldest: int) -> None:
    """The windows end at a boundary, and reach no further back than the pane `oldest`; its ring holds still every pane
    that they leave. Window by window: panes that it leaves are taken out, those that it reaches put in."""
    end, until = -(-boundary_ms // pane_ms), windows.end[0]
    for window in range(len(SPANS_MS)):
        before, begin = windows.begins[window], max(oldest, end - SPANS_MS[window] // pane_ms)
        if end == until and begin == before:
            continue
        # A jump past all of it leaves every pane and reaches all of the new window.
        add_panes(rows, windows, window, before, min(until, begin), -1)
        add_panes(rows, windows, window, max(before, end), until, -1)
        add_panes(rows, windows, window, begin, min(before, end), 1)
        add_panes(rows, windows, window, max(begin, until), end, 1)
        windows.begins[window] = begin
    windows.end[0] = end


@compiled
def add_panes(rows: Rows, windows: Windows, window: int, begin: int, end: int, sign: int) -> None:
    """Put the panes `begin` up to before `end` into a window, or take them out; none of them twice in the ring."""
    slots = rows.head.shape[1]
    for leaf in range(len(windows.sums)):
        for pane in range(max(begin, end - slots), end):
            row = rows.head[leaf, pane % slots]
            while row != NONE:
                if rows.pane[row] == pane:
                    add_row(rows, windows, leaf, window, row, sign)
                row = rows.next[row]


@compiled
def add_row(rows: Rows, windows: Windows, leaf: int, window: int, row: int, sign: int) -> None:
    """Put what a row says into a window, or take it out."""
    for status in range(6):
        windows.sums[leaf, window, status] += sign * rows.counts[row, status]
    for status in range(APPROVED, ERROR + 1):
        windows.sums[leaf, window, status] += sign * rows.late[row, status]


@compiled
def tell_windows(rows: Rows, windows: Windows, leaf: int, pane: int, row: int, sign: int) -> None:
    """A row is about to change (-1), or has changed (1)."""
    if pane >= windows.end[0]:
        return
    for window in range(len(windows.begins)):
        if pane < windows.begins[window]:
            break
        add_row(rows, windows, leaf, window, row, sign)


@allocating
def sums_of_nodes(windows: Windows, tree: Tree, nodes: int) -> Int64s:
    """The windows' payments by node; shape [node, window, 6]."""
    out = np.zeros((nodes, len(windows.begins), 6), np.int64)
    for leaf in range(len(tree.leaf_nodes)):
        for node in tree.leaf_nodes[leaf]:
            if node >= 0:
                for window in range(len(windows.begins)):
                    for status in range(6):
                        out[node, window, status] += windows.sums[leaf, window, status]
    return out
