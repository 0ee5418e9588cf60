"""aiokafka's `getmany`, nothing decoded: what a Python client costs that makes an object a record."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.benchmarks.throughput.meter import FETCH_BYTES, Job, Meter, finish, job


async def main(job: Job) -> None:
    """Read them all."""
    meter, at = Meter(), TopicPartition(job.topic, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=job.broker, auto_offset_reset="earliest", max_partition_fetch_bytes=FETCH_BYTES
    ) as consumer:
        consumer.assign([at])
        meter.begin()
        seen = 0
        while seen < job.events:
            for records in (await consumer.getmany(at, timeout_ms=500)).values():
                seen += len(records)
        meter.end(job.events, seen)
        finish()


if __name__ == "__main__":
    asyncio.run(main(job()))
