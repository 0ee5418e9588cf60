"""Votes that wait longer than their pane is open, by age, and the late answers that end their waiting.

    a bin of ages in four stages     ▸ 2 ▸ 0 ▸ 5 ▸ 1 ▸ next bin      every so often each stage moves on by one

So a vote that came in some minute stays with those of that minute, and its age is known within a twentieth or so. A
late answer says its age: it takes away one that waits there. One that nobody knows of (begun before the first record,
or a shopper's second try, which is no vote) takes nothing away and counts for nothing. Answers of a record that tells
no ages are spread over all that waits, as the hazard says they come.

Knows no rows and no panes.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Float64s, Int64s
from detector.compiled import compiled, inlined
from detector.counting.ages import BINS, EDGES, age_bin
from detector.judging.flow import MINUTES, NO, STAGES, YES, Flow, reach, touch
from detector.judging.hazard import LATEST, Hazard

WIDTHS_MS = np.diff(EDGES, prepend=0, append=2 * EDGES[-1])
STEPS_MS: Int64s = np.maximum(1, np.round(WIDTHS_MS / (STAGES - 0.5))).astype(np.int64)
"""How often the stages of a bin move on: who comes waits half a step on average before his first."""
MINUTE_MS = 60_000
NEAR = 2
"""Stages by which a vote may be ahead of its age, or behind."""
_DUST = 1e-9
"""What is left of votes taken away in parts."""


@compiled
def begin_long(flow: Flow, edges: Int64s, leaf: int, age_ms: int, votes: float) -> None:
    """So many votes of an age wait on, though their pane has closed; fewer, where it is negative."""
    bin_ = age_bin(edges, age_ms)
    if votes < 0:
        take_long(flow, leaf, bin_, -votes)
        return
    since_ms = age_ms - (edges[bin_ - 1] if bin_ > 0 else 0)
    flow.old[leaf, bin_, min(STAGES - 1, since_ms // STEPS_MS[bin_])] += votes
    reach(flow, leaf, bin_)


@compiled
def grow_long(flow: Flow, first: int, time_ms: int, elapsed_ms: int) -> None:
    """What waits in the bins from `first` on is older by the time that went by; past 30 days it is forgotten."""
    for leaf in range(len(flow.old)):
        for bin_ in range(flow.top[leaf] - 1, first - 1, -1):
            if waits_long(flow, leaf, bin_) == 0.0:
                continue
            shifts = time_ms // STEPS_MS[bin_] - (time_ms - elapsed_ms) // STEPS_MS[bin_]
            for _ in range(min(STAGES, shifts)):
                _shift(flow, leaf, bin_)


@inlined
def _shift(flow: Flow, leaf: int, bin_: int) -> None:
    stages = flow.old[leaf, bin_]
    leaving = stages[STAGES - 1]
    for stage in range(STAGES - 1, 0, -1):
        stages[stage] = stages[stage - 1]
    stages[0] = 0.0
    if leaving > 0.0 and bin_ + 1 < BINS - 1:
        flow.old[leaf, bin_ + 1, 0] += leaving
        flow.entered[leaf, bin_ + 1] += leaving
        reach(flow, leaf, bin_ + 1)
        touch(flow, leaf)


@inlined
def waits_long(flow: Flow, leaf: int, bin_: int) -> float:
    """How many votes of an age wait longer than their pane is open."""
    total = 0.0
    for stage in range(STAGES):
        total += flow.old[leaf, bin_, stage]
    return total


@compiled
def take_long(flow: Flow, leaf: int, bin_: int, votes: float) -> float:
    """So many of an age wait no more; of how many it was known. Those of the stages near the bin may be meant."""
    total = waits_long(flow, leaf, bin_)
    taken = min(votes, total)
    if taken > 0.0:
        keep = (total - taken) / total if total - taken > _DUST else 0.0
        for stage in range(STAGES):
            flow.old[leaf, bin_, stage] *= keep
    for near in range(NEAR):
        if bin_ > 0:
            taken += _take_stage(flow, leaf, bin_ - 1, STAGES - 1 - near, votes - taken)
        if bin_ + 1 < BINS:
            taken += _take_stage(flow, leaf, bin_ + 1, near, votes - taken)
    return taken


@inlined
def _take_stage(flow: Flow, leaf: int, bin_: int, stage: int, votes: float) -> float:
    taken = min(votes, float(flow.old[leaf, bin_, stage]))
    flow.old[leaf, bin_, stage] -= taken
    return taken


@compiled
def end_long(hazard: Hazard, flow: Flow, leaf: int) -> tuple[float, float]:
    """The boundary's late answers end what waited, and the hazard learns them: approved, refused, of what was known."""
    yes = no = 0.0
    for bin_ in range(flow.top[leaf]):
        approved, refused = float(flow.aged[leaf, bin_, YES]), float(flow.aged[leaf, bin_, NO])
        if approved == 0.0 and refused == 0.0:
            continue
        share, answers = 1.0, approved + refused
        if answers > 0.0:
            share = take_long(flow, leaf, bin_, answers) / answers
        else:  # some are taken back
            flow.old[leaf, bin_, 0] -= answers
        for answer, count in ((YES, approved), (NO, refused)):
            learned = hazard.answers[LATEST, leaf, bin_, answer] + count * share
            hazard.answers[LATEST, leaf, bin_, answer] = max(0.0, learned)
        yes += approved * share
        no += refused * share
    return yes + _spread(hazard, flow, leaf, YES), no + _spread(hazard, flow, leaf, NO)


@inlined
def _spread(hazard: Hazard, flow: Flow, leaf: int, answer: int) -> float:
    """Answers of unknown age leave all bins, in proportion to what is expected of each; how many did."""
    late = float(flow.late[leaf, answer])
    if late <= 0.0:
        return 0.0
    total = due = taken = 0.0
    for bin_ in range(flow.top[leaf]):
        waits = waits_long(flow, leaf, bin_)
        total += waits
        due += waits * hazard.rate[leaf, bin_, answer]
    for bin_ in range(flow.top[leaf] if total > 0 else 0):
        waits = waits_long(flow, leaf, bin_)
        weight = waits * hazard.rate[leaf, bin_, answer] / due if due > 0 else waits / total
        gone = min(waits, late * weight)
        if gone > 0.0:
            keep = (waits - gone) / waits if waits - gone > _DUST else 0.0
            for stage in range(STAGES):
                flow.old[leaf, bin_, stage] *= keep
            hazard.answers[LATEST, leaf, bin_, answer] += gone
            taken += gone
    return taken


def late_since(flow: Flow, since_ms: int, now_ms: int) -> Float64s:
    """Late answers of votes that were known to wait, and how many of them were due, in the full minutes since a time of
    the last hour; shape [leaf, YES NO DUE]."""
    minutes = np.arange(-(-since_ms // MINUTE_MS), now_ms // MINUTE_MS + 1)[-MINUTES:] % MINUTES
    total: Float64s = flow.minutes[:, minutes].sum(axis=1, dtype=np.float64)
    return total
