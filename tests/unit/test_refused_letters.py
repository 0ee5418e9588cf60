"""Dead letters that their topic refuses, between stand-ins for Kafka: held within bounds, shortened, written later."""

from __future__ import annotations

import asyncio
import json
from collections import Counter as Count
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from detector.contracts.policy import DEFAULT
from streams.deadletters import dead_letter, read_letter, shortened
from streams.intake import deadletters
from streams.intake.deadletters import Bad, DeadLetters, Flood
from streams.settings import load_settings

TOPIC = load_settings().topics.dead_letters
HEADERS = {"h": "x" * 200}
Refuses = Callable[[bytes], KafkaError | None]


class Producer:
    """A topic that refuses letters as a test says, with its answer; what it took is kept."""

    def __init__(self, **_: Any) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refuses: Refuses = lambda _: None
        self.asked = asyncio.Event()

    async def send(self, _topic: str, value: bytes, key: bytes | None = None) -> asyncio.Future[None]:
        """Done at once."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error = self.refuses(value)
        if error is None:
            self.taken.append(json.loads(value))
            answer.set_result(None)
        else:
            answer.set_exception(error)
        self.asked.set()
        return answer

    async def stop(self) -> None:
        """Nothing waits."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer of ours, and no pauses between tries."""
    monkeypatch.setattr(deadletters, "AIOKafkaProducer", Producer)
    monkeypatch.setattr(deadletters, "AGAIN_S", 0.0)


def bad(offset: int, size: int = 10) -> Bad:
    """A record that is no event."""
    return Bad("payments", 0, offset, b"k", (("h", b"x" * 200),), "not_json", None, 1_000, b"x" * size)


def made() -> tuple[DeadLetters, Any]:
    """Letters, and the producer they go to."""
    letters: Any = DeadLetters(load_settings(), DEFAULT, Count())
    return letters, letters._producer


async def written(letters: DeadLetters) -> None:
    """Until every letter is taken."""
    async with asyncio.timeout(30):
        while not await letters.flush():
            await asyncio.sleep(0)


def larger_than(size: int) -> Refuses:
    """What a topic with such a limit says."""
    return lambda value: MessageSizeTooLargeError() if len(value) > size else None


@pytest.mark.parametrize(
    ("limit", "kept"), [(1_000_000, ("k", HEADERS, True)), (500, ("k", HEADERS, False)), (250, (None, {}, False))]
)
def test_a_letter_leaves_out_what_its_topic_has_no_room_for(limit: int, kept: tuple[Any, ...]) -> None:
    """First the payload, then key and headers; topic, partition, offset and reason are always there."""

    async def run() -> None:
        letters, producer = made()
        producer.refuses = larger_than(limit)
        await letters.put([bad(0, 1_000), bad(1)], [], 0.0)
        await written(letters)
        long = next(found for found in producer.taken if found["offset"] == 0)
        assert (long["key"], long["headers"], bool(long["payload"])) == kept
        assert (long["topic"], long["partition"], long["reason"]) == ("payments", 0, "not_json")
        assert sorted(found["offset"] for found in producer.taken) == [0, 1]
        assert letters.refused is None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "do"),
    [
        (MessageSizeTooLargeError(), "max.message.bytes"),
        (TopicAuthorizationFailedError(TOPIC), "the right to write"),
        (UnknownTopicOrPartitionError(), "pastille topics create"),
    ],
)
def test_a_refusal_that_lasts_names_topic_reason_and_mend(error: KafkaError, do: str) -> None:
    """Nothing is raised, letters are not written meanwhile, and are when the topic takes them again."""

    async def run() -> None:
        letters, producer = made()
        producer.refuses = lambda _: error
        await letters.put([bad(0), bad(1)], [], 0.0)
        assert not await letters.flush()
        while letters.refused is None:
            await asyncio.sleep(0)
        refused = letters.refused
        assert [word in refused.sentence for word in (TOPIC, type(error).__name__, do, "2 are held")] == [True] * 4
        assert refused.is_lasting
        assert not await letters.flush()
        producer.refuses = lambda _: None
        await written(letters)
        assert sorted(found["offset"] for found in producer.taken) == [0, 1]
        assert letters.refused is None

    asyncio.run(run())


