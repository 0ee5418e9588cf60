"""Records are keyed by `order_id` and placed by Kafka's default partitioner, so that a payment's events meet."""

from collections.abc import Iterator

from kafka.partitioner.default import murmur2

from streams.doctor.checkup import Checkup, Event, TopicSample
from streams.doctor.finding import Finding, share

ERROR_SHARE = 0.01
"""Above it a worker says that it is not ready."""


def check(checkup: Checkup) -> Iterator[Finding]:
    """Per topic one finding for wrong keys, and one for right keys on a wrong partition."""
    for feed in checkup.feeds:
        for topic in feed.topics:
            wrong = [event for event in topic.events if event.key != event.order_id.encode()]
            keyed = [event for event in topic.events if event.key == event.order_id.encode()]
            misplaced = [event for event in keyed if _partition(event, topic) != event.place.partition]
            if wrong:
                yield _finding(feed.name, topic, wrong, "the record's key is not its order_id",
                               "have the producer send order_id, as UTF-8 text, as the record's key")  # fmt: skip
            if misplaced:
                yield _finding(feed.name, topic, misplaced, "the record is not where its key belongs (murmur2)",
                               "use the default partitioner; with librdkafka set partitioner=murmur2_random; "
                               "if partitions were added just now, this passes")  # fmt: skip


def _partition(event: Event, topic: TopicSample) -> int:
    return int((murmur2(event.key) & 0x7FFFFFFF) % topic.partitions)


def _finding(feed: str, topic: TopicSample, events: list[Event], what: str, do: str) -> Finding:
    severe = len(events) > ERROR_SHARE * len(topic.events)
    got = f"{share(len(events), len(topic.events))} in {topic.name}"
    return Finding("key", "error" if severe else "warning", feed, what, got, do, events[-1].place)
