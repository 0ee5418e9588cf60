"""What the doctor looks at: the newest records of every feed, decoded as the worker decodes them, and the tallies.

Values only: the checks ask it questions and cannot change a topic. Knows how to take the sample, not what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

import msgspec
import numpy as np

from detector.contracts.card import card_like
from detector.contracts.policy import Policy
from detector.counting.columns import NONE, PAYMENT, Columns
from detector.counting.names import Names
from detector.counting.reference import ReferenceDecoder
from detector.counting.tally import Source, Tally
from streams.deadletters import WORD_CHARACTERS_MAX, holds_card_like
from streams.letterbox import Fate, Survey, Verdict
from streams.reading import Newest, Place, Reader, Record
from streams.settings import Feed, Settings
from streams.tallylog import unpack
from streams.topics import needed_topics

TALLIES_MAX: Final = 5_000
LETTERS_MAX: Final = 100_000
"""Records of the dead-letter topic, the newest; marks of letters that were sent again are among them."""
NUMBERS: Final = ("occurred_at", "started_at", "amount")
"""Fields that are numbers, as long as a card's from the year 2033 on."""
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
ODD_NAME: Final = "a field with an odd name"


@dataclass(frozen=True, slots=True)
class Event:
    """One record that decodes. Times are epoch ms, `started_at` NONE where absent; texts are as sent.

    `fields` are the names of all that it says, known to the contract or not; `card_like` of those whose value looks
    like a card number.
    """

    place: Place
    key: bytes | None
    order_id: str
    kind: int
    status: int
    payment: int  # hash of payment_id; 0 for order events
    method: str
    network: str | None
    code: str | None
    merchant: str | None
    occurred_at: int
    started_at: int
    log_time: int
    fields: frozenset[str]
    card_like: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that does not decode, and the decoder's word for why."""

    place: Place
    reason: str


