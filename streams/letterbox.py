"""The dead-letter topic as a list: its letters, which of them were sent again, and what sending one again means.

A letter is marked as sent by a record without a value on the same topic and partition, whose header `pastille-sent`
names the letter's offset. A mark is written after the letter it names, so whoever reads from the letter to the end
meets the mark too. A worker that reads its log again may write a second letter of the same record: a mark holds for
every letter of the record, and of several only the newest is sent. The mark is written after the send is
acknowledged: a crash between the two sends a letter twice, which changes no count (I2).
Knows nothing of how a command shows this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

import numpy as np
from kafka import KafkaProducer

from detector.contracts.policy import Policy
from detector.counting.names import Names
from detector.counting.reference import ReferenceDecoder
from streams.deadletters import Header, Letter, read_letter
from streams.errors import UserError
from streams.reading import CONNECT_MS, Place, Record, worded_errors
from streams.settings import Settings

SENT: Final = "pastille-sent"
"""Header of a mark: the offset, in the mark's own partition, of the letter that was sent again."""
ORIGIN: Final = "pastille-dead-letter"
"""Header of a record that was sent again: the place of its dead letter."""
OFFSET_DIGITS_MAX: Final = 19
SEND_S: Final = 30.0
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """A letter and where it stands."""

    place: Place
    letter: Letter
    sent_again: bool


@dataclass(frozen=True, slots=True)
class Letters:
    """Newest first; `unreadable` counts records that are neither a letter nor a mark."""

    letters: tuple[Stored, ...]
    unreadable: int


class Verdict(StrEnum):
    """What becomes of a letter when letters are sent again; only SEND is sent."""

    SEND = "send"
    ALREADY_SENT = "already_sent"
    SAME_RECORD = "same_record_as_a_newer_letter"
    LEFT_OUT = "payload_left_out"
    STILL_WRONG = "still_wrong"
    STILL_AHEAD = "still_ahead_of_clock"
    IGNORED = "ignored_status"
    OTHER_TOPIC = "not_a_feed_topic"


@dataclass(frozen=True, slots=True)
class Plan:
    """A letter and what becomes of it; `detail` is the decoder's word where it is still wrong."""

    stored: Stored
    verdict: Verdict
    detail: str = ""


def open_letters(records: Sequence[Record]) -> Letters:
    """Read the records of the dead-letter topic, given in the order of partition and offset."""
    marks = {record.place: _marked(record) for record in records}
    letters = {
        record.place: letter for record in records if not marks[record.place] and (letter := _letter(record.value))
    }
    sent = {origin(letters[place]) for place in marks.values() if place in letters}
    newest_first = sorted(
        (record for record in records if record.place in letters),
        key=lambda record: (record.timestamp_ms, record.place),
        reverse=True,
    )
    found = tuple(Stored(at.place, letters[at.place], origin(letters[at.place]) in sent) for at in newest_first)
    return Letters(found, sum(not mark for mark in marks.values()) - len(found))


def origin(letter: Letter) -> Place:
    """Where the record stood that could not be counted."""
    return Place(letter.topic, letter.partition, letter.offset)


def plan(letters: Sequence[Stored], settings: Settings, policy: Policy, now_ms: int) -> list[Plan]:
    """What would become of each letter: sent is what a worker with this policy would count now."""
    decoder = ReferenceDecoder(policy, Names(policy))
    kinds: dict[str, Literal["payments", "orders"]] = {feed.payments: "payments" for feed in settings.feeds}
    kinds |= {feed.orders: "orders" for feed in settings.feeds if feed.orders is not None}
    plans: list[Plan] = []
    seen: set[Place] = set()
    for stored in letters:
        again = origin(stored.letter) in seen and not stored.sent_again
        seen.add(origin(stored.letter))
        kind = kinds.get(stored.letter.topic)
        plans.append(
            Plan(stored, Verdict.SAME_RECORD) if again else _plan_one(stored, kind, decoder, policy, now_ms)
        )
    return plans


def send(settings: Settings, plans: Sequence[Plan], dead_letters: str) -> int:
    """Send what is planned to be sent, oldest first, and mark it; how many. Raises UserError where Kafka refuses."""
    wanted = [item.stored for item in reversed(plans) if item.verdict is Verdict.SEND]
    with worded_errors(settings):
        producer = KafkaProducer(**settings.kafka_python(), acks="all", bootstrap_timeout_ms=CONNECT_MS)
        try:
            for start in range(0, len(wanted), BATCH):
                batch = wanted[start : start + BATCH]
                _await([_send_letter(producer, stored) for stored in batch])
                _await([_send_mark(producer, stored.place, dead_letters) for stored in batch])
        except ValueError as error:  # the client's word for a partition that is not there
            raise UserError(f"a letter cannot be sent; got {error}; check the topic's partitions") from None
        finally:
            producer.close(timeout=SEND_S)
    return len(wanted)


def _marked(record: Record) -> Place | None:
    """The letter that a mark names; None for what is no mark."""
    text = dict(record.headers).get(SENT)
    if record.value is not None or text is None or not (text.isdigit() and len(text) <= OFFSET_DIGITS_MAX):
        return None
    return Place(record.place.topic, record.place.partition, int(text))


def _letter(value: bytes | None) -> Letter | None:
    try:
        return read_letter(value or b"")
    except ValueError:
        return None


def _plan_one(
    stored: Stored, kind: Literal["payments", "orders"] | None, decoder: ReferenceDecoder, policy: Policy, now_ms: int
) -> Plan:
    letter = stored.letter
    if stored.sent_again:
        return Plan(stored, Verdict.ALREADY_SENT)
    if not letter.value:  # left out, or the one letter that stands for a flood of records
        return Plan(stored, Verdict.LEFT_OUT)
    if kind is None:
        return Plan(stored, Verdict.OTHER_TOPIC)
    now = np.array([now_ms], np.int64)
    decoded = decoder.decode([letter.value], kind, now, np.array([letter.offset], np.int64))
    if decoded.rejects:
        return Plan(stored, Verdict.STILL_WRONG, str(decoded.rejects[0].reason))
    if len(decoded.columns) == 0:
        return Plan(stored, Verdict.IGNORED)
    # The decoder has no clock; a worker would send this one straight back.
    ahead = int(decoded.columns.occurred_at[0]) - now_ms > policy.clock_ahead_ms
    return Plan(stored, Verdict.STILL_AHEAD if ahead else Verdict.SEND)


def _send_letter(producer: Any, stored: Stored) -> Any:
    """The original record, its key deciding the partition; without a key it goes to its first partition."""
    letter = stored.letter
    headers = [*_other_headers(letter.headers), (ORIGIN, str(stored.place).encode())]
    partition = letter.partition if letter.key is None else None
    return producer.send(letter.topic, letter.value, letter.key, headers, partition=partition)


def _send_mark(producer: Any, place: Place, dead_letters: str) -> Any:
    headers = [(SENT, str(place.offset).encode())]
    return producer.send(dead_letters, None, b"sent", headers, partition=place.partition)


def _other_headers(headers: Sequence[Header]) -> Iterator[tuple[str, bytes]]:
    return ((name, value or b"") for name, value in headers if name != ORIGIN)


def _await(futures: Sequence[Any]) -> None:
    for future in futures:
        future.get(timeout=SEND_S)
