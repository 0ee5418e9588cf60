"""Payments get answers: where all stay pending, the answers are not sent, or their statuses are not mapped."""

from collections.abc import Iterator

from detector.counting.columns import APPROVED, DECLINED, ERROR, PENDING
from streams.doctor.checkup import Checkup, Event
from streams.doctor.finding import Finding


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed without any answer, once a payment has waited longer than its answer may take."""
    for feed in checkup.feeds:
        events = feed.payments.events
        if not events or any(event.status in (APPROVED, DECLINED, ERROR) for event in events):
            continue
        pending = [event for event in events if event.status == PENDING]
        waited_ms = max(event.log_time for event in events) - min(event.occurred_at for event in events)
        if pending and waited_ms > checkup.policy.answers["default"]:
            yield _finding(feed.name, pending, waited_ms)


def _finding(feed: str, pending: list[Event], waited_ms: int) -> Finding:
    return Finding(
        "finals", "error", feed, "no payment ever gets an answer (approved, declined, error)",
        f"{len({event.payment for event in pending})} payments pending, none answered in {waited_ms // 1000} s",
        "send an event when the bank answers, with the payment's id and order_id; map your platform's words for it "
        "in the policy's [statuses]: an ignored word counts as no answer",
        pending[0].place,
    )  # fmt: skip
