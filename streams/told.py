"""How a worker is told to end, and what becomes of that before it has anything to end.

Imports next to nothing: who stops a container that has just begun need not wait until it ends it by force.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Final

__all__ = ["ENDS", "hear"]

ENDS: Final = (signal.SIGTERM, signal.SIGINT)


def hear() -> None:
    """Be told to end from now on; until the worker itself hears that, the process is over at once, with exit code 0 as
    later. What came while it was another (`streams.coldstart`) was blocked, and is heard now."""
    for number in ENDS:
        signal.signal(number, _told)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _told(number: int, _: FrameType | None) -> None:
    with suppress(OSError):  # nobody reads it, or its disk is full
        os.write(2, f"worker: got {signal.Signals(number).name}; stopping before it has begun\n".encode())
    os._exit(0)
