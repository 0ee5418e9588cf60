"""How a command that has something to clear away is asked to end: Ctrl-C, SIGTERM, SIGHUP; and surely, at any moment.

Python drops an interrupt that comes while it runs what nobody called, as it does now and then behind an import.
Does not know what ends, nor what is cleared away.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

__all__ = ["Ending"]

ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_S: Final = 1.0
"""A terminal that closes, or a service manager, sends several signals at once: they are one."""
KILLED: Final = 128
"""What a shell adds to a signal's number."""

Result = TypeVar("Result")


class Ending:
    """Entered, a signal is a KeyboardInterrupt; `check` raises it again where it was dropped.

    From `leave` on the first changes nothing, since what is left is being cleared away, and the next ends the process
    at once. `exit_code` is what a shell says of the signal, 0 where none came.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._asked_s: float | None = None
        self._left: str | None = None
        self._stop: Callable[[], object] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for name in ENDS:
            if name is not signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN:  # nohup stays nohup
                self._before[name] = signal.signal(name, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def check(self) -> None:
        """KeyboardInterrupt where a signal came."""
        if self._asked_s is not None:
            raise KeyboardInterrupt

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run it to its end in a loop of its own; a signal cancels it, and is a KeyboardInterrupt then."""
        try:
            return asyncio.run(self._cancelled_by_signal(work))
        except asyncio.CancelledError:
            self.check()
            raise

    def leave(self, left: str = "") -> None:
        """Clearing away begins; `left` is said where it is cut short."""
        self._left = left
        if left and self.exit_code:
            _say("deleting what it made; a second signal ends it at once")

    async def _cancelled_by_signal(self, work: Coroutine[Any, Any, Result]) -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)  # it wakes a loop that waits
        try:
            if self._asked_s is not None:  # it came while the loop was made
                self._stop()
            return await work
        finally:
            self._stop = None

    def _ask(self, number: int, _: FrameType | None) -> None:
        now_s = time.monotonic()
        is_first = self._asked_s is None
        if self._asked_s is not None and now_s - self._asked_s < SAME_S:
            return
        self._asked_s, self.exit_code = now_s, KILLED + number
        if self._left is not None:
            if not is_first:
                self._end_now(self._left)
        elif is_first and self._stop is not None:
            self._stop()
        else:
            raise KeyboardInterrupt

    def _end_now(self, left: str) -> None:
        if left:
            _say(left)
        os._exit(self.exit_code)


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(sys.stderr.fileno(), f"{text}\n".encode())
