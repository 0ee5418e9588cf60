"""The figures of a back-test for people and for programs: a calm table, or one JSON object.

Does not know how they came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detector.contracts.models import Severity
from detector.contracts.moments import rfc3339
from detector.contracts.scope import Scope
from detector.rehearsal.raised import Raised
from detector.rehearsal.score import Frequency, Incident, Outcome, Score, Verdict

__all__ = ["as_json", "print_score"]

ROWS_MAX = 50
"""A table holds no more; JSON has them all."""

_COLOURS = {Verdict.MISSED: "bold red", Verdict.EXPLAINED: "dim"}
_SEVERITIES: Final[tuple[tuple[Severity, str], ...]] = (("critical", "pages"), ("warning", "warnings"))


# ── JSON ──


def as_json(score: Score) -> dict[str, Any]:
    """Everything, with times as RFC 3339 and lengths in seconds."""
    day = score.day
    return {
        "passed": score.passed,
        "first": rfc3339(day.first_ms), "last": rfc3339(day.last_ms), "scopes": day.scopes,
        "scope_days": round(day.scope_days, 3), "policy_version": day.policy.version,
        "incidents": [_outcome(outcome) for outcome in score.outcomes],
        "outside": [_incident(incident) for incident in score.outside],
        "kinds": {kind: _of_kind(outcomes) for kind, outcomes in _by_kind(score).items()},
        "duplicates": sum(outcome.duplicates for outcome in score.outcomes),
        "pages": sum(outcome.pages for outcome in score.outcomes),
        "false": {
            "critical": _frequency(score.false_rate("critical")), "warning": _frequency(score.false_rate("warning")),
            "outages": [_raised(outage) for outage in score.false],
        },
        "scheduled": [_raised(outage) for outage in score.scheduled],
    }  # fmt: skip


def _incident(incident: Incident) -> dict[str, Any]:
    return {"scope": incident.scope.key, "kind": incident.kind, "start": rfc3339(incident.start_ms),
            "end": rfc3339(incident.end_ms), "source": incident.source}  # fmt: skip


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        **_incident(outcome.incident),
        "verdict": outcome.verdict.value, "why": outcome.why,
        "found_by": outcome.first.outage_id if outcome.first else None,
        "delay_s": _s(outcome.delay_ms), "from_onset_s": _s(outcome.from_onset_ms), "resolve_s": _s(outcome.resolve_ms),
        "pages": outcome.pages, "duplicates": outcome.duplicates, "reopened": outcome.reopened,
        "outages": [_raised(outage) for outage in outcome.answers],
    }  # fmt: skip


def _raised(outage: Raised) -> dict[str, Any]:
    return {
        "outage_id": outage.outage_id, "scope": outage.scope.key, "kind": outage.kind, "severity": outage.severity,
        "began_at": rfc3339(outage.began_ms), "detected_at": rfc3339(outage.detected_ms),
        "ended_at": None if outage.ended_ms is None else rfc3339(outage.ended_ms), "pages": outage.pages,
        "continues_id": outage.continues_id,
    }  # fmt: skip


def _of_kind(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    verdicts = [outcome.verdict for outcome in outcomes]
    delays = _delays_s(outcomes)
    return {
        "incidents": len(outcomes), **{verdict.value: verdicts.count(verdict) for verdict in Verdict},
        "delay_s_mean": round(fmean(delays), 3) if delays else None, "delay_s_max": max(delays, default=None),
    }  # fmt: skip


def _frequency(found: Frequency) -> dict[str, Any]:
    rounded = (None if value == float("inf") else round(value, 6) for value in (found.low, found.high))
    return {"count": found.count, "per_scope_day": round(found.per_scope_day, 6), "interval_95": list(rounded)}


def _by_kind(score: Score) -> dict[str, list[Outcome]]:
    kinds = sorted({outcome.incident.kind for outcome in score.outcomes})
    return {kind: [one for one in score.outcomes if one.incident.kind == kind] for kind in kinds}


def _delays_s(outcomes: Iterable[Outcome]) -> list[float]:
    return [outcome.delay_ms / 1000 for outcome in outcomes if outcome.delay_ms is not None]


def _s(length_ms: int | None) -> float | None:
    return None if length_ms is None else length_ms / 1000


# ── the table ──


def print_score(console: Console, score: Score) -> None:
    """What was found and what not, how fast, and what was false."""
    if score.outcomes:
        _print_incidents(console, score.outcomes)
        for kind, outcomes in _by_kind(score).items():
            console.print(_kind_line(kind, outcomes), highlight=False, soft_wrap=True)
    if score.outside:
        _say(console, f"{len(score.outside)} more lie outside the time of the file, and are not scored")
    if score.false:
        _print_false(console, score.false)
    _print_frequencies(console, score)


def _print_incidents(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = _table("incident", "kind", "from (UTC)", "lasted", "found after", "onset", "pages", "over after")
    for outcome in outcomes[:ROWS_MAX]:
        one, lasted_ms = outcome.incident, outcome.incident.end_ms - outcome.incident.start_ms
        table.add_row(_scope(one.scope), one.kind, _clock(one.start_ms), _length(lasted_ms), *_figures(outcome))
    console.print(table)
    _say_more(console, len(outcomes))
    for outcome in outcomes[:ROWS_MAX]:
        if outcome.why:
            one = outcome.incident
            _say(console, f"{one.scope.key} {one.kind} of {_clock(one.start_ms)} is explained: {outcome.why}")


def _figures(outcome: Outcome) -> tuple[str, ...]:
    if outcome.verdict is not Verdict.FOUND:
        return (f"[{_COLOURS[outcome.verdict]}]{outcome.verdict.value}[/]",)
    after = "was open" if outcome.delay_ms is None else _length(outcome.delay_ms)
    return f"[green]{after}[/]", _length(outcome.from_onset_ms), str(outcome.pages), _over(outcome)


def _scope(scope: Scope) -> str:
    """A value a line: the column stays narrow, and no name is cut where it can stand whole."""
    return escape(scope.key.replace(",", ",\n"))


def _table(first: str, *others: str) -> Table:
    """The first column gives way where the terminal is narrow."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, no_wrap=True)
    return table


