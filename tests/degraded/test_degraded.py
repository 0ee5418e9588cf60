"""A worker whose Kafka goes away: it says so, waits, and goes on by itself with nothing lost and nobody paged twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from kafka import KafkaConsumer, TopicPartition

from detector.contracts.models import HealthRecord
from detector.contracts.policy import DEFAULT
from detector.contracts.scope import PLATFORM
from detector.judging.judge import Judge
from streams.embedded import EmbeddedKafka
from streams.settings import Settings
from streams.tallylog import unpack
from streams.verdict import outbox
from streams.verdict.outbox import Fenced, Outbox, TransactionLost
from tests.integration.test_failover import DEAD, POLICY, Shop
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

AWAY_S = 65.0
"""Longer than any request may take (7 s), a member may be silent (6 s) or a transaction may last (60 s)."""
LIBRARIES = (" aiokafka", " faust", " kafka", " mode", " asyncio")
LINES_MAX = 40
CPU_SHARE_MAX = 0.5
EXPIRED_S = 30.0
HOUR_MS = 3_600_000


class PatientShop(Shop):
    """Goes on when Kafka took nothing for too long; what it could not send is sold all the same."""

    async def _slice(self, producer: AIOKafkaProducer) -> None:
        with contextlib.suppress(KafkaError):
            await super()._slice(producer)


@pytest.fixture
def own_kafka() -> Iterator[EmbeddedKafka]:
    """A broker that nobody else needs."""
    with EmbeddedKafka() as broker:
        yield broker


def test_a_broker_that_is_away_is_shown_and_waited_for(
    own_kafka: EmbeddedKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed in an open outage, away for 65 s: 503 with what and for how long, one line at each end, no busy loop;
    then ready, everything counted once, and the same outage with no second `started`."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    with Stage(own_kafka, 2) as stage:
        worker = stage.worker("--policy", str(policy))
        with PatientShop(stage, 200) as shop, caplog.at_level(logging.CRITICAL, logger="aiokafka"):
            wait_for(lambda: judged_ms(stage) > _now_ms() - 5_000, stage, "judging near the clock")
            shop.is_dead = True
            wait_for(stage.outages, stage, "an outage started", every_s=1)
            own_kafka.kill()
            killed_s, cpu_s = time.monotonic(), _cpu_s(worker)
            wait_for(lambda: "broker" in _problems(worker), stage, "the broker is missed")
            assert worker.get("/health/ready")[0] == 503
            assert "no broker answers" in _problems(worker)["broker"]
            assert worker.metrics()["pastille_degraded", frozenset({("reason", "broker")})] == 1
            while time.monotonic() < killed_s + AWAY_S:
                assert worker.process.poll() is None, worker.logged()
                time.sleep(1)
            assert _cpu_s(worker) - cpu_s < CPU_SHARE_MAX * AWAY_S
            own_kafka.restart()
            wait_for(lambda: worker.get("/health/ready")[0] == 200, stage, "ready again")
            wait_for(lambda: judged_ms(stage) > _now_ms() - 5_000, stage, "judging near the clock again")
            shop.is_dead = False
            wait_for(lambda: _types(stage)[-1:] == ["resolved"], stage, "the outage resolved", every_s=1)
        sent, stopped_ms = _sent(stage), _now_ms()
        wait_for(lambda: judged_ms(stage) > stopped_ms, stage, "all that was sent judged")
        assert _told(stage) == sent
        assert {event["subject"] for event in stage.outages()} == {f"bank:{DEAD}"}
        assert _types(stage).count("started") == 1
        assert [event["data"]["sequence"] for event in stage.outages()] == list(range(1, len(_types(stage)) + 1))
        assert worker.metrics()["pastille_degraded", frozenset({("reason", "broker")})] == 0
        _assert_said_once(worker)


def test_a_clock_that_jumps_changes_nothing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """Three hours ahead, then back behind the truth by two: shown, and meanwhile the Judge goes on with the events, no
    source is stuck, nothing goes to the dead letters, and the one outage there is is found and as critical as ever."""
    policy, clock = tmp_path / "policy.toml", tmp_path / "clock"
    policy.write_text(POLICY)
    clock.write_text("0")
    with Stage(kafka, 2) as stage, Shop(stage, 200) as shop:
        worker = stage.worker("--policy", str(policy), clock=clock)
        wait_for(lambda: judged_ms(stage) > _now_ms() - 5_000, stage, "judging near the clock")
        _set(clock, 3 * 3_600)
        wait_for(lambda: "+10800 s, not believed" in _problems(worker).get("clock", ""), stage, "the jump is shown")
        shop.is_dead = True
        (started,) = wait_for(stage.outages, stage, "an outage started", every_s=1)
        assert (started["data"]["severity"], started["data"]["catching_up"]) == ("critical", False)
        assert abs(started["data"]["detected_at"] - _now_ms()) < 60_000
        _set(clock, -2 * 3_600)
        wait_for(lambda: "-7200 s, not believed" in _problems(worker).get("clock", ""), stage, "the other is shown")
        jumped_ms = _now_ms()
        shop.is_dead = False
        wait_for(lambda: _types(stage)[-1:] == ["resolved"], stage, "the outage resolved", every_s=1)
        wait_for(lambda: judged_ms(stage) > jumped_ms + 40_000, stage, "judged for longer than a source may be silent")
        assert _types(stage).count("started") == 1
        assert stage.read(stage.settings.topics.dead_letters) == []
        assert worker.metrics()["pastille_degraded", frozenset({("reason", "clock")})] == 1
        assert {
            word for word in ("stuck", "catching_up", "Kafka refuses", "no session") if word in worker.logged()
        } == set()


def _set(clock: Path, off_s: int) -> None:
    """At once, so that a worker never reads half of it."""
    whole = clock.with_suffix(".new")
    whole.write_text(str(off_s))
    whole.replace(clock)


def test_a_transaction_that_kafka_gave_up_is_no_newer_judge(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end with the same word of Kafka's. A transaction that lasted too long is lost, its Judge may begin anew,
    and nothing of it is on the topic; one that ends at once was fenced by a newer Judge."""
    with Stage(kafka, 1) as stage:
        asyncio.run(_lose(stage.settings, monkeypatch))
        assert stage.read(stage.settings.topics.health) == []


