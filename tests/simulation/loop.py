"""An event loop whose clock is a number: waiting costs no time, and the same program runs the same way every time.

Work that the product gives to threads is done at once, in the order it is given. Knows nothing of what runs on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

STEP_S = 1e-6
"""Timers that are this near to each other are due together."""


STEPS_MAX = 200_000
"""Of a run, of which most need a twentieth."""


class Stalled(Exception):
    """Everything waits for something else, or goes round and round."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """A loop that jumps to its next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._steps = 0
        self._clock_resolution = STEP_S
        self._selector = self
        self.set_exception_handler(lambda _loop, _context: None)  # a killed process leaves loose ends

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now_s

    def select(self, timeout: float | None) -> list[Any]:
        """Wait until the next timer, and for nothing else: nothing comes from outside."""
        self._steps += 1
        if timeout is None or self._steps > STEPS_MAX:
            raise Stalled(f"nothing will ever happen again, after {self._steps} steps and {self._now_s:.1f} s")
        self._now_s += max(0.0, timeout)
        return []

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # no thread, but the same answer
        """Do it now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list
