"""No dead letters wait: each is an event that is missing in the counts."""

from collections import Counter
from collections.abc import Iterator

from streams.doctor.checkup import LETTERS_MAX, Checkup
from streams.doctor.finding import Finding

REASONS_MAX = 5


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding, with the commonest reasons; or that none waits as far as was looked."""
    letters = checkup.letters
    among = f"among the newest {LETTERS_MAX:,} records" if letters.left_out else "in all"
    if letters.waiting:
        reasons = Counter(letters.waiting).most_common(REASONS_MAX)
        yield Finding(
            "dead_letters", "warning", "", "records could not be counted and wait in the dead letters",
            f"{sum(letters.waiting.values())} {among}: " + ", ".join(f"{reason} {count}" for reason, count in reasons),
            "see them with `pastille deadletters list`, mend the producer or the policy, then `pastille deadletters "
            "replay`",
            letters.newest,
        )  # fmt: skip
    elif letters.left_out:
        yield Finding(
            "dead_letters", "info", "", "older dead letters may wait to be sent again",
            f"none {among}, and {letters.left_out:,} older ones that were not looked at",
            "see with `pastille deadletters list`, which looks at more",
        )  # fmt: skip
