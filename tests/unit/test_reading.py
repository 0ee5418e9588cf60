"""Walking through a topic that is too much to be held."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import TopicPartition

from streams.errors import UserError
from streams.reading import Place, Reader, Span


@dataclass
class Raw:
    """A record as the client gives it; its time is its offset."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[()] = ()


@dataclass
class Consumer:
    """A topic with so many records a partition, of which a poll gives some; none beyond `stuck`."""

    stored: list[int]
    stuck: int = 10**9
    paused: set[TopicPartition] = field(default_factory=set)
    places: dict[TopicPartition, int] = field(default_factory=lambda: defaultdict(int))
    assigned: list[TopicPartition] = field(default_factory=list)
    polled_max: int = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        """As the client."""
        return set(range(len(self.stored)))

    def beginning_offsets(self, found: list[TopicPartition]) -> dict[TopicPartition, int]:
        """As the client."""
        return dict.fromkeys(found, 0)

    def end_offsets(self, found: list[TopicPartition]) -> dict[TopicPartition, int]:
        """As the client."""
        return {at: self.stored[at.partition] for at in found}

    def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        """As the client."""
        return {at: Raw(at.topic, at.partition, ms) if ms < self.stored[at.partition] else None
                for at, ms in times.items()}  # fmt: skip

    def assign(self, found: list[TopicPartition]) -> None:
        """As the client, which keeps who is paused."""
        self.assigned = found

    def resume(self, *found: TopicPartition) -> None:
        """As the client."""
        self.paused -= set(found)

    def pause(self, *found: TopicPartition) -> None:
        """As the client."""
        self.paused |= set(found)

    def seek(self, at: TopicPartition, offset: int) -> None:
        """As the client."""
        self.places[at] = offset

    def position(self, at: TopicPartition) -> int:
        """As the client."""
        return self.places[at]

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Raw]]:
        """At most three records a partition."""
        found: dict[TopicPartition, list[Raw]] = {}
        for at in set(self.assigned) - self.paused:
            stop = min(self.places[at] + 3, self.stored[at.partition], self.stuck)
            found[at] = [Raw(at.topic, at.partition, offset) for offset in range(self.places[at], stop)]
            self.places[at] = max(stop, self.places[at])
        self.polled_max = max(self.polled_max, *map(len, found.values()), 0)
        return found


def walked(reader: Reader, span: Span) -> list[Place]:
    """The places of all records of a span."""
    return sorted(record.place for records in reader.walk(span) for record in records)


def test_a_span_is_walked_to_its_end_once_and_again() -> None:
    """Every record of it, in each partition, though one ends before the other; nothing that came later."""
    consumer = Consumer([7, 2, 0])
    reader = Reader(consumer, 1.0)
    span = reader.span("t", 1_000)
    consumer.stored = [9, 9, 9]
    expected = [Place("t", 0, at) for at in range(7)] + [Place("t", 1, at) for at in range(2)]
    assert walked(reader, span) == expected
    assert walked(reader, span) == expected
    assert span.left_out == 0


def test_a_span_says_what_it_leaves_out() -> None:
    """What is older than the newest that may be read, counted from the moment that is asked for; what one partition
    does not need the other has."""
    reader = Reader(Consumer([10, 2]), 1.0)
    span = reader.span("t", 8)
    assert ([span.starts[TopicPartition("t", at)] for at in (0, 1)], span.left_out) == ([4, 0], 4)
    late = reader.span("t", 8, since_ms=1)
    assert ([late.starts[TopicPartition("t", at)] for at in (0, 1)], late.left_out) == ([3, 1], 2)
    assert reader.span("t", 8, since_ms=99) == Span({}, {TopicPartition("t", 0): 10, TopicPartition("t", 1): 2}, 0)


def test_places_are_read_that_are_there() -> None:
    """Only those that are asked for."""
    found = Reader(Consumer([10, 2]), 1.0).at([Place("t", 0, 4), Place("t", 1, 1), Place("t", 0, 9)])
    assert sorted(found) == [Place("t", 0, 4), Place("t", 0, 9), Place("t", 1, 1)]
    assert Reader(Consumer([10]), 1.0).at([]) == {}


def test_a_walk_that_hears_nothing_more_ends() -> None:
    """It goes on as long as records come, and says what to do where they no longer do."""
    with pytest.raises(UserError, match=r"t must be read to its end; got nothing more for 0 s; try again"):
        walked(Reader(Consumer([10], stuck=5), 0.0), Span({TopicPartition("t", 0): 0}, {TopicPartition("t", 0): 10}))
