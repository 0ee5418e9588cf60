"""No dead letters wait: each is an event that is missing in the counts."""

from collections import Counter
from collections.abc import Iterator

from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding

REASONS_MAX = 5


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding, with the commonest reasons."""
    if not checkup.letters:
        return
    reasons = Counter(letter.reason for _, letter in checkup.letters).most_common(REASONS_MAX)
    yield Finding(
        "dead_letters", "warning", "", "records could not be counted and wait in the dead letters",
        f"{len(checkup.letters)} among the newest: " + ", ".join(f"{reason} {count}" for reason, count in reasons),
        "see them with `pastille deadletters list`, mend the producer or the policy, then `pastille deadletters "
        "replay`",
        checkup.letters[0][0],
    )  # fmt: skip
