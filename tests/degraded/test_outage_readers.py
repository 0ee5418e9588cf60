"""Those who must read the outages, and do not: it is seen from the groups themselves, on a real broker."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.degraded.readers import GONE_MAX, OutageReaders
from streams.embedded import EmbeddedKafka
from streams.settings import Settings
from tests.integration.workers import Stage, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EVENT = b"{}"


class Pager(threading.Thread):
    """A member of a group that reads the outages, and commits where it is told to."""

    def __init__(self, settings: Settings, group: str, *, commits: bool) -> None:
        super().__init__(daemon=True)
        self._settings, self._group, self._commits = settings, group, commits
        self._stopped = threading.Event()
        self.is_at_work = threading.Event()

    def run(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        async with AIOKafkaConsumer(
            self._settings.topics.outages, **self._settings.aiokafka(), group_id=self._group,
            isolation_level="read_committed", auto_offset_reset="earliest", enable_auto_commit=False,
        ) as consumer:  # fmt: skip
            while not self._stopped.is_set():
                await consumer.getmany(timeout_ms=200)
                if consumer.assignment():
                    self.is_at_work.set()
                    if self._commits:
                        await consumer.commit()

    def stop(self) -> None:
        self._stopped.set()
        self.join(20)


@contextmanager
def pager(settings: Settings, group: str, *, commits: bool = True) -> Iterator[None]:
    """A pager at work. One that is stopped while it joins keeps the next from joining until its session is over."""
    one = Pager(settings, group, commits=commits)
    one.start()
    try:
        assert one.is_at_work.wait(120), "the group gave the pager nothing to read"
        yield
    finally:
        one.stop()


def look(readers: OutageReaders) -> str:
    """What is wrong at the next look."""
    asyncio.run(readers.look(True))
    return readers.problem or ""


def until(readers: OutageReaders, wanted: str) -> None:
    """Look until that is wrong, or nothing is."""
    until_s = time.monotonic() + 60
    found = look(readers)
    while not (wanted in found if wanted else not found):
        assert time.monotonic() < until_s, f"wanted {wanted!r}, and it is {found!r} of {readers.readings}"
        found = look(readers)


def test_a_reader_that_is_gone_or_stuck_is_named(kafka: EmbeddedKafka) -> None:
    """No member: said at the second look. A member that has read nothing of an event for 2 s: said with the seconds;
    over when it has read it, though the end of a transaction stands behind the event."""
    group = f"pager-{secrets.token_hex(4)}"
    with Stage(kafka, 1, outage_readers=(group,), outage_reader_behind_s=2) as stage:
        readers = OutageReaders(stage.settings, lambda: time.time_ns() // 10**6)
        found = [look(readers) for _ in range(GONE_MAX)]
        assert found[0] == ""
        assert f"group {group} without a member" in found[1]
        with pager(stage.settings, group):
            until(readers, "")
            assert [(one.group, one.is_there) for one in readers.readings] == [(group, True)]
        with pager(stage.settings, group, commits=False):
            asyncio.run(_write_in_a_transaction(stage.settings))
            until(readers, "unread for")
            assert group in look(readers)
        with pager(stage.settings, group):
            until(readers, "")
            assert readers.readings[0].unread_s == 0


def test_who_does_not_judge_does_not_ask(kafka: EmbeddedKafka) -> None:
    """One worker asks, the one that judges; another says nothing of readers."""
    with Stage(kafka, 1, outage_readers=("nobody",)) as stage:
        readers = OutageReaders(stage.settings, lambda: 0)
        for _ in range(GONE_MAX):
            asyncio.run(readers.look(False))
        assert (readers.problem, readers.readings) == (None, ())


def test_a_worker_says_that_its_pager_is_away(kafka: EmbeddedKafka) -> None:
    """503 with the group's name while it has no member, and 200 by itself when it has one."""
    group = f"pager-{secrets.token_hex(4)}"
    with Stage(kafka, 1) as stage:
        stage.settings_environment["PASTILLE_OUTAGE_READERS"] = group
        worker = stage.worker()
        wait_for(lambda: group in worker.get("/health/ready")[1], stage, "the missing group named")
        assert list(json.loads(worker.get("/health/ready")[1])["problems"]) == ["readers"]
        assert worker.metrics()["pastille_outage_reader_up", frozenset({("group", group)})] == 0
        with pager(stage.settings, group):
            wait_for(lambda: worker.get("/health/ready")[0] == 200, stage, "ready")
            assert worker.metrics()["pastille_outage_reader_up", frozenset({("group", group)})] == 1


async def _write_in_a_transaction(settings: Settings) -> None:
    producer = AIOKafkaProducer(**settings.aiokafka(), transactional_id=f"test-{secrets.token_hex(4)}")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send(settings.topics.outages, EVENT, partition=0)
    finally:
        await producer.stop()
