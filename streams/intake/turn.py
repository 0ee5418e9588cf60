"""A turn of the counting thread: what was fetched goes through the lanes until there is much to tell.

Where little comes, going to the thread and back costs more than counting: so one turn serves all sources. Knows no
loop and no clock; what is told is written by the session.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

from detector.records.unpack import CorruptBatch, Unpacker
from streams.intake.fetch import Fetched, fetched
from streams.intake.half import Counted
from streams.intake.lane import Lane

__all__ = ["Part", "count_parts", "note_ends", "parts_of"]

TOLD_MAX = 1_000
"""Tallies and bad records after which they are written before more is counted."""
TOLD_BYTES = 1 << 24
"""So it is of bad records of so many bytes: a few bytes can inflate to 64 MiB that are one."""

Part = tuple[Lane, str, Fetched] | None
"""A lane, which topic of it, and what was fetched there. It holds until the next one is asked for. None: what follows
cannot be read, so what was counted is to be told before it is asked for."""


def parts_of(
    fetches: Mapping[TopicPartition, Sequence[Any]], lane_of: Callable[[TopicPartition], Lane], unpacker: Unpacker,
    corrupt: Count[str],
) -> Iterator[Part]:  # fmt: skip
    """What was fetched, partition after partition; `corrupt[topic]` counts what cannot be read. Raises KafkaError where
    bytes are broken."""
    for at, found in fetches.items():
        lane = lane_of(at)
        try:
            for part in fetched(found, unpacker):
                yield lane, at.topic, part
        except CorruptBatch as broken:
            corrupt[at.topic] += 1
            yield None
            raise CorruptRecordException(
                f"{at.topic} partition {at.partition}: {broken}; bring back a sound replica of the partition, or "
                "delete its records up to there with kafka-delete-records"
            ) from None


def count_parts(parts: Iterator[Part], room: int, clock_ms: int | None = None) -> tuple[Counted, bool]:
    """Count until there is much to tell, or no more can be read; whether to come again. There is `room` for so many
    dead letters; it is `clock_ms` o'clock. Raises KafkaError as `parts_of`."""
    counted, size = Counted([], [], []), 0
    for found in parts:
        if found is None:
            return counted, True
        lane, topic, part = found
        told = lane.count(topic, part, room - len(counted.bad), clock_ms)
        counted.add(told)
        size += sum(one.size for one in told.bad)
        if len(counted) >= TOLD_MAX or size >= TOLD_BYTES:
            return counted, True
    return counted, False


def note_ends(news: Iterable[tuple[Lane, dict[str, bool]]], clock_ms: int | None = None) -> Counted:
    """Say to lanes which of their topics are read to their ends, at what o'clock."""
    counted = Counted([], [], [])
    for lane, ends in news:
        counted.add(lane.end(ends, clock_ms))
    return counted
