"""The exact interval of a Poisson mean from one count: how often something happens that was seen so many times.

Knows nothing of what is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, fsum, lgamma, log

TAIL = 0.025
"""On each side, so that the interval holds the mean in at least 95 % of cases."""


def interval(count: int) -> tuple[float, float]:
    """Between what and what the mean lies, at 95 %, where `count` events were seen.

    Garwood 1936 (Biometrika 28:437): half the chi-square quantiles, chi2(0.025; 2k) / 2 and chi2(0.975; 2k + 2) / 2.
    By the identity of the chi-square and Poisson distributions these are the means at which so many events or more,
    and so many or fewer, have a probability of 0.025; they are found by halving. No event: from 0 to -ln 0.025 = 3.689.
    """
    ceiling = count + 10 * (count + 1) ** 0.5
    low = _root(lambda mean: 1 - _at_most(count - 1, mean) < TAIL, ceiling) if count else 0.0
    return low, _root(lambda mean: _at_most(count, mean) > TAIL, ceiling)


def _at_most(count: int, mean: float) -> float:
    """The probability of `count` events or fewer; by logarithms, or the factorials would run over."""
    return fsum(exp(n * log(mean) - mean - lgamma(n + 1)) for n in range(count + 1))


def _root(is_below: Callable[[float], bool], ceiling: float) -> float:
    """Where a question on the means from 0 to `ceiling` turns from yes to no."""
    low, high = 0.0, ceiling
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high
