"""Whether the topics under the Judge are still those that it took and wrote, asked once a second.

The end of a log may be lost with its leader, where one that lacked it is elected, and a topic may be deleted and made
again. Then other tallies come to stand at the offsets that the Judge has behind it, and Faust drops them as read; or
nobody finds the start of an outage that is open. Knows how far both topics were known; not what a tenure is, nor what
becomes of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Count
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from streams.cancelled import lost_is_an_error
from streams.settings import Settings
from streams.verdict.loglost import LogLost
from streams.verdict.tallyreader import Mark, TallyReader, open_tally_reader

__all__ = ["Footing"]

LOOK_S: Final = 1.0
SHORT_MAX: Final = 10
"""Looks in a row at which a topic ends too early: a leader that is new may not know all of its end for a moment."""


class Stood(Protocol):
    """Who stands on them."""

    @property
    def mark(self) -> Mark:
        """How far the tallies were taken."""

    @property
    def told(self) -> int:
        """The offset behind the newest outage event that is known."""


class Footing:
    """Asks of the topics under who judges; `stood` gives that, None where nobody here does."""

    def __init__(self, settings: Settings, stood: Callable[[], Stood | None]) -> None:
        self._topics, self._settings, self._stood = settings.topics, settings, stood
        self._known: Mark | None = None
        self._short: Count[str] = Count()

    async def run(self, lost: Callable[[KafkaError], Awaitable[None]]) -> None:
        """Call `lost` where one is another. Never returns; that Kafka does not answer is others' to say."""
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
        self._known = None
        if self._stood() is None:
            return
        async with open_tally_reader(self._settings) as reader:
            while (stood := self._stood()) is not None:
                await self.look(reader, stood)
                await asyncio.sleep(LOOK_S)

    async def look(self, reader: TallyReader, stood: Stood) -> None:
        """Ask once. Of the tallies that were taken by the look before: what came since tells nothing. Raises
        LogLost."""
        mark, known = stood.mark, self._known
        self._known = mark
        await self._reaches(reader, self._topics.outages, stood.told)
        if known is None or mark < known:  # another tenure
            self._short.clear()
        elif not await self._reaches(reader, self._topics.tallies, known.next):
            self._known = known
        elif not await reader.holds(known):
            raise LogLost(self._topics.tallies, f"has another record before offset {known.next} than was taken")

    async def _reaches(self, reader: TallyReader, topic: str, offset: int) -> bool:
        """Whether a topic goes so far. Raises LogLost where it does not for too long."""
        end = await reader.end_of(topic)
        self._short[topic] = self._short[topic] + 1 if end < offset else 0
        if self._short[topic] >= SHORT_MAX:
            self._short.clear()
            raise LogLost(topic, f"was known up to offset {offset} and ends at {end}")
        return end >= offset
