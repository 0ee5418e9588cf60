"""The scopes of which a person is asked whether what they do is usual now: each is said once, while it is so.

Knows how it is said; of which nothing was learned is the Judge's to know.
"""

from __future__ import annotations

import logging
from typing import Final

from detector.judging.judge import Judge

__all__ = ["Frozen"]

log = logging.getLogger(__name__)

SHOWN_MAX: Final = 10


class Frozen:
    """Remembers which were said."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def note(self, judge: Judge) -> None:
        """Say what is new; there need be no outage that does."""
        frozen = {scope.key for scope in judge.long_frozen()}
        news = sorted(frozen - self._said)
        for key in news[:SHOWN_MAX]:
            log.warning("verdict: nothing was learned of %s for 24 hours; if it is now as usual: "
                        "pastille baseline reset '%s'", key, key)  # fmt: skip
        if len(news) > SHOWN_MAX:
            log.warning("verdict: so it is of %d more scopes, see pastille baseline show", len(news) - SHOWN_MAX)
        self._said = frozen
