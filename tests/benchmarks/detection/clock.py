"""Rules by the clock: what an alert manager's rule and a plain all-red rule do with the same votes.

Prometheus    approved ÷ all over 5 min below a half, evaluated every 15 s, for 5 min (no votes: not below)
all red       none approved over 5 min, and at least 10 refused
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.arrays import Float64s, Int64s
from detector.compiled import allocating, compiled
from tests.benchmarks.detection.bound import YEAR_MIN

TICK_S = 15
WINDOW_TICKS = 20
HEALTHY_TICKS = 60


@compiled
def is_bad(yes: int, no: int, ratio: float, least: int) -> bool:
    """Whether the window is bad; `ratio` 0 is all red."""
    if yes + no < least or yes + no == 0:
        return False
    return bool(yes == 0 if ratio == 0.0 else yes < ratio * (yes + no))


@allocating
def count_alarms(rate: float, p0: float, ratio: float, least: int, hold: int, ticks: int, seed: int) -> int:
    """How often the rule begins to fire on a healthy stream of `rate` votes a tick."""
    np.random.seed(seed)
    ring = np.zeros((WINDOW_TICKS, 2), np.int64)
    yes, no, held, alarms = 0, 0, 0, 0
    for tick in range(ticks):
        slot = tick % WINDOW_TICKS
        came = np.random.poisson(rate)
        good = np.random.binomial(came, p0)
        yes, no = yes + good - ring[slot, 0], no + came - good - ring[slot, 1]
        ring[slot, 0], ring[slot, 1] = good, came - good
        held = held + 1 if is_bad(yes, no, ratio, least) else 0
        alarms += held == hold + 1
    return alarms


@allocating
def measure_delays(rate: float, p0: float, p1: float, ratio: float, least: int, hold: int, runs: int, ticks_max: int,
                   seed: int) -> Float64s:  # fmt: skip
    """Votes from the change to the first firing evaluation, which begins a tick."""
    np.random.seed(seed)
    delays = np.full(runs, np.inf)
    for r in range(runs):
        ring: Int64s = np.zeros((WINDOW_TICKS, 2), np.int64)
        yes, no, held, seen = 0, 0, 0, 0
        for tick in range(HEALTHY_TICKS + ticks_max):
            slot = tick % WINDOW_TICKS
            came = np.random.poisson(rate)
            good = np.random.binomial(came, p0 if tick < HEALTHY_TICKS else p1)
            yes, no = yes + good - ring[slot, 0], no + came - good - ring[slot, 1]
            ring[slot, 0], ring[slot, 1] = good, came - good
            held = held + 1 if is_bad(yes, no, ratio, least) else 0
            seen += came if tick >= HEALTHY_TICKS else 0
            if tick >= HEALTHY_TICKS and held > hold:
                delays[r] = seen
                break
    return delays


def run(p0: float, p1: float, per_minute: float, runs: int, seed: int, years: float = 10) -> list[dict[str, Any]]:
    """Rows as those of `peers`."""
    from tests.benchmarks.detection.peers import row_of

    rate, ticks = per_minute * TICK_S / 60, int(years * YEAR_MIN * 60 / TICK_S)
    rules = [("Prometheus ratio < 0.5 over 5 m, for 5 m", 0.5, 0, 20), ("all red over 5 min, 10 votes", 0.0, 10, 0)]
    tuned = tuned_ratio(rate, p0, ticks, years, seed)
    if tuned > 0:
        rules.append(("Prometheus ratio over 5 m, for 5 m, best ratio", tuned, 0, 20))
    rows = []
    for name, ratio, least, hold in rules:
        alarms = count_alarms(rate, p0, ratio, least, hold, ticks, seed + 3)
        ticks_max = int(20_000 / rate)
        delays = measure_delays(rate, p0, p1, ratio, least, hold, min(runs, 400), ticks_max, seed + 4)
        rows.append(row_of(name, "best" in name, ratio or least, p0, p1, per_minute, alarms, years, delays, 20_000))
    return rows


def tuned_ratio(rate: float, p0: float, ticks: int, years: float, seed: int) -> float:
    """The greatest ratio, in steps of 0.02, with at most one false alarm a key-year; 0: there is none."""
    for ratio in np.arange(p0 - 0.02, 0.29, -0.02):
        if count_alarms(rate, p0, float(ratio), 0, 20, ticks, seed) <= years:
            return float(ratio)
    return 0.0
