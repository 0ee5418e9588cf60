"""Writing to the tallies log: the one topic through which intake and verdict speak to each other.

Knows the topic, the key and what "delivered" means; does not know what a record says or who will read it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from detector.counting.tally import Marker, Tally, encode
from streams.settings import Settings

__all__ = ["RECORD_BYTES_MAX", "TallyLog"]

RECORD_BYTES_MAX = 64 * 1024 * 1024
"""Of a record before compression; the largest is the snapshot of a source with thousands of leaves."""

LINGER_MS = 5


class TallyLog:
    """An idempotent producer that keeps the order of each source's records (the topic has one partition)."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.tallies
        self._producer = AIOKafkaProducer(
            **settings.aiokafka(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=LINGER_MS,
            max_request_size=RECORD_BYTES_MAX,
        )

    async def start(self) -> None:
        """Connect; raises aiokafka's KafkaError where no broker answers."""
        await self._producer.start()

    async def stop(self) -> None:
        """Deliver what is queued and disconnect."""
        await self._producer.stop()

    async def send(self, record: Tally | Marker) -> asyncio.Future[Any]:
        """Queue a record; the future is done when the broker has it. Blocks while the queue is full."""
        key = str(record.source) if record.source is not None else record.kind
        sent: asyncio.Future[Any] = await self._producer.send(
            self._topic, encode(record), key=key.encode(), partition=0
        )
        return sent
