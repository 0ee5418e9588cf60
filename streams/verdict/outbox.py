"""The outbox: outage events and health records, each written once, by the one Judge that is not fenced.

A transactional producer with a fixed id: a new Judge's outbox fences the old one's. What the outages topic holds is the
truth; only what is not there yet is written. Does not know why an outage is one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from pydantic import ValidationError

from detector.contracts.models import HealthRecord, OutageData, OutageEvent, cloud_event
from detector.judging.outage import Change
from streams.loopclock import loop_s
from streams.settings import Settings
from streams.stopping import stop_consumer, stop_producer
from streams.verdict.loglost import LogLost

__all__ = ["Fenced", "Outbox", "TransactionLost", "Written"]

log = logging.getLogger(__name__)

BATCH_MAX = 500
READ_MS = 500
TRANSACTION_MS = 60_000
LOST_S = TRANSACTION_MS / 1000
"""Kafka gives up a transaction that has lasted so long, at the next look."""
RATES_MS = 30_000
"""A scope of which nothing but the rates has changed is told again this often."""


class Fenced(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """A newer Judge writes now; this one must stop."""

    def __init__(self) -> None:
        super().__init__("a newer Judge has taken over")


class TransactionLost(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """Kafka gave a transaction up that took longer than it may: no broker was there, or none took it.

    Kafka fences who began it, with the same word as for a newer Judge; nothing of the transaction is on the topics.
    """


@dataclass(slots=True)
class Written:
    """What the outages topic holds: the newest data of each outage, and which events are there."""

    newest: dict[str, OutageData] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def see(self, event: OutageEvent) -> None:
        """Take an event that stands on the topic."""
        self._see(event.type.split(".")[2], event.data)

    def add(self, change: Change) -> None:
        """Take a change that was written."""
        self._see(change.type, change.data)

    def lacks(self, change: Change) -> bool:
        """Whether this change is not on the topic yet: started and resolved by id, updates by when they were found."""
        data = change.data
        known = self.newest.get(data.outage_id)
        if change.type == "started":
            return known is None
        if data.outage_id in self.ended:
            return False
        is_newer = known is None or (data.updated_at, data.sequence) > (known.updated_at, known.sequence)
        return change.type == "resolved" or is_newer

    def news(self, changes: Iterable[Change]) -> list[Change]:
        """The changes that are not on the topic yet, numbered on from there: a Judge that judged the log anew, by newer
        statistics, may have less or more to say of an open outage than the one before it, and is heard all the same."""
        found: list[Change] = []
        told: dict[str, int] = {}
        for change in filter(self.lacks, changes):
            data = change.data
            known = self.newest.get(data.outage_id)
            number = told.get(data.outage_id, data.sequence - 1 if known is None else known.sequence) + 1
            if number != data.sequence:
                log.warning("verdict: %s %s: what would be its event %d is told as event %d: the topic knows others",
                            data.outage_id, change.type, data.sequence, number)  # fmt: skip
            told[data.outage_id] = number
            found.append(replace(change, data=data.model_copy(update={"sequence": number})))
        return found

    def _see(self, type_: str, data: OutageData) -> None:
        known = self.newest.get(data.outage_id)
        if known is None or data.sequence >= known.sequence:
            self.newest[data.outage_id] = data
        if type_ == "resolved":
            self.ended.add(data.outage_id)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the health topic says of a scope: the record, it without its rates, and when it was written."""

    text: bytes
    essence: tuple[object, ...]
    at_ms: int


