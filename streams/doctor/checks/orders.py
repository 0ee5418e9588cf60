"""A feed has orders: with them an order whose payment never begins is seen as half green."""

from collections.abc import Iterator

from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed that has no orders topic by its settings, or an empty one beside payments."""
    for feed in checkup.feeds:
        if feed.orders is None:
            got = "no orders topic in the settings"
        elif feed.orders.partitions and not feed.orders.stored and feed.payments.read:
            got = f"nothing in {feed.orders.name}, {feed.payments.read} records in {feed.payments.name}"
        else:
            continue
        yield Finding(
            "orders", "info", feed.name,
            "without order events a bank that never even answers the first request is seen later, or not at all",
            got, "send an order event `placed` with its bank and method when the shopper chooses how to pay",
        )  # fmt: skip
