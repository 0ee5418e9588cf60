"""Streaks: a scope's panes after the newest pane with an approved payment, and what the policy says of them.

    pane      ...  41  42  43 | 44  45  46  47        approved in 43: the streak is 44 to 47
    approved        3   1   2 |  .   .   .   .        bad in 45 and 47: the first bad pane is 45
    bad             .   1   . |  .   2   .   5

A streak is not bounded by the ring: what leaves it is in `fold`. Knows counts and rules; does not know ancestors,
waiting or outages.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Float64s, Int32s, Int64s, UInt64s
from detector.compiled import allocating, compiled
from detector.judging.fold import Fold, fold_is_due, take_in_waiting
from detector.judging.ring import (
    APPROVED,
    BAD_MERCHANTS,
    BAD_VOTERS,
    CANCELLED_LATE,
    DECLINED,
    END,
    ERROR,
    PENDING,
    PENDING_MERCHANTS,
    PENDING_VOTERS,
    Leaves,
    Marks,
    Rows,
    join_smallest,
)  # fmt: skip
from detector.judging.tree import Tree

NEVER = np.int64(2**62)
"""A time that does not come."""

FINE, BREACH, BLOCKED = range(3)
"""Verdicts; BLOCKED lacks only the merchants."""


class Verdicts(NamedTuple):
    """What was last found of each node; `due_*` say when it can change without news.

    `first`: first bad pane of the streak or END. `rate_first`, `rate`: the approval rate of the hour before the
    streak, taken when its first bad pane (`rate_first`) closed; -1 where nothing was decided in it.
    """

    first: Int64s
    red: Int64s
    overdue: Int64s
    payments: Int64s
    voters: Int64s
    merchants: Int64s
    verdict: Int64s
    due_ms: Int64s  # boundary
    due_start: Int64s  # newest start
    rate_first: Int64s
    rate: Float64s
    blocked: Int64s  # [1] how often a scope became BLOCKED


class Moment(NamedTuple):
    """A boundary. `now[source]`: up to when a source's pendings age; [0] is the newest start on the platform."""

    boundary_ms: int
    oldest: int
    pane_ms: int
    closing_ms: int  # from a pane's end until it is closed
    ring_ms: int
    now: Int64s


def make_verdicts(nodes: int) -> Verdicts:
    """Nothing found yet."""

    def numbers(value: int = 0) -> Int64s:
        return np.full(nodes, value, np.int64)

    return Verdicts(
        numbers(END), numbers(), numbers(), numbers(), numbers(), numbers(), numbers(),
        numbers(int(NEVER)), numbers(int(NEVER)), numbers(END), np.full(nodes, -1.0), np.zeros(1, np.int64),
    )  # fmt: skip


@compiled
def is_overdue(rows: Rows, row: int, answer_ms: int, moment: Moment) -> bool:
    """Are the row's pendings all older than the leaf's `answer_s`?"""
    end_ms = (rows.pane[row] + 1) * moment.pane_ms
    return bool(answer_ms >= 0 and moment.now[rows.source[row]] - end_ms >= answer_ms)


@compiled
def streak_after(leaves: Leaves, marks: Marks, tree: Tree, node: int) -> int:
    """The pane after which the node's streak begins."""
    after = max(marks.floor[node], marks.late[node])
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        after = max(after, max(leaves.last_approved[leaf], leaves.left_approved[leaf]))
    return int(after)


