"""A grid of rates and drops: how many votes the engine needs, at the bar that gives one false alarm a key-year.

One fleet a rate; its keys are shared out among the cells, most of them to the two that the goals are about. After 28
days of history the keys stay healthy for days (when is each bar first passed falsely?), then their rates fall, again
and again from new healthy hours (when is it passed rightly?).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.arrays import Float64s, Int64s
from detector.judging.signals import YEAR_S
from tests.benchmarks.detection.bound import delay_at
from tests.benchmarks.detection.engine import HISTORY_DAYS, LEVELS_YEARS, SHIPPED, First, Fleet, Traffic, make_first

CELLS = (
    (0.9, 0.02), (0.92, 0.60), (0.6, 0.02), (0.8, 0.02), (0.95, 0.02), (0.99, 0.02), (0.9, 0.8), (0.95, 0.8),
    (0.6, 0.3),
)  # fmt: skip
MAIN = CELLS[:2]
ALARMS = (3, 40)
"""First passages of the bars from which a false-alarm rate is read: fewer say little, more are of far lower bars."""
ALARMS_DUE = 3
"""Where fewer are due at the rate asked for, the reading goes beyond what was seen."""
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated at one rate."""

    per_minute: float
    main_keys: int  # of each of the two cells the goals are about
    other_keys: int  # of each other cell
    healthy_days: float
    outages: int  # of each key
    votes_max: int  # an outage that was not found after so many is missed


FULL = (
    Effort(10, 150, 16, 20, 4, 3_000), Effort(1, 100, 12, 20, 4, 1_500), Effort(100, 60, 8, 8, 4, 6_000),
    Effort(0.1, 100, 12, 20, 2, 600), Effort(60_000, 24, 6, 0.02, 2, 60_000),
)  # fmt: skip
QUICK = (Effort(10, 80, 0, 2, 2, 1_500),)


def run(effort: Effort, seed: int) -> list[dict[str, Any]]:
    """The rows of all cells at one rate."""
    cell = np.concatenate([np.full(effort.main_keys if n < len(MAIN) else effort.other_keys, n)
                           for n in range(len(CELLS))])  # fmt: skip
    p0, p1 = (np.array([CELLS[n][which] for n in cell]) for which in (0, 1))
    fleet = Fleet([(f"bank-{n}", f"method-{m}") for m, n in zip(cell, _within(cell), strict=True)])
    chance, rate = np.random.default_rng(seed), np.full(len(cell), effort.per_minute / 60)
    hours = HISTORY_DAYS * 24
    fleet.teach(chance, np.tile(rate * 3_600, (hours, 1)), np.tile(p0, (hours, 1)))
    well, ill = Traffic(rate, p0), Traffic(rate, p1)
    fleet.play(seed, well, make_first(len(cell)), min(6 * 3_600, int(effort.healthy_days * DAY_S)))
    healthy, began = make_first(len(cell)), fleet.signals.time_ms // 1_000
    fleet.play(seed + 1_000_000, well, healthy, int(effort.healthy_days * DAY_S))
    exposure = fleet.signals.time_ms // 1_000 - began
    fleet.forget()
    found = [_outage(fleet, seed + 2_000_000 + 10_000 * n, well, ill, effort) for n in range(effort.outages)]
    return [_row(effort, n, cell == n, healthy, began, exposure, found) for n in range(len(CELLS)) if (cell == n).any()]


def _within(cell: Int64s) -> Int64s:
    """The number of each key within its cell."""
    return np.concatenate([np.arange((cell == n).sum()) for n in np.unique(cell)])


