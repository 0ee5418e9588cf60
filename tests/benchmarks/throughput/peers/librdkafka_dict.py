"""A loop by hand, as lean as Python allows: confluent-kafka, msgspec into a struct, a dict. No framework."""

from __future__ import annotations

from collections import Counter

import msgspec
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from tests.benchmarks.throughput.meter import PANE_MS, Job, Meter, finish, job
from tests.benchmarks.throughput.peers.librdkafka_drain import AT_ONCE, raised_consumer


class Payment(msgspec.Struct):
    """What is counted by."""

    bank: str
    method: str
    status: str
    occurred_at: int


def main(job: Job) -> None:
    """Count them all."""
    meter, consumer, decode = Meter(), raised_consumer(job), msgspec.json.Decoder(Payment).decode
    counts: Counter[tuple[str, str, str, int]] = Counter()
    meter.begin()
    consumer.assign([TopicPartition(job.topic, 0, OFFSET_BEGINNING)])
    seen = 0
    while seen < job.events:
        messages = consumer.consume(AT_ONCE, 0.5)
        for message in messages:
            event = decode(message.value())
            counts[event.bank, event.method, event.status, event.occurred_at // PANE_MS] += 1
        seen += len(messages)
    meter.end(job.events, counts.total())
    finish()


if __name__ == "__main__":
    main(job())
