"""Of a history that fails, a shorter one that fails the same way: parts are left out as long as it still does.

First what is done to workers, then what shops send; both by halves, quarters and so on, within a number of runs. Does
not know how a history is played.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.least import least
from tests.simulation.history import History

RUNS_MAX = 60


def shrunk(history: History, fails: Callable[[History], bool]) -> History:
    """The history with as little in it as `RUNS_MAX` runs could find."""
    runs = RUNS_MAX

    def still(candidate: History) -> bool:
        nonlocal runs
        runs -= 1
        return runs >= 0 and fails(candidate)

    faults = least(history.faults, lambda part: still(replace(history, faults=tuple(part))))
    history = replace(history, faults=tuple(faults))
    sent = least(history.sent, lambda part: still(replace(history, sent=tuple(part))))
    return replace(history, sent=tuple(sent))
