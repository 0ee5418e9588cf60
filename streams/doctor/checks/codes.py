"""Response codes of reds are in the table, so that an outage can say whose fault it is."""

from collections.abc import Iterator

from detector.contracts.codes import CODES_VERSION, look_up
from detector.counting.columns import DECLINED, ERROR
from streams.doctor.checkup import Checkup, Event
from streams.doctor.finding import Finding, share

UNKNOWN_SHARE = 0.05
"""A few odd codes are no matter: the commonest decide the label."""


def check(checkup: Checkup) -> Iterator[Finding]:
    """One finding a feed where many codes are unknown, or where reds never have one."""
    for feed in checkup.feeds:
        reds = [event for event in feed.payments.events if event.status in (DECLINED, ERROR)]
        coded = [event for event in reds if event.code is not None]
        unknown = [event for event in coded if look_up(event.code or "", event.method, event.network) is None]
        if len(unknown) > UNKNOWN_SHARE * len(coded):
            yield _unknown(feed.name, unknown, coded)
        elif reds and not coded:
            yield Finding(
                "codes", "info", feed.name, "no red has a response code, so outages cannot say whose fault they are",
                f"{len(reds)} reds without code", "send the bank's raw answer as code", reds[-1].place,
            )  # fmt: skip


def _unknown(feed: str, unknown: list[Event], coded: list[Event]) -> Finding:
    return Finding(
        "codes", "warning", feed, f"response codes are not in the table (version {CODES_VERSION})",
        f"{share(len(unknown), len(coded))} reds with a code, {len({event.code for event in unknown})} different codes",
        "send the bank's or network's raw code (ISO 8583 field 39, UPI), not a platform's own word, and network for "
        "cards; a code that is raw and missing belongs into detector/contracts/codes.toml",
        unknown[-1].place,
    )  # fmt: skip
