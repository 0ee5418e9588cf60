"""The exact Poisson interval against the printed tables."""

import pytest

from detector.rehearsal.poisson import interval

# Garwood 1936, as tabled in every textbook of epidemiology: count -> 95 % limits.
TABLE = [
    (0, 0.0, 3.689), (1, 0.0253, 5.572), (2, 0.242, 7.225), (3, 0.619, 8.767), (5, 1.623, 11.668), (10, 4.795, 18.390),
    (50, 37.11, 65.92), (100, 81.36, 121.63),
]  # fmt: skip


@pytest.mark.parametrize(("count", "low", "high"), TABLE)
def test_it_is_the_tables(count: int, low: float, high: float) -> None:
    """Each limit is the table's, to the digits that are printed there."""
    assert interval(count) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))


def test_large_counts_are_no_trouble() -> None:
    """Of a count whose factorial is beyond any float, the interval is nearly the normal one."""
    low, high = interval(2_000)
    assert 1_910 < low < 1_914
    assert 2_088 < high < 2_091
