"""What a person with all payments on paper keeps of a scope, of an open outage, and of what was said of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.contracts.scope import Leaf, Scope


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """What is compared of a change."""

    at_ms: int
    type: str
    scope: str
    ordinal: int
    sequence: int
    kind: str
    began_ms: int
    detected_ms: int
    ended_ms: int | None
    reason: str
    severity: str
    children: tuple[str, ...]
    parent: str


@dataclass(slots=True)
class Streak:
    """A scope's panes after its newest approved one."""

    first: int = -1
    red: int = 0
    overdue: int = 0
    payments: int = 0
    voters: set[int] = field(default_factory=set)
    merchants: set[int] = field(default_factory=set)
    cells: frozenset[Leaf] = frozenset()
    folded: tuple[int, int] = (0, 0)

    @property
    def kind(self) -> str:
        """Reds against overdue."""
        return "all_red" if self.red >= self.overdue else "all_pending"


@dataclass(slots=True)
class Open:
    """An open outage on paper. `by`: who raised it; `rule_is_done`: the operator's has called it over since."""

    scope: Scope
    ordinal: int
    kind: str
    began: int
    detected_ms: int
    cells: frozenset[Leaf]
    gap_ms: int
    folded: tuple[int, int]
    oldest: int
    sequence: int = 0
    children: list[str] = field(default_factory=list)
    hold_ms: int | None = None
    quiet: bool = False
    by: set[str] = field(default_factory=lambda: {"policy"})
    rule_is_done: bool = False
    pages: bool = True
    onset_ms: int | None = None
    grows: bool = False
    grown_ms: int = 0

    @property
    def height(self) -> int:
        """The operator's rule is above evidence that pages, which is above evidence that warns."""
        return 2 if "policy" in self.by and not self.rule_is_done else int(self.pages)
