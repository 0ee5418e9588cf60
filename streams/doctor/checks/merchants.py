"""Payments name enough merchants: the policy wants several before it believes that a bank, not one shop, is down."""

from collections.abc import Iterator

from detector.contracts.scope import PLATFORM
from streams.doctor.checkup import Checkup, Event
from streams.doctor.finding import Finding, share

EVENTS_MIN = 50
"""Fewer payment events may well be of one shop by chance."""


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed in which `min_merchants` cannot be met."""
    wanted = checkup.policy.rules(PLATFORM).min_merchants
    for feed in checkup.feeds:
        events = feed.payments.events
        nameless = [event for event in events if event.merchant is None]
        merchants = len({event.merchant for event in events})
        if not events or merchants >= wanted or not (len(nameless) == len(events) or len(events) >= EVENTS_MIN):
            continue
        yield _finding(feed.name, events, nameless, merchants, wanted)


def _finding(feed: str, events: tuple[Event, ...], nameless: list[Event], merchants: int, wanted: int) -> Finding:
    return Finding(
        "merchants", "error", feed,
        f"no outage can ever open: the policy wants {wanted} merchants, and all payments without one are one",
        f"{merchants} in {len(events)} payment events; without merchant_id: {share(len(nameless), len(events))}",
        "send merchant_id with every payment; a single shop sets min_merchants = 1 in the policy, and a larger n",
        (nameless or list(events))[-1].place,
    )  # fmt: skip
