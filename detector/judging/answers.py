"""How many answers come of those that the hazard says are due, hour by hour: at night a batch rail sends none.

    c = answers seen ÷ answers due, of the slot (half-life 14 days), at most 1
    expected = due · c · exp(−3 √(tau² + clump/answers that c rests upon))

Answers within the time a pane is open have 50 due lent by the scope's own level: they are as quick at any hour. Late
ones have nothing lent: in an hour that was never seen, none is expected, for most of what takes hours rests at night
or on Sundays. And late ones come in files: how many at once is their clump, 1 where they come one by one.

    clump = mean of (due since the last answer)² ÷ 2, in answers         evidence of them counts for 1 ÷ clump

Due are those of boundaries without an answer, as what came in the whole hour would have it: so n in a file each hour
are a clump of a quarter of n or more (Campbell; a power below 1 of a likelihood ratio has a mean of 1 at most, too, by
Jensen's inequality). Learned an hour late and of healthy hours alone, as everything that is usual. So where the hazard
is wrong no more is expected than what usually comes.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Bools
from detector.compiled import inlined
from detector.judging.baseline import BEFORE, HOUR_MS, LATEST, SLOT_HALF_LIFE_DAYS, TAU_MIN, Baseline, Floats, slot_of

SEEN, DUE, LATE, LATE_DUE = range(4)
SLOT_DUE, LEVEL_DUE, LATE_PRIOR = 50.0, 20.0, 10.0
LATE_TAU = 0.2
"""How much the answers of an hour wander from day to day at least, as volumes do."""
CLUMP_PRIOR = 50.0
"""Answers that came one by one."""


def expected(known: Baseline, at_ms: int) -> Floats:
    """Of the answers that are due of each node in the slot of a time so much is expected at least, 0 to 1."""
    level, of_slot = known.ratio, known.ratio_slots[:, slot_of(at_ms)]
    usual = np.minimum(1.0, level[:, SEEN] / (level[:, DUE] + LEVEL_DUE))
    lent = usual * SLOT_DUE
    ratio = np.minimum(1.0, (of_slot[:, SEEN] + lent) / (of_slot[:, DUE] + SLOT_DUE))
    rests_on = of_slot[:, SEEN] + np.minimum(level[:, SEEN], lent)
    keep: Floats = ratio * np.exp(-3 * np.sqrt(TAU_MIN**2 + 1 / np.maximum(rests_on, 1.0)))
    return keep


def expected_late(known: Baseline, at_ms: int) -> Floats:
    """The same of late answers."""
    of_slot = known.ratio_slots[:, slot_of(at_ms)]
    seen = np.maximum(of_slot[:, LATE], 0.0)
    ratio = np.minimum(1.0, seen / (np.maximum(of_slot[:, LATE_DUE], 0.0) + LATE_PRIOR))
    rests_on = np.maximum(seen / clump(known), 1.0)
    keep: Floats = ratio * np.exp(-3 * np.sqrt(LATE_TAU**2 + 1 / rests_on))
    return keep


def clump(known: Baseline) -> Floats:
    """How many late answers of a node come at once."""
    found: Floats = (known.clumps[:, 0] + CLUMP_PRIOR) / (known.clumps[:, 1] + CLUMP_PRIOR)
    return np.maximum(found, 1.0)


@inlined
def note_gap(known: Baseline, node: int, late: float, due: float) -> None:
    """A boundary with so many late answers, and so many due."""
    if late > 0.0:
        known.gaps[LATEST, node] += known.gap[node] * known.gap[node]
        known.gap[node] = 0.0
    else:
        known.gap[node] += due


def learn(known: Baseline, ended_ms: int, is_healthy: Bools) -> None:
    """The hour before `ended_ms` is over: that before it is learned of the nodes that were healthy."""
    slot, hour = slot_of(ended_ms - 2 * HOUR_MS), known.answers[BEFORE]
    keep = 0.5 ** (1 / (24 * SLOT_HALF_LIFE_DAYS))
    known.ratio[:] *= keep
    known.ratio[is_healthy] += hour[is_healthy]
    known.ratio_slots[:, slot] *= 0.5 ** (1 / SLOT_HALF_LIFE_DAYS)
    known.ratio_slots[is_healthy, slot] += hour[is_healthy]
    known.clumps[:] *= keep
    came = is_healthy & (hour[:, LATE] > 0) & (hour[:, LATE_DUE] > 0)
    late, due = hour[came, LATE], hour[came, LATE_DUE]
    known.clumps[came] += np.stack([known.gaps[BEFORE, came] * (late / due) ** 2 / 2, late], axis=1)
    known.answers[BEFORE] = known.answers[LATEST]
    known.answers[LATEST] = 0.0
    known.gaps[BEFORE] = known.gaps[LATEST] + known.gap**2
    known.gaps[LATEST] = known.gap[:] = 0.0