class Outbox:
    """Writes changes and health in transactions; `written` is what the outages topic holds.

    `end` is the offset behind the newest event that it read or wrote. `writing_since_s`: when the transaction began
    that is not answered yet, on the loop's clock.
    """

    def __init__(self, settings: Settings, wall_ms: Callable[[], int]) -> None:
        self._settings, self._wall_ms = settings, wall_ms
        self._told: dict[str, _Told] = {}
        self.written = Written()
        self.end = 0
        self.writing_since_s: float | None = None
        self._producer = AIOKafkaProducer(
            **settings.aiokafka(),
            transactional_id=settings.judge_group,
            transaction_timeout_ms=TRANSACTION_MS,
            acks="all",
            linger_ms=0,
        )

    async def start(self) -> None:
        """Fence whoever wrote before, then read the outages topic to its end."""
        await self._producer.start()
        async for record in _read_to_end(self._settings, self._settings.topics.outages):
            self.end = record.offset + 1
            event = _outage_event(record.value)
            if event is not None:
                self.written.see(event)

    async def stop(self) -> None:
        """Disconnect; an open transaction is aborted by the broker."""
        await stop_producer(self._producer)

    async def write(self, changes: Sequence[Change]) -> list[Change]:
        """Write the changes that are not there yet in one transaction; which those were. Raises Fenced, KafkaError."""
        news = self.written.news(changes)
        values = [
            (self._settings.topics.outages, change.data.outage_id, _encode_event(change, self._wall_ms()))
            for change in news
        ]
        await self._send(values)
        for change in news:
            self.written.add(change)
        return news

    async def write_health(self, health: Iterable[HealthRecord]) -> None:
        """Write, in one transaction, the records of scopes that are not as the topic says. Raises as `write`."""
        news = {record.key: told for record in health if (told := self._news(record)) is not None}
        await self._send([(self._settings.topics.health, key, told.text) for key, told in news.items()])
        self._told.update(news)

    async def is_ours(self) -> bool:
        """Whether nobody has fenced this outbox: some record of the health topic is written as it stands there.

        False too where there is none yet to write. Raises KafkaError.
        """
        if not self._told:
            return False
        key, told = next(iter(self._told.items()))
        try:
            await self._send([(self._settings.topics.health, key, told.text)])
        except Fenced:
            return False
        return True

    async def _send(self, records: Sequence[tuple[str, str, bytes]]) -> None:
        """Topic, key and value of each."""
        if not records:
            return
        self.writing_since_s = began_s = loop_s()
        try:
            async with self._producer.transaction():
                writes = [
                    await self._producer.send(topic, value, key=key.encode(), partition=0)
                    for topic, key, value in records
                ]
                # A commit does not look at what a leader did not take.
                self._note_end(await asyncio.gather(*writes))
        except ProducerFenced:
            took_s = loop_s() - began_s
            raise TransactionLost(f"it took {took_s:.0f} s") if took_s >= LOST_S else Fenced from None
        finally:
            self.writing_since_s = None

    def _note_end(self, written: Iterable[Any]) -> None:
        """Raises LogLost where an event came to stand where another stood, and the transaction is given up."""
        for one in written:
            if one.topic == self._settings.topics.outages:
                if one.offset < self.end:
                    raise LogLost(one.topic, f"was known up to offset {self.end} and goes on at {one.offset}")
                self.end = one.offset + 1

    def _news(self, record: HealthRecord) -> _Told | None:
        """The record as JSON; None where the topic says the same, or nearly the same and that not long ago."""
        essence, now_ms = _essence(record), self._wall_ms()
        before = self._told.get(record.key)
        if before is not None and before.essence == essence and 0 <= now_ms - before.at_ms < RATES_MS:
            return None
        text = record.model_dump_json().encode()
        return None if before is not None and before.text == text else _Told(text, essence, now_ms)


def _essence(record: HealthRecord) -> tuple[object, ...]:
    """All that a record says but the rates."""
    return record.status, record.since, record.outage_id, tuple(record.alternatives), record.reason


def _encode_event(change: Change, wall_ms: int) -> bytes:
    # The id is a function of the change: whoever passes it on at least once can still tell copies.
    data = change.data
    return msgspec.json.encode(cloud_event(data, change.type, f"{data.outage_id}:{data.sequence}", wall_ms))


def _outage_event(value: bytes | None) -> OutageEvent | None:
    try:
        return OutageEvent.model_validate_json(value or b"")
    except ValidationError:
        return None  # not ours: somebody else wrote to the topic


async def _read_to_end(settings: Settings, topic: str) -> AsyncIterator[Any]:
    """Every committed record of a topic's one partition, up to its end now."""
    at = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        **settings.aiokafka(), isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([at])
        end = (await consumer.end_offsets([at]))[at]
        await consumer.seek_to_beginning(at)
        while await consumer.position(at) < end:
            for record in (await consumer.getmany(at, timeout_ms=READ_MS, max_records=BATCH_MAX)).get(at, ()):
                yield record
    finally:
        await stop_consumer(consumer)
