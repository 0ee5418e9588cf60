"""Records keep the contract: what a worker could not decode now would become a dead letter."""

from collections import Counter
from collections.abc import Iterator

from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding, share

ERROR_SHARE = 0.01
REASONS_MAX = 5


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a topic, with the commonest reasons."""
    for feed in checkup.feeds:
        for topic in feed.topics:
            if not topic.rejects:
                continue
            reasons = Counter(reject.reason for reject in topic.rejects).most_common(REASONS_MAX)
            yield Finding(
                "unparsable", "error" if len(topic.rejects) > ERROR_SHARE * topic.read else "warning", feed.name,
                "records do not keep the contract and are not counted",
                f"{share(len(topic.rejects), topic.read)} in {topic.name}: "
                + ", ".join(f"{reason} {count}" for reason, count in reasons),
                "compare the example with docs/PRODUCERS.md; words of your platform are mapped in the policy's "
                "[statuses]",
                topic.rejects[-1].place,
            )  # fmt: skip
