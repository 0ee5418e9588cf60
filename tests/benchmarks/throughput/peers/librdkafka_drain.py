"""confluent-kafka's `consume`, nothing decoded, with librdkafka's queue raised: the usual fast client."""

from __future__ import annotations

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.benchmarks.throughput.meter import FETCH_BYTES, Job, Meter, finish, job

AT_ONCE = 10_000


def main(job: Job) -> None:
    """Read them all."""
    meter, consumer = Meter(), raised_consumer(job)
    meter.begin()
    consumer.assign([TopicPartition(job.topic, 0, OFFSET_BEGINNING)])
    seen = 0
    while seen < job.events:
        seen += len(consumer.consume(AT_ONCE, 0.5))
    meter.end(job.events, seen)
    finish()


def raised_consumer(job: Job) -> Consumer:
    """A consumer that fetches far ahead."""
    return Consumer(
        {
            "bootstrap.servers": job.broker,
            "group.id": job.group,
            "enable.auto.commit": False,
            "queued.min.messages": 1_000_000,
            "fetch.message.max.bytes": FETCH_BYTES,
        }
    )


if __name__ == "__main__":
    main(job())
