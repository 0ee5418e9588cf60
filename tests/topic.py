"""Everything that stands on a topic, read once from its beginning to its end now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.structs import TopicPartition

from streams.settings import Settings

POLL_MS = 500


async def records_of(
    settings: Settings, topic: str, partitions: int, **options: Any
) -> AsyncIterator[ConsumerRecord[Any, Any]]:
    """Every record, of each partition in order; `options` are the consumer's."""
    at = [TopicPartition(topic, number) for number in range(partitions)]
    async with AIOKafkaConsumer(
        **settings.aiokafka(), enable_auto_commit=False, auto_offset_reset="earliest", **options
    ) as consumer:
        consumer.assign(at)
        ends = await consumer.end_offsets(at)
        await consumer.seek_to_beginning(*at)
        while any([await consumer.position(one) < ends[one] for one in at]):
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    yield record
