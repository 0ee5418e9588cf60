"""Announced unavailability: which maintenance covers a scope at a boundary, and what that makes of an open outage.

    bank:bnp        02:00 ├──────────────┤ 04:00      covers bank:bnp and bank:bnp,method:card; not method:card, and not
    bank:bnp down        02:03 ├────────────────▶     the platform: what is wider than announced pages as ever
                               warning     critical

Whoever announces it, it comes as a marker of the log, and is obeyed from the first boundary at or after its
`declared_at`, so that the same log judges the same however far the Judge was when it read it. Knows no counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from detector.contracts.models import Maintenance
from detector.contracts.scope import Scope, parse_scope
from detector.judging.outage import Outage

FORGET_MS: Final = 86_400_000
"""A maintenance takes room for so long after its end, where it is not cancelled; and it is remembered for as long as an
open outage names it."""

CHANGES_MAX: Final = 10
"""So many changes a maintenance may wait to be obeyed, while Judge's time stands still."""

NEVER: Final = 2**62
ANNOUNCED: Final = "maintenance"
OVER: Final = "maintenance_over"
"""Reasons of an `updated` event: a maintenance covers the outage from now on, or until another time; none does now."""


class Maintenances:
    """What was announced, as of a boundary. `due_ms` is when it can change next without a marker."""

    def __init__(self) -> None:
        self.at_ms = -1
        self.due_ms = NEVER
        self._by_id: dict[str, Maintenance] = {}
        self._waiting: list[Maintenance] = []  # said, and not obeyed yet, in the order of the log
        self._running: dict[frozenset[tuple[str, str]], Maintenance] = {}  # by scope, the one that ends last

    # ── the log ──

    def announce(self, said: Maintenance, at_most: int) -> bool:
        """What a marker says, for the next boundary; False where `at_most` others take room: it is refused."""
        if not self.has_room_for(said, at_most):
            return False
        self._waiting.append(said)
        self.due_ms = min(self.due_ms, said.declared_at or 0)
        return True

    def has_room_for(self, said: Maintenance, at_most: int) -> bool:
        """Whether it may be announced."""
        return len(self._waiting) < CHANGES_MAX * at_most and has_room(said, self.all(), self.at_ms, at_most)

    def all(self) -> list[Maintenance]:
        """What was said last of each maintenance that is not forgotten."""
        return list({known.maintenance_id: known for known in [*self._by_id.values(), *self._waiting]}.values())

    # ── at a boundary ──

    def move_to(self, boundary_ms: int, outages: Collection[Outage]) -> None:
        """Time goes on: obey what was said until now, forget what is long over, find what is running."""
        if boundary_ms < self.due_ms:
            return
        self.at_ms = boundary_ms
        self._obey()
        named = {outage.maintenance_id for outage in outages}
        self._by_id = {key: known for key, known in self._by_id.items()
                       if key in named or not is_forgotten(known, boundary_ms)}  # fmt: skip
        self._find_running()

    def _obey(self) -> None:
        """Of a maintenance the last word of the log counts: what was said before it is not waited for any more."""
        waiting: list[Maintenance] = []
        for said in self._waiting:
            if _since_ms(said) > self.at_ms:
                waiting.append(said)
                continue
            self._by_id[said.maintenance_id] = said
            waiting = [other for other in waiting if other.maintenance_id != said.maintenance_id]
        self._waiting = waiting

    def _find_running(self) -> None:
        self._running = {}
        for known in sorted(self._by_id.values(), key=lambda known: (known.ends_at, known.maintenance_id)):
            if known.starts_at <= self.at_ms < known.ends_at and not known.cancelled:
                self._running[frozenset(parse_scope(known.scope).values)] = known
        self.due_ms = min((due for due in self._dues() if due > self.at_ms), default=NEVER)

    def _dues(self) -> Iterator[int]:
        for known in self._by_id.values():
            yield from (known.starts_at, known.ends_at, known.ends_at + FORGET_MS)
        for said in self._waiting:
            yield max(_since_ms(said), self.at_ms + 1)

    def mark(self, outage: Outage, is_muted: bool, catching_up: bool) -> str | None:
        """Note on an outage which maintenance covers it; the reason of its event, None where nothing has changed.

        What no maintenance covers any more pages, unless all is muted; then `catching_up` says whether it does later.
        """
        found = self.covering(outage.scope)
        if found is None:
            if outage.announced_ms is None:
                return None
            outage.announced_ms = None
            outage.severity = "critical" if outage.is_loud and not is_muted else "warning"
            outage.catching_up = outage.catching_up or catching_up
            return OVER
        if (outage.maintenance_id, outage.announced_ms) == (found.maintenance_id, found.ends_at):
            return None
        outage.maintenance_id, outage.announced_ms, outage.severity = found.maintenance_id, found.ends_at, "warning"
        return ANNOUNCED

    # ── questions ──

    def covering(self, scope: Scope) -> Maintenance | None:
        """The running maintenance of the scope or of one above it by name; of several the one that ends last."""
        if not self._running:
            return None
        found = [self._running[values] for values in scope.above if values in self._running]
        return max(found, key=lambda known: (known.ends_at, known.maintenance_id), default=None)

    def running(self) -> list[Scope]:
        """The scopes announced as unavailable now."""
        return sorted(parse_scope(known.scope) for known in self._running.values())

    def note(self, outage: Outage) -> str:
        """What was written about the maintenance that an outage names."""
        known = self._by_id.get(outage.maintenance_id or "")
        return (known.note or "") if known else ""

    # ── snapshot ──

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {
            "at_ms": self.at_ms,
            "known": [known.model_dump_json() for known in self._by_id.values()],
            "waiting": [said.model_dump_json() for said in self._waiting],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back."""
        self._by_id = {one.maintenance_id: one for one in _readable(state["known"])}
        self._waiting = list(_readable(state["waiting"]))
        self.at_ms = state["at_ms"]
        self._find_running()


def is_forgotten(maintenance: Maintenance, at_ms: int) -> bool:
    """Whether the Judge need not know it: it was called off, or ended long ago."""
    return maintenance.cancelled or at_ms >= maintenance.ends_at + FORGET_MS


def has_room(said: Maintenance, known: Iterable[Maintenance], at_ms: int, at_most: int) -> bool:
    """Whether there is room for what is said beside what is known: a change of what takes some already, and calling
    anything off, need none."""
    taken = {one.maintenance_id for one in known if not is_forgotten(one, at_ms)}
    return said.cancelled or said.maintenance_id in taken or len(taken) < at_most


def _readable(texts: Iterable[str]) -> Iterator[Maintenance]:
    """What a snapshot holds, but what an earlier Judge took and this one would pass over."""
    for text in texts:
        try:
            yield Maintenance.model_validate_json(text)
        except ValueError:
            continue


def _since_ms(said: Maintenance) -> int:
    return said.declared_at or 0
