"""In the made world of `tests/benchmarks/_localise_world.py` one dead scope is one cause, with its own name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks import _localise_world as world_of
from tests.benchmarks._localise_world import ROWS, Row, run

TRIALS = 50
DEAD = [row for row in ROWS if row.times < 0.1]


def name(row: Row) -> str:
    """The row as the benchmark prints it."""
    return row.name


@pytest.mark.parametrize("wrong", [False, True], ids=["true baseline", "wrong baseline"])
@pytest.mark.parametrize("row", DEAD, ids=name)
def test_a_dead_scope_is_one_cause(row: Row, wrong: bool) -> None:
    """As many causes as faults in every trial, and in 49 of 50 exactly their cells, also with a wrong baseline."""
    score = run(row, TRIALS, wrong)
    assert set(score.pages) == {len(row.fixes)}, [seed for seed, n in enumerate(score.pages) if n != len(row.fixes)]
    assert np.mean(score.exact) >= 0.98, [seed for seed, right in enumerate(score.exact) if not right]


@pytest.mark.parametrize("wrong", [False, True], ids=["true baseline", "wrong baseline"])
def test_nothing_is_no_cause(wrong: bool) -> None:
    """Three minutes of a healthy world name nobody."""
    score = run(ROWS[-1], TRIALS, wrong)
    assert set(score.pages) == {0}, [seed for seed, n in enumerate(score.pages) if n]


@pytest.mark.parametrize("row", [row for row in ROWS if row.times == 0.65], ids=name)
def test_a_bad_scope_is_hardly_ever_two_causes(row: Row) -> None:
    """A third of the approvals lost may be too little to see, but it is not told twice: where the ways of a bank
    differ much, its worst may come before the bank, in 2 of 100 at most."""
    pages = run(row, 2 * TRIALS, wrong=True).pages
    assert sum(n > 1 for n in pages) <= 2, [seed for seed, n in enumerate(pages) if n > 1]


def test_the_world_is_what_it_says() -> None:
    """132 ways to pay, every bank with one or more, all votes shared out, usual rates from 0.6 to 0.97."""
    for seed in range(10):
        world = world_of.make_world(seed)
        ways = np.unique(world.values[:, :3], axis=0)
        assert len(ways) == 132
        assert [len(np.unique(column)) for column in ways.T] == [30, 5, 6]
        assert world.votes.sum() == pytest.approx(3 * 3_000)
        assert 0.4 <= world.logit.min() <= world.logit.max() <= 3.5
        largest = world_of.inside(world.values, ((world_of.BANK, 0),))
        assert world.votes[largest].sum() / world.votes.sum() == pytest.approx(0.25, abs=0.01)
