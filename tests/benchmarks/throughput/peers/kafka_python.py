"""kafka-python and a dict: the consumer as an iterator, JSON by its deserializer."""

from __future__ import annotations

import json
from collections import Counter

from kafka import KafkaConsumer, TopicPartition

from tests.benchmarks.throughput.meter import FETCH_BYTES, PANE_MS, Job, Meter, finish, job


def main(job: Job) -> None:
    """Count them all."""
    meter = Meter()
    consumer = KafkaConsumer(
        bootstrap_servers=job.broker,
        auto_offset_reset="earliest",
        value_deserializer=json.loads,
        max_poll_records=10_000,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    consumer.assign([TopicPartition(job.topic, 0)])
    counts: Counter[tuple[str, str, str, int]] = Counter()
    meter.begin()
    for seen, message in enumerate(consumer, 1):
        event = message.value
        counts[event["bank"], event["method"], event["status"], event["occurred_at"] // PANE_MS] += 1
        if seen == job.events:
            break
    meter.end(job.events, counts.total())
    finish()


if __name__ == "__main__":
    main(job())
