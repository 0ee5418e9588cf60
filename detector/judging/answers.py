"""How many answers come of those that the hazard says are due, hour by hour: at night a batch rail sends none.

    c = answers seen ÷ answers due, of the slot (half-life 14 days) with 50 due at the scope's own level, at most 1
    expected = due · c · exp(−3 √(tau² + 1/answers that c rests upon))

Learned an hour late and of healthy hours alone, as everything that is usual. So where the hazard is wrong no more is
expected than what usually comes. See DETECTION section 3.
"""

from __future__ import annotations

import numpy as np

from detector.counting.columns import Bools
from detector.judging.baseline import BEFORE, HOUR_MS, LATEST, SLOT_HALF_LIFE_DAYS, TAU_MIN, Baseline, Floats, slot_of

SEEN, DUE = range(2)
SLOT_DUE, LEVEL_DUE = 50.0, 20.0


def expected(known: Baseline, at_ms: int) -> Floats:
    """Of the answers that are due of each node in the slot of a time so much is expected at least, 0 to 1."""
    level, of_slot = known.ratio, known.ratio_slots[:, slot_of(at_ms)]
    usual = np.minimum(1.0, level[:, SEEN] / (level[:, DUE] + LEVEL_DUE))
    lent = usual * SLOT_DUE
    ratio = np.minimum(1.0, (of_slot[:, SEEN] + lent) / (of_slot[:, DUE] + SLOT_DUE))
    rests_on = of_slot[:, SEEN] + np.minimum(level[:, SEEN], lent)
    keep: Floats = ratio * np.exp(-3 * np.sqrt(TAU_MIN**2 + 1 / np.maximum(rests_on, 1.0)))
    return keep


def learn(known: Baseline, ended_ms: int, is_healthy: Bools) -> None:
    """The hour before `ended_ms` is over: that before it is learned of the nodes that were healthy."""
    slot, hour = slot_of(ended_ms - 2 * HOUR_MS), known.answers[BEFORE]
    known.ratio[:] *= 0.5 ** (1 / (24 * SLOT_HALF_LIFE_DAYS))
    known.ratio[is_healthy] += hour[is_healthy]
    known.ratio_slots[:, slot] *= 0.5 ** (1 / SLOT_HALF_LIFE_DAYS)
    known.ratio_slots[is_healthy, slot] += hour[is_healthy]
    known.answers[BEFORE] = known.answers[LATEST]
    known.answers[LATEST] = 0.0
