"""Which topics are read, which sources exist, and whether a payment's events meet in one source.

Knows feeds, partition counts and Kafka's default partitioner; reads no topic itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiokafka.partitioner import murmur2

from detector.counting.tally import Source
from streams.errors import UserError
from streams.settings import Feed

__all__ = ["ORDERS", "PAYMENTS", "SAMPLE_EVENTS", "KeyCheck", "Place", "Placing", "place"]

PAYMENTS, ORDERS = 0, 1
"""The Counter's numbers for the two topics of a feed."""

SAMPLE_EVENTS = 1
"""Events looked at of every batch: to read one again, and hash its key, takes as long as to count some fifty."""
MISMATCH_SHARE_MAX = 0.01
JUDGED_FROM = 100
"""Sampled records before a share of mismatches means anything."""
SAMPLED_MAX = 2_000
"""So many count whole, and half after as many again: what was mended, or lay rightly before partitions came, fades."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a topic is to Pastille."""

    feed: str
    kind: int


@dataclass(frozen=True, slots=True)
class Placing:
    """The topics to read, what each is, how many partitions each feed has, and what is odd, in sentences."""

    topics: Mapping[str, Place]
    layout: Mapping[str, int]
    warnings: tuple[str, ...]

    def sources(self) -> Iterator[Source]:
        """Every source there is."""
        return (Source(feed, index) for feed, partitions in self.layout.items() for index in range(partitions))

    def source(self, topic: str, partition: int) -> Source:
        """The source that a partition of a topic belongs to."""
        return Source(self.topics[topic].feed, partition)

    def kinds(self, feed: str) -> dict[str, int]:
        """The feed's topics that are read, and what each is."""
        return {topic: at.kind for topic, at in self.topics.items() if at.feed == feed}

    def is_whole(self, source: Source, topics: int) -> bool:
        """Whether so many of its topics are all that it has, and it was there when this was found out."""
        return topics == len(self.kinds(source.feed)) and source.partition < self.layout[source.feed]

    def changed(self, feeds: Sequence[Feed], partitions: Mapping[str, int]) -> str | None:
        """What is to be said where the feeds' topics are other ones now, or have other partitions; None where they are
        the same, or one of them is not known just now."""
        if any(topic not in partitions for feed in feeds for topic in feed.topics):
            return None
        now = place(feeds, partitions)
        if (now.topics, now.layout) == (self.topics, self.layout):
            return None
        return ", ".join(f"{topic} has {partitions[topic]} partitions" for feed in feeds for topic in feed.topics)


def place(feeds: Sequence[Feed], partitions: Mapping[str, int]) -> Placing:
    """Decide what to read, given the partition count of every topic that exists.

    A feed without a usable orders topic runs without half green orders, and says so. Raises UserError where a
    payments topic is missing.
    """
    topics: dict[str, Place] = {}
    layout: dict[str, int] = {}
    warnings: list[str] = []
    for feed in feeds:
        if feed.payments not in partitions:
            raise UserError(f"a feed needs its payments; got no topic {feed.payments}; run 'pastille topics create'")
        layout[feed.name] = partitions[feed.payments]
        topics[feed.payments] = Place(feed.name, PAYMENTS)
        odd = _odd_orders(feed, partitions)
        if odd:
            warnings.append(odd)
        elif feed.orders is not None:
            topics[feed.orders] = Place(feed.name, ORDERS)
    return Placing(topics, layout, tuple(warnings))


def _odd_orders(feed: Feed, partitions: Mapping[str, int]) -> str | None:
    if feed.orders is None:
        return f"feed {feed.name} has no orders topic: it runs without half green orders"
    if feed.orders not in partitions:
        return f"feed {feed.name}: topic {feed.orders} does not exist: it runs without half green orders"
    got, wanted = partitions[feed.orders], partitions[feed.payments]
    if got != wanted:
        return (
            f"feed {feed.name}: {feed.orders} has {got} partitions and {feed.payments} has {wanted}: it runs without "
            "half green orders; give both the same number"
        )
    return None


class _Keyed(msgspec.Struct):
    order_id: str


_decoder = msgspec.json.Decoder(_Keyed)


class KeyCheck:
    """Whether events are keyed by `order_id` and placed by the murmur2 partitioner, on a sample of every batch."""

    def __init__(self) -> None:
        self.sampled = 0
        self.mismatched = 0

    @property
    def is_wrong(self) -> bool:
        """More than 1 % of the sampled records are placed wrongly."""
        return self.sampled >= JUDGED_FROM and self.mismatched > self.sampled * MISMATCH_SHARE_MAX

    def look(self, events: Iterable[tuple[bytes, bytes | None]], partition: int, partitions: int) -> None:
        """Sample events, the value and the key of each. They are such as a decoder took: how a record that is none
        should be keyed nobody knows, nor how long looking at it takes."""
        for value, key in events:
            order_id = _decoder.decode(value).order_id.encode()
            self.sampled += 1
            self.mismatched += key != order_id or partition_of(order_id, partitions) != partition
        if self.sampled >= SAMPLED_MAX:
            self.sampled, self.mismatched = self.sampled // 2, self.mismatched // 2


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's default partitioner puts a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
