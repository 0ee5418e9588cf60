"""What changed between two boundaries, leaf by leaf, in votes: the input of every statistic.

    pane of its start    ... | 12:00:05 | 12:00:10 | 12:00:15 |            a vote ages from bin to bin while it waits;
    waiting, by age      ...     2 ──▶      3 ──▶      5                    its answer is counted at the age it has

Ages are counted from the end of a pane: 0 while it fills. Bins are log-spaced from half a second to 30 days. A vote
that waits longer than its pane is open is aged on by its bin's width alone, and its late answers are payments, whose
age is not known: they are spread over the bins as the hazard says they come (`hazard`).
A vote that is taken back (another payment turns out to be the earlier, a final changes) is a negative change.
Knows no rates and no verdicts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.ages import BINS, EDGES, age_bin
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, ERROR, PENDING, Float64s, Int32s, Int64s
from detector.counting.cut import CANCELLED_LATE

YES, NO, GONE = range(3)
"""How a vote's waiting ends: approved, refused, cancelled."""


class Flow(NamedTuple):
    """Per leaf; `*[leaf]` and `answered` are of one boundary, `waiting` and `old` stay."""

    came: Int64s
    ended: Int64s  # [leaf, YES NO GONE]
    late: Int64s  # [leaf, YES NO]: late answers, in payments
    technical: Int64s  # [leaf]: of the refused those for a technical reason
    answered: Int32s  # [leaf, bin, YES NO GONE]
    entered: Float64s  # [leaf, bin]: votes that came to be at risk there
    moved: Float64s  # [leaf, bin]: how `waiting` changed
    waiting: Float64s  # [leaf, bin]: votes in open panes
    old: Float64s  # [leaf, bin]: those that waited longer
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
        np.zeros(leaves, np.int64),
        np.zeros((leaves, BINS, 3), np.int32), np.zeros(bins), np.zeros(bins), np.zeros(bins), np.zeros(bins),
        np.zeros(leaves, np.int32), np.zeros(leaves, np.int32), np.zeros(1, np.int64), np.zeros(leaves, np.int32),
        np.zeros(6, np.int32),
    )  # fmt: skip


@compiled
def note_change(flow: Flow, edges: Int64s, leaf: int, age_ms: int, is_closed: bool, before: Int32s, now: Int32s,
                late_before: Int32s, late_now: Int32s, technical: int) -> None:  # fmt: skip
    """A source says anew what it holds of a cell: six votes and five late answers, before and now, and how many more
    of the votes are refused for a technical reason."""
    yes = now[APPROVED] - before[APPROVED]
    no = now[DECLINED] + now[ERROR] - before[DECLINED] - before[ERROR]
    gone = now[CANCELLED] + now[CANCELLED_LATE] - before[CANCELLED] - before[CANCELLED_LATE]
    waits = now[PENDING] - before[PENDING]
    bin_ = age_bin(edges, age_ms)
    reach(flow, leaf, bin_)
    if is_closed:
        flow.old[leaf, bin_] += waits
    else:
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
    flow.late[leaf, YES] += late_now[APPROVED] - late_before[APPROVED]
    flow.late[leaf, NO] += late_now[DECLINED] + late_now[ERROR] - late_before[DECLINED] - late_before[ERROR]
    touch(flow, leaf)


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
            flow.entered[leaf, bin_] = 0.0
            flow.moved[leaf, bin_] = 0.0
        while flow.top[leaf] > 0 and _is_empty(flow, leaf, flow.top[leaf] - 1):
            flow.top[leaf] -= 1
    flow.changed[0] = 0


@inlined
def _is_empty(flow: Flow, leaf: int, bin_: int) -> bool:
    return bool(flow.waiting[leaf, bin_] == 0.0 and flow.old[leaf, bin_] == 0.0)


@compiled
def leak(flow: Flow, edges: Int64s, elapsed_ms: int) -> None:
    """What waits longer than its pane was open moves on by the width of its bin; past 30 days it is forgotten."""
    for leaf in range(len(flow.old)):
        for bin_ in range(flow.top[leaf] - 1, 0, -1):
            width = float(edges[bin_] - edges[bin_ - 1]) if bin_ < BINS - 1 else float(edges[BINS - 2])
            moved = flow.old[leaf, bin_] * min(1.0, elapsed_ms / width)
            flow.old[leaf, bin_] -= moved
            if bin_ < BINS - 1 and moved > 0.0:
                flow.old[leaf, bin_ + 1] += moved
                reach(flow, leaf, bin_ + 1)
