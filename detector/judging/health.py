"""How each scope is now, for checkouts and screens, and what to offer instead of one that is down.

Reads the board and the open outages; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from detector.contracts.models import HealthRecord, HealthStatus, ScopeFields
from detector.contracts.scope import Scope
from detector.judging.board import Board
from detector.judging.lifecycle import Lifecycle
from detector.judging.offers import Offers
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
        self._fields: dict[Scope, ScopeFields] = {}

    def records(self) -> list[HealthRecord]:
        """One a scope, as it stands at the board's boundary."""
        if self.board.boundary_ms < 0:
            return []
        counts = self.board.payments_in((RATE_WINDOW_MS,))[:, 0, :].tolist()
        self.report.offers.look_again()
        down = _Down(self.lifecycle.open.values(), self.report.offers)
        return [self._record(node, scope, counts[node], down) for node, scope in enumerate(self.board.nodes.scopes)]

    def _record(self, node: int, scope: Scope, counts: list[int], down: _Down) -> HealthRecord:
        outage = self.lifecycle.open.get(node) or down.over(scope)
        status, reason = self._status(node, outage, sum(counts))
        decided = sum(counts[1:4])
        return HealthRecord(
            key=scope.key, scope=self._fields_of(scope), status=status,
            approval_rate=counts[1] / decided if decided else None, payments=sum(counts),
            since=self._since(scope.key, status), outage_id=outage.outage_id if outage else None,
            alternatives=down.alternatives(outage) if outage else [], reason=reason,
        )  # fmt: skip

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

    def _fields_of(self, scope: Scope) -> ScopeFields:
        if scope not in self._fields:  # as many as the board has scopes, which are bounded
            self._fields[scope] = ScopeFields.of(scope)
        return self._fields[scope]

    def _since(self, key: str, status: str) -> int:
        known = self.since.get(key)
        if known is None or known[0] != status:
            self.since[key] = known = (status, self.board.boundary_ms)
        return known[1]


class _Down:
    """The open outages, by what they fix and by the keys of their children; of several the one that opened first."""

    def __init__(self, outages: Iterable[Outage], offers: Offers) -> None:
        self._outages = list(outages)
        self._named: dict[frozenset[tuple[str, str]], int] = {}
        self._children: dict[str, int] = {}
        for number, outage in enumerate(self._outages):
            self._named.setdefault(frozenset(outage.scope.values), number)
            for key in outage.children:
                self._children.setdefault(key, number)
        self._scopes = [outage.scope for outage in self._outages]
        self._offers = offers
        self._alternatives: dict[str, list[str]] = {}

    def over(self, scope: Scope) -> Outage | None:
        """That of a scope above by name, or one that the scope is a child of."""
        *above, _itself = scope.above
        found = [self._named[values] for values in above if values in self._named]
        if (number := self._children.get(scope.key)) is not None:
            found.append(number)
        return self._outages[min(found)] if found else None

    def alternatives(self, outage: Outage) -> list[str]:
        """What works beside an outage, the best first; looked for once."""
        if outage.outage_id not in self._alternatives:
            working = self._offers.instead_of(outage.scope, self._scopes)
            self._alternatives[outage.outage_id] = working[:ALTERNATIVES_MAX]
        return self._alternatives[outage.outage_id]
