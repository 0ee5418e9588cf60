"""Real workers in processes of their own, on topics of their own, for the tests of them and of commands.

Knows how a worker is started, watched and ended, and how topics are filled and read; asserts nothing.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from detector.rehearsal.partition import partitions
from detector.warm import warm
from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.intake.recovery import Note, parse_note
from streams.settings import Feed, Settings, TopicNames
from streams.topics import create_topics

BATCH_BYTES = 512 * 1024
WORKER = [sys.executable, "-c", "from streams.commands import main; main()", "worker", "--http-port", "0"]
# Its clock is off by as many seconds as a file says: every part of the process sees the wrong time, ours and others'.
CLOCKED = """
import os, sys, time
file = sys.argv.pop(1)
def off_s(): return int(open(file).read() or 0)
plain_s, plain_ns = time.time, time.time_ns
time.time = lambda: plain_s() + off_s()
time.time_ns = lambda: plain_ns() + off_s() * 10**9
from streams.commands import main
main()
"""


class _Line(msgspec.Struct):
    order_id: str = ""
    occurred_at: int | str = 0
    payment_id: str | None = None


_line = msgspec.json.Decoder(_Line)


class Stage:
    """Topics of one test's own on the shared broker, and the workers on them; leaves no process behind."""

    def __init__(self, kafka: EmbeddedKafka, count: int, *, mutual: bool = False, **overrides: Any) -> None:
        token = secrets.token_hex(4)
        feed = Feed(name="default", payments=f"payments-{token}", orders=f"orders-{token}")
        names = {name: f"pastille-{token}.{name}" for name in TopicNames.model_fields}
        self.count = count
        self.settings: Settings = kafka.settings(
            mutual=mutual, app_id=f"pastille-{token}", feeds=(feed,), topics=TopicNames(**names), **overrides
        )
        self.settings_environment = {
            **kafka.environment(mutual=mutual),
            "PASTILLE_APP_ID": self.settings.app_id,
            "PASTILLE_FEEDS": json.dumps([feed.model_dump()]),
            "PASTILLE_TOPICS": json.dumps(names),
            "PASTILLE_CLOCK": self.settings.clock,
        }
        self.workers: list[WorkerProcess] = []
        create_topics(self.settings, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()

    @property
    def feed(self) -> Feed:
        """The one feed."""
        return self.settings.feeds[0]

    def worker(self, *arguments: str, clock: Path | None = None, program: Sequence[str] = WORKER[:3]) -> WorkerProcess:
        """Start a worker, which finds its loops kept; returns at once. Its clock is off by as many seconds as the file
        `clock` says; `program` is what runs it, where that is not the plain command."""
        _keep_loops()
        start = program if clock is None else [WORKER[0], "-c", CLOCKED, str(clock)]
        command = [*start, *WORKER[3:]]
        started = WorkerProcess([*command, *arguments], {**os.environ, **self.settings_environment})
        self.workers.append(started)
        return started

    def send(self, lines: Sequence[bytes]) -> None:
        """Write events as producers do: key order_id, murmur2, payments and orders apart, Kafka's time their own."""
        asyncio.run(_send(self, lines))

    def send_raw(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Write (key, value) records as they are to partition 0 of a topic."""
        asyncio.run(_send_raw(self.settings, topic, list(records)))

    def notes(self) -> list[Note | None]:
        """What stands beside the committed offsets of the counters' group."""
        with admin_client(self.settings) as admin:
            group = self.settings.counter_group
            return [parse_note(found.metadata) for found in admin.list_group_offsets([group])[group].values()]

    def outages(self) -> list[dict[str, Any]]:
        """Every committed outage event."""
        return [json.loads(value) for value in self.read(self.settings.topics.outages)]

    def read(self, topic: str, partition: int = 0) -> list[bytes]:
        """The values of every committed record of a partition."""
        at = TopicPartition(topic, partition)
        consumer = KafkaConsumer(
            **self.settings.kafka_python(), isolation_level="read_committed", enable_auto_commit=False
        )
        try:
            consumer.assign([at])
            end = consumer.end_offsets([at])[at]
            consumer.seek_to_beginning(at)
            found: list[bytes] = []
            while consumer.position(at) < end:
                found += [record.value for record in consumer.poll(timeout_ms=500).get(at, [])]
            return found
        finally:
            consumer.close(autocommit=False)


class WorkerProcess:
    """A running `pastille worker`."""

    patience_s = 10.0
    """For an answer over HTTP."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the process
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True
        )
        self._url: str | None = None
        self._reading = threading.Lock()  # two threads that ask would each wait for a line of its own

    @property
    def url(self) -> str:
        """Where it serves; waits for the line that says so."""
        with self._reading:
            if self._url is None:
                assert self.process.stdout is not None
                line = self.process.stdout.readline()
                assert line, f"the worker ended before it served:\n{self.logged()}"
                self._url = json.loads(line)["http"]
            return self._url

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=self.patience_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self, *names: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample, or those of some metrics, by name and labels."""
        query = urllib.parse.urlencode([("name[]", name) for name in names])
        families = text_string_to_metric_families(self.get(f"/metrics?{query}")[1])
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def metric(self, name: str) -> float | None:
        """The one sample of a metric without labels; None where it is absent."""
        return self.metrics(name).get((name, frozenset()))

    def counted(self) -> float:
        """Events that it has counted."""
        samples = self.metrics("pastille_events_total").items()
        return sum(value for (_, labels), value in samples if ("result", "counted") in labels)

    def end(self, number: int = signal.SIGTERM, within_s: float = 15.0) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def logged(self) -> str:
        """What it wrote to standard error so far."""
        self.log.seek(0)
        return self.log.read()


@functools.cache
def _keep_loops() -> None:
    warm()


def wait_for(what: Callable[[], Any], stage: Stage, sentence: str, within_s: float = 120, every_s: float = 0.5) -> Any:
    """Ask until the answer is true, and give it; the workers' logs are in the failure."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        found = what()
        if found:
            return found
        time.sleep(every_s)
    logs = "\n\n".join(worker.logged()[-6000:] for worker in stage.workers)
    raise AssertionError(f"after {within_s:.0f} s still not: {sentence}\n{logs}")


def judged_ms(stage: Stage) -> int:
    """The newest boundary that a living worker of the stage has judged; -1 without one."""
    living = [worker for worker in stage.workers if worker.process.poll() is None]
    seconds = [worker.metric("pastille_boundary_seconds") for worker in living]
    return max((round(found * 1000) for found in seconds if found is not None), default=-1)


async def _send(stage: Stage, lines: Sequence[bytes]) -> None:
    """Record batches made by hand: a quarter of a million events in a few seconds."""
    read = [_line.decode(line) for line in lines]
    places = partitions([one.order_id.encode() for one in read], stage.count)
    sizes = {"max_request_size": 2 * BATCH_BYTES, "max_batch_size": BATCH_BYTES}
    producer = AIOKafkaProducer(**stage.settings.aiokafka(), **sizes)
    await producer.start()
    try:
        batches: dict[tuple[str, int], Any] = {}
        for line, one, partition in zip(lines, read, places.tolist(), strict=True):
            topic = stage.feed.payments if one.payment_id is not None else stage.feed.orders
            assert topic is not None
            at = (topic, partition)
            batch = batches.setdefault(at, producer.create_batch())
            record = {"key": one.order_id.encode(), "value": line, "timestamp": int(one.occurred_at)}
            if batch.append(**record) is None:
                await _ship(producer, at, batch)
                batches[at] = batch = producer.create_batch()
                assert batch.append(**record) is not None
        for at, batch in batches.items():
            await _ship(producer, at, batch)
    finally:
        await producer.stop()


async def _ship(producer: AIOKafkaProducer, at: tuple[str, int], batch: Any) -> None:
    batch.close()
    await (await producer.send_batch(batch, at[0], partition=at[1]))


async def _send_raw(settings: Settings, topic: str, records: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = AIOKafkaProducer(**settings.aiokafka())
    await producer.start()
    try:
        for key, value in records:
            await producer.send(topic, value, key=key, partition=0)
    finally:
        await producer.stop()
