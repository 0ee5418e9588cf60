"""Real workers that find a topic full: what they count a second, together, and what it costs them.

The events are those of the throughput benchmark, over many partitions. They are written in one transaction, which is
committed when every worker has joined and has its sources: so all begin at once, and nothing moves meanwhile. Measured
from outside between two looks at their `/metrics`: one at once, and the first that shows all of them counted.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from detector.rehearsal.partition import partitions
from streams.embedded import EmbeddedKafka
from streams.embedded.process import Guard
from streams.settings import Feed, Settings, TopicNames
from streams.stress.ground import WorkerProcess
from streams.topics import create_topics
from streams.trial import trial_variables
from tests.benchmarks.throughput.events import Event, events

LOOK_S = 0.2
WITHIN_S = 300.0
BATCH_EVENTS = 5_000
BATCH_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Work:
    """What some workers did: events counted between two looks, in how many seconds, for how many of CPU."""

    workers: int
    partitions: int
    events: int
    wall_s: float
    cpu_s: float
    memory_mb: float


def worked(kafka: EmbeddedKafka, workers: int, count: int, total: int) -> Work:
    """Let workers count a topic of `count` partitions from its beginning."""
    return asyncio.run(_worked(kafka, workers, count, total))


async def _worked(kafka: EmbeddedKafka, workers: int, count: int, total: int) -> Work:
    run, topic = f"scale-{count}-{workers}", kafka.new_topic("scale", count)
    names = TopicNames(**{name: f"{run}.{name}" for name in TopicNames.model_fields})
    settings = kafka.settings(app_id=run, feeds=(Feed(payments=topic, orders=None),), topics=names)
    create_topics(settings, count)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        guard = Guard(folder)
        stack.callback(guard.close)
        variables = {**trial_variables(settings), "PASTILLE_CLOCK": "events", "PASTILLE_FROM": "earliest"}
        async with _loaded(settings, topic, count, total):
            begun = [WorkerProcess(guard, folder / f"{number}.log", variables) for number in range(workers)]
            for worker in begun:
                stack.callback(worker.end)
                await asyncio.to_thread(worker.wait_until_ready)
            await asyncio.to_thread(_wait_until_placed, begun, count)
        return await asyncio.to_thread(_watched, begun, count, total)


def _wait_until_placed(workers: list[WorkerProcess], partitions: int) -> None:
    """Until every worker has its share of the sources."""
    share, until_s = partitions // len(workers), time.monotonic() + WITHIN_S
    while any(_sources(worker) != share for worker in workers):
        assert time.monotonic() < until_s, f"{[_sources(worker) for worker in workers]} of {partitions} sources"
        time.sleep(LOOK_S)


def _sources(worker: WorkerProcess) -> int:
    return len(worker.samples("pastille_ingest_lag_events"))


def _watched(workers: list[WorkerProcess], partitions: int, total: int) -> Work:
    until_s, first = time.monotonic() + WITHIN_S, _look(workers)
    assert first[0] < total, "all was counted before the first look: give more events"
    last = first
    while last[0] < total:
        assert time.monotonic() < until_s, f"{last[0]} of {total} counted"
        time.sleep(LOOK_S)
        last = _look(workers)
    return Work(len(workers), partitions, last[0] - first[0], last[1] - first[1], last[2] - first[2], last[3])


def _look(workers: list[WorkerProcess]) -> tuple[int, float, float, float]:
    """Counted by all, when, CPU seconds and memory of all."""
    seen = [worker.look() for worker in workers]
    samples = [sample for worker in workers for sample in worker.samples("pastille_events_total")]
    return (
        int(sum(one.value for one in samples if one.labels["result"] == "counted")), time.monotonic(),
        sum(one.cpu_s or 0.0 for one in seen), sum(one.memory_mb or 0.0 for one in seen),
    )  # fmt: skip


@asynccontextmanager
async def _loaded(settings: Settings, topic: str, count: int, total: int) -> AsyncIterator[None]:
    """So many events on a topic, each where its key belongs, which nobody can read before the end."""
    sizes = {"max_batch_size": BATCH_BYTES, "max_request_size": 2 * BATCH_BYTES}
    once = {"transactional_id": topic, "transaction_timeout_ms": round(1000 * WITHIN_S)}
    async with AIOKafkaProducer(**settings.aiokafka(), **sizes, **once) as producer, producer.transaction():
        source = events(total)
        for some in iter(lambda: list(islice(source, BATCH_EVENTS)), []):
            await _send(producer, topic, count, some)
        yield


async def _send(producer: AIOKafkaProducer, topic: str, count: int, some: Sequence[Event]) -> None:
    batches: dict[int, Any] = {}
    places = partitions([event.key for event in some], count).tolist()
    for event, place in zip(some, places, strict=True):
        batch = batches.setdefault(place, producer.create_batch())
        told = batch.append(key=event.key, value=event.value, timestamp=event.at_ms)
        assert told is not None, f"{BATCH_EVENTS} events fit into {BATCH_BYTES} bytes"
    waiting = []
    for place, batch in batches.items():
        batch.close()
        # What `send` does, and `send_batch` does not: the partition is one of the transaction's.
        producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, place))
        waiting.append(await producer.send_batch(batch, topic, partition=place))
    await asyncio.gather(*waiting)
