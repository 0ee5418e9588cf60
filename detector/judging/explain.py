"""The sentence for the person woken at 02:30: what, since when, how many shops, and what still works.

Pure words from values; knows no counts but those it is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from detector.contracts.models import Kind
from detector.contracts.scope import Scope

_NAMES_MAX = 3
_YEAR_S = 365.25 * 86_400
_YEARS_MAX = 1_000_000
_SHOWS: dict[Kind, str] = {
    "all_red": "every payment is refused",
    "all_pending": "payments hang without an answer",
    "drop": "more payments are refused than usual",
    "slow": "answers come far slower than usual",
    "stall": "far fewer payments arrive than usual",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentence is made of; times are epoch ms, `usual` is a rate from 0 to 1."""

    scope: Scope
    kind: Kind
    began_ms: int
    boundary_ms: int
    approved: int
    red: int
    pending: int
    overdue: int
    payments: int
    merchants: int
    usual: float | None
    codes: Sequence[tuple[str, int]]
    working: Sequence[str]
    also_down: int
    reason: str | None
    ended_ms: int | None
    announced_ms: int | None = None
    """Until when an announced maintenance covers the scope."""
    note: str = ""
    lower_bound: float | None = None
    return_period_s: float | None = None
    detected_ms: int = 0
    by_evidence: bool = False
    well_ms: int | None = None
    """How long the outage that this one continues was over."""
    is_silent: bool = False
    rate_now: float | None = None
    orders_hit: int = 0
    orders_recovered: int = 0


def explain(facts: Facts) -> str:
    """A few short sentences; the first says what is wrong, or that it is over."""
    if facts.reason == "superseded":
        return f"{_name(facts.scope)}: now part of a wider outage, see its parent."
    if facts.ended_ms is not None and facts.reason == "baseline_reset":
        return f"{_name(facts.scope)}: a person had its usual rate forgotten, after {_lasted(facts)} of this outage."
    if facts.ended_ms is not None:
        since = _clock(facts.ended_ms)
        does = "arrive" if facts.kind == "stall" else "are approved"
        over = f"{_name(facts.scope)}: payments {does} again since {since}, after {_lasted(facts)}."
        return f"{over} {_orders(facts)}".strip()
    tellers = (
        _what, _again, _turn, _announced, _how_many, _orders, _usual, _how_rare, _codes, _quiet, _whose, _elsewhere,
        _ask,
    )  # fmt: skip
    return " ".join(part for tell in tellers if (part := tell(facts)))


def _ask(facts: Facts) -> str:
    if facts.reason != "frozen_24h":
        return ""
    key = facts.scope.key
    word = key if re.fullmatch(r"[\w:,.%+-]+", key) else "'" + key.replace("'", "'\\''") + "'"
    return (
        "Its usual rate has not been learned for 24 hours: if this is its new normal, pastille baseline reset " + word
    )


def _name(scope: Scope) -> str:
    if scope.dimension == "platform":
        return "The whole platform"
    if scope.dimension != "leaf":
        return f"{scope.dimension.capitalize()} {scope.values[0][1]}"
    (first, bank), *rest = scope.values
    return f"{first.capitalize()} {bank}, {', '.join(value for _, value in rest)}"


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S UTC")


def _lasted(facts: Facts) -> str:
    return _length((facts.ended_ms or 0) - facts.began_ms)


def _length(length_ms: int) -> str:
    seconds = length_ms // 1000
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _what(facts: Facts) -> str:
    shows = _SHOWS[facts.kind]
    if facts.kind == "all_red" and facts.overdue:
        shows = "payments are refused or hang without an answer"
    about = "about " if facts.by_evidence else ""
    return f"{_name(facts.scope)}: {shows} since {about}{_clock(facts.began_ms)}."


def _again(facts: Facts) -> str:
    if facts.well_ms is None:
        return ""
    told = " Nobody is called again for it." if facts.is_silent else ""
    return f"It is the trouble of before, which was over for {_length(facts.well_ms)}.{told}"


