"""Peers as compiled loops: river's detectors for bits, port by port, and rules that count (runs, scores).

A detector is a row of numbers and two parameters; it is fed 1 for a refusal and 0 for an approval, and begins anew
after an alarm, as river does. `peers.check` holds the ports against river itself, index by index.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Float64s
from detector.compiled import allocating, compiled

HDDM_W, HDDM_A, PAGE_HINKLEY, DDM, EDDM, RUN, SCORE, CUSUM = range(8)
SIZE = 16
_INIT = -1.0
"""In an average: no value yet."""


@compiled
def renew(kind: int, state: Float64s) -> None:
    """The detector knows nothing."""
    state[:] = 0.0
    if kind == HDDM_W:
        state[0], state[1], state[2], state[3], state[4], state[5] = _INIT, 1.0, _INIT, 1.0, _INIT, 1.0
        state[6] = np.inf
    elif kind in (DDM, PAGE_HINKLEY):
        state[3] = np.inf
    elif kind == EDDM:
        state[5] = -1.0
    elif kind == SCORE:
        state[0] = 1.0


@compiled
def update(kind: int, state: Float64s, x: int, one: float, two: float) -> bool:
    """One event; whether the detector speaks. What `one` and `two` are is said at each port."""
    if kind == HDDM_W:
        return hddm_w(state, x, one, two)
    if kind == HDDM_A:
        return hddm_a(state, x, one)
    if kind == PAGE_HINKLEY:
        return page_hinkley(state, x, one, two)
    if kind == DDM:
        return ddm(state, x, one)
    if kind == EDDM:
        return eddm(state, x, one)
    if kind == RUN:
        state[0] = state[0] + 1 if x else 0.0
        return bool(state[0] >= one)
    if kind == SCORE:
        state[0] = state[0] * 0.95 if x else min(1.0, state[0] * 1.10)
        return bool(state[0] < one)
    state[0] = max(state[0], 0.0) + (one if x else -two)
    return bool(state[0] >= state[1])


@compiled
def hddm_w(s: Float64s, x: int, ln_confidence: float, weight: float) -> bool:
    """(average, bound) of all, of the sample before the cut and of that after it; then the cut. `one`: ln(1 ÷
    confidence)."""
    s[0] = x if s[0] == _INIT else weight * x + (1 - weight) * s[0]
    s[1] = weight * weight + (1 - weight) ** 2 * s[1]
    upper = s[0] + np.sqrt(s[1] * ln_confidence / 2)
    if upper < s[6]:
        s[6], s[2], s[3], s[4], s[5] = upper, s[0], s[1], _INIT, 1.0
    else:
        s[4] = x if s[4] == _INIT else weight * x + (1 - weight) * s[4]
        s[5] = weight * weight + (1 - weight) ** 2 * s[5]
    if s[2] == _INIT or s[4] == _INIT:
        return False
    return bool(s[4] - s[2] > np.sqrt((s[3] + s[5]) * ln_confidence / 2))


@compiled
def hddm_a(s: Float64s, x: int, ln_confidence: float) -> bool:
    """(sum, count) of all and of the least sample. `one`: ln(1 ÷ confidence)."""
    s[0] += x
    s[1] += 1
    if s[3] == 0:
        s[2], s[3] = s[0], s[1]
    if s[2] / s[3] + np.sqrt(ln_confidence / (2 * s[3])) >= s[0] / s[1] + np.sqrt(ln_confidence / (2 * s[1])):
        s[2], s[3] = s[0], s[1]
    if s[3] == s[1]:
        return False
    m = (s[1] - s[3]) / s[3] / s[1]
    return bool(s[0] / s[1] - s[2] / s[3] >= np.sqrt(m / 2 * (np.log(2.0) + ln_confidence)))


@compiled
def page_hinkley(s: Float64s, x: int, threshold: float, alpha: float) -> bool:
    """Mean, count, sum, least sum; delta 0.005, 30 events at least."""
    s[1] += 1
    s[0] += (x - s[0]) / s[1]
    s[2] = alpha * s[2] + (x - s[0]) - 0.005
    s[3] = min(s[3], s[2])
    return bool(s[1] >= 30 and s[2] - s[3] > threshold)


@compiled
def ddm(s: Float64s, x: int, deviations: float) -> bool:
    """Mean, count, the least mean + deviation, and the two apart; 30 events at least."""
    s[1] += 1
    s[0] += (x - s[0]) / s[1]
    deviation = np.sqrt(max(0.0, s[0] * (1 - s[0]) / s[1]))
    if s[1] <= 30:
        return False
    if s[0] + deviation <= s[3]:
        s[2], s[4], s[3] = s[0], deviation, s[0] + deviation
    return bool(s[0] + deviation > s[2] + deviations * s[4])


@compiled
def eddm(s: Float64s, x: int, beta: float) -> bool:
    """Events, refusals, the last; mean and sum of squares of their distances; the greatest mean + 2 deviations."""
    s[0] += 1
    if x == 0:
        return False
    s[1] += 1
    distance = s[0] - s[2]
    off = distance - s[3]
    s[3] += off / s[1]
    s[4] += off * (distance - s[3])
    s[2] = s[0]
    if s[0] <= 30:
        return False
    variance = s[4] / (s[1] - 1) if s[1] > 1 else 0.0
    length = s[3] + 2 * np.sqrt(variance)
    if length > s[5]:
        s[5] = length
        return False
    return bool(s[1] > 30 and length / s[5] < beta)


@allocating
def count_alarms(kind: int, one: float, two: float, bar: float, p0: float, events: int, alarms_max: int,
                 seed: int) -> tuple[int, int]:  # fmt: skip
    """(alarms, events) of a healthy stream, which ends after so many of either."""
    np.random.seed(seed)
    state = np.zeros(SIZE)
    renew(kind, state)
    state[1] = bar if kind == CUSUM else state[1]
    alarms = 0
    for n in range(events):
        if update(kind, state, int(np.random.random() >= p0), one, two):
            alarms += 1
            renew(kind, state)
            state[1] = bar if kind == CUSUM else state[1]
            if alarms == alarms_max:
                return alarms, n + 1
    return alarms, events


@allocating
def measure_delays(kind: int, one: float, two: float, bar: float, p0: float, p1: float, healthy: int, longest: int,
                   runs: int, seed: int) -> Float64s:  # fmt: skip
    """Events from the change to the alarm, each after so many healthy ones; inf where there were over `longest`."""
    np.random.seed(seed)
    state, delays = np.zeros(SIZE), np.full(runs, np.inf)
    for r in range(runs):
        renew(kind, state)
        state[1] = bar if kind == CUSUM else state[1]
        for _ in range(healthy):
            if update(kind, state, int(np.random.random() >= p0), one, two):
                renew(kind, state)
                state[1] = bar if kind == CUSUM else state[1]
        for n in range(longest):
            if update(kind, state, int(np.random.random() >= p1), one, two):
                delays[r] = n + 1
                break
    return delays


@allocating
def indices(kind: int, one: float, two: float, stream: Float64s) -> Float64s:
    """Where the detector speaks."""
    state, found, count = np.zeros(SIZE), np.zeros(len(stream)), 0
    renew(kind, state)
    for n in range(len(stream)):
        if update(kind, state, int(stream[n]), one, two):
            found[count] = n
            count += 1
            renew(kind, state)
    return found[:count]
