"""Of parts that together make something fail, few that still do (delta debugging, Zeller 1999).

Knows neither what the parts are nor why it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def least(parts: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Leave out one of `pieces` runs at a time, and cut finer where none can be spared."""
    pieces = 2
    while parts and pieces <= 2 * len(parts):
        size = max(1, -(-len(parts) // pieces))
        for start in range(0, len(parts), size):
            rest = [*parts[:start], *parts[start + size :]]
            if fails(rest):
                parts, pieces = rest, max(2, pieces - 1)
                break
        else:
            if size == 1:
                break
            pieces *= 2
    return parts