def _turn(facts: Facts) -> str:
    lately = "" if facts.rate_now is None else f": {100 * facts.rate_now:.0f} % are approved lately"
    turns = {"partly_recovered": "It has recovered in part", "worse": "It is worse than it was"}
    turn = turns.get(facts.reason or "")
    return f"{turn}{lately}." if turn else ""


def _announced(facts: Facts) -> str:
    if facts.announced_ms is None:
        return "The maintenance announced for it is over." if facts.reason == "maintenance_over" else ""
    until, now = (datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in (facts.announced_ms, facts.boundary_ms))
    day = f"{until:%Y-%m-%d} " if until.date() != now.date() else ""
    return f"Announced maintenance until {day}{until:%H:%M} UTC{f' ({facts.note})' if facts.note else ''}."


def _how_many(facts: Facts) -> str:
    if facts.kind == "stall" and not facts.payments:
        return "None came lately."
    counts = [f"{facts.red} refused" if facts.red else "", f"{facts.pending} waiting" if facts.pending else ""]
    seen = ", ".join(part for part in counts if part)
    shops = "1 shop" if facts.merchants == 1 else f"{facts.merchants} shops"
    return f"{facts.approved} of {facts.payments} payments approved ({seen or 'none decided'}; {shops})."


def _orders(facts: Facts) -> str:
    if not facts.orders_hit:
        return ""
    hit = "1 order" if facts.orders_hit == 1 else f"{facts.orders_hit} orders"
    whose = "of them " if facts.orders_hit > 1 else ""
    return f"{hit} hit, {facts.orders_recovered or 'none'} {whose}paid since."


def _usual(facts: Facts) -> str:
    if facts.usual is None:
        return ""
    if facts.lower_bound is None:
        return f"The hour before: {100 * facts.usual:.0f} % approved."
    return f"Usual at this hour: {100 * facts.usual:.0f} % approved, bar {100 * facts.lower_bound:.0f} %."


def _how_rare(facts: Facts) -> str:
    if facts.return_period_s is None:
        return ""
    found_s = (facts.detected_ms - facts.began_ms) // 1000
    rare = f"A healthy scope shows this less than once in {_period(facts.return_period_s)}."
    return f"{rare} Found {found_s} s after onset."


def _period(seconds: float) -> str:
    """Two digits are all that a return period can mean."""
    years = seconds / _YEAR_S
    if years >= _YEARS_MAX:
        return "a million years"
    number, unit = (years, "years") if years >= 2 else (seconds / 86_400, "days")
    digits = max(0, len(str(int(number))) - 2)
    return f"{round(number, -digits):,.0f} {unit}"


def _whose(facts: Facts) -> str:
    """Where the cause lies, as far as what is not down says so."""
    if not facts.by_evidence or facts.also_down:
        return ""
    if facts.scope.dimension == "platform":
        return "Every bank shows it: the cause is us, not a bank."
    return f"The others are normal: the cause is {_name(facts.scope)[0].lower()}{_name(facts.scope)[1:]}, not us."


def _codes(facts: Facts) -> str:
    if not facts.codes:
        return ""
    named = ", ".join(f"{code} ({count})" for code, count in facts.codes[:_NAMES_MAX])
    return f"Commonest codes: {named}."


def _quiet(facts: Facts) -> str:
    if facts.reason != "no_traffic":
        return ""
    return "No payment has been tried lately, so recovery cannot be seen: send 1 to 5 % of the usual ones there."


def _elsewhere(facts: Facts) -> str:
    also = f"{facts.also_down} other outage{'s' if facts.also_down > 1 else ''} open." if facts.also_down else ""
    working = ", ".join(facts.working[:_NAMES_MAX])
    still = f"Still working: {working}." if working else "Nothing else is seen to work."
    return f"{also} {still}".strip()
