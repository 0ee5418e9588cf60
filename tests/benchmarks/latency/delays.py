"""How long an outage event took, from when each was appended: pure, from times to rows, goals and the page.

Of the events that an outage was decided on, those of its deciding second count: its scope's whose `occurred_at` lies
between the boundary before and the one at which it was detected. Which of them tipped the scale nobody says, so two
delays are given: from the first of them, which is too long, and from the last, which is too short.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

BOUNDARY_MS = 1_000
GOAL_MS = 2_500
OUTAGES_MIN = 100
"""Fewer say nothing of the slowest hundredth."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Outage:
    """One that started: its scope, the boundary at which it was detected, and when its event was appended (ms)."""

    scope: tuple[Pair, ...]
    detected_ms: int
    appended_ms: int


@dataclass(slots=True)
class Delay:
    """ms from the first and from the last event of the deciding second to the outage event."""

    scope: str
    from_first_ms: int
    from_last_ms: int


class Deciding:
    """Collects, of many events, those of the deciding seconds."""

    def __init__(self, outages: Sequence[Outage]) -> None:
        self._outages = outages
        self._by_second: dict[int, list[int]] = {}
        self._appended: dict[int, tuple[int, int]] = {}
        for number, outage in enumerate(outages):
            self._by_second.setdefault(outage.detected_ms // BOUNDARY_MS - 1, []).append(number)

    def see(self, occurred_ms: int, appended_ms: int, values: Mapping[str, Any]) -> None:
        """An event: when it occurred, when it was appended, and its bank, method and what else scopes may fix."""
        for number in self._by_second.get(occurred_ms // BOUNDARY_MS, ()):
            if all(values.get(dimension) == value for dimension, value in self._outages[number].scope):
                first, last = self._appended.get(number, (appended_ms, appended_ms))
                self._appended[number] = min(first, appended_ms), max(last, appended_ms)

    def delays(self) -> list[Delay]:
        """Of every outage that has an event in its deciding second."""
        return [
            Delay(
                "|".join(f"{dimension}:{value}" for dimension, value in self._outages[number].scope),
                self._outages[number].appended_ms - first, self._outages[number].appended_ms - last,
            )
            for number, (first, last) in sorted(self._appended.items())
        ]  # fmt: skip


def quantile(values: Sequence[int], share: float) -> int:
    """The least of the values that so large a share does not pass (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def goals(delays: Sequence[Delay]) -> dict[str, dict[str, Any]]:
    """`{name: {goal, measured, met}}`."""
    goal = f"p99 at most {GOAL_MS:,} ms from the first event of the deciding second, in {OUTAGES_MIN} outages or more"
    firsts = [delay.from_first_ms for delay in delays]
    if not firsts:
        return {"latency": {"goal": goal, "measured": "no outage started", "met": False}}
    p50, p99 = quantile(firsts, 0.5), quantile(firsts, 0.99)
    measured = f"p50 {p50:,} ms, p99 {p99:,} ms, at most {max(firsts):,} ms, in {len(firsts)} outages"
    return {"latency": {"goal": goal, "measured": measured, "met": p99 <= GOAL_MS and len(firsts) >= OUTAGES_MIN}}


def kept(run: dict[str, Any], delays: Sequence[Delay]) -> dict[str, Any]:
    """What is written to `latency.json`."""
    return {"run": run, "goals": goals(delays), "rows": [asdict(delay) for delay in delays]}


def page(kept: Mapping[str, Any]) -> str:
    """The page."""
    run, goal, rows = kept["run"], kept["goals"]["latency"], kept["rows"]
    return "\n\n".join([HEAD, _goal(goal), *([_table(rows)] if rows else []), _how(run)]) + "\n"


HEAD = f"""# Latency: measured

`make bench-latency` writes this page: a real Kafka, a real worker, and shops that send while banks die one after the
other. Both times are the broker's (`LogAppendTime`): when an event was appended to its topic, and when the outage's was
appended to its own. Boundary and lateness are at their {BOUNDARY_MS / 1000:.0f} s: an event waits up to a second for
its boundary, and a second more for what is late; the rest is ours.

Which event tipped the scale nobody says. *From the first* event of the scope in the deciding second is more than it
took, *from the last* less."""


def _goal(goal: Mapping[str, Any]) -> str:
    met = "yes" if goal["met"] else "**no**"
    return f"| goal | measured | met |\n|---|---|---|\n| {goal['goal']} | {goal['measured']} | {met} |"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| ms | p50 | p90 | p99 | most |", "|---|---|---|---|---|"]
    for title, name in (("from the first", "from_first_ms"), ("from the last", "from_last_ms")):
        values = [row[name] for row in rows]
        cells = [f"{quantile(values, share):,}" for share in (0.5, 0.9, 0.99, 1.0)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _how(run: Mapping[str, Any]) -> str:
    return (
        f"{run['sent_per_s']:,.0f} events a second for {run['for_s']:.0f} s over {run['partitions']} partitions of "
        f"payments and of orders, {run['workers']} worker(s) with {run['cores']:.2f} cores in use, a lag of at most "
        f"{run['lag_max']:,} events. {run['machine']}. {run['when']}."
    )
