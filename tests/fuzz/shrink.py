"""Of a trial that fails, a shorter one that fails the same way: steps, then records, then bytes are left out.

By halves, quarters and so on, within a number of runs. Knows no reason why a trial fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.fuzz.script import Step
from tests.fuzz.trial import failure
from tests.least import least

__all__ = ["shrunk"]

RUNS_MAX = 300


def shrunk(steps: Sequence[Step]) -> list[Step]:
    """The trial with as little in it as `RUNS_MAX` runs could find; as it is where it does not fail again."""
    wrong, runs = failure(steps), RUNS_MAX
    if wrong is None:
        return list(steps)
    kind = wrong.kind

    def fails(candidate: Sequence[Step]) -> bool:
        nonlocal runs
        runs -= 1
        found = failure(candidate) if runs >= 0 else None
        return found is not None and found.kind == kind

    found = list(least(steps, fails))
    for place, step in enumerate(found):
        if not step.raw:
            found[place] = _with_fewer(found, place, step, fails)
    return found


def _with_fewer(steps: list[Step], place: int, step: Step, fails: Callable[[Sequence[Step]], bool]) -> Step:
    """A step with fewer records, and where one is left with fewer bytes."""

    def others(other: Step) -> list[Step]:
        return [*steps[:place], other, *steps[place + 1 :]]

    step = step.of(least(step.records, lambda records: bool(records) and fails(others(step.of(records)))))
    if not fails(others(step)):
        return steps[place]
    if len(step.records) != 1:
        return step
    at_ms, key, value, headers = step.records[0]

    def saying(some: Sequence[int]) -> Step:
        return replace(step, records=((at_ms, key, bytes(some), headers),))

    shorter = saying(least(value or b"", lambda some: fails(others(saying(some)))))
    return shorter if fails(others(shorter)) else step
