"""Evidence that says what a test has written down, in place of the statistics: at which second it names whom, and when
it calls whom over. Everything else of the Judge is the product's."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from detector.contracts.scope import Leaf, parse_scope
from detector.judging.evidence import PAGE
from detector.judging.finding import Finding
from detector.judging.judge import Judge
from detector.judging.outage import Outage

Severity = Literal["critical", "warning"]
Found = tuple[str, Severity, Collection[Leaf]]
"""A finding: its scope, severity and cells."""
ONSET_MS = 10_000
"""So long before it is found it began."""
WELL_MS = 20_000
"""For so long it has been well when it is over."""


def script(judge: Judge, named: dict[int, list[Found]], over: dict[str, set[int]]) -> Judge:
    """The same Judge; `named`: what is found at a boundary (ms); `over`: scope -> the boundaries at which evidence
    calls its outage over."""
    cases, board = judge.lifecycle.cases, judge.board

    def findings(_: Iterable[Outage]) -> list[Finding]:
        at_ms = board.boundary_ms
        return [
            Finding(parse_scope(key), PAGE, "drop", severity, at_ms - ONSET_MS, 1e9, None, None,
                    frozenset(board.nodes.leaves.index(leaf) for leaf in cells), (1, 9))
            for key, severity, cells in named.get(at_ms, [])
        ]  # fmt: skip

    def is_over(outage: Outage) -> bool:
        return board.boundary_ms in over.get(outage.scope.key, ())

    cases.findings = findings  # type: ignore[method-assign]
    cases.is_over = is_over  # type: ignore[method-assign]
    cases.over_since_ms = lambda _: board.boundary_ms - WELL_MS  # type: ignore[method-assign]
    cases.turn = lambda _: None  # type: ignore[method-assign]
    return judge
