"""Whether the tallies log is still the one that the Judge has taken, asked once a second.

Its end may be lost with a leader, where one that lacked it was elected, and the topic may be deleted and made again.
Then other records come to stand at the offsets that the Judge has behind it, and Faust drops them as read. Knows the
log and how far it was taken; not what a tenure is, nor what becomes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from streams.cancelled import lost_is_an_error
from streams.settings import Settings
from streams.verdict.tallyreader import Mark, TallyReader, open_tally_reader

__all__ = ["Footing", "LogLost"]

LOOK_S: Final = 1.0
SHORT_MAX: Final = 10
"""Looks in a row at which a log ends too early: a leader that is new may not know all of its end for a moment."""


class LogLost(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """A log is another than the Judge took."""


class Stood(Protocol):
    """What stands on the log."""

    @property
    def mark(self) -> Mark:
        """How far it was taken."""


class Footing:
    """Asks of the log under who judges; `stood` gives that, None where nobody here does."""

    def __init__(self, settings: Settings, stood: Callable[[], Stood | None]) -> None:
        self._settings, self._stood = settings, stood
        self._known: Mark | None = None
        self._short = 0

    async def run(self, lost: Callable[[KafkaError], Awaitable[None]]) -> None:
        """Call `lost` where the log is another. Never returns; that Kafka does not answer is others' to say."""
        while True:
            try:
                with lost_is_an_error():
                    await self._follow()
            except LogLost as error:
                await lost(error)
            except KafkaError:
                pass
            await asyncio.sleep(LOOK_S)

    async def _follow(self) -> None:
        if self._stood() is None:
            return
        self._known = None
        async with open_tally_reader(self._settings) as reader:
            while self._stood() is not None:
                await self.look(reader)
                await asyncio.sleep(LOOK_S)

    async def look(self, reader: TallyReader) -> None:
        """Ask once, of what was taken by the look before: what came since tells nothing. Raises LogLost."""
        stood, known = self._stood(), self._known
        mark = None if stood is None else stood.mark
        is_the_same = known is not None and mark is not None and known <= mark
        self._known = mark
        if known is None or not is_the_same:
            self._short = 0
            return
        end = await reader.end()
        if end < known.next:
            self._known, self._short = known, self._short + 1
            self._require(self._short < SHORT_MAX, f"was taken up to offset {known.next} and ends at {end}")
            return
        self._short = 0
        holds = await reader.holds(known)
        self._require(holds, f"has another record before offset {known.next} than was taken")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            topic = self._settings.topics.tallies
            raise LogLost(f"topic {topic} {what}: it was made again, or its end was lost")
