"""No field holds card numbers: Pastille keeps none, but whatever else reads the topic has them, and so has its disk."""

from collections.abc import Iterator
from itertools import islice

from streams.doctor.checkup import Checkup, Event, TopicSample
from streams.doctor.finding import Finding, Severity, share

CHANCE_SHARE = 0.2
"""One in ten numbers passes the check digit of a card: ids that are numbers do, and no more of them than that."""
FIELDS_MAX = 5


def check(checkup: Checkup) -> Iterator[Finding]:
    """Of each topic one finding for a field some of whose values look like card numbers; of five fields at most."""
    for feed in checkup.feeds:
        for topic in feed.topics:
            names = sorted({name for event in topic.events for name in event.card_like})
            yield from (_finding(feed.name, topic, name) for name in islice(names, FIELDS_MAX))


def _finding(feed: str, topic: TopicSample, name: str) -> Finding:
    found = [event for event in topic.events if name in event.card_like]
    having = sum(name in event.fields for event in topic.events)
    got = f"{share(len(found), having)} values of {name} in {topic.name}"
    if len(found) > CHANCE_SHARE * having:
        return _say("warning", feed, "values look like card numbers (13 to 19 digits with a card's check digit)", got,
                    "stop sending them: send a token of the card in instrument_id, and delete what the topic keeps",
                    found)  # fmt: skip
    return _say("info", feed, "some values look like card numbers, as one in ten ids that are numbers does", got,
                "see that they are ids; nothing is to be done then", found)  # fmt: skip


def _say(severity: Severity, feed: str, what: str, got: str, do: str, found: list[Event]) -> Finding:
    return Finding("cards", severity, feed, what, got, do, found[-1].place)
