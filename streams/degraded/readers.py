"""Whether those who must read the outages do: a pager that is down, or stuck, is blind and cannot say so itself.

Asks Kafka about the groups that the settings name: does each have a member, and how old is the oldest event that it
has not read. Does not know what a reader does with an outage, and reads for nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.admin import admin_client, group_has_member
from streams.errors import UserError
from streams.settings import Settings

__all__ = ["OutageReaders", "Reading"]

ANSWER_MS: Final = 5_000
READ_S: Final = 5.0
POLL_MS: Final = 500
GONE_MAX: Final = 2
"""Looks in a row at which a group has no member: one that is started anew is away for one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a group does: whether it has a member, and for how long its oldest unread event has waited (0: none)."""

    group: str
    is_there: bool
    unread_s: float


class OutageReaders:
    """The groups of `outage_readers`. `readings` is what was seen at the newest look; none where nothing is asked."""

    def __init__(self, settings: Settings, wall_ms: Callable[[], int]) -> None:
        self._settings, self._wall_ms = settings, wall_ms
        self._at = TopicPartition(settings.topics.outages, 0)
        self._first_end: int | None = None
        self._gone: dict[str, int] = {}
        self.readings: tuple[Reading, ...] = ()

    async def look(self, is_ours: bool) -> None:
        """Ask once, where this worker judges: one that asks is enough. What cannot be asked stays as it was."""
        if not self._settings.outage_readers or not is_ours:
            self.readings, self._gone = (), {}
            return
        try:
            readings = await asyncio.to_thread(self._asked)
        except (UserError, KafkaError):
            return  # Kafka is away, which is another reason's to say
        self.readings = tuple(readings)
        self._gone = {one.group: 0 if one.is_there else self._gone.get(one.group, 0) + 1 for one in readings}

    @property
    def problem(self) -> str | None:
        """Who does not read, and what to do; None where all do."""
        found = [text for reading in self.readings if (text := self._wrong(reading)) is not None]
        if not found:
            return None
        return (
            f"{self._at.topic} must be read, or nobody is called; got {', '.join(found)}; start these readers, look at "
            "their logs, or take them out of PASTILLE_OUTAGE_READERS"
        )

    def _wrong(self, reading: Reading) -> str | None:
        if self._gone.get(reading.group, 0) >= GONE_MAX:
            return f"group {reading.group} without a member"
        if reading.unread_s > self._settings.outage_reader_behind_s:
            return f"group {reading.group} with an event unread for {reading.unread_s:.0f} s"
        return None

    # In a thread

    def _asked(self) -> list[Reading]:
        names = self._settings.outage_readers
        with admin_client(self._settings, answer_ms=ANSWER_MS) as admin:
            known = group_has_member(admin)
            there = [name for name in names if name in known]
            committed = {name: self._committed(admin, name) for name in there}
        consumer = KafkaConsumer(
            **self._settings.kafka_python(), isolation_level="read_committed", enable_auto_commit=False,
            auto_offset_reset="earliest", bootstrap_timeout_ms=ANSWER_MS, request_timeout_ms=ANSWER_MS,
        )  # fmt: skip
        try:
            end = int(consumer.end_offsets([self._at])[self._at])
            self._first_end = end if self._first_end is None else self._first_end
            # A group that has committed nothing has read what was there when it was first looked at.
            places = {name: self._first_end if committed.get(name) is None else committed[name] for name in names}
            unread_s = {name: self._unread_s(consumer, place, end) for name, place in places.items()}
            return [Reading(name, known.get(name, False), unread_s[name]) for name in names]
        finally:
            consumer.close(autocommit=False)

    def _committed(self, admin: Any, group: str) -> int | None:
        found = admin.list_group_offsets([group])[group].get(self._at)
        return None if found is None or found.offset < 0 else int(found.offset)

    def _unread_s(self, consumer: Any, place: int | None, end: int) -> float:
        """The age of the first event from a place on: the end of a transaction stands there too, and is none."""
        for record in self._records(consumer, place, end):
            return max(0.0, (self._wall_ms() - int(record.timestamp)) / 1000)
        return 0.0

    def _records(self, consumer: Any, place: int | None, end: int) -> Iterator[Any]:
        if place is None or place >= end:
            return
        consumer.assign([self._at])
        consumer.seek(self._at, place)
        until_s = time.monotonic() + READ_S
        while consumer.position(self._at) < end and time.monotonic() < until_s:
            yield from consumer.poll(timeout_ms=POLL_MS, max_records=1).get(self._at, ())
