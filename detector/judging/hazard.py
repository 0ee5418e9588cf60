"""How soon answers come: of the votes that wait at an age, the share that is approved or refused within a second.

    rate[leaf, bin, cause] = (answers + m · parent) ÷ (at risk + m),   at risk in vote-seconds, m = 50 votes' worth

Learned from all votes at risk, for those that were answered alone would be too quick (Kaplan-Meier). What was learned
in an hour counts an hour later, or never where the hour was not healthy. Does not know what is done with the rates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Bools, Float64s, Int32s
from detector.compiled import inlined
from detector.counting.ages import BINS, EDGES
from detector.judging.flow import NO, STAGES, YES, Flow

HALF_LIFE_H = 14 * 24
PRIOR_VOTES = 50.0
LATEST, BEFORE, LEARNED = range(3)
"""Of `Hazard`'s tables: the hour that goes on, the hour before it, and all that was learned."""


class Hazard(NamedTuple):
    """Per leaf; the first axis is LATEST, BEFORE, LEARNED."""

    at_risk: Float64s  # [3, leaf, bin] vote-seconds
    entered: Float64s  # [3, leaf, bin] votes
    answers: Float64s  # [3, leaf, bin, YES NO]
    rate: Float64s  # [leaf, bin, YES NO] per second
    left: Float64s  # [leaf, bin, YES NO]: of the votes that will be approved (refused), the share that waits there


def make_hazard(leaves: int) -> Hazard:
    """Nothing is known."""
    return Hazard(
        np.zeros((3, leaves, BINS)), np.zeros((3, leaves, BINS)), np.zeros((3, leaves, BINS, 2)),
        np.zeros((leaves, BINS, 2)), np.ones((leaves, BINS, 2)),
    )  # fmt: skip


@inlined
def expect(hazard: Hazard, flow: Flow, leaf: int) -> tuple[float, float]:
    """Answers expected of a leaf within this boundary's second, given the ages of all that waits: of votes in open
    panes, and of those that wait longer.

    What came and was answered within the second was at risk too. The hour's account is kept on the way.
    """
    due = due_long = 0.0
    for bin_ in range(flow.top[leaf]):
        n, long = flow.waiting[leaf, bin_], 0.0
        for stage in range(STAGES):
            long += flow.old[leaf, bin_, stage]
        if flow.is_touched[leaf]:
            answered = flow.answered[leaf, bin_]
            n = max(0.0, n + answered[0] + answered[1] + answered[2])
            hazard.answers[LATEST, leaf, bin_, YES] += answered[YES]
            hazard.answers[LATEST, leaf, bin_, NO] += answered[NO]
            hazard.entered[LATEST, leaf, bin_] += flow.entered[leaf, bin_]
        rate = hazard.rate[leaf, bin_, YES] + hazard.rate[leaf, bin_, NO]
        due += n * rate
        due_long += long * rate
        hazard.at_risk[LATEST, leaf, bin_] += n + long
    return due, due_long


def learn(hazard: Hazard, is_healthy: Bools, parent: Int32s) -> None:
    """An hour is over: that before it is learned of the leaves that were healthy, and all rates are made anew.

    `parent[leaf]` numbers the leaf's method; leaves of one number share a prior.
    """
    keep = 0.5 ** (1 / HALF_LIFE_H)
    for table in (hazard.at_risk, hazard.entered, hazard.answers):
        table[LEARNED] *= keep
        table[LEARNED][is_healthy] += table[BEFORE][is_healthy]
        table[BEFORE] = table[LATEST]
        table[LATEST] = 0
    make_rates(hazard, parent)


def make_rates(hazard: Hazard, parent: Int32s) -> None:
    """Rates and survival from what was learned, shrunk to the method's."""
    if len(parent):
        answers = hazard.answers[LEARNED]
        hazard.rate[:] = np.clip(_pooled(answers, hazard.at_risk[LEARNED], _PRIOR_S, parent), 0.0, 1.0)
        share = np.clip(_pooled(answers, hazard.entered[LEARNED], np.full(BINS, PRIOR_VOTES), parent), 0.0, 1.0)
        hazard.left[:] = survival(share)


def survival(share: Float64s) -> Float64s:
    """Of the votes that are approved (refused) in the end, the share that still waits in each bin.

    `share[leaf, bin, cause]`: answered so, of those that came to be at risk in the bin. By cumulative incidence
    (Kalbfleisch and Prentice), with half of the bin's own: who waits in a bin has on average come half through it, and
    were the young taken for newborn, a surge with quick refusals would look like an outage. Where nothing is known of
    a cause nobody is gone.
    """
    still = np.cumprod(1 - np.minimum(share.sum(axis=-1), 1.0), axis=-1)
    before = np.concatenate([np.ones((*still.shape[:-1], 1)), still[..., :-1]], axis=-1)
    incidence = before[..., None] * share
    total = incidence.sum(axis=-2, keepdims=True)
    gone = np.cumsum(incidence, axis=-2) - incidence / 2
    known = 1 - still[..., -1, None, None]
    left: Float64s = np.where(total > 0, 1 - known * gone / np.maximum(total, 1e-12), 1.0)
    return np.clip(left, 0.0, 1.0)


def _pooled(answers: Float64s, at_risk: Float64s, prior_weight: Float64s, parent: Int32s) -> Float64s:
    """Answers over those at risk; each leaf with a prior from its group. A group expects nothing at first: a cheque is
    not late because cards are quick."""
    groups = int(parent.max()) + 1
    group_risk, group_answers = np.zeros((groups, BINS)), np.zeros((groups, BINS, 2))
    np.add.at(group_risk, parent, at_risk)
    np.add.at(group_answers, parent, answers)
    prior = _shrunk(group_answers, group_risk, prior_weight, np.zeros((BINS, 2)))
    return _shrunk(answers, at_risk, prior_weight, prior[parent])


def _shrunk(answers: Float64s, at_risk: Float64s, weight: Float64s, prior: Float64s) -> Float64s:
    """`weight[bin]` at risk stands for the prior."""
    found: Float64s = (answers + weight[:, None] * prior) / (at_risk + weight)[..., None]
    return found


WIDTH_S = np.diff(EDGES, prepend=0, append=EDGES[-1]) / 1000
_PRIOR_S = PRIOR_VOTES * np.maximum(1.0, WIDTH_S)
