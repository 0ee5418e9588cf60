"""A feed has payments: over no records the other checks say nothing, which is not the same as all well."""

from collections.abc import Iterator

from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed without a payment record in the sample."""
    for feed in checkup.feeds:
        topic = feed.payments
        if topic.partitions and not topic.read:
            got = f"{topic.stored} records in {topic.name}, none of them looked at" if topic.stored else "none at all"
            yield Finding(
                "payments", "info", feed.name, "there was no payment record to look at, so most checks say nothing",
                got, f"have the platform send to {topic.name}; else look further back with --minutes",
            )  # fmt: skip