def _over(outcome: Outcome) -> str:
    if any(outage.ended_ms is None for outage in outcome.answers):
        return "still open"
    return _length(outcome.resolve_ms)


def _kind_line(kind: str, outcomes: Sequence[Outcome]) -> str:
    facts, delays = _of_kind(outcomes), _delays_s(outcomes)
    line = f"{kind}: {facts['found']} of {facts['incidents']} found"
    if facts["explained"]:
        line += f", {facts['explained']} explained"
    if delays:
        mean, longest = (_length(round(1000 * seconds)) for seconds in (fmean(delays), max(delays)))
        line += f", after {mean} on average, {longest} at most"
    if duplicates := sum(outcome.duplicates for outcome in outcomes):
        line += f", {duplicates} duplicate{'s' if duplicates > 1 else ''}"
    return line


def _print_false(console: Console, outages: Sequence[Raised]) -> None:
    table = _table("false outage", "kind", "severity", "detected (UTC)", "lasted")
    for outage in outages[:ROWS_MAX]:
        lasted = "still open" if outage.ended_ms is None else _length(outage.ended_ms - outage.detected_ms)
        table.add_row(_scope(outage.scope), outage.kind, outage.severity, _clock(outage.detected_ms), lasted)
    console.print(table)
    _say_more(console, len(outages))


def _print_frequencies(console: Console, score: Score) -> None:
    for severity, word in _SEVERITIES:
        found = score.false_rate(severity)
        between = f"(95 % interval {found.low:.3g} to {found.high:.3g})"
        _say(console, f"false {word}: {found.count} in {score.day.scope_days:.3g} scope-days, "
                      f"{found.per_scope_day:.3g} a scope-day {between}")  # fmt: skip
    if score.scheduled:
        _say(console, f"in a maintenance, counted apart: {len(score.scheduled)}")


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _say_more(console: Console, rows: int) -> None:
    if rows > ROWS_MAX:
        _say(console, f"and {rows - ROWS_MAX} more; --json has them all")


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%m-%d %H:%M:%S")


def _length(length_ms: int | None) -> str:
    """A length of time in its two largest units, as faults are written: 4h12m, 2m23s, 43s."""
    if length_ms is None:
        return ""
    seconds = abs(length_ms) // 1000
    units = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    told = [f"{count}{unit}" for count, unit in units if count][:2]
    return ("-" if length_ms < 0 else "") + ("".join(told) or "0s")