@compiled
def measure(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, found: Verdicts, node: int,
            moment: Moment) -> int:  # fmt: skip
    """Count the node's streak into `found`; returns the streak's first pane that is still in the ring."""
    after = streak_after(leaves, marks, tree, node)
    begin = max(after + 1, moment.oldest)
    first, red, overdue, payments, due_start = END, 0, 0, 0, NEVER
    if after < moment.oldest:
        if fold_is_due(fold, node, moment.now[0]):
            take_in_waiting(fold, tree, node)
        first = fold.first[node]
        red, overdue = fold.red[node], fold.overdue[node]
        payments = fold.payments[node]
        if fold.waiting[node] > 0:
            due_start = fold.due_start[node]
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        answer_ms = tree.answer_ms[leaf]
        for pane in range(max(begin, leaves.first[leaf]), marks.newest[node] + 1):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END:
                reds = rows.counts[row, DECLINED] + rows.counts[row, ERROR]
                late = rows.counts[row, CANCELLED_LATE]
                pending = rows.counts[row, PENDING]
                if pending > 0 and is_overdue(rows, row, answer_ms, moment):
                    late += pending
                elif pending > 0 and answer_ms >= 0 and moment.now[rows.source[row]] == moment.now[0]:
                    due_start = min(due_start, (pane + 1) * moment.pane_ms + answer_ms)
                if reds + late > 0 and (first == END or pane < first):
                    first = pane
                red += reds
                overdue += late
                payments += rows.counts[row].sum()
                row = rows.next[row]
    found.first[node], found.red[node], found.overdue[node] = first, red, overdue
    found.payments[node], found.due_start[node] = payments, due_start
    return begin


@allocating
def count_bad(rows: Rows, fold: Fold, marks: Marks, tree: Tree, node: int, moment: Moment, begin: int,
              merchants: bool, enough: int) -> int:  # fmt: skip
    """Distinct voters, or merchants, among the bad of the streak; counting stops at `enough`."""
    room = min(enough, fold.merchants.shape[1] if merchants else fold.voters.shape[1])
    seen = np.empty(max(room, 1), np.uint64)
    count = 0
    if begin == moment.oldest:
        if merchants:
            count = join_smallest(seen, 0, 0, fold.merchants[node], 0, fold.merchant_count[node], room)
        else:
            count = join_smallest(seen, 0, 0, fold.voters[node], 0, fold.voter_count[node], room)
    bad_kind, pending_kind = (BAD_MERCHANTS, PENDING_MERCHANTS) if merchants else (BAD_VOTERS, PENDING_VOTERS)
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        for pane in range(begin, marks.newest[node] + 1):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END:
                if count >= room:
                    return count
                count = join_kind(seen, count, rows, row, bad_kind, room)
                if rows.counts[row, PENDING] > 0 and is_overdue(rows, row, tree.answer_ms[leaf], moment):
                    count = join_kind(seen, count, rows, row, pending_kind, room)
                row = rows.next[row]
    return count


@compiled
def join_kind(seen: UInt64s, count: int, rows: Rows, row: int, kind: int, room: int) -> int:
    """Join one kind of a row's hashes into `seen`."""
    return int(join_smallest(seen, 0, count, rows.hashes[row], rows.place[kind], rows.lengths[row, kind], room))


@compiled
def evaluate(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, found: Verdicts, node: int,
             moment: Moment) -> None:  # fmt: skip
    """The policy, read literally, for one node at one boundary."""
    begin = measure(rows, leaves, marks, fold, tree, found, node, moment)
    before = found.verdict[node]
    found.verdict[node], found.due_ms[node] = FINE, NEVER
    found.voters[node], found.merchants[node] = 0, 0
    first = found.first[node]
    if first == END:
        return
    bad = found.red[node] + found.overdue[node]
    rule = 0 if found.red[node] >= found.overdue[node] else 2
    after_ms, enough, merchants = tree.rules[node, rule], tree.rules[node, rule + 1], tree.rules[node, 4]
    if bad >= enough and 2 * bad >= found.payments[node]:
        found.voters[node] = count_bad(rows, fold, marks, tree, node, moment, begin, False, enough)
        if found.voters[node] >= enough:
            found.merchants[node] = count_bad(rows, fold, marks, tree, node, moment, begin, True, merchants)
            ripe_ms = first * moment.pane_ms + after_ms
            if ripe_ms > moment.boundary_ms:
                found.due_ms[node] = ripe_ms
            else:
                found.verdict[node] = BREACH if found.merchants[node] >= merchants else BLOCKED
                found.blocked[0] += found.verdict[node] == BLOCKED and before != BLOCKED
    take_rate(rows, tree, found, node, moment)


