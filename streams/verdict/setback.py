"""When a tenure that Kafka ended may begin anew: after a pause that doubles while it keeps failing.

Pure: time is an argument. Does not know what a tenure is, nor why Kafka refused.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Setback"]

PAUSE_S: Final = 2.0
PAUSE_S_MAX: Final = 30.0
STEADY_S: Final = 60.0


class Setback:
    """`why` is the sentence for people, None while all is well."""

    def __init__(self) -> None:
        self.why: str | None = None
        self._until_s = 0.0
        self._pause_s = PAUSE_S

    def note(self, why: str, now_s: float, least_s: float = 0.0) -> bool:
        """A tenure ended, or could not begin; nothing is tried for a pause of at least `least_s`. Whether it is the
        first time in a row."""
        is_first = self.why is None
        if is_first and now_s - self._until_s > STEADY_S:
            self._pause_s = PAUSE_S
        pause_s = max(self._pause_s, least_s)
        self.why, self._until_s = why, now_s + pause_s
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)
        return is_first

    def holds_back(self, now_s: float) -> bool:
        """Whether it is too soon to try again."""
        return self.why is not None and now_s < self._until_s

    def is_over(self) -> None:
        """A tenure has begun."""
        self.why = None
