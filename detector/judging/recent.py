"""Sums over a scope's panes: what an outage's evidence says, whether payments come back, and windowed rates.

Knows counts; does not know when an outage is over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Int64s, UInt64s
from detector.compiled import allocating, compiled
from detector.judging.ring import (
    APPROVED,
    APPROVED_VOTERS,
    CANCELLED_LATE,
    DECLINED,
    END,
    ERROR,
    HIT,
    HIT_RECOVERED,
    PENDING,
    WAITING,
    WAITING_RECOVERED,
    Rows,
)  # fmt: skip
from detector.judging.streak import Moment, is_overdue, join_kind
from detector.judging.tree import Tree


class Sum(NamedTuple):
    """Of some panes: the decided, the overdue, and how many distinct voters were approved (2 at most)."""

    approved: int
    red: int
    overdue: int
    voters: int


@compiled
def pane_sum(rows: Rows, tree: Tree, node: int, pane: int, moment: Moment, voters: UInt64s, known: int) -> Sum:
    """One pane of a node; its approved voters join the `known` first of `voters`, the 2 smallest."""
    approved, red, overdue, count = 0, 0, 0, known
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        row = rows.head[leaf, pane % rows.head.shape[1]]
        while row != END:
            approved += rows.counts[row, APPROVED]
            red += rows.counts[row, DECLINED] + rows.counts[row, ERROR]
            overdue += rows.counts[row, CANCELLED_LATE]
            if rows.counts[row, PENDING] > 0 and is_overdue(rows, row, tree.answer_ms[leaf], moment):
                overdue += rows.counts[row, PENDING]
            count = join_kind(voters, count, rows, row, APPROVED_VOTERS, len(voters))
            row = rows.next[row]
    return Sum(approved, red, overdue, count)


@compiled
def recent_sum(rows: Rows, tree: Tree, node: int, began: int, newest: int, moment: Moment, window_ms: int,
               decided: int, voters: UInt64s) -> Sum:  # fmt: skip
    """The newest panes since `began` that hold max(`decided`, those of the last `window_ms`), as far as the ring
    goes; `voters` receives the approved voters met."""
    approved, red, overdue, count = 0, 0, 0, 0
    window_begin = (moment.boundary_ms - window_ms) // moment.pane_ms
    pane = newest
    while pane >= max(began, moment.oldest) and (pane >= window_begin or approved + red < decided):
        one = pane_sum(rows, tree, node, pane, moment, voters, count)
        approved += one.approved
        red += one.red
        overdue += one.overdue
        count = one.voters
        pane -= 1
    return Sum(approved, red, overdue, count)


def nothing() -> Int64s:
    """The `totals` of no pane."""
    return np.array([0, 0, 0, 0, 0, 0, 0, END, 0, 0], np.int64)


def joined(some: Int64s, others: Int64s) -> Int64s:
    """The `totals` of both."""
    pending = [int(pane) for pane in (some[7], others[7]) if pane != END]
    return np.array([*(some[:7] + others[:7]), min(pending, default=END), *(some[8:] + others[8:])], np.int64)


@allocating
def totals(rows: Rows, tree: Tree, node: int, begin: int, newest: int, moment: Moment) -> Int64s:
    """Payments of a node from a pane on: by the six counts, then votes, then the first pane with a pending or END; then
    orders hit, and how many of them are recovered. One that waits is hit once it is overdue."""
    out = np.zeros(10, np.int64)
    out[7] = END
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        for pane in range(max(begin, moment.oldest), newest + 1):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END:
                for status in range(6):
                    out[status] += rows.counts[row, status]
                    out[6] += rows.votes[row, status]
                if rows.counts[row, PENDING] > 0 and (out[7] == END or pane < out[7]):
                    out[7] = pane
                out[8] += rows.orders[row, HIT]
                out[9] += rows.orders[row, HIT_RECOVERED]
                if rows.orders[row, WAITING] > 0 and is_overdue(rows, row, tree.answer_ms[leaf], moment):
                    out[8] += rows.orders[row, WAITING]
                    out[9] += rows.orders[row, WAITING_RECOVERED]
                row = rows.next[row]
    return out
