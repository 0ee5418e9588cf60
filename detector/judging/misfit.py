"""What a Judge cannot take: policies and tallies of other panes or dimensions than its own, and words it cannot read.

The log is written in one length of panes and in one list of dimensions. A word of others is passed over by every Judge
that reads it, and all come to the same: raised, it would end each of them at the same offset for ever. Does not know
who wrote it.
"""

from __future__ import annotations

from enum import Enum

from detector.contracts.models import Lesson, Maintenance
from detector.contracts.policy import Policy
from detector.contracts.policy_fixed import Fixed
from detector.contracts.policy_keys import PANES_S
from detector.counting.tally import Tally
from detector.judging.lessons import learned_by

__all__ = ["Misfit", "is_ours", "obeyable", "read_lesson", "read_maintenance"]

YEAR_MS = 365 * 86_400_000
"""Panes of another length are years away: of five seconds and of six, by a sixth of the time since 1970."""


class Misfit(Enum):
    """What was passed over, for people."""

    POLICY = "a policy with another pane_s or other dimensions"
    UNKNOWN_POLICY = "a policy of another version of Pastille"
    TALLY = "a tally with another pane_s or other dimensions"
    MAINTENANCE = "a maintenance that cannot be read"
    LESSON = "a baseline that cannot be read"


def obeyable(canonical: str, now: Policy) -> Policy | Misfit:
    """The policy of a marker, or why it cannot be obeyed by who judges by `now`."""
    try:
        policy = Policy.parse(canonical)
    except (TypeError, ValueError):
        return Misfit.UNKNOWN_POLICY
    return policy if Fixed.of(policy) == Fixed.of(now) else Misfit.POLICY


def read_maintenance(text: str) -> Maintenance | Misfit:
    """The maintenance of a marker, or that it is none."""
    try:
        return Maintenance.model_validate_json(text)
    except ValueError:
        return Misfit.MAINTENANCE


def read_lesson(text: str) -> Lesson | Misfit:
    """The lesson of a marker, whose values can be learned, or that it is none."""
    try:
        lesson = Lesson.model_validate_json(text)
        learned_by(lesson)
    except ValueError:
        return Misfit.LESSON
    return lesson


def is_ours(tally: Tally, policy: Policy) -> bool:
    """Whether a tally is of the policy's dimensions and panes, as far as it says.

    It names neither. Its leaves have a value for each dimension; and where a pane is years away from the boundary, but
    would be near it in panes of another length, it was counted in those.
    """
    cells, details = tally.cells, tally.details
    leaves = cells.leaves or (() if details is None else details.leaves)
    if leaves and len(leaves[0]) != len(policy.dimensions):
        return False
    pane = int(cells.pane[0]) if len(cells) else tally.first_pane
    if pane < 0 or abs(pane * policy.pane_ms - tally.boundary_ms) < YEAR_MS:
        return True
    return all(abs(pane * pane_s * 1000 - tally.boundary_ms) >= YEAR_MS for pane_s in PANES_S)
