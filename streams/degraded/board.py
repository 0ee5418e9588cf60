"""What is wrong around the worker now, by reason: one log line when it begins, one when it ends, a sentence meanwhile.

Knows no cause: who looks says what there is. Time is an argument, on a clock that never goes back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Board", "Reason"]

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """Why a worker is degraded: the label of its metric."""

    BROKER = "broker"
    """No broker answers, or a partition that is needed has no leader."""
    WRITES = "writes"
    """Brokers answer, and do not take what is written."""
    LETTERS = "letters"
    """The dead-letter topic does not take what is written to it."""
    READERS = "readers"
    """Nobody reads the outages who should."""
    DISK = "disk"
    """What this worker writes on its own machine is lost."""
    CLOCK = "clock"
    """This machine's clock jumped."""
    TRANSACTIONS = "transactions"
    """A transaction that does not end keeps events from being read."""


@dataclass(slots=True)
class _Trouble:
    sentence: str
    since_s: float


class Board:
    """The reasons in force."""

    def __init__(self) -> None:
        self._troubles: dict[Reason, _Trouble] = {}

    def say(self, reason: Reason, sentence: str | None, now_s: float) -> None:
        """What is so now: "what; got; do", or None where all is well."""
        trouble = self._troubles.get(reason)
        if sentence is None:
            if trouble is not None:
                del self._troubles[reason]
                log.warning("degraded: %s: over after %.0f s", reason, now_s - trouble.since_s)
        elif trouble is None:
            self._troubles[reason] = _Trouble(sentence, now_s)
            log.warning("degraded: %s: %s", reason, sentence)
        else:
            trouble.sentence = sentence

    def has(self, reason: Reason) -> bool:
        """Whether a reason is in force."""
        return reason in self._troubles

    def problems(self, now_s: float) -> dict[str, str]:
        """The sentence of each reason in force, with how long it has been so."""
        return {reason.value: f"{trouble.sentence} (for {now_s - trouble.since_s:.0f} s)"
                for reason, trouble in self._troubles.items()}  # fmt: skip

    def flags(self) -> Mapping[str, int]:
        """1 for each reason in force, 0 for every other."""
        return {reason.value: int(reason in self._troubles) for reason in Reason}
