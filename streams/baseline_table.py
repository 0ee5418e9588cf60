"""What is usual as tables on a terminal and as plain values for JSON. Words and columns; knows no source of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detector.contracts.moments import rfc3339
from detector.judging.baseline import SLOTS
from detector.judging.known import Known, Slot

__all__ = ["as_plain", "print_all", "print_one"]

_DAY_H = SLOTS // 2


def as_plain(known: Known, *, with_slots: bool) -> dict[str, Any]:
    """For JSON: rates from 0 to 1, null where nothing is known."""
    facts = asdict(known)
    slots = facts.pop("slots")
    since_ms = facts.pop("frozen_since_ms")
    facts |= {
        "scope": known.scope.key, "hourly": _or_none(known.hourly),
        "frozen_since": None if since_ms is None else rfc3339(since_ms),
    }  # fmt: skip
    if with_slots:
        facts["slots"] = [
            {"slot": number, **slot, "hourly": _or_none(slot["hourly"])} for number, slot in enumerate(slots)
        ]
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in facts.items()}


def print_all(console: Console, found: Sequence[Known], at_ms: int) -> None:
    """One line a scope."""
    frozen = any(one.frozen_since_ms is not None for one in found)
    table = Table(box=None)
    table.add_column("scope", overflow="fold", min_width=20)
    for name in ("usual", "bar", "votes", "own", "tau", "an hour", *(["not learned since"] if frozen else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        since = "" if one.frozen_since_ms is None else rfc3339(one.frozen_since_ms)[:16]
        table.add_row(_shown(one.scope.key), f"{100 * one.rate:.1f} %", f"{100 * one.bar:.1f} %", f"{one.votes:,.0f}",
                      f"{one.own_votes:,.0f}", f"{one.tau:.2f}", _hourly(one.hourly),
                      *([since] if frozen else []))  # fmt: skip
    console.print(table)
    words = (f"{len(found)} scopes, at {rfc3339(at_ms)}",
             "votes: what the rate rests upon; own: those of the last days, none of them lent by a parent")  # fmt: skip
    for line in words:
        console.print(line, highlight=False, soft_wrap=True)


def print_one(console: Console, one: Known, at_ms: int) -> None:
    """A scope now, and by the hour."""
    lines = [
        f"{one.scope.key}, at {rfc3339(at_ms)}",
        f"usual now    {100 * one.rate:.1f} % approved, resting on {one.votes:,.0f} votes; {one.own_votes:,.0f} votes "
        "of its own in the last days",
        f"bar          {100 * one.bar:.1f} %: what is lower is not usual (tau {one.tau:.2f})",
        f"volume       {_hourly(one.hourly)} votes an hour expected at least",
    ]
    if one.frozen_since_ms is not None:
        lines.append(f"not learned  since {rfc3339(one.frozen_since_ms)}: an outage, or evidence of one")
    for line in lines:
        console.print(_shown(line), highlight=False, soft_wrap=True)
    table = Table("hour (UTC)", box=None)
    for name in ("working day", "votes", "an hour", "weekend", "votes", "an hour"):
        table.add_column(name, justify="right", no_wrap=True)
    for hour in range(_DAY_H):
        cells = (cell for slot in (one.slots[hour], one.slots[hour + _DAY_H]) for cell in _cells(slot))
        table.add_row(f"{hour:02d}", *cells)
    console.print(table)


def _cells(slot: Slot) -> tuple[str, str, str]:
    return f"{100 * slot.rate:.1f} %", f"{slot.votes:,.0f}", _hourly(slot.hourly)


def _hourly(votes: float) -> str:
    return "?" if votes < 0 else f"{votes:,.0f}"


def _or_none(votes: float) -> float | None:
    return None if votes < 0 else round(votes, 3)


def _shown(text: str) -> str:
    """Text from a topic as it may go to a terminal: no markup, no control characters."""
    return escape("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text))