@compiled
def take_rate(rows: Rows, tree: Tree, found: Verdicts, node: int, moment: Moment) -> None:
    """Once the streak's first bad pane is closed, remember the approval rate of the hour before it."""
    first = found.first[node]
    if found.rate_first[node] == first:
        return
    closes_ms = (first + 1) * moment.pane_ms + moment.closing_ms
    if closes_ms <= moment.boundary_ms:
        found.rate[node] = rate_before(rows, tree, node, first, moment)
        found.rate_first[node] = first
    else:
        found.due_ms[node] = min(found.due_ms[node], closes_ms)


@compiled
def rate_before(rows: Rows, tree: Tree, node: int, first: int, moment: Moment) -> float:
    """Approved among the decided of the hour before the pane `first`, late answers included; -1: none decided."""
    approved, decided = 0, 0
    begin = max(moment.oldest, first - moment.ring_ms // moment.pane_ms)
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        for pane in range(begin, first):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END:
                good = rows.counts[row, APPROVED] + rows.late[row, APPROVED]
                approved += good
                decided += good + rows.counts[row, DECLINED] + rows.late[row, DECLINED]
                decided += rows.counts[row, ERROR] + rows.late[row, ERROR]
                row = rows.next[row]
    return approved / decided if decided > 0 else -1.0


@compiled
def clear(found: Verdicts, node: int) -> None:
    """The node has no streak."""
    found.first[node], found.verdict[node] = END, FINE
    found.red[node], found.overdue[node], found.payments[node] = 0, 0, 0
    found.voters[node], found.merchants[node] = 0, 0
    found.due_ms[node], found.due_start[node] = NEVER, NEVER


@compiled
def evaluate_nodes(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, found: Verdicts,
                   moment: Moment) -> tuple[int, int]:  # fmt: skip
    """Evaluate every node that has news or is due; how many are in breach now, and when one can change without news."""
    breaches, due_ms = 0, NEVER
    for node in range(len(found.first)):
        due = found.due_ms[node] <= moment.boundary_ms or found.due_start[node] <= moment.now[0]
        if marks.dirty[node] or due:
            # Most scopes most of the time: the newest pane has an approved payment, and there is no streak to measure.
            if streak_after(leaves, marks, tree, node) >= marks.newest[node]:
                clear(found, node)
            else:
                evaluate(rows, leaves, marks, fold, tree, found, node, moment)
        breaches += found.verdict[node] == BREACH
        due_ms = min(due_ms, found.due_ms[node])
    return breaches, int(due_ms)


@allocating
def bad_leaves(rows: Rows, leaves: Leaves, marks: Marks, fold: Fold, tree: Tree, node: int, moment: Moment) -> Int32s:
    """The cells of a scope: the leaves with a bad payment in its streak."""
    after = streak_after(leaves, marks, tree, node)
    begin = max(after + 1, moment.oldest)
    named = np.empty(tree.first[node + 1] - tree.first[node], np.int32)
    count = 0
    for i in range(tree.first[node], tree.first[node + 1]):
        leaf = tree.members[i]
        bad = after < moment.oldest and fold.first[node] != END and fold.holds[i] == 1
        for pane in range(begin, marks.newest[node] + 1):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END and not bad:
                bad = rows.counts[row, DECLINED] + rows.counts[row, ERROR] + rows.counts[row, CANCELLED_LATE] > 0
                overdue = rows.counts[row, PENDING] > 0 and is_overdue(rows, row, tree.answer_ms[leaf], moment)
                bad = bad or overdue
                row = rows.next[row]
            if bad:
                break
        if bad:
            named[count] = leaf
            count += 1
    return named[:count]
