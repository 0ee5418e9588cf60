"""An answer that comes long after its payment's first event says `started_at`; without it, it counts as a new start."""

from collections.abc import Iterator

from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE
from streams.doctor.checkup import Checkup, Event
from streams.doctor.finding import Finding, share


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed with answers H or more after the first event that the sample holds of the payment."""
    for feed in checkup.feeds:
        answers = [event for event in feed.payments.events if event.status in (APPROVED, DECLINED, ERROR)]
        first = _first_seen(feed.payments.events)
        late = [
            event
            for event in answers
            if event.started_at == NONE and event.occurred_at - first[event.payment] >= checkup.policy.horizon_ms
        ]
        if late:
            yield Finding(
                "started_at", "error", feed.name,
                f"answers come {checkup.policy.horizon_ms // 60_000} min or more after their payment began, "
                "without started_at",
                f"{share(len(late), len(answers))} answers",
                "send started_at, the time of the payment's first status, with every event of it",
                late[-1].place,
            )  # fmt: skip


def _first_seen(events: tuple[Event, ...]) -> dict[int, int]:
    """The earliest `occurred_at` (epoch ms) of each payment."""
    first: dict[int, int] = {}
    for event in events:
        first[event.payment] = min(event.occurred_at, first.get(event.payment, event.occurred_at))
    return first
