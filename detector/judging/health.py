"""How each scope is now, for checkouts and screens, and what to offer instead of one that is down.

Reads the board and the open outages; changes nothing.
"""

from __future__ import annotations

from detector.contracts.models import HealthRecord, HealthStatus, ScopeFields
from detector.contracts.scope import Scope
from detector.judging.board import Board
from detector.judging.lifecycle import Lifecycle
from detector.judging.naming import is_below_by_name
from detector.judging.outage import Outage
from detector.judging.report import Report
from detector.judging.streak import BLOCKED

ALTERNATIVES_MAX = 5
RATE_WINDOW_MS = 900_000
MIN_MERCHANTS = "min_merchants"
WAITS = "waits_for_ancestor"


class Health:
    """Health records by scope, remembering since when each status holds."""

    def __init__(self, board: Board, lifecycle: Lifecycle, report: Report) -> None:
        self.board, self.lifecycle, self.report = board, lifecycle, report
        self.since: dict[str, tuple[str, int]] = {}

    def records(self) -> list[HealthRecord]:
        """One a scope, as it stands at the board's boundary."""
        if self.board.boundary_ms < 0:
            return []
        counts = self.board.windows((RATE_WINDOW_MS,))[:, 0, :]
        self.report.offers.look_again()
        return [self._record(node, scope, counts[node].tolist()) for node, scope in enumerate(self.board.nodes.scopes)]

    def _record(self, node: int, scope: Scope, counts: list[int]) -> HealthRecord:
        outage = self._outage_over(node, scope)
        status, reason = self._status(node, outage, sum(counts))
        decided = sum(counts[1:4])
        return HealthRecord(
            key=scope.key, scope=ScopeFields.of(scope), status=status,
            approval_rate=counts[1] / decided if decided else None, payments=sum(counts),
            since=self._since(scope.key, status), outage_id=outage.outage_id if outage else None,
            alternatives=self._alternatives(outage) if outage else [], reason=reason,
        )  # fmt: skip

    def _alternatives(self, outage: Outage) -> list[str]:
        down = [other.scope for other in self.lifecycle.open.values()]
        return self.report.offers.instead_of(outage.scope, down)[:ALTERNATIVES_MAX]

    def _outage_over(self, node: int, scope: Scope) -> Outage | None:
        """The open outage of the scope itself, or one above it by name, or one it is a child of."""
        if node in self.lifecycle.open:
            return self.lifecycle.open[node]
        return next((outage for outage in self.lifecycle.open.values()
                     if is_below_by_name(scope, outage.scope) or scope.key in outage.children), None)  # fmt: skip

    def _status(self, node: int, outage: Outage | None, payments: int) -> tuple[HealthStatus, str | None]:
        if self.report.maintenances.covering(self.board.nodes.scopes[node]) is not None:
            return "maintenance", None
        if outage is not None:
            return ("recovering" if outage.hold_ms is not None else "down"), None
        if self.board.found.verdict[node] == BLOCKED:
            return "suspected", MIN_MERCHANTS
        if node in self.lifecycle.waiting:
            return "suspected", WAITS
        return ("healthy" if payments else "unknown"), None

    def _since(self, key: str, status: str) -> int:
        known = self.since.get(key)
        if known is None or known[0] != status:
            self.since[key] = known = (status, self.board.boundary_ms)
        return known[1]
