"""Seven ways to be fooled that are no outage: how often does the shipped engine page?

Four run all the time (retries, a baseline that wanders, one that is young, arrivals in clusters): pages in key-years.
Three strike (`strikes`): a merchant's bug, cards tested at one merchant, a surge of volume: pages in so many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from detector.arrays import Float64s
from tests.benchmarks.detection import strikes
from tests.benchmarks.detection.engine import HISTORY_DAYS, SHIPPED, START_MS, First, Fleet, Traffic, make_first
from tests.benchmarks.detection.grid import DAY_S, first_passages

YEARS = 20.5
"""Key-years of each trap that runs all the time, its settings together."""
KEYS = 300
BANKS = 20
AR = 0.8
"""Of an hour's deviation so much is left in the next."""
RATES = (0.9, 0.8, 0.95)
"""Usual approval, by method."""


def run(quick: bool, seed: int) -> Iterator[list[dict[str, Any]]]:
    """Rows of all traps, one after the other."""
    years = 0.5 if quick else YEARS
    yield [retries(10.0, years, seed)]
    for sd in (0.2, 0.3):
        yield [wandering(10.0, sd, years / 2, seed + 1)]
    for votes in (20, 50, 200):
        yield [young(votes, years / 3, seed + 2)]
    yield [clustered(5.0, 1, years, seed + 3)]
    yield [clustered(5.0, 3, years / 4, seed + 3)]
    yield from strikes.run(quick, seed + 4)


def fleet() -> tuple[Fleet, Float64s]:
    """Keys of three methods, and their usual approval."""
    made = Fleet([(f"bank-{n // len(RATES)}", f"method-{n % len(RATES)}") for n in range(KEYS)])
    return made, np.array([RATES[n % len(RATES)] for n in range(KEYS)])


def retries(per_minute: float, years: float, seed: int) -> dict[str, Any]:
    """A bad shopper tries four times; only the first try in a block of ten minutes is a vote."""
    made, approved = fleet()
    rate = np.full(KEYS, per_minute / 60)
    _teach(made, seed, rate, approved)
    first = make_first(KEYS)
    seconds = made.play(seed, Traffic(rate, approved, 1, 3), first, _seconds(years))
    return _row("retries", f"{per_minute:g}/min, four tries", first, seconds, [0, 1, 2])


def wandering(per_minute: float, sd: float, years: float, seed: int) -> dict[str, Any]:
    """The rate moves from hour to hour (AR(1) on the logit) and over the day; the history did the same."""
    made, approved = fleet()
    chance, rate = np.random.default_rng(seed), np.full(KEYS, per_minute / 60)
    hours = HISTORY_DAYS * 24 + _seconds(years) // 3_600
    logit = np.log(approved / (1 - approved)) + _wander(chance, hours, sd)
    share = 1 / (1 + np.exp(-logit))
    past = HISTORY_DAYS * 24
    made.teach(chance, np.tile(rate * 3_600, (past, 1)), share[:past])
    first = make_first(KEYS)
    for hour in range(past, hours):
        made.play(seed + hour, Traffic(rate, share[hour]), first, 3_600)
    return _row("wandering baseline", f"{per_minute:g}/min, sd {sd:g}", first, (hours - past) * 3_600, [0, 1, 2])


def _wander(chance: np.random.Generator, hours: int, sd: float) -> Float64s:
    """[hour, key] on the logit: AR(1) of this standard deviation, and a day's wave of a quarter."""
    out = np.empty((hours, KEYS))
    now = chance.normal(0, sd, KEYS)
    for hour in range(hours):
        out[hour] = now + 0.25 * math.sin(2 * math.pi * hour / 24)
        now = AR * now + math.sqrt(1 - AR * AR) * chance.normal(0, sd, KEYS)
    return out


def young(votes: int, years: float, seed: int) -> dict[str, Any]:
    """So many votes of history and no more: nothing is learned while it lasts, and parents know nothing."""
    made, approved = fleet()
    chance, rate = np.random.default_rng(seed), np.full(KEYS, 10 / 60)
    yes = chance.binomial(votes, approved)
    made.signals.baseline.level[made.own] = np.stack([yes, votes - yes], axis=1)
    made.answer_at_once(np.full(KEYS, float(votes)), approved)
    made.know()
    first = make_first(KEYS)
    made.play(seed, Traffic(rate, approved), first, _seconds(years), learns=False)
    return _row("young baseline", f"10/min, {votes} votes", first, _seconds(years), [0, 1, 2])


def clustered(per_minute: float, shoppers: int, years: float, seed: int) -> dict[str, Any]:
    """Payments come three at a time and the hour's volume wanders (sd 0.3 on the log), past and present: the stall
    channel. Three of one shopper are one vote; three shoppers at once are beyond what votes cure, and no goal."""
    made, approved = fleet()
    chance, rate = np.random.default_rng(seed), np.full(KEYS, per_minute / 60)
    past, hours = HISTORY_DAYS * 24, _seconds(years) // 3_600
    volume = rate * np.exp(chance.normal(0, 0.3, (past + hours, KEYS)))
    made.teach(chance, volume[:past] * 3_600, np.tile(approved, (past, 1)), cluster=shoppers)
    first = make_first(KEYS)
    for hour in range(hours):
        made.play(seed + hour, Traffic(volume[past + hour], approved, shoppers), first, 3_600)
    setting = f"{per_minute:g} votes/min, log-sd 0.3, 3 payments of {shoppers} shopper{'s' * (shoppers > 1)} at once"
    return {**_row("clustered arrivals", setting, first, hours * 3_600, [2, 0, 1]), "goal": shoppers == 1}


def _teach(made: Fleet, seed: int, rate: Float64s, approved: Float64s) -> None:
    hours = HISTORY_DAYS * 24
    made.teach(np.random.default_rng(seed), np.tile(rate * 3_600, (hours, 1)), np.tile(approved, (hours, 1)))


def _seconds(years: float) -> int:
    """Of simulated time, in whole hours, so that all keys together see so many years."""
    return math.ceil(years * 365.25 * DAY_S / KEYS / 3_600) * 3_600


def _row(trap: str, setting: str, first: First, seconds: int, channels: list[int]) -> dict[str, Any]:
    """First passages of the shipped bar, by any of the channels; the key-years until then."""
    began = START_MS // 1_000
    years = min(float(first_passages(first, slice(None), c, began, seconds)[1][SHIPPED]) for c in channels)
    passed = (first.second[:, channels, SHIPPED] >= 0).any(axis=1)
    by = {name: int((first.second[:, c, SHIPPED] >= 0).sum()) for name, c in (("rate", 0), ("slow", 1), ("stall", 2))}
    return {
        "trap": trap, "setting": setting, "pages": int(passed.sum()), "key_years": round(years, 3), "by_channel": by,
        "strikes": None,
    }  # fmt: skip
