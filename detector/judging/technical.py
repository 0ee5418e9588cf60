"""The technical channel: votes refused because a bank could not answer, against how many of the answered usually are.

    usual = answered votes not refused so, of the last days (half-life 3 d), with 15 votes at the parent's rate
            (leaf → method → platform → 0.99);   the null lies lower by z · √(tau² + 1/(n p) + 1/(n (1 − p)))

Its usual rate is so near 1 that a dead bank shows after half as many votes as in approvals. A node begins with its
first such refusal: where errors and codes are not told it has nothing to say, and costs nothing. It knows no hours of
the day, and takes tau as wide as that of a scope that nothing is known of. Learned like `baseline`, and frozen with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Bools, Float64s, Int32s, UInt8s
from detector.compiled import compiled, inlined
from detector.judging.baseline import (
    BEFORE,
    LATEST,
    LEVEL_HALF_LIFE_H,
    PARENT_VOTES,
    ROOT_VOTES,
    START_VOTES,
    TAU_START,
    Floats,
    expit,
    logit,
)  # fmt: skip
from detector.judging.evidence import ALTERNATIVES, DEAD, LEFT_MIN, Evidence, Weights, answer_weights
from detector.judging.evidence import TECHNICAL as CHANNEL
from detector.judging.flow import NO, YES, Flow

ROOT_RATE = 0.99
RATE_MIN, RATE_MAX = 0.02, 0.9995
LEFT = np.array([0.9, 0.75, 0.5, 0.25, DEAD])
OTHER, TECHNICAL = range(2)


class Technical(NamedTuple):
    """Per node, in votes. `hours` are of the hour that goes on and the one before."""

    begun: UInt8s  # whether a vote of it was ever refused so
    hours: Float64s  # [2, node]: refused so
    level: Float64s  # [node, OTHER TECHNICAL]
    usual: Float64s  # [node]: share of the answered not refused so
    votes: Float64s  # [node]: how many votes that rests upon


def make_technical(nodes: int) -> Technical:
    """Nothing is known, and no node has begun."""
    return Technical(
        np.zeros(nodes, np.uint8), np.zeros((2, nodes)), np.zeros((nodes, 2)), np.full(nodes, ROOT_RATE),
        np.full(nodes, START_VOTES),
    )  # fmt: skip


def learn(technical: Technical, answered: Floats, healthy: Bools) -> None:
    """The hour before last, in which so many votes were answered, is learned by the nodes that were healthy."""
    refused = technical.hours[BEFORE]
    learns = healthy & (technical.begun > 0)
    technical.level[:] *= 0.5 ** (1 / LEVEL_HALF_LIFE_H)
    technical.level[learns, OTHER] += np.maximum(answered - refused, 0.0)[learns]
    technical.level[learns, TECHNICAL] += np.maximum(refused, 0.0)[learns]
    technical.hours[BEFORE] = technical.hours[LATEST]
    technical.hours[LATEST] = 0.0


def refresh(technical: Technical, parents: Int32s) -> None:
    """Work out what is usual; `parents` as in `baseline.levels`: a leaf's method, everybody else's platform."""
    level = technical.level
    votes = level.sum(axis=1)
    root = (level[0, OTHER] + ROOT_VOTES * ROOT_RATE) / (votes[0] + ROOT_VOTES)
    rate = np.full(len(votes), root)
    for _ in ("those below the platform", "leaves"):
        rate = (level[:, OTHER] + PARENT_VOTES * rate[parents]) / (votes + PARENT_VOTES)
        rate[0] = root
    technical.usual[:] = np.clip(rate, RATE_MIN, RATE_MAX)
    technical.votes[:] = votes + START_VOTES


def shift(technical: Technical, z: float) -> Floats:
    """How far below its usual rate a node's null lies, on the logit."""
    p, n = technical.usual, technical.votes
    width: Floats = z * np.sqrt(TAU_START**2 + 1 / (n * p) + 1 / (n * (1 - p)))
    return width


def weigh(usual: Floats, lowered: Floats, leaf_nodes: Int32s) -> Float64s:
    """What a vote weighs, `[place, leaf, alternative, OTHER TECHNICAL]`, by `usual[leaf]` and `lowered[node]`."""
    base = logit(usual)
    nulls = [expit(base - lowered[np.maximum(nodes, 0)]) for nodes in leaf_nodes.T]
    weights = [answer_weights(p) for p in nulls]
    return np.stack(weights) if weights else np.zeros((0, len(usual), ALTERNATIVES, 2))


def weigh_cause(usual: Floats, lowered: float, approved: Floats, left: Floats) -> tuple[Floats, Floats]:
    """What votes weigh where a cause is looked for: `[leaf, alternative, OTHER TECHNICAL]` answered, and
    `[leaf, bin, alternative]` that wait; for the platform's lowering.

    A cause leaves the same share of `LEFT` of the answers in all its leaves: a healthy leaf speaks against it.
    `approved[leaf]` is how many of the others are usually approved, `left[leaf, bin, YES NO]` the hazard's: a
    technical refusal comes as soon as any. So where more payments come, those that are refused first are no evidence.
    """
    p = expit(logit(usual) - lowered)[:, None]
    other = np.minimum(LEFT, 0.99 * p)
    answered = np.stack([np.log(other / p), np.log((1 - other) / (1 - p))], axis=-1)
    late = np.maximum(left, LEFT_MIN)
    refused = late[..., NO][..., None]
    others = approved[:, None, None] * late[..., YES][..., None] + (1 - approved[:, None, None]) * refused
    p, other = p[:, None], other[:, None]
    return answered, np.log((other * others + (1 - other) * refused) / (p * others + (1 - p) * refused))


@compiled
def begin(technical: Technical, flow: Flow, leaf_nodes: Int32s) -> None:
    """The nodes above the leaves with such a refusal in this boundary begin, and count it."""
    for n in range(flow.changed[0]):
        leaf = flow.touched[n]
        if flow.technical[leaf] != 0:
            for node in leaf_nodes[leaf]:
                if node >= 0:
                    technical.begun[node] = 1
                    technical.hours[LATEST, node] += flow.technical[leaf]


@inlined
def add_technical(
    technical: Technical, evidence: Evidence, weights: Weights, flow: Flow, leaf_nodes: Int32s, leaf: int
) -> None:
    """A leaf's answered votes of this boundary join the llr of the nodes above it that have begun."""
    refused = float(flow.technical[leaf])
    other = float(flow.ended[leaf, YES] + flow.ended[leaf, NO]) - refused
    if refused == 0.0 and other == 0.0:
        return
    for place in range(leaf_nodes.shape[1]):
        node = leaf_nodes[leaf, place]
        if node >= 0 and technical.begun[node]:
            for j in range(ALTERNATIVES):
                weight = weights.technical[place, leaf, j]
                evidence.llr[node, CHANNEL, j] += other * weight[OTHER] + refused * weight[TECHNICAL]
