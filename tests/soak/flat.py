"""Whether a quantity is flat: a line through its looks, and how far that line rises while it is looked at.

The line is that of Theil and Sen (the middle one of the slopes between any two looks), which single peaks do not tilt:
Sen, Journal of the American Statistical Association 63 (1968). Pure: numbers in, verdict out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

__all__ = ["LOOKS_MIN", "Limit", "Rise", "rise", "settled"]

LOOKS_MIN: Final = 10
"""With fewer, a line says nothing."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a quantity may rise: by a share of where it began, or by so much, whichever is more; and for how long at
    the beginning it may do as it likes."""

    name: str
    unit: str
    share: float
    least: float
    warm_s: float


@dataclass(frozen=True, slots=True)
class Rise:
    """The line through a quantity's looks: where it begins and ends, and the most that it may rise."""

    limit: Limit
    looks: int
    first: float
    last: float
    allowed: float

    @property
    def is_flat(self) -> bool | None:
        """Whether it rose no more than it may; falling is flat. None where there are too few looks."""
        return None if self.looks < LOOKS_MIN else self.last - self.first <= self.allowed


def settled(limit: Limit, looks: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The looks (second, value) after the warm-up."""
    return [look for look in looks if look[0] >= limit.warm_s]


def rise(limit: Limit, looks: Sequence[tuple[float, float]]) -> Rise:
    """The line through looks (second, value), in the order of their times."""
    if len(looks) < 2:
        only = looks[0][1] if looks else 0.0
        return Rise(limit, len(looks), only, only, 0.0)
    at_s, values = (np.array(part, np.float64) for part in zip(*looks, strict=True))
    before, after = np.triu_indices(len(looks), 1)
    slope = float(np.median((values[after] - values[before]) / (at_s[after] - at_s[before])))
    level = median((values - slope * at_s).tolist())
    first, last = level + slope * float(at_s[0]), level + slope * float(at_s[-1])
    return Rise(limit, len(looks), first, last, max(limit.share * abs(first), limit.least))
