"""Fills a topic with the events, in record batches of a given number of events. Knows Kafka; not what reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.settings import Settings
from tests.benchmarks.throughput.events import Event

BATCH_BYTES = 1 << 20
AHEAD = 64


def load(settings: Settings, topic: str, events: Iterable[Event], per_batch: int) -> None:
    """Write the events to the topic's one partition."""
    asyncio.run(_load(settings, topic, events, per_batch))


async def _load(settings: Settings, topic: str, events: Iterable[Event], per_batch: int) -> None:
    sizes = {"max_batch_size": BATCH_BYTES, "max_request_size": 2 * BATCH_BYTES}
    async with AIOKafkaProducer(**settings.aiokafka(), **sizes) as producer:
        waiting: list[asyncio.Future[Any]] = []
        source = iter(events)
        for some in iter(lambda: list(islice(source, per_batch)), []):
            batch = producer.create_batch()
            for event in some:
                told = batch.append(key=event.key, value=event.value, timestamp=event.at_ms)
                assert told is not None, f"{per_batch} events do not fit into {BATCH_BYTES} bytes"
            batch.close()
            waiting.append(await producer.send_batch(batch, topic, partition=0))
            if len(waiting) >= AHEAD:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
