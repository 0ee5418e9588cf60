"""What the detection benchmark works out: the exact limit, rates with their intervals, goals from rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.benchmarks.detection import goals, grid, report
from tests.benchmarks.detection.bound import delay, run_length


def test_the_limit_of_a_run_is_its_formula() -> None:
    """Where an approval takes all away, events between alarms are (1 − q^r) ÷ (p q^r)."""
    p, r = 0.9, 5
    q = 1 - p
    assert run_length(r, 1, r, p) == pytest.approx((1 - q**r) / (p * q**r))


@pytest.mark.parametrize(("p0", "p1", "between", "events"), [(0.9, 0.02, 1e5, 5.25), (0.9, 0.6, 1e5, 29.3)])
def test_the_limit_is_what_others_found(p0: float, p1: float, between: float, events: float) -> None:
    """As by another exact calculation, on another lattice."""
    assert delay(p0, p1, between) == pytest.approx(events, rel=0.03)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_the_interval_of_a_count_is_exact(count: int, low: float, high: float) -> None:
    """Garwood's, as tables have it."""
    assert report.interval(count) == pytest.approx((low, high), rel=1e-3)


def test_a_matched_bar_is_read_from_the_line() -> None:
    """Where false alarms are one in a bar's length, the bar for one a year is a year."""
    levels = 10.0 ** np.arange(-3, 1.01, 0.125)
    row = {
        "levels_years": levels.tolist(), "alarms": np.round(20 / levels).astype(int).tolist(), "bound_votes": 5.0,
        "exposure_years": np.full(len(levels), 20.0).tolist(), "missed": np.zeros(len(levels)).tolist(),
    }  # fmt: skip
    delays = (10 + np.log(levels)).tolist()
    names = ("votes_mean", "votes_p95", "seconds_mean", "seconds_p95")
    found = grid.matched({**row, **dict.fromkeys(names, delays)})
    assert found is not None
    assert (found["bar_years"], found["efficiency"]) == pytest.approx((1.0, 0.5), rel=0.1)


def test_what_was_not_measured_is_not_met() -> None:
    """Without rows no goal is met, and all are named."""
    found = goals.goals({name: [] for name in report.SECTIONS})
    assert len(found) >= 17
    assert [name for name, one in found.items() if one["met"]] == []


def test_one_page_breaks_a_trap_and_too_few_years_do_not_make_it() -> None:
    """No page in 20 key-years is the goal: neither one page in 100 nor none in 10 will do."""
    def met(pages: int, years: float) -> bool:
        row = {"trap": "retries", "pages": pages, "key_years": years, "strikes": None}
        rows = {name: [] for name in report.SECTIONS} | {"traps": [row]}
        return bool(goals.goals(rows)["retries"]["met"])

    assert (met(0, 20.5), met(1, 100.0), met(0, 10.0)) == (True, False, False)


def test_short_times_are_said_in_seconds() -> None:
    """Up to two minutes in seconds, up to two hours in minutes."""
    assert [report.seconds(value) for value in (42, 600, 36_000)] == ["42 s", "10.0 min", "10.0 h"]
    assert math.isfinite(report.interval(100)[1])
