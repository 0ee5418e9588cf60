"""Of a history that fails, a shorter one that fails the same way: parts are left out as long as it still does.

First what is done to workers, then what shops send; both by halves, quarters and so on, within a number of runs. Does
not know how a history is played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.history import History

RUNS_MAX = 60
T = TypeVar("T")


def shrunk(history: History, fails: Callable[[History], bool]) -> History:
    """The history with as little in it as `RUNS_MAX` runs could find."""
    runs = RUNS_MAX

    def still(candidate: History) -> bool:
        nonlocal runs
        runs -= 1
        return runs >= 0 and fails(candidate)

    faults = _least(history.faults, lambda part: still(replace(history, faults=tuple(part))))
    history = replace(history, faults=tuple(faults))
    sent = _least(history.sent, lambda part: still(replace(history, sent=tuple(part))))
    return replace(history, sent=tuple(sent))


def _least(parts: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Delta debugging: leave out one of `pieces` runs at a time, and cut finer where none can be spared."""
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
