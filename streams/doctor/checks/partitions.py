"""Payments and orders of a feed have equally many partitions, so that an order meets its payments in one source."""

from collections.abc import Iterator

from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed whose topics differ; topics that do not exist are another check's."""
    for feed in checkup.feeds:
        counts = {topic.partitions for topic in feed.topics}
        if 0 in counts or len(counts) == 1:
            continue
        yield Finding(
            "partitions", "warning", feed.name,
            "payments and orders have different numbers of partitions, so half green orders are not counted",
            " and ".join(f"{topic.name} {topic.partitions}" for topic in feed.topics),
            "make a new topic with the larger number and move its producers there; adding partitions to a topic in "
            "use splits payments that are on their way",
        )  # fmt: skip
