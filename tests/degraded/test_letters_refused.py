"""A dead-letter topic that refuses what is written to it: counting and judging go on, and nothing is lost."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kafka.admin import ConfigResource

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.topics import create_topics
from tests.broker import applied
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

LARGE_BYTES = 40_000
"""Of noise, which no compression makes smaller, so that its letter has more."""
LETTERS = frozenset({("reason", "letters")})


def events(count: int) -> list[bytes]:
    """Payments now."""
    now_ms = time.time_ns() // 10**6
    known = {"bank": "bnp", "method": "card", "status": "approved", "occurred_at": now_ms}
    names = [secrets.token_hex(8) for _ in range(count)]
    return [json.dumps(known | {"payment_id": name, "order_id": name}).encode() for name in names]


def letters(stage: Stage) -> list[dict[str, Any]]:
    """The dead letters, in order."""
    return [json.loads(value) for value in stage.read(stage.settings.topics.dead_letters)]


def problems(worker: WorkerProcess) -> dict[str, str]:
    """What keeps the worker from being ready."""
    found: dict[str, str] = json.loads(worker.get("/health/ready")[1])["problems"]
    return found


def limit(stage: Stage, size: int) -> None:
    """The dead-letter topic takes no more bytes at once."""
    with admin_client(stage.settings) as admin:
        topic = stage.settings.topics.dead_letters
        admin.alter_configs([ConfigResource("topic", topic, {"max.message.bytes": str(size)})])
    applied(stage.settings)


@dataclass(frozen=True, slots=True)
class Before:
    """A stage and its worker, how many payments that had counted, up to where it had committed, what it had logged."""

    stage: Stage
    worker: WorkerProcess
    counted: float
    read: int
    logged: int

    def news(self) -> str:
        """What it logged since."""
        return self.worker.logged()[self.logged :]


@pytest.fixture(scope="module")
def at_work(kafka: EmbeddedKafka) -> Iterator[Stage]:
    """A stage whose worker has counted and committed."""
    with Stage(kafka, 1) as stage:
        worker = stage.worker("--from", "earliest")
        stage.send(events(50))
        wait_for(lambda: worker.counted() == 50, stage, "the first payments counted")
        wait_for(lambda: read(stage) >= 50, stage, "a commit of all that was counted")
        yield stage


@pytest.fixture
def before(at_work: Stage) -> Before:
    """As a test finds them."""
    [worker] = at_work.workers
    return Before(at_work, worker, worker.counted(), read(at_work), len(worker.logged()))


def read(stage: Stage) -> int:
    """Up to where the payments are committed as read."""
    return max((note.read for note in stage.notes() if note is not None), default=0)


def spoil(stage: Stage) -> None:
    """One bad record, and payments behind it."""
    stage.send_raw(stage.feed.payments, [(b"k", secrets.token_bytes(LARGE_BYTES))])
    stage.send(events(50))


def goes_on(before: Before) -> None:
    """What comes behind the bad record is counted, and judged."""
    stage, worker = before.stage, before.worker
    wait_for(lambda: worker.counted() >= before.counted + 50, stage, "what comes behind it counted", within_s=60)
    stage.send(events(50))
    sent_ms = time.time_ns() // 10**6
    wait_for(lambda: judged_ms(stage) > sent_ms, stage, "what comes behind it judged", within_s=60)
    assert worker.counted() == before.counted + 100
    assert "no session with Kafka" not in worker.logged()


def test_a_letter_too_large_for_its_topic_is_written_without_its_payload(before: Before) -> None:
    """The letter is there with reason and offset, a log line names the topic and what to do, offsets are committed."""
    stage, known = before.stage, len(letters(before.stage))
    limit(stage, 20_000)
    spoil(stage)
    [letter] = wait_for(lambda: letters(stage)[known:], stage, "the letter", within_s=60)
    assert (letter["payload"], letter["offset"], letter["topic"]) == (None, before.read, stage.feed.payments)
    goes_on(before)
    wait_for(lambda: read(stage) >= before.read + 101, stage, "a commit of all that was read")
    [said] = [line for line in before.news().splitlines() if "MessageSizeTooLargeError" in line]
    assert f"topic {stage.settings.topics.dead_letters}" in said
    assert "max.message.bytes" in said
    assert len(letters(stage)) == known + 1


@pytest.mark.parametrize("how", ["too large in any form", "missing"])
def test_a_topic_that_refuses_every_letter_holds_back_commits_alone(before: Before, how: str) -> None:
    """It is shown with the topic and what to do; nothing is committed; with the topic mended the letter is written,
    offsets are committed, and it is over by itself."""
    word, do = ("MessageSizeTooLargeError", "max.message.bytes") if how != "missing" else (
        "UnknownTopicOrPartitionError", "pastille topics create")  # fmt: skip
    stage, worker = before.stage, before.worker
    topic, known = stage.settings.topics.dead_letters, len(letters(stage))
    if how == "missing":
        known = 0
        with admin_client(stage.settings) as admin:
            admin.delete_topics([topic])
        applied(stage.settings)
    else:
        limit(stage, 100)
    spoil(stage)
    goes_on(before)
    sentence = wait_for(lambda: problems(worker).get("letters"), stage, "it is shown", within_s=60)
    wait_for(lambda: word in problems(worker).get("letters", ""), stage, "Kafka's word for it", within_s=60)
    assert topic in sentence
    assert do in problems(worker)["letters"]
    assert worker.metrics()["pastille_degraded", LETTERS] == 1
    assert "leader" not in problems(worker).get("broker", "")
    assert read(stage) == before.read
    if how == "missing":
        wait_for(lambda: f"none named {topic}" in problems(worker).get("broker", ""), stage, "what is missing")
        create_topics(stage.settings)
    else:
        limit(stage, 1_048_588)
    wait_for(lambda: "letters" not in problems(worker), stage, "it is over")
    wait_for(lambda: read(stage) >= before.read + 101, stage, "a commit of all that was read")
    assert [letter["offset"] for letter in letters(stage)[known:]] == [before.read]
    assert "degraded: letters: over after" in before.news()
