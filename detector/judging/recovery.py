"""Whether a scope that was down is itself again: a CUSUM of the usual against a quarter of the way back.

    approvals:  p_rec = expit(¼ logit p₀ + ¾ logit p_down);   S ← max(0, S + yes ln(p₀/p_rec) + no ln((1−p₀)/(1−p_rec)))
    counts:     θ_rec = √θ_down;                              S ← max(0, S + seen ln(1/θ_rec) − (1 − θ_rec) due)

Over when S ≥ ln 1000 and it is 120 s since S was last 0 (DETECTION section 2, E10). What the scope does while it is
down is learned only while S is 0. No votes are no sign of recovery. Does not know what becomes of an outage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.compiled import compiled
from detector.counting.columns import Float64s, Int64s, UInt8s

ENOUGH = float(np.log(1000))
CALM, RATE, SLOW_COUNT, STALL_COUNT = range(4)
"""What is watched of a node: nothing, its approvals, its answers or its arrivals against those that are due."""
DOWN_MIN = 0.02


class Recovery(NamedTuple):
    """Per node."""

    watched: UInt8s  # CALM, RATE, SLOW_COUNT, STALL_COUNT
    usual: Float64s  # p₀
    down: Float64s  # [node, 2]: yes and no, or seen and due, while S was 0
    s: Float64s
    zero_ms: Int64s  # when S was last 0


def make_recovery(nodes: int) -> Recovery:
    """Nothing is watched."""
    return Recovery(
        np.zeros(nodes, np.uint8), np.zeros(nodes), np.zeros((nodes, 2)), np.zeros(nodes), np.zeros(nodes, np.int64)
    )


def watch(recovery: Recovery, node: int, what: int, usual: float, down: tuple[float, float], at_ms: int) -> None:
    """An outage of the node is open; `down` is what it did since it began."""
    recovery.watched[node], recovery.usual[node], recovery.down[node] = what, usual, down
    recovery.s[node], recovery.zero_ms[node] = 0.0, at_ms


@compiled
def look(recovery: Recovery, node: int, one: float, other: float, boundary_ms: int) -> None:
    """Take the boundary's yes and no, or seen and due."""
    down = recovery.down[node]
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
    else:
        recovery.s[node] = s


@compiled
def _rate_gain(usual: float, down: float, yes: float, no: float) -> float:
    down = min(down, 0.98 * usual)
    middle = 0.25 * np.log(usual / (1 - usual)) + 0.75 * np.log(down / (1 - down))
    rate = 1 / (1 + np.exp(-middle))
    return float(yes * np.log(usual / rate) + no * np.log((1 - usual) / (1 - rate)))


@compiled
def is_over(recovery: Recovery, node: int, boundary_ms: int, hold_ms: int) -> bool:
    """Whether enough speaks for it, for long enough."""
    return bool(recovery.s[node] >= ENOUGH and boundary_ms - recovery.zero_ms[node] >= hold_ms)
