"""Evidence: one recursion for every signal, in seconds: "a healthy scope shows this at most once per so long".

    R_j ← (R_j + dt) · exp(llr_j),   M = mean_j R_j,   page when M ≥ A      (Shiryaev-Roberts e-detector, clock time)

Under the null M_t − t is a supermartingale, so the mean time to a false alarm is at least A seconds, whatever the
volume (Pollak 1987; Shin, Ramdas, Rinaldo: E-detectors). Channels of a node, each with a few alternatives j:

    PAGE, TICKET   approved or refused, against a null lowered by z = 3 or 2 (baseline.shift)
    TECHNICAL      refused for a technical reason, or answered in another way, against a null of its own (technical)
    SLOW           answers, against those expected of the ages of all that waits (hazard)
    STALL          votes that came, against those expected at this hour and of the peers (arrivals)

A node's llr is the sum of its leaves', each with its own usual rate and the node's own lowering: a change of mix shows
nothing. A vote's share in it depends on how it stands, so that refusals which come sooner than approvals are no
outage when volume rises, and a vote that waits where approvals would have come is one already (competing risks):

    approved   ln(p_j ÷ p)           refused   ln((1 − p_j) ÷ (1 − p))
    waiting    ln((p_j S + (1 − p_j) T) ÷ (p S + (1 − p) T))      S, T: of the votes that will be approved, refused,
                                                                 the share still waiting at its age (`hazard`)

What a boundary adds is the change of these: the exact likelihood ratio, whatever order answers come in. A vote that is
taken back takes its share back. Knows arrays over nodes and leaves; does not know what is learned, named or said.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Float32s, Float64s, Int32s, Int64s
from detector.compiled import inlined
from detector.judging.baseline import Floats, expit, logit
from detector.judging.flow import GONE, NO, YES, Flow

PAGE, TICKET, TECHNICAL, SLOW, STALL = range(5)
CHANNELS = 5
ALTERNATIVES = 6
COUNTS = (ALTERNATIVES, ALTERNATIVES, ALTERNATIVES, 3, 2)
"""How many alternatives each channel has."""
WORSE = (1.0, 1.4, 1.8, 2.5, 3.5)
"""Alternatives of the approval rate, in logits below the null; the last is DEAD. So near each other that a drop
between two of them, seen from a null that lies low itself, is found hardly later than by one made for it."""
DEAD = 0.02
SLOWER = np.array([0.02, 0.25, 0.5])
FEWER = np.array([0.02, 0.25])
R_MAX = 1e200
LEFT_MIN = 1e-3
"""No survival is known more exactly: a vote that waits longer than any before says no more than this."""


class Evidence(NamedTuple):
    """Per node and channel. `onset` is when the best alternative's case began (its log-likelihood was last 0)."""

    r: Float64s  # [node, channel, alternative] seconds
    sums: Float64s  # [node, channel, alternative]: log-likelihood since the onset
    onset: Int64s  # [node, channel, alternative] ms
    m: Float64s  # [node, channel]
    llr: Float64s  # [node, channel, alternative] of this boundary
    votes: Float64s  # [node, YES NO] in this boundary
    slow: Float64s  # [node, SEEN DUE LATE LATE_DUE]: answers, and those due, in this boundary; see `answers`
    came: Float64s  # [node] in this boundary


def make_evidence(nodes: int) -> Evidence:
    """No evidence."""
    shape = (nodes, CHANNELS, ALTERNATIVES)
    return Evidence(
        np.zeros(shape), np.zeros(shape), np.full(shape, -1, np.int64), np.zeros((nodes, CHANNELS)), np.zeros(shape),
        np.zeros((nodes, 2)), np.zeros((nodes, 4)), np.zeros(nodes),
    )  # fmt: skip


class Weights(NamedTuple):
    """What a vote weighs, for each lowering z; `place` as in `leaf_nodes`."""

    answer: Float64s  # [z, place, leaf, alternative, YES NO]
    wait: Float32s  # [z, place, leaf, bin, alternative], for the bins of open panes
    technical: Float64s  # [place, leaf, alternative, OTHER TECHNICAL], see `technical`


def no_weights(places: int) -> Weights:
    """For no leaf."""
    answer = np.zeros((2, places, 0, ALTERNATIVES, 2))
    return Weights(answer, np.zeros((2, places, 0, 1, ALTERNATIVES), np.float32), answer[0])


