"""Reading the tallies log with a consumer of one's own, without a group: what a new Judge must know from before.

Knows offsets and Kafka's times; does not know what becomes of a record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from detector.counting.tally import Marker, Tally
from streams.settings import Settings
from streams.stopping import stop_consumer
from streams.tallylog import unpack

__all__ = ["Logged", "Mark", "TallyReader", "decoded", "open_tally_reader"]

log = logging.getLogger(__name__)

FETCH_MS = 500
BATCH_MAX = 250
ROUNDED_MS = 1
"""A time that went through Faust's seconds may be a millisecond off."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A Kafka record of the tallies log: where it stands, Kafka's time of it, what it says in order."""

    offset: int
    time_ms: int
    records: Sequence[Tally | Marker]


def decoded(value: bytes | None, offset: int) -> Sequence[Tally | Marker]:
    """What a record says; nothing, with a line in the log, for bytes that Pastille did not write."""
    try:
        return unpack(value or b"")
    except (msgspec.MsgspecError, ValueError) as error:
        log.warning("verdict: record %d of the tallies log is not ours and is passed over: %s", offset, error)
        return ()


class Mark(NamedTuple):
    """How far the log was taken: the offset of the record that is next, and Kafka's time of the one before it; 0 where
    none was."""

    next: int
    time_ms: int


class TallyReader:
    """Reads stretches of the one partition of the tallies log."""

    def __init__(self, consumer: AIOKafkaConsumer, at: TopicPartition) -> None:
        self._consumer, self._at = consumer, at

    async def first_since(self, time_ms: int) -> int:
        """The offset of the first record written at or after a time; the end where there is none."""
        found = (await self._consumer.offsets_for_times({self._at: max(0, time_ms)}))[self._at]
        return await self.end() if found is None else int(found.offset)

    async def beginning(self) -> int:
        """The first offset that the log still has."""
        return int((await self._consumer.beginning_offsets([self._at]))[self._at])

    async def end(self) -> int:
        """The offset that the next record will have."""
        return await self.end_of(self._at.topic)

    async def end_of(self, topic: str) -> int:
        """The same of another topic of one partition."""
        at = TopicPartition(topic, 0)
        return int((await self._consumer.end_offsets([at]))[at])

    async def holds(self, mark: Mark) -> bool:
        """Whether the record before the mark is the one that Kafka took then. So it is, too, where that was deleted at
        the log's start, and nobody can tell. The log must reach so far."""
        if mark.time_ms == 0 or await self.beginning() >= mark.next:
            return True
        async for batch in self.between(mark.next - 1, mark.next):
            for found in batch:
                return abs(found.time_ms - mark.time_ms) <= ROUNDED_MS
        return True

    async def between(self, start: int, stop: int) -> AsyncIterator[list[Logged]]:
        """The records from offset `start` up to `stop`, in batches; opened beside the event loop, for there may be an
        hour of them."""
        self._consumer.seek(self._at, start)
        while await self._consumer.position(self._at) < stop:
            batches = await self._consumer.getmany(self._at, timeout_ms=FETCH_MS, max_records=BATCH_MAX)
            found = [record for record in batches.get(self._at, ()) if record.offset < stop]
            yield await asyncio.to_thread(_logged, found)


def _logged(found: Sequence[Any]) -> list[Logged]:
    return [Logged(record.offset, record.timestamp, decoded(record.value, record.offset)) for record in found]


@asynccontextmanager
async def open_tally_reader(settings: Settings) -> AsyncIterator[TallyReader]:
    """Connect. Raises aiokafka's KafkaError where no broker answers."""
    at = TopicPartition(settings.topics.tallies, 0)
    consumer = AIOKafkaConsumer(**settings.aiokafka(), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([at])
        yield TallyReader(consumer, at)
    finally:
        await stop_consumer(consumer)
