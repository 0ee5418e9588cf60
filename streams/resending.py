"""Sending letters again: each record as it was, a mark behind each that Kafka has acknowledged.

A letter that Kafka does not take is named and left, and the others go on, also those refused along with it. Does not
know which letters to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import InvalidRecordError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from streams.deadletters import Header
from streams.letterbox import SENT, Stored
from streams.reading import CONNECT_MS, Place, worded_errors
from streams.settings import Settings

ORIGIN: Final = "pastille-dead-letter"
"""Header of a record that was sent again: the place of its dead letter."""
SEND_S: Final = 30.0
"""What is not acknowledged by then will not be: Kafka's client gives it up before."""
GIVEN_UP_MS: Final = 25_000
ANSWERED_MS: Final = 10_000
BATCH: Final = 500
"""Letters that are handed over, and then marked, together."""
_OF_LETTER: Final = (ValueError, MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError)


class Left(NamedTuple):
    """A letter that could not be sent, and why."""

    place: Place
    why: str


class Resender:
    """Sends batches of letters; made by `open_resender`. `sent` counts those acknowledged, `left` names the others.

    What Kafka says of a topic (no rights, no such topic, no answer) is said of every letter that would go there: it
    is not asked again. A letter that is too large, or whose partition is not there, is its own affair.
    """

    def __init__(self, producer: Any, dead_letters: str) -> None:
        self.sent = 0
        self.left: list[Left] = []
        self._producer, self._dead_letters = producer, dead_letters
        self._given_up: dict[str, str] = {}

    def send(self, batch: Sequence[Stored]) -> None:
        """Send letters, and mark those that were sent. Raises KafkaError where marks are refused."""
        acknowledged = self._taken(batch)
        self.sent += len(acknowledged)
        marks = [self._mark(stored.place) for stored in acknowledged]
        for mark in marks:
            mark.get(timeout=SEND_S)

    def _taken(self, batch: Sequence[Stored]) -> list[Stored]:
        """Those of some letters that Kafka acknowledges; the others are left. It refuses as one what reaches it as one:
        whether a letter is meant or one beside it shows when it goes alone."""
        handed_over = [(stored, future) for stored in batch if (future := self._handed_over(stored)) is not None]
        taken: list[Stored] = []
        alone: list[Stored] = []
        for stored, future in handed_over:
            error = _error(future)
            if error is None:
                taken.append(stored)
            elif len(handed_over) > 1 and (type(error) is KafkaError or isinstance(error, _OF_LETTER)):
                alone.append(stored)  # the client's word for a neighbour is KafkaError itself
            else:
                self._leave(stored, error)
        for stored in alone:
            taken += self._taken([stored])
        return taken

    def _handed_over(self, stored: Stored) -> Any:
        """The original record, its key deciding the partition; without a key it goes to its first partition."""
        letter = stored.letter
        if why := self._given_up.get(letter.topic):
            self.left.append(Left(stored.place, why))
            return None
        headers = [*_other_headers(letter.headers), (ORIGIN, str(stored.place).encode())]
        partition = letter.partition if letter.key is None else None
        try:
            return self._producer.send(letter.topic, letter.value, letter.key, headers, partition=partition)
        except (KafkaError, ValueError) as error:  # the latter is the client's word for a partition that is not there
            self._leave(stored, error)
            return None

    def _leave(self, stored: Stored, error: Exception) -> None:
        why = str(error) if isinstance(error, ValueError) else type(error).__name__
        self.left.append(Left(stored.place, why))
        if not isinstance(error, _OF_LETTER):
            self._given_up.setdefault(stored.letter.topic, why)

    def _mark(self, place: Place) -> Any:
        headers = [(SENT, str(place.offset).encode())]
        return self._producer.send(self._dead_letters, None, b"sent", headers, partition=place.partition)


@contextmanager
def open_resender(settings: Settings) -> Iterator[Resender]:
    """Connect. Raises UserError where no broker answers, or the dead-letter topic takes no marks."""
    with worded_errors(settings):
        # Not idempotent: that one takes nothing more behind a letter that was refused.
        producer = KafkaProducer(
            **settings.kafka_python(), acks="all", enable_idempotence=False, bootstrap_timeout_ms=CONNECT_MS,
            delivery_timeout_ms=GIVEN_UP_MS, request_timeout_ms=ANSWERED_MS,
        )  # fmt: skip
        try:
            yield Resender(producer, settings.topics.dead_letters)
        finally:
            producer.close(timeout=SEND_S)


def _error(future: Any) -> KafkaError | None:
    """What Kafka refuses a record with; None where it takes it."""
    try:
        future.get(timeout=SEND_S)
    except KafkaError as error:
        return error
    return None


def _other_headers(headers: Iterable[Header]) -> Iterator[tuple[str, bytes]]:
    return ((name, value or b"") for name, value in headers if name != ORIGIN)
