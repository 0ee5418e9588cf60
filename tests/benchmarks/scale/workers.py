"""Real workers on topics that are full already: what they count a second, together, and what it costs them.

The events are those of the throughput benchmark, over many partitions. Measured from outside between two looks at
their `/metrics`: the first that shows events counted, and the first that shows all of them counted.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from detector.rehearsal.partition import partitions
from streams.embedded import EmbeddedKafka
from streams.embedded.process import Guard
from streams.settings import Feed, Settings, TopicNames
from streams.stress.ground import WorkerProcess
from streams.topics import create_topics
from streams.trial import trial_variables
from tests.benchmarks.throughput.events import events

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


def worked(kafka: EmbeddedKafka, topic: str, workers: int, count: int, total: int) -> Work:
    """Let workers count a topic of `count` partitions from its beginning."""
    run = f"scale-{count}-{workers}"
    names = TopicNames(**{name: f"{run}.{name}" for name in TopicNames.model_fields})
    settings = kafka.settings(app_id=run, feeds=(Feed(payments=topic, orders=None),), topics=names)
    create_topics(settings, count)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        guard = Guard(folder)
        stack.callback(guard.close)
        variables = {**trial_variables(settings), "PASTILLE_CLOCK": "events", "PASTILLE_FROM": "earliest"}
        begun = [WorkerProcess(guard, folder / f"{number}.log", variables) for number in range(workers)]
        return _watched(begun, count, total)


def _watched(workers: list[WorkerProcess], partitions: int, total: int) -> Work:
    until_s, first, last = time.monotonic() + WITHIN_S, None, _look(workers)
    while last[0] < total:
        assert time.monotonic() < until_s, f"{last[0]} of {total} counted"
        time.sleep(LOOK_S)
        last = _look(workers)
        if first is None and last[0] > 0:
            first = last
    assert first is not None, "all was counted before the first look: give more events"
    return Work(len(workers), partitions, last[0] - first[0], last[1] - first[1], last[2] - first[2], last[3])


def _look(workers: list[WorkerProcess]) -> tuple[int, float, float, float]:
    """Counted by all, when, CPU seconds and memory of all; what an owner counts again after another is not counted."""
    seen = [worker.look() for worker in workers]
    samples = [sample for worker in workers for sample in worker.samples() if sample.name == "pastille_events_total"]
    return (
        int(sum(one.value for one in samples if one.labels["result"] == "counted")), time.monotonic(),
        sum(one.cpu_s or 0.0 for one in seen), sum(one.memory_mb or 0.0 for one in seen),
    )  # fmt: skip


def loaded(kafka: EmbeddedKafka, count: int, total: int) -> str:
    """A topic of so many partitions with so many events, each where its key belongs."""
    topic = kafka.new_topic("scale", count)
    asyncio.run(_load(kafka.settings(), topic, count, total))
    return topic


async def _load(settings: Settings, topic: str, count: int, total: int) -> None:
    sizes = {"max_batch_size": BATCH_BYTES, "max_request_size": 2 * BATCH_BYTES}
    source = events(total)
    async with AIOKafkaProducer(**settings.aiokafka(), **sizes) as producer:
        for some in iter(lambda: list(islice(source, BATCH_EVENTS)), []):
            batches: dict[int, Any] = {}
            places = partitions([event.key for event in some], count).tolist()
            for event, place in zip(some, places, strict=True):
                batch = batches.setdefault(place, producer.create_batch())
                told = batch.append(key=event.key, value=event.value, timestamp=event.at_ms)
                assert told is not None, f"{BATCH_EVENTS} events fit into {BATCH_BYTES} bytes"
            waiting = []
            for place, batch in batches.items():
                batch.close()
                waiting.append(await producer.send_batch(batch, topic, partition=place))
            await asyncio.gather(*waiting)
