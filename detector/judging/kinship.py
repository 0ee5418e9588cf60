"""How the scopes that are down stand to each other: which open or rising outage a scope lies below.

Knows the board and which nodes are open or wait; starts and resolves none of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from detector.contracts.scope import Scope
from detector.judging.board import Board
from detector.judging.naming import Cells, is_below, is_below_by_name, may_be_named, rank
from detector.judging.outage import Outage, Standing
from detector.judging.ring import END


class Kinship:
    """Ancestors among a lifecycle's outages; `opened` and `waiting` are its own, and change."""

    def __init__(self, board: Board, opened: Mapping[int, Outage], waiting: Mapping[int, int]) -> None:
        self.board, self.open, self.waiting = board, opened, waiting

    def rank(self, node: int) -> tuple[int, str]:
        """The order in which nodes are looked at: from the platform down."""
        return rank(self.board.nodes.scopes[node], self.board.policy.dimensions)

    def may_be_named(self, scope: Scope, cells: Cells) -> bool:
        """Whether an outage of these cells may have this name."""
        dimensions = self.board.policy.dimensions
        bank_at = dimensions.index("bank") if "bank" in dimensions else None
        return may_be_named(scope, cells, self.board.nodes.leaves, bank_at)

    def waits(self, node: int, scope: Scope, cells: Cells, since_ms: int) -> bool:
        """A breach waits a while for an ancestor that may be named and is about to be ripe, or waits itself."""
        waited_ms = self.board.boundary_ms - since_ms
        return waited_ms < self.board.policy.wait_ms and self._has_rising_ancestor(node, scope, cells)

    def _has_rising_ancestor(self, node: int, scope: Scope, cells: Cells) -> bool:
        found, moment = self.board.found, self.board.moment
        shared = set.intersection(*(set(self.board.nodes.scopes_of(leaf)) for leaf in cells))
        for upper in sorted(shared - {node}):
            if found.first[upper] == END:
                continue
            rule = 0 if found.red[upper] >= found.overdue[upper] else 2
            age_ms = moment.boundary_ms - int(found.first[upper]) * moment.pane_ms
            if upper not in self.waiting and age_ms < self.board.tree.rules[upper, rule] - self.board.policy.wait_ms:
                continue
            upper_scope, upper_cells = self.board.nodes.scopes[upper], self.board.cells(upper)
            if self.may_be_named(upper_scope, upper_cells) and is_below(scope, cells, upper_scope, upper_cells):
                return True
        return False

    def open_ancestor(self, scope: Scope, cells: Cells, standing: Standing) -> Outage | None:
        """The widest open outage of this standing or more that a scope with these cells lies below."""
        above = (outage for outage in self.open.values() if outage.standing >= standing
                 and is_below(scope, cells, outage.scope, outage.cells))  # fmt: skip
        return min(above, key=lambda outage: self.rank(outage.node), default=None)

    def to_take_over(self, upper: Outage) -> list[Outage]:
        """The open outages below one that stands as high as they do, the widest first; none that pages for one that
        is silent."""
        below = [lower for lower in self.open.values() if lower.standing <= upper.standing
                 and (upper.is_loud or not lower.is_loud)
                 and is_below(lower.scope, lower.cells, upper.scope, upper.cells)]  # fmt: skip
        return sorted(below, key=lambda lower: self.rank(lower.node))

    def restart_below(self, parent: Outage, hold_ms: int) -> None:
        """The streaks below a parent that its rule calls over begin where its hold began."""
        floor = self.board.pane_of(hold_ms) - 1
        for node, scope in enumerate(self.board.nodes.scopes):
            named = is_below_by_name(scope, parent.scope) or scope.key in parent.children
            streak = self.board.found.first[node] != END
            if named or (streak and is_below(scope, self.board.cells(node), parent.scope, parent.cells)):
                self.board.restart(node, floor)
