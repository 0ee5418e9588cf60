"""How far a rate wanders, as it is learned hour by hour."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from detector.arrays import Float64s
from detector.judging.baseline import HOUR_MS, TAU_MIN, TAU_START, learn, make_baseline, median, pooled_tau, refresh

KEYS = 60
HOURS = 28 * 24


def taus(seed: int, hourly: float, sd: float, hours: int = HOURS) -> Float64s:
    """Of leaves of one method (node 1, below the platform, node 0) after hours of votes, of which 92 % are approved,
    wandering by `sd` on the logit from hour to hour."""
    chance, known = np.random.default_rng(seed), make_baseline(2 + KEYS)
    parents = np.array([0, 0] + [1] * KEYS, np.int32)
    for hour in range(hours):
        share = 1 / (1 + np.exp(-(np.log(0.92 / 0.08) + chance.normal(0, sd, KEYS))))
        came = chance.poisson(hourly, KEYS)
        yes = chance.binomial(came, share)
        counts = np.stack([yes, came - yes], axis=1).astype(float)
        known.hours[0, 2:] = counts
        known.hours[0, :2] = counts.sum(axis=0)
        known.usual[:] = 0.92
        learn(known, parents, hour * HOUR_MS)
    return pooled_tau(known, parents)[2:]


@pytest.mark.parametrize("hourly", [6, 60, 600])
def test_a_rate_that_does_not_wander_is_trusted_whatever_its_volume(hourly: float) -> None:
    """Few refusals an hour are not taken for wandering, and who has too few votes takes it from those who know."""
    found = taus(1, hourly, 0.0)
    assert np.median(found) == pytest.approx(TAU_MIN, abs=0.02)
    assert found.max() < 0.25


@pytest.mark.parametrize(("hourly", "sd"), [(60, 0.4), (600, 0.3), (6_000, 0.2)])
def test_a_rate_that_wanders_is_not_trusted(hourly: float, sd: float) -> None:
    """What the hours show beyond chance is found, within a fifth of it for the most of them."""
    assert np.median(taus(2, hourly, sd)) == pytest.approx(sd, rel=0.2)


def test_at_first_nothing_is_known() -> None:
    """Before the first hours tau is where it starts."""
    assert taus(3, 600, 0.0, hours=1).tolist() == [TAU_START] * KEYS


def test_an_hour_that_was_never_learned_lies_between_those_around_it() -> None:
    """An outage in its hours leaves no gap in what is expected of a day, but of hours far from those that are known
    nothing is said."""
    known = make_baseline(3)
    known.volumes[:2, :24, 0] = 100.0 * 2.0 ** np.abs(np.arange(24) - 12.0)
    known.volumes[:2, 9:12, 0] = -1.0
    known.volumes[2, :3, 0] = 100.0
    refresh(known, np.zeros(3, np.int32), 4 * 24 * HOUR_MS + 10 * HOUR_MS)
    assert known.volume[:2] * 3600 == pytest.approx([400.0, 400.0])  # half way from 1,600 at eight to 100 at noon
    assert known.volume[2] == -1.0


@pytest.mark.parametrize("weeks", [1, 3, 4])
def test_a_median_is_of_the_weeks_that_are_known(weeks: int) -> None:
    """Of each row as a schoolbook has it, however few are known, and wherever they stand."""
    chance = np.random.default_rng(weeks)
    history = np.where(chance.random((200, weeks)) < 0.5, -1.0, chance.gamma(0.5, 1_000.0, (200, weeks)))
    schoolbook = [statistics.median([week for week in row if week >= 0] or [-1.0]) for row in history.tolist()]
    assert median(history).tolist() == schoolbook
