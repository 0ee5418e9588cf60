"""Reading the newest records of topics once, within a limit of records and of time: what commands look at. What is
too much to be held is walked through instead.

Knows Kafka's client and its errors, which it words for a person; not what the records mean. It joins no consumer
group and commits nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.admin import admin_client, asked_again
from streams.errors import UserError
from streams.settings import Settings

RECORDS_MAX: Final = 200_000
"""Records read at most by one call, over all partitions."""
CONNECT_MS: Final = 10_000
POLL_MS: Final = 500

# Without a handler of its own, the client's complaints would go to the terminal beside our one sentence.
logging.getLogger("kafka").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stands, written `topic/partition/offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record as Kafka has it; `timestamp_ms` is Kafka's own."""

    place: Place
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Newest:
    """What was read: records by topic in the order of partition and offset, and how many each topic keeps in all."""

    records: dict[str, list[Record]]
    stored: dict[str, int]
    cut_short: bool
    """Time was up before everything asked for was read."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a topic, by partition; `left_out` counts the older records that were asked for and are not in it."""

    starts: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]
    left_out: int = 0


class Reader:
    """A connection for reading; made by `open_reader`. `seconds` bound each call of `newest`, and how long `walk`
    waits for the next record."""

    def __init__(self, consumer: Any, seconds: float) -> None:
        self._consumer = consumer
        self._seconds = seconds

    def partitions(self) -> dict[str, int]:
        """How many partitions each topic of the cluster has."""
        return {name: len(self._consumer.partitions_for_topic(name)) for name in asked_again(self._consumer.topics)}

    def newest(self, topics: Sequence[str], per_partition: int, since_ms: int | None = None) -> Newest:
        """The newest records of existing topics: at most `per_partition`, none with a Kafka time before `since_ms`."""
        ends, stored = self._spans(topics)
        most = min(per_partition, RECORDS_MAX // max(len(ends), 1))
        records, cut_short = self._read(self._starts(ends, stored, most, since_ms), ends)
        kept = {name: sum(n for at, n in stored.items() if at.topic == name) for name in topics}
        return Newest(_by_topic(topics, records), kept, cut_short)

    def span(self, topic: str, most: int, since_ms: int | None = None) -> Span:
        """An existing topic to its present end: at most `most` records, none with a Kafka time before `since_ms`."""
        ends, stored = self._spans([topic])
        asked = self._starts(ends, stored, max(stored.values(), default=0), since_ms)
        starts, room = {}, most
        by_size = sorted(asked, key=lambda at: ends[at] - asked[at])
        for left, at in zip(range(len(asked), 0, -1), by_size, strict=True):  # what one does not need the others have
            starts[at] = max(asked[at], ends[at] - room // left)
            room -= ends[at] - starts[at]
        return Span(starts, ends, sum(starts[at] - asked[at] for at in asked))

    def walk(self, span: Span) -> Iterator[list[Record]]:
        """The records of a span, some at a time, each partition's in order; nothing is held.

        Raises UserError where none comes for `seconds`.
        """
        heard = time.monotonic()
        for records, unread in self._polls(span.starts, span.ends):
            if records:
                yield records
                heard = time.monotonic()
            elif unread and time.monotonic() - heard > self._seconds:
                names = ", ".join(sorted({at.topic for at in span.starts}))
                raise UserError(
                    f"{names} must be read to its end; got nothing more for {self._seconds:.0f} s; try again, or "
                    "begin later with --since"
                )

    def at(self, places: Collection[Place]) -> dict[Place, Record]:
        """The records that stand at these places, as far as they are still there."""
        starts: dict[TopicPartition, int] = {}
        ends: dict[TopicPartition, int] = {}
        for place in places:
            at = TopicPartition(place.topic, place.partition)
            starts[at] = min(starts.get(at, place.offset), place.offset)
            ends[at] = max(ends.get(at, 0), place.offset + 1)
        wanted = set(places)
        walked = self.walk(Span(starts, ends))
        return {record.place: record for records in walked for record in records if record.place in wanted}

    def _spans(self, topics: Sequence[str]) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Each partition's end offset, and how many offsets lie before it."""
        found = [TopicPartition(name, at) for name in topics for at in self._consumer.partitions_for_topic(name)]
        if not found:
            return {}, {}
        begins = self._consumer.beginning_offsets(found)
        ends = self._consumer.end_offsets(found)
        return ends, {at: ends[at] - begins[at] for at in found}

    def _starts(
        self,
        ends: dict[TopicPartition, int],
        stored: dict[TopicPartition, int],
        per_partition: int,
        since_ms: int | None,
    ) -> dict[TopicPartition, int]:
        """Where to begin reading, for the partitions that have something to read."""
        starts = {at: ends[at] - min(per_partition, stored[at]) for at in ends}
        if since_ms is not None and ends:
            found = self._consumer.offsets_for_times(dict.fromkeys(ends, since_ms))
            # A partition without a record that new has no offset for the time: there is nothing to read.
            starts = {at: max(starts[at], found[at].offset if found.get(at) else ends[at]) for at in ends}
        return {at: start for at, start in starts.items() if start < ends[at]}

    def _read(self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> tuple[list[Record], bool]:
        give_up = time.monotonic() + self._seconds
        records: list[Record] = []
        unread = bool(starts)
        for more, more_comes in self._polls(starts, ends):
            records += more
            unread = more_comes
            if time.monotonic() >= give_up:
                break
        return records, unread

    def _polls(
        self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> Iterator[tuple[list[Record], bool]]:
        """What each poll gives, and whether something is unread still; until nothing is."""
        self._consumer.assign(list(starts))
        self._consumer.resume(*starts)
        for at, start in starts.items():
            self._consumer.seek(at, start)
        unread = set(starts)
        while unread:
            polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=10_000)
            records = [_record(raw) for at, batch in polled.items() for raw in batch if raw.offset < ends[at]]
            # The position also passes what is no record: markers of transactions, records compacted away.
            unread = {at for at in unread if self._consumer.position(at) < ends[at]}
            self._consumer.pause(*(set(starts) - unread))
            yield records, bool(unread)


@contextmanager
def open_reader(settings: Settings, seconds: float = 30.0) -> Iterator[Reader]:
    """Connect. Raises UserError where no broker answers or lets us in."""
    with admin_client(settings, answer_ms=CONNECT_MS):
        pass  # it finds out why it cannot connect, which the consumer does not say
    with worded_errors(settings):
        consumer = KafkaConsumer(
            **settings.kafka_python(),
            allow_auto_create_topics=False,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=CONNECT_MS,
            request_timeout_ms=CONNECT_MS,
        )
        try:
            yield Reader(consumer, seconds)
        finally:
            consumer.close(autocommit=False)


@contextmanager
def worded_errors(settings: Settings) -> Iterator[None]:
    """Turn the client's errors into one sentence for a person; no secret is in it."""
    try:
        yield
    except KafkaError as error:
        raise UserError(
            f"Kafka at {settings.broker} does not serve us; got {type(error).__name__}; check that it runs, "
            "--broker (PASTILLE_BROKER), and the PASTILLE_… security settings"
        ) from None


def _record(raw: Any) -> Record:
    headers = tuple((name, value) for name, value in raw.headers or ())
    return Record(Place(raw.topic, raw.partition, raw.offset), raw.timestamp, raw.key, raw.value, headers)


def _by_topic(topics: Sequence[str], records: list[Record]) -> dict[str, list[Record]]:
    grouped: dict[str, list[Record]] = {name: [] for name in topics}
    for record in sorted(records, key=lambda record: record.place):
        grouped[record.place.topic].append(record)
    return grouped