def _outage(fleet: Fleet, seed: int, well: Traffic, ill: Traffic, effort: Effort) -> tuple[Float64s, Float64s]:
    """(votes, seconds) from the fall of all rates to each bar of the page's channel, [key, level]; inf: missed."""
    fleet.play(seed, well, make_first(fleet.keys), max(600, min(3_600, int(60 * 60 / effort.per_minute))))
    kept, began, first = fleet.copy(), fleet.signals.time_ms // 1_000, make_first(fleet.keys)
    limit = int(np.ceil(effort.votes_max / effort.per_minute * 60))
    part = max(60, limit // 20)
    for done in range(0, limit, part):
        fleet.play(seed + 1 + done, ill, first, min(part, limit - done))
        if (first.reached[:, 0] == len(LEVELS_YEARS)).all():
            break
    fleet.back_to(kept)
    votes = np.where(first.votes[:, 0] >= 0, first.votes[:, 0].astype(float), np.inf)
    return votes, np.where(first.second[:, 0] >= 0, (first.second[:, 0] - began).astype(float), np.inf)


def _row(effort: Effort, number: int, mine: Any, healthy: First, began: int, exposure: int,
         found: list[tuple[Float64s, Float64s]]) -> dict[str, Any]:  # fmt: skip
    """What was seen of one cell: lists are by level."""
    p0, p1 = CELLS[number]
    alarms, years = first_passages(healthy, mine, 0, began, exposure)
    row: dict[str, Any] = {
        "p0": p0, "p1": p1, "per_minute": effort.per_minute, "keys": int(mine.sum()),
        "levels_years": _rounded(LEVELS_YEARS),
        "alarms": alarms.tolist(), "exposure_years": _rounded(years), "outages": int(mine.sum()) * len(found),
        "bound_votes": round(delay_at(p0, p1, effort.per_minute), 3),
    }  # fmt: skip
    longest_s = effort.votes_max / effort.per_minute * 60
    for name, which, longest in (("votes", 0, effort.votes_max), ("seconds", 1, longest_s)):
        delays = np.concatenate([one[which][mine] for one in found])
        row[f"{name}_mean"] = _rounded(np.minimum(delays, longest).mean(axis=0))
        row[f"{name}_p95"] = _rounded(np.quantile(np.minimum(delays, longest), 0.95, axis=0))
        row["missed"] = _rounded(np.isinf(delays).mean(axis=0))
    return row


def first_passages(first: First, mine: Any, channel: int, began: int, exposure: int) -> tuple[Int64s, Float64s]:
    """(how many keys passed each bar, key-years until they did or the end)."""
    second = first.second[mine, channel]
    passed = second >= 0
    return passed.sum(axis=0), np.where(passed, second - began, exposure).sum(axis=0) / YEAR_S


def _rounded(values: Float64s) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def matched(row: dict[str, Any], a_year: float = 1.0) -> dict[str, float] | None:
    """Delay, efficiency and bar at so many false alarms a key-year; None where alarms are too few to say.

    ln(rate) falls in a line with ln(bar), nearly: fitted on the bars with few first passages (weights: their number),
    it is read where it meets the rate, at most one decade beyond the last of them. Delays are read between two bars.
    """
    levels, alarms, years = (np.array(row[name]) for name in ("levels_years", "alarms", "exposure_years"))
    use = (alarms >= ALARMS[0]) & (alarms <= ALARMS[1]) & (years > 0)
    if use.sum() < 3:
        return None
    x, y = np.log(levels[use]), np.log(alarms[use] / years[use])
    slope, start = np.polyfit(x, y, 1, w=np.sqrt(alarms[use]))
    at = (np.log(a_year) - start) / slope
    if slope >= 0 or at > x.max() + np.log(10) or at < np.log(levels[0]):
        return None
    return {"bar_years": float(np.exp(at)), **delays_at(row, float(at))}


def delays_at(row: dict[str, Any], ln_bar: float) -> dict[str, float]:
    """Delays at a bar between two that were noted, and the efficiency."""
    x = np.log(row["levels_years"])
    names = ("votes_mean", "votes_p95", "seconds_mean", "seconds_p95", "missed")
    read = {name: float(np.interp(ln_bar, x, row[name])) for name in names}
    return {**read, "efficiency": row["bound_votes"] / max(read["votes_mean"], 1e-9)}


def shipped(row: dict[str, Any]) -> dict[str, float]:
    """Delays at the bar that is shipped."""
    return delays_at(row, float(np.log(row["levels_years"][SHIPPED])))
