"""An outage with a life: started, updated, resolved. Its state, its id, and the value that goes out at each change.

Does not decide when it starts or ends.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np

from detector.arrays import Int64s
from detector.contracts.models import OutageData, Trigger
from detector.contracts.scope import Scope, parse_scope
from detector.judging.recent import joined, nothing

Kind = Literal["all_red", "all_pending", "drop", "slow", "stall"]
_ORDINALS_MAX = 100_000


class Standing(IntEnum):
    """Evidence that warns, evidence that pages, the operator's own rule: none holds back or takes over a higher one."""

    WARNS = 0
    PAGES = 1
    RULED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an outage; `data` is what the outage event carries."""

    type: Literal["started", "updated", "resolved"]
    data: OutageData


@dataclass(slots=True)
class KeptPane:
    """What a pane said of an open outage when it left the ring; `voters`: its 2 smallest approved voters."""

    pane: int
    approved: int
    red: int
    overdue: int
    voters: list[int]


@dataclass(slots=True)
class Outage:
    """An open outage. `began` is its first bad pane; `cells` are the leaves it started with."""

    outage_id: str
    ordinal: int
    node: int
    scope: Scope
    kind: Kind
    began: int
    began_ms: int
    detected_ms: int
    severity: Literal["critical", "warning"]
    catching_up: bool
    cells: frozenset[int]
    gap_ms: int
    """Mean time between payments when it was detected."""
    folded_red: int = 0
    folded_overdue: int = 0
    """What had left the ring of its streak when it was detected; nothing of it was approved."""
    sequence: int = 0
    children: list[str] = field(default_factory=list)
    """Keys of the scopes below it, each once, so never more than the board knows; an event lists the first."""
    hold_ms: int | None = None
    rate: float | None = None
    rate_is_final: bool = False
    trigger: Trigger = "policy"
    return_period_s: float | None = None
    lower_bound: float | None = None
    pages: bool = True
    """Whether it is worth a page."""
    silent: bool = False
    """Whether somebody was called for the outage that it continues."""
    eased: bool = False
    """Whether so little is lost by now that it is worth none."""
    called: bool = False
    """Whether it has been critical."""
    continues_id: str | None = None
    well_ms: int = 0
    """How long the outage that it continues was over."""
    times: int = 0
    """How often the trouble had come back when it began."""
    rate_now: float | None = None
    """What is approved of late, where that was looked at."""
    turn: tuple[Kind, bool] | None = None
    turn_ms: int | None = None
    """Kind and `eased` as they seem to be now, and since when."""
    turned_ms: int = 0
    """When they last changed."""
    grown_ms: int = 0
    grows: bool = False
    """When more scopes were last told of, and whether there are others since."""
    quiet: bool = False
    kept: list[KeptPane] = field(default_factory=list)
    left: list[int] = field(default_factory=lambda: nothing().tolist())
    """What left the ring of its panes, as `recent.totals` says it."""
    maintenance_id: str | None = None
    """The maintenance that covers it, or was the last to."""
    announced_ms: int | None = None
    """Until when one covers it."""
    asked: bool = False
    """Whether a person was asked if this is the scope's new normal."""
    released: bool = False
    """Whether the operator's rule, which spoke for it, called it over: it rests on evidence alone."""

    def leave(self, counts: Int64s) -> None:
        """These totals of its panes leave the ring."""
        self.left = self.since_it_began(counts).tolist()

    def since_it_began(self, counts: Int64s) -> Int64s:
        """Totals of its panes in the ring, and of those that left it."""
        return joined(np.array(self.left, np.int64), counts)

    def adopt(self, key: str) -> bool:
        """What would start under it becomes one of its children; whether it was none yet."""
        if key in self.children:
            return False
        self.children.append(key)
        return True

    @property
    def is_loud(self) -> bool:
        """Whether it is critical where nothing keeps it from paging."""
        return self.pages and not self.silent and not self.eased

    @property
    def is_ruled(self) -> bool:
        """Whether the operator's rule has not called it over since it broke."""
        return self.by_policy and not self.released

    @property
    def standing(self) -> Standing:
        """How much it counts for beside others; a page that is silent or eased is one for which somebody was called."""
        if self.is_ruled:
            return Standing.RULED
        return Standing.PAGES if self.pages and (self.called or not self.eased) else Standing.WARNS

    def left_out(self, children_max: int) -> int:
        """How many of its children an event does not list."""
        return max(0, len(self.children) - children_max)

    @property
    def by_policy(self) -> bool:
        """Whether the operator's rule speaks for it."""
        return self.trigger != "evidence"

    @property
    def by_evidence(self) -> bool:
        """Whether the statistics speak for it."""
        return self.trigger != "policy"

    def export(self) -> dict[str, Any]:
        """For a snapshot."""
        return {**asdict(self), "scope": self.scope.key, "cells": sorted(self.cells)}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Outage:
        """Take an `export` back."""
        kept = [KeptPane(**pane) for pane in state["kept"]]
        turn = None if state["turn"] is None else tuple(state["turn"])
        own = {"scope": parse_scope(state["scope"]), "cells": frozenset(state["cells"]), "kept": kept}
        return cls(**{**state, **own, "turn": turn})


def outage_id(scope: Scope, ordinal: int) -> str:
    """The same for the same outage whoever judges: a hash of the scope and the how-manieth of the scope it is."""
    return hashlib.sha256(f"{scope.key}\n{ordinal}".encode()).hexdigest()[:20]


def ordinal_of(scope: Scope, wanted: str) -> int:
    """The ordinal an id was made from; 0 where it was not made here."""
    return next((n for n in range(1, _ORDINALS_MAX) if outage_id(scope, n) == wanted), 0)