@dataclass(frozen=True, slots=True)
class TopicSample:
    """The newest records of a topic; `partitions` 0: it does not exist; `stored`: offsets it keeps in all."""

    name: str
    partitions: int
    stored: int = 0
    read: int = 0
    events: tuple[Event, ...] = ()
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedSample:
    """Both topics of a feed; `orders` is None where the feed has none by its settings."""

    name: str
    payments: TopicSample
    orders: TopicSample | None

    @property
    def topics(self) -> tuple[TopicSample, ...]:
        """The feed's topics, payments first."""
        return (self.payments,) if self.orders is None else (self.payments, self.orders)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events of both topics."""
        return tuple(event for topic in self.topics for event in topic.events)


@dataclass(frozen=True, slots=True)
class Counted:
    """How far a worker has counted a source: its newest boundary, and Kafka's time of the record that says so."""

    boundary_ms: int
    written_ms: int


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters that wait, by reason, and where the newest stands; `left_out` older records were not read."""

    waiting: Mapping[str, int]
    newest: Place | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Checkup:
    """All that the checks know."""

    policy: Policy
    now_ms: int
    feeds: tuple[FeedSample, ...]
    missing_own: tuple[str, ...]  # topics of Pastille that do not exist
    counted: Mapping[Source, Counted]
    letters: Letters
    cut_short: bool


def take_checkup(
    reader: Reader, settings: Settings, policy: Policy, now_ms: int, per_partition: int, since_ms: int | None
) -> Checkup:
    """Read the sample: of each feed topic the newest `per_partition` records a partition, none before `since_ms`."""
    partitions = reader.partitions()
    names = [name for feed in settings.feeds for name in feed.topics if name in partitions]
    newest = reader.newest(names, per_partition, since_ms)
    feeds = tuple(_sample_feed(feed, newest, partitions, policy) for feed in settings.feeds)
    own = settings.topics
    tallies = _if_there(reader, own.tallies, partitions, TALLIES_MAX)
    needed = (topic.name for topic in needed_topics(settings) if not topic.is_feed)
    return Checkup(
        policy=policy,
        now_ms=now_ms,
        feeds=feeds,
        missing_own=tuple(name for name in needed if name not in partitions),
        counted=newest_boundaries(tallies.records.get(own.tallies, [])),
        letters=_letters(reader, own.dead_letters) if own.dead_letters in partitions else Letters({}),
        cut_short=newest.cut_short or tallies.cut_short,
    )


def _letters(reader: Reader, topic: str) -> Letters:
    """Those that were not sent again."""
    survey = Survey(topic, lambda letter: Fate(Verdict.SEND, letter.reason[:WORD_CHARACTERS_MAX]))
    span = reader.span(topic, LETTERS_MAX)
    for records in reader.walk(span):
        survey.take(records)
    waiting = survey.oldest_first().of({Verdict.SEND}).last_first()
    newest = next((found.place for found in waiting), None)
    return Letters({fate.detail: count for fate, count in waiting.counts().items()}, newest, span.left_out)


def newest_boundaries(records: Sequence[Record]) -> dict[Source, Counted]:
    """The newest boundary of each source that the tallies name; what is no tally is passed over."""
    newest: dict[Source, Counted] = {}
    for record in records:
        for tally in _tallies(record.value):
            if tally.source not in newest or newest[tally.source].boundary_ms <= tally.boundary_ms:
                newest[tally.source] = Counted(tally.boundary_ms, record.timestamp_ms)
    return newest


def _if_there(reader: Reader, topic: str, partitions: Mapping[str, int], most: int) -> Newest:
    return reader.newest([topic] if topic in partitions else [], most)


def _tallies(value: bytes | None) -> list[Tally]:
    try:
        return [found for found in unpack(value or b"") if isinstance(found, Tally)]
    except (msgspec.MsgspecError, ValueError):
        return []


def _sample_feed(feed: Feed, newest: Newest, partitions: Mapping[str, int], policy: Policy) -> FeedSample:
    def sample(name: str, topic: Literal["payments", "orders"]) -> TopicSample:
        records = newest.records.get(name, [])
        events, rejects = decode_records(records, topic, policy)
        stored = newest.stored.get(name, 0)
        return TopicSample(name, partitions.get(name, 0), stored, len(records), tuple(events), tuple(rejects))

    orders = None if feed.orders is None else sample(feed.orders, "orders")
    return FeedSample(feed.name, sample(feed.payments, "payments"), orders)


def decode_records(
    records: Sequence[Record], topic: Literal["payments", "orders"], policy: Policy
) -> tuple[list[Event], list[Reject]]:
    """The records as the worker's reference decoder sees them; ignored statuses are in neither list."""
    events: list[Event] = []
    rejects: list[Reject] = []
    decoder = ReferenceDecoder(policy, Names(policy))
    for _, group in groupby(records, lambda record: record.place.partition):
        batch = list(group)
        log_times = np.array([record.timestamp_ms for record in batch], np.int64)
        offsets = np.array([record.place.offset for record in batch], np.int64)
        decoded = decoder.decode([record.value or b"" for record in batch], topic, log_times, offsets)
        by_offset = {record.place.offset: record for record in batch}
        events += (_event(by_offset[int(at)], decoded.columns, n) for n, at in enumerate(decoded.columns.offset))
        rejects += (Reject(batch[reject.index].place, str(reject.reason)) for reject in decoded.rejects)
    return events, rejects


def _event(record: Record, columns: Columns, at: int) -> Event:
    said: dict[str, Any] = msgspec.json.decode(record.value or b"{}")  # it decoded, so it is an object
    return Event(
        place=record.place,
        key=record.key,
        order_id=said["order_id"],
        kind=int(columns.kind[at]),
        status=int(columns.status[at]),
        payment=int(columns.payment[at]) if columns.kind[at] == PAYMENT else 0,
        method=said.get("method") or "",
        network=said.get("network"),
        code=said.get("code"),
        merchant=said.get("merchant_id"),
        occurred_at=int(columns.occurred_at[at]),
        started_at=NONE if columns.started_at[at] == NONE else int(columns.started_at[at]),
        log_time=int(columns.log_time[at]),
        fields=frozenset(_shown(name) for name, value in said.items() if value is not None),
        card_like=tuple(_shown(name) for name, value in said.items() if name not in NUMBERS and _is_card_like(value)),
    )


def _is_card_like(value: object) -> bool:
    return isinstance(value, str | int) and card_like(str(value))


def _shown(name: str) -> str:
    """A field's name as it may be said: a sender's own word, which may be anything."""
    return name if NAME.fullmatch(name) and not holds_card_like(name.encode()) else ODD_NAME
