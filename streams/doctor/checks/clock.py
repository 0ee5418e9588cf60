"""`occurred_at` agrees with the time at which Kafka got the record: no clock or unit of a producer is off."""

from collections.abc import Iterator

from streams.doctor.checkup import Checkup, Event, TopicSample
from streams.doctor.finding import Finding, share

AHEAD_MS = 5_000
"""An event cannot be written before it happened; a little is what synchronised clocks differ by."""
BEHIND_SHARE = 0.05
"""A few old events are retries of a sender; many are a clock, a unit, or a backlog."""


def check(checkup: Checkup) -> Iterator[Finding]:
    """Per topic one finding for events from the future, and one where many come long after they happened."""
    for feed in checkup.feeds:
        for topic in feed.topics:
            yield from _ahead(checkup, feed.name, topic)
            yield from _behind(checkup, feed.name, topic)


def _ahead(checkup: Checkup, feed: str, topic: TopicSample) -> Iterator[Finding]:
    events = [event for event in topic.events if event.occurred_at - event.log_time > AHEAD_MS]
    if not events:
        return
    furthest = max(events, key=_ahead_ms)
    refused = _ahead_ms(furthest) > checkup.policy.clock_ahead_ms
    yield Finding(
        "clock", "error" if refused else "warning", feed,
        "occurred_at lies after the time at which Kafka got the record"
        + (", so far that it goes to the dead letters" if refused else ""),
        f"{share(len(events), len(topic.events))} in {topic.name}, up to {_ahead_ms(furthest) // 1000} s ahead",
        "synchronise the producer's clock (NTP); send epoch milliseconds, or RFC 3339 text with its zone",
        furthest.place,
    )  # fmt: skip


def _behind(checkup: Checkup, feed: str, topic: TopicSample) -> Iterator[Finding]:
    behind_ms = checkup.policy.grace_ms
    events = [event for event in topic.events if -_ahead_ms(event) > behind_ms]
    if len(events) <= BEHIND_SHARE * len(topic.events):
        return
    furthest = min(events, key=_ahead_ms)
    yield Finding(
        "clock", "warning", feed, f"occurred_at lies more than {behind_ms // 1000} s before Kafka got the record",
        f"{share(len(events), len(topic.events))} in {topic.name}, up to {-_ahead_ms(furthest) // 1000} s behind",
        "synchronise the producer's clock (NTP), and look for a queue, a batch job or a local time without its zone "
        "before Kafka: an outage is found that much later",
        furthest.place,
    )  # fmt: skip


def _ahead_ms(event: Event) -> int:
    return event.occurred_at - event.log_time
