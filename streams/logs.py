"""The worker's log on standard error: one line a record, and of libraries few, however often they say it.

Kafka's clients try again ten times a second and say so each time, and aiohttp tells of each question that is none: of
each place in their code one line a minute is kept, and none while the worker itself has said that Kafka is away. Where
nothing can be written (the disk behind standard error is full, or it is a pipe that nobody reads), lines are lost and
counted, and the work goes on. Does not know what is said.
"""

from __future__ import annotations

import logging
import select
import sys
import time
from collections.abc import Callable
from typing import IO, Final

__all__ = ["Log", "Overheard", "set_up_logging"]

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LIBRARIES: Final = ("aiohttp", "aiokafka", "faust", "kafka", "mode", "numba", "asyncio")
REPEAT_S: Final = 60.0
PLACES_MAX: Final = 1_000
SENDER: Final = "aiokafka.producer.sender"
PATIENCE_S: Final = 0.1
"""So long a full pipe is waited for, once: who reads it may be slow."""


class _OneLine(logging.Formatter):
    """Every record is one line, tracebacks too, so that a line is never somebody else's half."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", " | ")


class _Repeats(logging.Filter):
    """Of what a library says, one line a minute from each place in its code, with how many were left out since."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._said: dict[tuple[str, int], tuple[float, int]] = {}
        self.is_known: Callable[[], bool] = lambda: False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; what is left out is counted."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        place, now_s = (record.pathname, record.lineno), self._clock_s()
        said_s, left_out = self._said.get(place, (-REPEAT_S, 0))
        if self.is_known() or now_s - said_s < REPEAT_S or len(self._said) >= PLACES_MAX:
            if place in self._said or len(self._said) < PLACES_MAX:
                self._said[place] = (said_s, left_out + 1)
            return False
        self._said[place] = (now_s, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more like it)", None
        return True


class Overheard(logging.Filter):
    """Why writes are refused: Kafka's producer tries again for ever and tells only its log."""

    def __init__(self) -> None:
        super().__init__()
        self.error: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Nothing is left out here."""
        for said in record.args if isinstance(record.args, tuple) else ():
            kind = said if isinstance(said, type) else type(said)
            if issubclass(kind, Exception):
                self.error = kind.__name__
        return True


class Log(logging.StreamHandler[IO[str]]):
    """Writes the lines. `lost` counts those that could not be written since a line last could, `why` is the error.

    `is_known` may be set: while it says so, what libraries say is left out.
    """

    def __init__(self, stream: IO[str], clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self.setFormatter(_OneLine(FORMAT))
        self._repeats = _Repeats(clock_s)
        self.addFilter(self._repeats)
        self.lost = 0
        self.why = ""
        self.overheard = Overheard()

    def leave_out(self, is_known: Callable[[], bool]) -> None:
        """What libraries say is left out while this holds."""
        self._repeats.is_known = is_known

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if not self._has_room():
            self.lost += 1
            self.why = "a full pipe that nobody reads"
            return
        before = self.lost
        super().emit(record)
        if self.lost == before:
            self.lost = 0

    def _has_room(self) -> bool:
        """Whether a line can be written without waiting for whoever reads it: the event loop would wait, too."""
        try:
            return bool(select.select([], [self.stream], [], 0.0 if self.lost else PATIENCE_S)[1])
        except (OSError, ValueError):
            return True  # no file of the system's, or one that cannot be asked

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name of the standard library
        """A line is lost; a mistake in the call itself is shown as ever."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.lost += 1
        self.why = error.strerror or type(error).__name__


def set_up_logging() -> Log:
    """One format for every line of the process, on standard error; of libraries only warnings."""
    handler = Log(sys.stderr)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(SENDER).addFilter(handler.overheard)
    return handler
