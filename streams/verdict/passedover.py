"""What the Judge passes over, counted, and that it tells no more leaves apart: each kind said once a tenure.

Knows how it is said; what fits is the Judge's to find.
"""

from __future__ import annotations

import logging
from collections import Counter as Count

from detector.counting.names import PAST_LIMIT
from detector.judging.judge import Judge
from detector.judging.misfit import Misfit

__all__ = ["PassedOver"]

log = logging.getLogger(__name__)


class PassedOver:
    """`counts`: how many of each kind, in all tenures of this worker."""

    def __init__(self) -> None:
        self.counts = {misfit.name.lower(): 0 for misfit in Misfit}
        self._noted: Count[Misfit] = Count()
        self._was_full = False

    def begin(self) -> None:
        """A tenure begins: its Judge counts anew."""
        self._noted.clear()
        self._was_full = False

    def note(self, judge: Judge) -> None:
        """Count, and say, what is new."""
        for misfit, count in judge.passed_over.items():
            if not self._noted[misfit]:
                policy = judge.policy
                log.warning("verdict: %s is on the tallies log and passed over, as is all of the kind; judged are "
                            "pane_s = %d and dimensions %s: stop the workers that have another policy or version",
                            misfit.value, policy.pane_ms // 1000, ", ".join(policy.dimensions))  # fmt: skip
            self.counts[misfit.name.lower()] += count - self._noted[misfit]
            self._noted[misfit] = count
        is_full = judge.board.nodes.is_full
        if is_full and not self._was_full:
            log.warning("verdict: leaves_max of [limits] is reached (%d) by the leaves of all workers together: %s",
                        judge.policy.leaves_max, PAST_LIMIT["leaves"])  # fmt: skip
        self._was_full = is_full