def test_as_many_are_held_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Past the bound records are told in one sum, which is said once, and each is told of in the end."""
    monkeypatch.setattr(deadletters, "HELD_MAX", 20)

    async def run() -> None:
        letters, producer = made()
        producer.refuses = lambda _: TopicAuthorizationFailedError(TOPIC)
        await letters.put([bad(0)], [], 0.0)
        await letters.flush()
        for offset in range(1, 100):
            await letters.put([bad(offset)], [], 0.0)
        await letters.put([], [Flood("payments", 0, 100, 1_000, Count({"not_json": 5}))], 5.0)
        assert (letters.queued, letters.room(5.0)) == (20, 0)
        assert not await letters.flush()
        producer.refuses = lambda _: None
        await written(letters)
        single = [found["offset"] for found in producer.taken if found["reason"] != "flood"]
        (flood,) = [found for found in producer.taken if found["reason"] == "flood"]
        assert sorted(single) == list(range(20))
        assert (flood["offset"], flood["field"]) == (20, "85 records from this offset on")
        assert letters.counted == {"not_json": 105}

    asyncio.run(run())
    assert caplog.text.count("all there is room for") == 1


def test_a_broker_that_does_not_answer_holds_nobody_up_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look waits a moment for the answers, the next ones do not, and all is written when they come."""
    monkeypatch.setattr(deadletters, "PATIENCE_S", 0.0)

    async def run() -> None:
        letters, producer = made()
        late: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def send(*_: Any, **__: Any) -> asyncio.Future[None]:
            return late

        monkeypatch.setattr(producer, "send", send)
        await letters.put([bad(0)], [], 0.0)
        assert [await letters.flush() for _ in range(3)] == [False] * 3
        assert letters.queued == 1
        late.set_result(None)
        await written(letters)
        assert letters.queued == 0

    asyncio.run(run())


def test_who_ends_waits_for_no_letter() -> None:
    """While a letter is refused, the end does not wait: it was not committed, and is told of again."""

    async def run() -> None:
        letters, producer = made()
        producer.refuses = lambda _: MessageSizeTooLargeError()
        await letters.put([bad(0)], [], 0.0)
        await letters.flush()
        await letters.stop()

    asyncio.run(asyncio.wait_for(run(), 10.0))


def test_a_letter_is_shortened_step_by_step() -> None:
    """Payload, then key and headers, then the field, then nothing more."""
    letter = dead_letter("payments", 3, 7, b"k", [("h", b"x")], "not_json", "f", 1_000, b"payload", 1_000)
    found = [read_letter(one) for one in steps(letter)]
    assert [(one.value, one.key, one.headers, one.field) for one in found] == [
        (b"payload", b"k", (("h", b"x"),), "f"), (None, b"k", (("h", b"x"),), "f"), (None, None, (), "f"),
        (None, None, (), None),
    ]  # fmt: skip
    assert {(one.topic, one.partition, one.offset, one.reason) for one in found} == {("payments", 3, 7, "not_json")}


def test_a_flood_keeps_its_number() -> None:
    """How many records it stands for is its own word, and short."""
    letter = dead_letter("payments", 3, 7, None, (), "flood", "85 records from this offset on", 1_000, b"", 0)
    assert [read_letter(one).field for one in steps(letter)] == ["85 records from this offset on"]


def steps(letter: bytes | None) -> Iterator[bytes]:
    """A letter, and what is left of it after each time that it is shortened."""
    while letter is not None:
        yield letter
        letter = shortened(letter)


def test_no_letter_is_longer_than_a_few_numbers_for_what_its_sender_says() -> None:
    """A field's name is the sender's, and each of its characters may take six bytes: the letter of it would be refused
    where all others fit, and hold back those behind it and every commit."""
    letter = dead_letter("payments", 3, 7, None, (), "unknown", "\x01" * 128, 1_000, b"", 0)
    assert len(letter) > 768
    *_, last = steps(letter)
    assert len(last) < 200
