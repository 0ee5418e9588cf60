"""Since when the oldest write waits for the broker's answer: Kafka's client tries again for ever and does not say.

Knows futures and a clock; not what was written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from streams.loopclock import loop_s

__all__ = ["Unanswered", "oldest"]


class Unanswered:
    """Writes in the order in which they were handed over; as many are kept as wait."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._refused: asyncio.Future[Any] | None = None

    def add(self, write: asyncio.Future[Any]) -> None:
        """A write was handed to the client."""
        self._forget_answered()
        self._waiting.append((write, loop_s()))

    @property
    def since_s(self) -> float | None:
        """When the oldest that waits was handed over, on the loop's clock; None where none waits."""
        self._forget_answered()
        return self._waiting[0][1] if self._waiting else None

    def check(self) -> None:
        """Raises what the first write came to that was not taken: behind it the client's order has a gap, and Kafka
        takes nothing more of this producer."""
        self._forget_answered()
        if self._refused is not None:
            self._refused.result()

    def _forget_answered(self) -> None:
        while self._waiting and self._waiting[0][0].done():
            write, _ = self._waiting.popleft()
            if self._refused is None and (write.cancelled() or write.exception() is not None):
                self._refused = write


def oldest(*since_s: float | None) -> float | None:
    """The earliest of several; None where none waits."""
    return min((one for one in since_s if one is not None), default=None)
