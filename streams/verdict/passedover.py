"""What the Judge passes over, said once a tenure of each kind.

Knows how it is said; what fits is the Judge's to find.
"""

from __future__ import annotations

import logging

from detector.judging.judge import Judge
from detector.judging.misfit import Misfit

__all__ = ["PassedOver"]

log = logging.getLogger(__name__)


class PassedOver:
    """What a tenure has said of it."""

    def __init__(self) -> None:
        self._said: set[Misfit] = set()

    def note(self, judge: Judge) -> None:
        """Say what is new."""
        for misfit in judge.passed_over.keys() - self._said:
            self._said.add(misfit)
            policy = judge.policy
            log.warning("verdict: %s is on the tallies log and passed over, as is all of the kind; judged are pane_s = "
                        "%d and dimensions %s: stop the workers that have another policy or version",
                        misfit.value, policy.pane_ms // 1000, ", ".join(policy.dimensions))  # fmt: skip
