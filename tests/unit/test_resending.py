"""Sending letters again where Kafka takes some and refuses others."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import (
    InvalidRecordError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from streams.deadletters import Letter
from streams.letterbox import SENT, Stored
from streams.reading import Place
from streams.resending import Resender


class Future:
    """An answer that is there."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def get(self, timeout: float) -> None:
        """It, at once."""
        if self.error:
            raise self.error


class Producer:
    """Takes what it is not told to refuse: at once, or in its answer."""

    def __init__(self, refused: dict[bytes, Exception], at_once: bool) -> None:
        self.refused, self.at_once = refused, at_once
        self.asked: list[bytes] = []
        self.taken: list[bytes] = []
        self.marks: list[int] = []

    def send(self, topic: str, value: bytes | None, key: Any, headers: Any, partition: int | None) -> Future:
        """A letter, or a mark."""
        if value is None:
            self.marks.append(int(dict(headers)[SENT]))
            return Future(self.refused.get(b"mark"))
        self.asked.append(value)
        error = self.refused.get(value)
        if error and self.at_once:
            raise error
        self.taken += [] if error else [value]
        return Future(error)


def batch(first: int, *values: bytes) -> list[Stored]:
    """Letters with these payloads; each payload's first byte names its topic."""
    return [
        Stored(Place("dead", 0, at), Letter(chr(value[0]), 0, at, b"k", (), "not_json", None, 1, value), False)
        for at, value in enumerate(values, first)
    ]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_cannot_be_sent_stops_nothing(at_once: bool) -> None:
    """It is named with its place, the others are sent, and what was sent is marked."""
    producer = Producer({b"p2": MessageSizeTooLargeError()}, at_once)
    resender = Resender(producer, "dead")
    resender.send(batch(0, b"p1", b"p2", b"p3"))
    resender.send(batch(3, b"p4"))
    assert (resender.sent, producer.taken, producer.marks) == (3, [b"p1", b"p3", b"p4"], [0, 2, 3])
    assert resender.left == [(Place("dead", 0, 1), "MessageSizeTooLargeError")]


class AsOne(Producer):
    """Answers all that was handed over since the last answer as one: refused, with what it refuses of it."""

    def __init__(self, refused: dict[bytes, Exception]) -> None:
        super().__init__(refused, at_once=False)
        self.together: list[tuple[bytes, Future]] = []

    def send(self, topic: str, value: bytes | None, key: Any, headers: Any, partition: int | None) -> Future:
        """A letter that waits for its answer, or a mark."""
        if value is None:
            return super().send(topic, value, key, headers, partition)
        self.asked.append(value)
        self.together.append((value, Waiting(self)))
        return self.together[-1][1]

    def answer(self) -> None:
        """Kafka's word, and its client's for those that are not meant."""
        together, self.together = self.together, []
        if not any(value in self.refused for value, _ in together):
            self.taken += [value for value, _ in together]
            return
        for value, future in together:
            future.error = self.refused.get(value, KafkaError("part of a batch"))


class Waiting(Future):
    """An answer that comes when it is asked for."""

    def __init__(self, producer: AsOne) -> None:
        super().__init__(None)
        self.producer = producer

    def get(self, timeout: float) -> None:
        """It, and those of all that was handed over with it."""
        self.producer.answer()
        super().get(timeout)


@pytest.mark.parametrize("error", [InvalidRecordError(), MessageSizeTooLargeError()])
def test_a_letter_takes_no_other_along(error: KafkaError) -> None:
    """What Kafka refuses as one goes again one by one, once; what is refused alone is named."""
    producer = AsOne({b"p2": error})
    resender = Resender(producer, "dead")
    resender.send(batch(0, b"p1", b"p2", b"p3"))
    resender.send(batch(3, b"p4"))
    assert (resender.sent, producer.taken, producer.marks) == (3, [b"p1", b"p3", b"p4"], [0, 2, 3])
    assert resender.left == [(Place("dead", 0, 1), type(error).__name__)]
    assert producer.asked == [b"p1", b"p2", b"p3", b"p1", b"p2", b"p3", b"p4"]


def test_a_topic_that_refuses_by_then_is_not_asked_for_each() -> None:
    """Of those that go again the first finds that nothing is taken any more: the others would wait as long."""
    producer = AsOne({b"p2": InvalidRecordError()})
    resender = Resender(producer, "dead")
    answer = producer.answer

    def then_none() -> None:
        answer()
        producer.refused = {value: KafkaTimeoutError() for value in (b"p1", b"p2", b"p3")}

    producer.answer = then_none  # type: ignore[method-assign]
    resender.send(batch(0, b"p1", b"p2", b"p3"))
    assert (resender.sent, producer.marks) == (0, [])
    assert producer.asked == [b"p1", b"p2", b"p3", b"p1"]
    assert resender.left == [(Place("dead", 0, at), "KafkaTimeoutError") for at in range(3)]


def test_a_word_of_the_client_is_said() -> None:
    """It says which partition is not there."""
    resender = Resender(Producer({b"p1": ValueError("Unrecognized partition 40")}, True), "dead")
    resender.send(batch(0, b"p1"))
    assert (resender.sent, resender.left) == (0, [(Place("dead", 0, 0), "Unrecognized partition 40")])


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError(), KafkaTimeoutError()])
def test_a_topic_that_refuses_is_asked_no_more(error: KafkaError) -> None:
    """What is said of a topic holds for all its letters, each of which would wait; other topics' go on."""
    producer = Producer({b"p1": error}, True)
    resender = Resender(producer, "dead")
    resender.send(batch(0, b"p1", b"p2", b"o3"))
    resender.send(batch(3, b"p4", b"o5"))
    assert (producer.asked, producer.marks) == ([b"p1", b"o3", b"o5"], [2, 4])
    assert [left.place.offset for left in resender.left] == [0, 1, 3]
    assert {left.why for left in resender.left} == {type(error).__name__}


def test_marks_that_are_refused_end_it() -> None:
    """Without marks all would be sent again by every run."""
    with pytest.raises(TopicAuthorizationFailedError):
        Resender(Producer({b"mark": TopicAuthorizationFailedError()}, False), "dead").send(batch(0, b"p1"))
