"""What changed between two boundaries, leaf by leaf, in votes: the input of every statistic.

    pane of its start    ... | 12:00:05 | 12:00:10 | 12:00:15 |            a vote ages from bin to bin while it waits;
    waiting, by age      ...     2 ──▶      3 ──▶      5                    its answer is counted at the age it has

Ages are counted from the end of a pane: 0 while it fills. Bins are log-spaced from half a second to 30 days. A vote
that waits longer than its pane is open is aged on without it, and its late answers are payments that say how old they
were (`later`).
A vote that is taken back (another payment turns out to be the earlier, a final changes) is a negative change.
Knows no rates and no verdicts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Float32s, Float64s, Int32s, Int64s
from detector.compiled import compiled, inlined
from detector.counting.ages import BINS, age_bin
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, ERROR, PENDING
from detector.counting.sums import CANCELLED_LATE

YES, NO, GONE = range(3)
"""How a vote's waiting ends: approved, refused, cancelled."""
STAGES = 4
"""Of a bin, for what waits longer than its pane is open."""
DUE = 2
MINUTES = 64
"""So many are remembered, the last hour among them."""


class Flow(NamedTuple):
    """Per leaf; `*[leaf]` and `answered` are of one boundary, `waiting` and `old` stay."""

    came: Int64s
    ended: Int64s  # [leaf, YES NO GONE]
    late: Int64s  # [leaf, YES NO]: late answers of unknown age, in payments
    aged: Int32s  # [leaf, bin, YES NO]: those of a known one
    technical: Int64s  # [leaf]: of the refused those for a technical reason
    answered: Int32s  # [leaf, bin, YES NO GONE]
    entered: Float64s  # [leaf, bin]: votes that came to be at risk there
    moved: Float64s  # [leaf, bin]: how `waiting` changed
    waiting: Float64s  # [leaf, bin]: votes in open panes
    old: Float64s  # [leaf, bin, stage]: those that waited longer
    minutes: Float32s  # [leaf, minute % MINUTES, YES NO DUE]: late answers of votes that waited longer, and those due
    top: Int32s  # [leaf]: from this bin on nothing waits and nothing changed
    touched: Int32s  # the leaves that changed
    changed: Int64s  # [1] how many these are
    is_touched: Int32s  # [leaf]
    nothing: Int32s  # [6] no votes


def make_flow(leaves: int) -> Flow:
    """Nothing has changed and nothing waits."""
    bins = (leaves, BINS)
    return Flow(
        np.zeros(leaves, np.int64), np.zeros((leaves, 3), np.int64), np.zeros((leaves, 2), np.int64),
        np.zeros((*bins, 2), np.int32), np.zeros(leaves, np.int64),
        np.zeros((*bins, 3), np.int32), np.zeros(bins), np.zeros(bins), np.zeros(bins), np.zeros((*bins, STAGES)),
        np.zeros((leaves, MINUTES, 3), np.float32),
        np.zeros(leaves, np.int32), np.zeros(leaves, np.int32), np.zeros(1, np.int64), np.zeros(leaves, np.int32),
        np.zeros(6, np.int32),
    )  # fmt: skip


@compiled
def note_change(flow: Flow, edges: Int64s, leaf: int, age_ms: int, is_closed: bool, before: Int32s, now: Int32s,
                technical: int) -> int:  # fmt: skip
    """A source says anew what it holds of a cell: six votes, before and now, and how many more of them are refused for
    a technical reason. How many more wait; where the pane is closed, that is left to the caller."""
    yes = now[APPROVED] - before[APPROVED]
    no = now[DECLINED] + now[ERROR] - before[DECLINED] - before[ERROR]
    gone = now[CANCELLED] + now[CANCELLED_LATE] - before[CANCELLED] - before[CANCELLED_LATE]
    waits = now[PENDING] - before[PENDING]
    bin_ = age_bin(edges, age_ms)
    reach(flow, leaf, bin_)
    if not is_closed:
        flow.waiting[leaf, bin_] += waits
        flow.moved[leaf, bin_] += waits
    came = yes + no + gone + waits
    flow.came[leaf] += came
    flow.technical[leaf] += technical
    flow.entered[leaf, bin_] += came
    flow.ended[leaf, YES] += yes
    flow.ended[leaf, NO] += no
    flow.ended[leaf, GONE] += gone
    flow.answered[leaf, bin_, YES] += yes
    flow.answered[leaf, bin_, NO] += no
    flow.answered[leaf, bin_, GONE] += gone
    touch(flow, leaf)
    return int(waits)


@inlined
def reach(flow: Flow, leaf: int, bin_: int) -> None:
    """Something is in the bin."""
    flow.top[leaf] = max(flow.top[leaf], bin_ + 1)


@compiled
def touch(flow: Flow, leaf: int) -> None:
    """Something of the leaf changed at this boundary."""
    if flow.is_touched[leaf] == 0:
        flow.is_touched[leaf] = 1
        flow.touched[flow.changed[0]] = leaf
        flow.changed[0] += 1


@compiled
def forget_changes(flow: Flow) -> None:
    """The boundary is judged: what changed is no news any more."""
    for n in range(flow.changed[0]):
        leaf = flow.touched[n]
        flow.came[leaf] = 0
        flow.ended[leaf] = 0
        flow.late[leaf] = 0
        flow.technical[leaf] = 0
        flow.is_touched[leaf] = 0
        for bin_ in range(flow.top[leaf]):
            flow.answered[leaf, bin_] = 0
            flow.aged[leaf, bin_] = 0
            flow.entered[leaf, bin_] = 0.0
            flow.moved[leaf, bin_] = 0.0
        while flow.top[leaf] > 0 and _is_empty(flow, leaf, flow.top[leaf] - 1):
            flow.top[leaf] -= 1
    flow.changed[0] = 0


@inlined
def _is_empty(flow: Flow, leaf: int, bin_: int) -> bool:
    if flow.waiting[leaf, bin_] != 0.0:
        return False
    for stage in range(STAGES):
        if flow.old[leaf, bin_, stage] != 0.0:
            return False
    return True
