"""Which trouble an outage goes on with: those that recovered a short while ago, and whether somebody was called.

    bank:bnp   ├─ down ─┤ well for 4 min ├─ down again ─┤      found again within `reopen_min`: the same trouble
               pages                      is silent            continues_id: the outage before

Only of outages that evidence spoke for. The same scope, one above it or one below it is the same trouble; a wider one
calls again. That payments do not come, and that they fare badly, are two troubles. Knows no counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from detector.contracts.scope import Scope, parse_scope
from detector.judging.naming import Cells, is_below
from detector.judging.outage import Outage

PAST_MAX = 1_000
"""No more are remembered, the newest."""


@dataclass(frozen=True, slots=True)
class Past:
    """An outage that recovered."""

    outage_id: str
    scope: Scope
    cells: frozenset[int]
    ended_ms: int
    called: bool
    """Whether somebody was called for it, or for one that it continued."""
    times: int
    """How often the trouble had come back."""
    is_stall: bool
    """Whether payments did not come."""


class Relapses:
    """Outages of the evidence that recovered lately, in the order in which they did."""

    def __init__(self) -> None:
        self.past: list[Past] = []

    def remember(self, outage: Outage, ended_ms: int) -> None:
        """The outage recovered."""
        called = outage.called or outage.silent
        is_stall = outage.kind == "stall"
        past = Past(outage.outage_id, outage.scope, outage.cells, ended_ms, called, outage.times, is_stall)
        self.past = [*self.past, past][-PAST_MAX:]

    def link(self, outage: Outage, reopen_ms: int) -> None:
        """Note on an outage that begins which one it continues, if any."""
        self.past = [past for past in self.past if outage.detected_ms - past.ended_ms <= reopen_ms]
        alike = [past for past in self.past if past.is_stall == (outage.kind == "stall")]
        same = [past for past in alike if _touch(past.scope, past.cells, outage.scope, outage.cells)]
        if not same:
            return
        newest = max(same, key=lambda past: past.ended_ms)
        outage.continues_id, outage.well_ms = newest.outage_id, max(0, outage.began_ms - newest.ended_ms)
        outage.times = newest.times + 1
        outage.silent = any(
            past.called and not is_below(past.scope, past.cells, outage.scope, outage.cells) for past in same
        )

    def export(self) -> list[dict[str, Any]]:
        """What a snapshot keeps."""
        return [{**asdict(past), "scope": past.scope.key, "cells": sorted(past.cells)} for past in self.past]

    def load(self, state: Iterable[dict[str, Any]]) -> None:
        """Take an `export` back."""
        self.past = [
            Past(**{**past, "scope": parse_scope(past["scope"]), "cells": frozenset(past["cells"])}) for past in state
        ]


def _touch(one: Scope, cells: Cells, other: Scope, others: Cells) -> bool:
    return one == other or is_below(one, cells, other, others) or is_below(other, others, one, cells)
