"""The sentence for the person woken at 02:30: what, since when, how many shops, and what still works.

Pure words from values; knows no counts but those it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from detector.contracts.scope import Scope

_NAMES_MAX = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentence is made of; times are epoch ms, `usual` is a rate from 0 to 1."""

    scope: Scope
    kind: Literal["all_red", "all_pending"]
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


def explain(facts: Facts) -> str:
    """A few short sentences; the first says what is wrong, or that it is over."""
    if facts.reason == "superseded":
        return f"{_name(facts.scope)}: now part of a wider outage, see its parent."
    if facts.ended_ms is not None:
        since = _clock(facts.ended_ms)
        return f"{_name(facts.scope)}: payments are approved again since {since}, after {_lasted(facts)}."
    tellers = (_what, _announced, _how_many, _usual, _codes, _quiet, _elsewhere)
    return " ".join(part for tell in tellers if (part := tell(facts)))


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
    seconds = ((facts.ended_ms or 0) - facts.began_ms) // 1000
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _what(facts: Facts) -> str:
    shows = "payments hang without an answer" if facts.kind == "all_pending" else "every payment is refused"
    if facts.kind == "all_red" and facts.overdue:
        shows = "payments are refused or hang without an answer"
    return f"{_name(facts.scope)}: {shows} since {_clock(facts.began_ms)}."


def _announced(facts: Facts) -> str:
    if facts.announced_ms is None:
        return "The maintenance announced for it is over." if facts.reason == "maintenance_over" else ""
    until, now = (datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in (facts.announced_ms, facts.boundary_ms))
    day = f"{until:%Y-%m-%d} " if until.date() != now.date() else ""
    return f"Announced maintenance until {day}{until:%H:%M} UTC{f' ({facts.note})' if facts.note else ''}."


def _how_many(facts: Facts) -> str:
    counts = [f"{facts.red} refused" if facts.red else "", f"{facts.pending} waiting" if facts.pending else ""]
    seen = ", ".join(part for part in counts if part)
    shops = "1 shop" if facts.merchants == 1 else f"{facts.merchants} shops"
    return f"{facts.approved} of {facts.payments} payments approved ({seen or 'none decided'}; {shops})."


def _usual(facts: Facts) -> str:
    return f"The hour before: {100 * facts.usual:.0f} % approved." if facts.usual is not None else ""


def _codes(facts: Facts) -> str:
    if not facts.codes:
        return ""
    named = ", ".join(f"{code} ({count})" for code, count in facts.codes[:_NAMES_MAX])
    return f"Commonest codes: {named}."


def _quiet(facts: Facts) -> str:
    return "No payment has been tried lately, so recovery cannot be seen." if facts.reason == "no_traffic" else ""


def _elsewhere(facts: Facts) -> str:
    also = f"{facts.also_down} other outage{'s' if facts.also_down > 1 else ''} open." if facts.also_down else ""
    working = ", ".join(facts.working[:_NAMES_MAX])
    still = f"Still working: {working}." if working else "Nothing else is seen to work."
    return f"{also} {still}".strip()
