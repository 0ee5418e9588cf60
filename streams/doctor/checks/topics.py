"""Every topic that a feed or Pastille itself needs exists. A worker does not start without them."""

from collections.abc import Iterator

from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed with missing topics, one for Pastille's own."""
    for feed in checkup.feeds:
        missing = [topic.name for topic in feed.topics if topic.partitions == 0]
        if missing:
            yield Finding(
                "topics", "error", feed.name, "the feed's topics do not exist", f"no {' and no '.join(missing)}",
                "create them (`pastille topics create`), or set PASTILLE_FEEDS to the names your platform uses",
            )  # fmt: skip
    if checkup.missing_own:
        yield Finding(
            "topics", "error", "", "topics that Pastille writes to do not exist",
            f"no {' and no '.join(checkup.missing_own)}", "run `pastille topics create`",
        )  # fmt: skip
