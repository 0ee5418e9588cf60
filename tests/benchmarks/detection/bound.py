"""The exact limit: the mean delay of the rule that is told both rates, at a mean number of events between false alarms.

    S ← max(S, 0) + llr,  alarm at S ≥ h,   llr(refusal) = ln((1 − p1) ÷ (1 − p0)),  llr(approval) = ln(p1 ÷ p0)

CUSUM attains the least worst-case delay for every false-alarm rate (Moustakides 1986). Its run lengths are those of a
Markov chain on a lattice of S (Brook and Evans 1972); between two thresholds of the lattice one of both is drawn.
"""

from __future__ import annotations

import math

import numpy as np

from detector.arrays import Float64s

STEPS, STEPS_UNEQUAL = 24, 10
"""The smaller of the two likelihood ratios is so many steps of the lattice; fewer where the other is four times it."""
STATES_MAX = 3_000
YEAR_MIN = 365.25 * 24 * 60


def ratios(p0: float, p1: float) -> tuple[float, float]:
    """Nats of a refusal, above 0, and of an approval, as a number above 0 that is taken away."""
    return math.log((1 - p1) / (1 - p0)), math.log(p0 / p1)


def lattice(p0: float, p1: float) -> tuple[float, int, int]:
    """Nats of a step, and how many steps a refusal goes up and an approval down."""
    refusal, approval = ratios(p0, p1)
    small, large = sorted((refusal, approval))
    step = small / (STEPS if large < 4 * small else STEPS_UNEQUAL)
    return step, round(refusal / step), round(approval / step)


def run_length(states: int, up: int, down: int, p: float) -> float:
    """Events until S passes `states` steps, from 0, where an event is approved with probability p."""
    here = np.arange(states)
    matrix: Float64s = np.eye(states)
    np.subtract.at(matrix, (here, np.maximum(here - down, 0)), p)
    inside = here[here + up < states]
    np.subtract.at(matrix, (inside, inside + up), 1 - p)
    return float(np.linalg.solve(matrix, np.ones(states))[0])


def delay(p0: float, p1: float, events_between: float) -> float:
    """Mean events until the alarm after the rate fell from p0 to p1, at one false alarm in `events_between` events."""
    _, up, down = lattice(p0, p1)
    low, high = 1, 2
    while run_length(high, up, down, p0) < events_between:
        low, high = high, 2 * high
        if high > STATES_MAX:
            raise ValueError(f"the lattice has at most {STATES_MAX} states; got {high}; make steps fewer")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if run_length(middle, up, down, p0) >= events_between else (middle, high)
    rates = [1 / run_length(states, up, down, p0) for states in (low, high)]
    share = (rates[0] - 1 / events_between) / max(rates[0] - rates[1], 1e-300)
    return (1 - share) * run_length(low, up, down, p1) + share * run_length(high, up, down, p1)


def delay_at(p0: float, p1: float, per_minute: float) -> float:
    """`delay` at one false alarm in a key-year of so many votes a minute."""
    return delay(p0, p1, per_minute * YEAR_MIN)
