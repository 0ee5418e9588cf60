"""Whether a scope that was down is itself again: a CUSUM of the usual against a quarter of the way back.

    approvals:  p_rec = expit(¼ logit p₀ + ¾ logit p_down);   S ← max(0, S + yes ln(p₀/p_rec) + no ln((1−p₀)/(1−p_rec)))
    counts:     θ_rec = √θ_down;                              S ← max(0, S + seen ln(1/θ_rec) − (1 − θ_rec) due)

Over when S ≥ ln 1000 and it is 120 s since S was last 0; twice as long for each time that the trouble came back before.
What the scope does while it is down is learned only while S is 0. S goes no higher than twice what is enough, so that a
relapse in the hold is seen soon. A scope that settles half way is not over, nor one that answers again with refusals:
what it approves lately must reach the bar of its usual rate, but for chance. No votes are no sign of recovery. Does not
know what becomes of an outage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.arrays import Float64s, Int64s, UInt8s
from detector.compiled import compiled

ENOUGH = float(np.log(1000))
CALM, RATE, SLOW_COUNT, STALL_COUNT = range(4)
"""What is watched of a node: nothing, its approvals, its answers or its arrivals against those that are due."""
DOWN_MIN = 0.02
TIMES_MAX = 3
"""A hold is doubled no more often: sixteen minutes by default."""
_LATELY_KEEP = 0.5 ** (1 / 120)
"""Each second; what a scope shows lately has a half-life of two minutes."""


class Recovery(NamedTuple):
    """Per node."""

    watched: UInt8s  # CALM, RATE, SLOW_COUNT, STALL_COUNT
    usual: Float64s  # p₀
    down: Float64s  # [node, 2]: yes and no, or seen and due, while S was 0
    s: Float64s
    zero_ms: Int64s  # when S was last 0
    lately: Float64s  # [node, 2]: yes and no since then, the newest most
    bar: Float64s  # the approval rate that is usual at the least; 0: anything is
    times: Int64s  # how often the trouble came back


def make_recovery(nodes: int) -> Recovery:
    """Nothing is watched."""
    return Recovery(
        np.zeros(nodes, np.uint8), np.zeros(nodes), np.zeros((nodes, 2)), np.zeros(nodes), np.zeros(nodes, np.int64),
        np.zeros((nodes, 2)), np.zeros(nodes), np.zeros(nodes, np.int64),
    )  # fmt: skip


def watch(recovery: Recovery, node: int, what: int, usual: float, down: tuple[float, float], at_ms: int,
          bar: float = 0.0, times: int = 0) -> None:  # fmt: skip
    """An outage of the node is open; `down` is what it did since it began."""
    recovery.watched[node], recovery.usual[node], recovery.down[node] = what, usual, down
    recovery.s[node], recovery.zero_ms[node], recovery.lately[node] = 0.0, at_ms, 0.0
    recovery.bar[node], recovery.times[node] = bar, min(times, TIMES_MAX)


@compiled
def look(recovery: Recovery, node: int, one: float, other: float, votes: Float64s, boundary_ms: int) -> None:
    """Take the boundary's yes and no, or seen and due; `votes` are yes and no either way."""
    down, lately = recovery.down[node], recovery.lately[node]
    for answer in range(2):
        lately[answer] = lately[answer] * _LATELY_KEEP + votes[answer]
    if recovery.watched[node] == RATE:
        gain = _rate_gain(recovery.usual[node], (down[0] + 0.5) / (down[0] + down[1] + 1.0), one, other)
    else:
        share = np.sqrt(min(0.9, max(DOWN_MIN, down[0] / max(down[1], 1.0))))
        gain = -one * np.log(share) - (1.0 - share) * other
    s = recovery.s[node] + gain
    if s <= 0.0:
        recovery.s[node], recovery.zero_ms[node] = 0.0, boundary_ms
        down[0] += one
        down[1] += other
        lately[:] = 0.0
    else:
        recovery.s[node] = min(s, 2 * ENOUGH)


@compiled
def _rate_gain(usual: float, down: float, yes: float, no: float) -> float:
    down = min(down, 0.98 * usual)
    middle = 0.25 * np.log(usual / (1 - usual)) + 0.75 * np.log(down / (1 - down))
    rate = 1 / (1 + np.exp(-middle))
    return float(yes * np.log(usual / rate) + no * np.log((1 - usual) / (1 - rate)))


@compiled
def is_over(recovery: Recovery, node: int, boundary_ms: int, hold_ms: int) -> bool:
    """Whether enough speaks for it, for long enough."""
    held_ms = boundary_ms - recovery.zero_ms[node]
    return bool(held_ms >= hold_ms << recovery.times[node] and looks_well(recovery, node))


@compiled
def looks_well(recovery: Recovery, node: int) -> bool:
    """Whether it would be over if it stays as it is."""
    if recovery.s[node] < ENOUGH:
        return False
    bar, yes = recovery.bar[node], recovery.lately[node, 0]
    votes = yes + recovery.lately[node, 1]
    return bool(yes + 2 * np.sqrt(votes * bar * (1 - bar)) >= votes * bar)
