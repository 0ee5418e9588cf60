"""What people say of what is usual, on the topic of baselines, as markers for the log: obeyed when they are read back.

The newest word of each scope counts, and the Judge takes each once. What it has taken is not kept here. Does not know
what a lesson teaches.
"""

from __future__ import annotations

import logging
from typing import Final

from detector.contracts.models import Lesson
from detector.counting.tally import Marker
from detector.judging.judge import Judge
from streams.baselines import fold
from streams.compacted import unquoted

__all__ = ["Schoolbook"]

log = logging.getLogger(__name__)

REPEAT_S: Final = 60.0
"""A marker that was written and not read back yet, because the Judge is behind, is not written again so soon."""
AT_ONCE_MAX: Final = 2_000
"""Markers written at once: a thousand and more go into the log in some records, and tallies come between."""
KNOWN_MAX: Final = 100_000
"""Of the topic; those of the Judge are fewer, by the policy's limit."""


class Schoolbook:
    """What the topic says and the Judge has not taken, as far as it was read. `refused`: those that do not fit it."""

    def __init__(self) -> None:
        self.refused = 0
        self._known: dict[str, Lesson] = {}
        self._said_s: dict[tuple[str, int], float] = {}

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        """A record of the topic; what is no lesson is passed over, with a line in the log."""
        try:
            if value is not None and len(self._known) >= KNOWN_MAX:
                raise ValueError(f"the topic may hold at most {KNOWN_MAX} that wait; more do; delete the oldest")
            fold(self._known, key, value)
        except ValueError as error:
            log.warning("verdict: record %d of the baselines is passed over: %s", offset, unquoted(error))

    def markers(self, judge: Judge, now_s: float) -> list[Marker]:
        """What is to be written to the log now."""
        self._known = {key: said for key, said in self._known.items() if judge.lessons.is_news(said)}
        self._said_s = {word: said_s for word, said_s in self._said_s.items() if now_s - said_s < REPEAT_S}
        fits = [said for said in self._known.values() if judge.lessons.fits(said)]
        self._tell_refused(len(self._known) - len(fits), judge)
        found = [said for said in fits if (said.scope, said.said_at) not in self._said_s][:AT_ONCE_MAX]
        self._said_s.update({(said.scope, said.said_at): now_s for said in found})
        if found:
            forgets = sum(said.forgets for said in found)
            log.info("verdict: %d scopes are taught what is usual, %d begin anew", len(found) - forgets, forgets)
        return [Marker("baseline", text=said.model_dump_json(exclude_none=True)) for said in found]

    def _tell_refused(self, refused: int, judge: Judge) -> None:
        if refused > self.refused:
            log.warning(
                "verdict: %d lessons are refused; they must be of the dimensions %s, and of at most twice leaves_max "
                "(%d) scopes; learn them again with this policy, or raise leaves_max in its [limits]",
                refused, ", ".join(judge.policy.dimensions), judge.policy.leaves_max,
            )  # fmt: skip
        self.refused = refused
