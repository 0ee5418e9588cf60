"""What panes that left the ring still say of each scope's streak: an approved pane that leaves empties it.

A pending that leaves before it is overdue (the feed was silent) waits, and is bad once the newest start says so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Int64s, UInt8s, UInt64s
from detector.compiled import compiled
from detector.judging.ring import (
    APPROVED,
    BAD_MERCHANTS,
    BAD_VOTERS,
    CANCELLED_LATE,
    DECLINED,
    END,
    ERROR,
    HIT,
    HIT_RECOVERED,
    PENDING,
    PENDING_MERCHANTS,
    PENDING_VOTERS,
    WAITING_RECOVERED,
    Leaves,
    Marks,
    Rows,
    free_row,
    join_smallest,
)  # fmt: skip
from detector.judging.ring import WAITING as WAITING_ORDERS
from detector.judging.tree import Tree

BAD, WAITING = 1, 2


class Fold(NamedTuple):
    """Per node; `first` and `wait_first` are panes or END; `holds` runs beside `Tree.members`: 0, BAD or WAITING."""

    first: Int64s
    red: Int64s
    error: Int64s  # of the reds
    overdue: Int64s
    payments: Int64s
    waiting: Int64s
    wait_first: Int64s
    due_start: Int64s  # newest start at which all that waits is overdue
    voter_count: Int64s
    merchant_count: Int64s
    wait_voter_count: Int64s
    wait_merchant_count: Int64s
    voters: UInt64s  # [node, n]
    merchants: UInt64s
    wait_voters: UInt64s
    wait_merchants: UInt64s
    orders: Int64s  # [node, 2]: orders hit, and of them recovered
    holds: UInt8s


def make_fold(nodes: int, members: int, voters: int, merchants: int) -> Fold:
    """Nothing has left the ring yet."""

    def numbers(value: int = 0) -> Int64s:
        return np.full(nodes, value, np.int64)

    def hashes(room: int) -> UInt64s:
        return np.zeros((nodes, room), np.uint64)

    return Fold(
        numbers(END), numbers(), numbers(), numbers(), numbers(), numbers(), numbers(END), numbers(),
        numbers(), numbers(), numbers(), numbers(),
        hashes(voters), hashes(merchants), hashes(voters), hashes(merchants), np.zeros((nodes, 2), np.int64),
        np.zeros(members, np.uint8),
    )  # fmt: skip


def with_room(fold: Fold, voters: int, merchants: int) -> Fold:
    """The same folds with room for more hashes each."""

    def wider(hashes: UInt64s, room: int) -> UInt64s:
        return np.pad(hashes, ((0, 0), (0, room - hashes.shape[1])))

    return fold._replace(
        voters=wider(fold.voters, voters), merchants=wider(fold.merchants, merchants),
        wait_voters=wider(fold.wait_voters, voters), wait_merchants=wider(fold.wait_merchants, merchants),
    )  # fmt: skip


@compiled
def empty_fold(fold: Fold, tree: Tree, node: int) -> None:
    """The streak begins anew."""
    fold.first[node], fold.wait_first[node] = END, END
    fold.red[node], fold.error[node], fold.overdue[node] = 0, 0, 0
    fold.payments[node], fold.waiting[node] = 0, 0
    fold.orders[node] = 0
    fold.voter_count[node], fold.merchant_count[node] = 0, 0
    fold.wait_voter_count[node], fold.wait_merchant_count[node] = 0, 0
    fold.holds[tree.first[node] : tree.first[node + 1]] = 0


@compiled
def empty_before_late(fold: Fold, tree: Tree, late: Int64s, oldest: int) -> None:
    """An approved late answer (`late[node]`: the newest one's start) empties the fold of a node if that start lies in
    the ring, whose oldest pane is `oldest`, or not before a folded bad pane."""
    for node in range(len(fold.payments)):
        if fold.payments[node] > 0 and (
            late[node] >= oldest
            or (fold.first[node] != END and late[node] >= fold.first[node])
            or (fold.wait_first[node] != END and late[node] >= fold.wait_first[node])
        ):
            empty_fold(fold, tree, node)


@compiled
def fold_is_due(fold: Fold, node: int, newest_start_ms: int) -> bool:
    """Is all that waits overdue by now?"""
    return bool(fold.waiting[node] > 0 and newest_start_ms >= fold.due_start[node])


@compiled
def take_in_waiting(fold: Fold, tree: Tree, node: int) -> None:
    """What waited is bad."""
    if fold.first[node] == END or fold.wait_first[node] < fold.first[node]:
        fold.first[node] = fold.wait_first[node]
    fold.overdue[node] += fold.waiting[node]
    fold.voter_count[node] = join_smallest(
        fold.voters[node], 0, fold.voter_count[node],
        fold.wait_voters[node], 0, fold.wait_voter_count[node], fold.voters.shape[1],
    )  # fmt: skip
    fold.merchant_count[node] = join_smallest(
        fold.merchants[node], 0, fold.merchant_count[node],
        fold.wait_merchants[node], 0, fold.wait_merchant_count[node], fold.merchants.shape[1],
    )  # fmt: skip
    fold.waiting[node], fold.wait_first[node] = 0, END
    fold.wait_voter_count[node], fold.wait_merchant_count[node] = 0, 0
    for i in range(tree.first[node], tree.first[node + 1]):
        if fold.holds[i] == WAITING:
            fold.holds[i] = BAD


@compiled
def fold_bad(fold: Fold, node: int, rows: Rows, row: int) -> int:
    """Reds and late-cancelled of a row that leaves; how many they are."""
    red = rows.counts[row, DECLINED] + rows.counts[row, ERROR]
    overdue = rows.counts[row, CANCELLED_LATE]
    fold.red[node] += red
    fold.error[node] += rows.counts[row, ERROR]
    fold.overdue[node] += overdue
    fold.voter_count[node] = join_smallest(
        fold.voters[node], 0, fold.voter_count[node],
        rows.hashes[row], rows.place[BAD_VOTERS], rows.lengths[row, BAD_VOTERS], fold.voters.shape[1],
    )  # fmt: skip
    fold.merchant_count[node] = join_smallest(
        fold.merchants[node], 0, fold.merchant_count[node],
        rows.hashes[row], rows.place[BAD_MERCHANTS], rows.lengths[row, BAD_MERCHANTS], fold.merchants.shape[1],
    )  # fmt: skip
    return int(red + overdue)


@compiled
def fold_pending(fold: Fold, node: int, rows: Rows, row: int) -> int:
    """Pendings of a row that leaves wait to be overdue; how many they are."""
    pending = rows.counts[row, PENDING]
    fold.waiting[node] += pending
    fold.wait_voter_count[node] = join_smallest(
        fold.wait_voters[node], 0, fold.wait_voter_count[node],
        rows.hashes[row], rows.place[PENDING_VOTERS], rows.lengths[row, PENDING_VOTERS], fold.voters.shape[1],
    )  # fmt: skip
    fold.wait_merchant_count[node] = join_smallest(
        fold.wait_merchants[node], 0, fold.wait_merchant_count[node],
        rows.hashes[row], rows.place[PENDING_MERCHANTS], rows.lengths[row, PENDING_MERCHANTS],
        fold.merchants.shape[1],
    )  # fmt: skip
    return int(pending)


@compiled
def fold_row(fold: Fold, tree: Tree, node: int, member: int, rows: Rows, row: int, answer_ms: int, pane_ms: int,
             newest_start_ms: int) -> None:  # fmt: skip
    """A row that leaves the ring goes into a node's fold; `member` is its leaf's place in `Tree.members`."""
    pane = rows.pane[row]
    fold.payments[node] += rows.counts[row].sum()
    # What waits so long is overdue, or will be before the streak is told of.
    fold.orders[node, 0] += rows.orders[row, HIT] + rows.orders[row, WAITING_ORDERS]
    fold.orders[node, 1] += rows.orders[row, HIT_RECOVERED] + rows.orders[row, WAITING_RECOVERED]
    if fold_bad(fold, node, rows, row) > 0:
        fold.first[node] = pane if fold.first[node] == END else min(fold.first[node], pane)
        fold.holds[member] = BAD
    if rows.counts[row, PENDING] == 0 or answer_ms < 0:
        return
    due_start = (pane + 1) * pane_ms + answer_ms
    fold.due_start[node] = due_start if fold.waiting[node] == 0 else max(fold.due_start[node], due_start)
    fold_pending(fold, node, rows, row)
    fold.wait_first[node] = pane if fold.wait_first[node] == END else min(fold.wait_first[node], pane)
    if fold.holds[member] != BAD:
        fold.holds[member] = WAITING
    if fold_is_due(fold, node, newest_start_ms):
        take_in_waiting(fold, tree, node)


@compiled
def member_of(tree: Tree, node: int, leaf: int) -> int:
    """The place of a leaf in the node's run of `Tree.members`."""
    low, high = tree.first[node], tree.first[node + 1]
    while low < high:
        middle = (low + high) // 2
        if tree.members[middle] < leaf:
            low = middle + 1
        else:
            high = middle
    return int(low)


@compiled
def note_approvals(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, pane: int) -> None:
    """Every scope with an approved payment in the pane that leaves begins its fold anew."""
    for leaf in range(len(tree.leaf_nodes)):
        row = rows.head[leaf, pane % rows.head.shape[1]]
        while row != END:
            if rows.counts[row, APPROVED] > 0:
                leaves.left_approved[leaf] = pane
                for node in tree.leaf_nodes[leaf]:
                    if node >= 0 and marks.stamp[node] != pane:
                        marks.stamp[node] = pane
                        empty_fold(fold, tree, node)
            row = rows.next[row]


@compiled
def leave_ring(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, begin: int, end: int, pane_ms: int,
               newest_start_ms: int) -> None:  # fmt: skip
    """The oldest panes, from `begin` to before `end`, leave the ring one after the other."""
    for pane in range(begin, min(end, begin + rows.head.shape[1])):
        leave_pane(rows, leaves, marks, fold, tree, pane, pane_ms, newest_start_ms)


@compiled
def leave_pane(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, pane: int, pane_ms: int,
               newest_start_ms: int) -> None:  # fmt: skip
    """A pane leaves the ring: into the folds, and its rows are free."""
    note_approvals(rows, leaves, marks, fold, tree, pane)
    slot = pane % rows.head.shape[1]
    for leaf in range(len(tree.leaf_nodes)):
        row = rows.head[leaf, slot]
        rows.head[leaf, slot] = END
        if leaves.last_approved[leaf] == pane:
            leaves.last_approved[leaf] = END
        while row != END:
            for node in tree.leaf_nodes[leaf]:
                if node < 0 or marks.stamp[node] == pane or pane <= marks.floor[node] or pane <= marks.late[node]:
                    continue
                member = member_of(tree, node, leaf)
                fold_row(fold, tree, node, member, rows, row, tree.answer_ms[leaf], pane_ms, newest_start_ms)
            row = free_row(rows, row)