async def _lose(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TRANSACTION_MS", 1_000)
    monkeypatch.setattr(outbox, "LOST_S", 1.0)
    async with _open(settings) as slow:
        plain = slow._producer.send

        async def send(*arguments: Any, **more: Any) -> None:
            await plain(*arguments, **more)
            await slow._producer._message_accumulator.flush()
            await _until_given_up(settings)

        monkeypatch.setattr(slow._producer, "send", send)
        with pytest.raises(TransactionLost):
            await slow.write_health([_record()])
        assert slow.writing_since_s is None
    async with _open(settings) as old, _open(settings):
        with pytest.raises(Fenced):
            await old.write_health([_record()])


async def _until_given_up(settings: Settings) -> None:
    """Until Kafka has aborted the transaction that is open on the health topic: its readers see the end again."""
    at, until_s = TopicPartition(settings.topics.health, 0), time.monotonic() + EXPIRED_S
    while True:
        levels = ("read_committed", "read_uncommitted")
        stable, newest = [await asyncio.to_thread(_end, settings, at, level) for level in levels]
        if stable == newest > 0:
            return
        assert time.monotonic() < until_s, "Kafka has not given the transaction up"


def _end(settings: Settings, at: TopicPartition, level: str) -> int:
    """The end of a partition for a reader of such a level."""
    consumer = KafkaConsumer(**settings.kafka_python(), isolation_level=level, enable_auto_commit=False)
    try:
        return int(consumer.end_offsets([at])[at])
    finally:
        consumer.close(autocommit=False)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Outbox]:
    box = Outbox(settings, _now_ms)
    await box.start()
    try:
        yield box
    finally:
        await box.stop()


def _record() -> HealthRecord:
    return HealthRecord.model_validate(
        {"key": "platform", "scope": {"dimension": "platform"}, "status": "healthy", "since": 0}
    )


def _problems(worker: WorkerProcess) -> dict[str, str]:
    found: dict[str, str] = json.loads(worker.get("/health/ready")[1])["problems"]
    return found


def _types(stage: Stage) -> list[str]:
    return [event["type"].split(".")[2] for event in stage.outages()]


def _sent(stage: Stage) -> int:
    """How many payments the topic holds; one that was written twice is one."""
    places = [TopicPartition(stage.feed.payments, at) for at in range(stage.count)]
    return len({json.loads(value)["payment_id"] for at in places for value in stage.read(at.topic, at.partition)})


def _told(stage: Stage) -> int:
    """How many payments a Judge knows that reads the tallies log in one go."""
    judge = Judge(DEFAULT)
    for value in stage.read(stage.settings.topics.tallies):
        for record in unpack(value):
            judge.take(record)
    (counts,) = [windows[HOUR_MS] for scope, windows in judge.rates() if scope == PLATFORM]
    return sum(counts)


def _assert_said_once(worker: WorkerProcess) -> None:
    """One line at the beginning, one at the end, and few of the libraries'."""
    lines = worker.logged().splitlines()
    said = [line for line in lines if "degraded: broker:" in line]
    assert len(said) == 2, "\n".join(lines)
    assert "over after" in said[1]
    assert sum(library in line for line in lines for library in LIBRARIES) < LINES_MAX, "\n".join(lines)


def _cpu_s(worker: WorkerProcess) -> float:
    """Seconds that the worker has computed."""
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _now_ms() -> int:
    return time.time_ns() // 10**6