def weigh(usual: Floats, shifts: list[Floats], leaf_nodes: Int32s, left: Floats) -> Weights:
    """Weights for nulls lowered by each of `shifts[z][node]`.

    `usual[leaf]` is a leaf's usual rate, `left[leaf, bin, YES NO]` the hazard's survival.
    """
    leaves, places = leaf_nodes.shape
    out = no_weights(places)._replace(
        answer=np.zeros((len(shifts), places, leaves, ALTERNATIVES, 2)),
        wait=np.zeros((len(shifts), places, leaves, left.shape[1], ALTERNATIVES), np.float32),
    )
    base = logit(usual)
    for z, lowered in enumerate(shifts):
        for place in range(places):
            p = expit(base - lowered[np.maximum(leaf_nodes[:, place], 0)])
            out.answer[z, place] = answer_weights(p)
            out.wait[z, place] = wait_weights(p, left)
    return out


def alternatives(p: Floats) -> Floats:
    """The rates that are looked for below a null p; one axis more, of length ALTERNATIVES."""
    worse = [expit(logit(p) - d) for d in WORSE]
    return np.stack([*worse, np.minimum(DEAD, p / 2)], axis=-1)


def answer_weights(p: Floats) -> Floats:
    """`[leaf, alternative, YES NO]` of the null p."""
    other = alternatives(p)
    return np.stack([np.log(other / p[:, None]), np.log((1 - other) / (1 - p[:, None]))], axis=-1)


def wait_weights(p: Floats, left: Floats) -> Floats:
    """`[leaf, bin, alternative]` of the null p; where nobody is left to wait it weighs as in the bin before."""
    other = alternatives(p)[:, None, :]
    approved, refused = np.maximum(left[..., 0], LEFT_MIN)[..., None], np.maximum(left[..., 1], LEFT_MIN)[..., None]
    null = p[:, None, None] * approved + (1 - p[:, None, None]) * refused
    weights: Floats = np.log((other * approved + (1 - other) * refused) / null)
    return weights


@inlined
def add_leaf(evidence: Evidence, weights: Weights, flow: Flow, leaf_nodes: Int32s, leaf: int) -> None:
    """A leaf's votes of this boundary join the llr of the nodes above it, in PAGE and TICKET."""
    yes, no = float(flow.ended[leaf, YES]), float(flow.ended[leaf, NO])
    bins = min(weights.wait.shape[3], flow.top[leaf])
    for z in range(2):
        for place in range(leaf_nodes.shape[1]):
            node = leaf_nodes[leaf, place]
            if node < 0:
                continue
            llr = evidence.llr[node, z]
            for j in range(ALTERNATIVES):
                llr[j] += yes * weights.answer[z, place, leaf, j, YES] + no * weights.answer[z, place, leaf, j, NO]
            for bin_ in range(bins):
                # A vote that is cancelled keeps what it weighed: it is not known how it would have ended.
                moved = flow.moved[leaf, bin_] + flow.answered[leaf, bin_, GONE]
                if moved != 0.0:
                    for j in range(ALTERNATIVES):
                        llr[j] += moved * weights.wait[z, place, leaf, bin_, j]


@inlined
def accumulate(evidence: Evidence, node: int, channel: int, count: int, boundary_ms: int, dt_s: float) -> None:
    """One step of the recursion for one node and channel; the llr is used up."""
    r, llr = evidence.r[node, channel], evidence.llr[node, channel]
    if llr[0] == 0.0 and llr[1] == 0.0:  # no vote weighs nothing by one rate and something by another
        for j in range(count):
            r[j] += dt_s
        evidence.m[node, channel] += dt_s
        return
    mean, sums = 0.0, evidence.sums[node, channel]
    for j in range(count):
        gain = llr[j]
        r[j] = min((r[j] + dt_s) * np.exp(gain), R_MAX)
        mean += r[j]
        if sums[j] == 0.0 and gain > 0.0:
            evidence.onset[node, channel, j] = boundary_ms - int(1000 * dt_s)
        sums[j] = max(0.0, sums[j] + gain)
        llr[j] = 0.0
    evidence.m[node, channel] = mean / count


@inlined
def count_llr(llr: Float64s, seen: float, due: float, shares: Float64s) -> None:
    """Of a count that falls short of what was due: `seen · ln θ + (1 − θ) · due` for each share θ."""
    for j in range(len(shares)):
        llr[j] = seen * np.log(shares[j]) + (1 - shares[j]) * due


def best_onset(evidence: Evidence, node: int, channel: int) -> tuple[int, int]:
    """(alternative, onset ms) of the strongest case of a node's channel."""
    j = int(np.argmax(evidence.sums[node, channel, : COUNTS[channel]]))
    return j, int(evidence.onset[node, channel, j])


def forget(evidence: Evidence, nodes: Int64s) -> None:
    """The nodes begin anew: an outage of theirs is over."""
    evidence.r[nodes] = 0.0
    evidence.sums[nodes] = 0.0
    evidence.m[nodes] = 0.0
    evidence.onset[nodes] = -1
