"""What goes out about an outage at a boundary: the `data` of its event, from the board, the details and the log.

Does not decide anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from detector.arrays import Int64s
from detector.contracts.codes import label
from detector.contracts.models import CodeCount, Evidence, Impact, Input, OutageData, ScopeFields, Window
from detector.judging.board import Board
from detector.judging.circumstances import bad_merchants, top_codes
from detector.judging.explain import Facts, explain
from detector.judging.lately import Lately
from detector.judging.maintenance import Maintenances
from detector.judging.offers import Offers
from detector.judging.outage import Outage
from detector.judging.recent import nothing
from detector.judging.ring import CANCELLED_LATE, DECLINED, END, ERROR, PENDING
from detector.judging.sources import Sources

_APPROVED = 1
_VOTES, _FIRST_PENDING, _ORDERS_HIT, _ORDERS_RECOVERED = 6, 7, 8, 9


class Report:
    """Values for outage events; `lately` holds what each source said last."""

    def __init__(self, board: Board, sources: Sources, maintenances: Maintenances) -> None:
        self.board = board
        self.sources = sources
        self.maintenances = maintenances
        self.lately = Lately()
        self.offers = Offers(board, maintenances)

    def data(self, outage: Outage, others: Iterable[Outage], usual: float | None, reason: str | None,
             ended_ms: int | None, parent_id: str | None) -> OutageData:  # fmt: skip
        """The outage as it stands at the board's boundary."""
        board = self.board
        leaves = {board.nodes.leaves[leaf] for leaf in board.nodes.leaves_of(outage.node).tolist()}
        counts = self._totals(outage)
        evidence = self._evidence(outage, counts, leaves, usual)
        # The details reach back to before it began: without a red in it their codes are of other payments.
        codes = top_codes(self.lately.newest.values(), leaves) if evidence.declined + evidence.error else []
        elsewhere = [other for other in others if other.node != outage.node]
        return OutageData(
            outage_id=outage.outage_id, sequence=outage.sequence, scope=ScopeFields.of(outage.scope),
            kind=outage.kind, trigger=outage.trigger, severity=outage.severity,
            fault_domain=label(codes, outage.scope.value("method") or "") if codes else None,
            began_at=outage.began_ms, detected_at=outage.detected_ms, updated_at=board.boundary_ms, ended_at=ended_ms,
            scheduled=outage.announced_ms is not None, maintenance_id=outage.maintenance_id,
            catching_up=outage.catching_up, shadow=board.policy.page_mode == "shadow", reason=reason,
            window=Window(start=outage.began_ms, end=board.boundary_ms), evidence=evidence,
            top_codes=[CodeCount(code=code, count=count) for code, count in codes],
            impact=_impact(outage, counts, evidence.merchants), parent_id=parent_id,
            continues_id=outage.continues_id, children=outage.children[: board.policy.children_max],
            children_left_out=outage.left_out(board.policy.children_max), policy_version=board.policy.version,
            input=Input(sources=self.sources.offsets(), boundary=board.boundary_ms, without=self.sources.without()),
            explanation=self._explanation(outage, elsewhere, evidence, counts, codes, reason, ended_ms),
        )  # fmt: skip

    def _evidence(self, outage: Outage, counts: Int64s, leaves: Collection[tuple[str, ...]],
                  usual: float | None) -> Evidence:  # fmt: skip
        board, is_shop = self.board, outage.scope.value("merchant") is not None
        waits_since = int(counts[_FIRST_PENDING])
        age_ms = max(0, int(board.now[0]) - waits_since * board.policy.pane_ms) if waits_since != END else None
        return Evidence(
            payments=int(counts[:6].sum()), approved=int(counts[_APPROVED]), declined=int(counts[DECLINED]),
            error=int(counts[ERROR]), pending=int(counts[PENDING]),
            oldest_pending_s=None if age_ms is None else age_ms / 1000, votes=int(counts[_VOTES]),
            merchants=1 if is_shop else max(
                bad_merchants(self.lately.newest.values(), leaves), int(board.found.merchants[outage.node])),
            baseline_rate=_said(usual), return_period_s=_said(outage.return_period_s),
            lower_bound=_said(outage.lower_bound),
        )  # fmt: skip

    def _totals(self, outage: Outage) -> Int64s:
        """Counts of the panes since it began, also of those that left the ring."""
        if (merchant := outage.scope.value("merchant")) is not None:
            return self._of_shop(outage, merchant)
        return outage.since_it_began(self.board.totals(outage.node, outage.began))

    def _of_shop(self, outage: Outage, merchant: str) -> Int64s:
        """What came of a merchant since it began, within the last hour, as far as the details tell."""
        leaves = {self.board.nodes.leaves[leaf] for leaf in outage.cells}
        counts, came = nothing(), self.lately.since(outage.began_ms, leaves, self.board.policy.open_ms)
        counts[[_APPROVED, DECLINED]] = np.rint(came.get(merchant, np.zeros(2)).round(6))
        return counts

    def _explanation(self, outage: Outage, elsewhere: list[Outage], evidence: Evidence, counts: Int64s,
                     codes: list[tuple[str, int]], reason: str | None, ended_ms: int | None) -> str:  # fmt: skip
        return explain(Facts(
            scope=outage.scope, kind=outage.kind, began_ms=outage.began_ms, boundary_ms=self.board.boundary_ms,
            approved=evidence.approved, red=evidence.declined + evidence.error, pending=evidence.pending,
            overdue=int(counts[CANCELLED_LATE]) if outage.kind == "all_red" else evidence.pending,
            payments=evidence.payments, merchants=evidence.merchants, usual=evidence.baseline_rate, codes=codes,
            working=self._working(outage, elsewhere), also_down=len(elsewhere), reason=reason, ended_ms=ended_ms,
            announced_ms=outage.announced_ms, note=self.maintenances.note(outage),
            lower_bound=outage.lower_bound, return_period_s=outage.return_period_s, detected_ms=outage.detected_ms,
            by_evidence=outage.by_evidence, well_ms=outage.well_ms if outage.continues_id else None,
            is_silent=outage.silent, rate_now=outage.rate_now, orders_hit=int(counts[_ORDERS_HIT]),
            orders_recovered=int(counts[_ORDERS_RECOVERED]),
        ))  # fmt: skip

    def _working(self, outage: Outage, elsewhere: Iterable[Outage]) -> list[str]:
        return self.offers.instead_of(outage.scope, [outage.scope, *(other.scope for other in elsewhere)])


def _impact(outage: Outage, counts: Int64s, merchants: int) -> Impact | None:
    """Whom it hit; None of a shop, for orders are not counted by shop."""
    if outage.scope.value("merchant") is not None:
        return None
    hit, recovered = int(counts[_ORDERS_HIT]), int(counts[_ORDERS_RECOVERED])
    return Impact(orders_hit=hit, orders_recovered=recovered, merchants=merchants)


def _said(figure: float | None) -> float | None:
    """As many digits as are the same whichever source was counted first: sums of floats have an order."""
    return None if figure is None else float(f"{figure:.6g}")
