"""The statistics' side of outages: when to ask them, what they watch while one is open, and when they call it over.

Stands between the lifecycle and the board's signals; does not decide who is named when policy and evidence differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from detector.arrays import Int64s
from detector.contracts.scope import Scope
from detector.judging import shops
from detector.judging.arrivals import STEP_MS, Arrivals, Shop
from detector.judging.board import Board
from detector.judging.course import Course
from detector.judging.evidence import SLOW, STALL, forget
from detector.judging.finding import Finding, find
from detector.judging.lately import Lately
from detector.judging.outage import Outage
from detector.judging.recovery import CALM, RATE, SLOW_COUNT, STALL_COUNT, is_over, watch
from detector.judging.signals import YEAR_S

AGAIN_MS = 5_000
"""While a bar is passed the evidence is asked again this often: a scope may turn out wider."""


class Cases:
    """What the evidence says of a board's outages."""

    def __init__(self, board: Board, lately: Lately) -> None:
        self.board = board
        self.lately = lately
        self._course = Course(board)
        self.arrivals = Arrivals(self._open_minutes)

    def findings(self, outages: Iterable[Outage]) -> list[Finding]:
        """What the evidence names now, beside the open outages; nothing between two askings."""
        board = self.board
        if not board.has_evidence:
            return []
        stalled = list(self._shops_that_stall()) if board.boundary_ms % STEP_MS == 0 else []
        if (not board.signals.changed and board.boundary_ms % AGAIN_MS) or not np.count_nonzero(board.signals.flags):
            return stalled
        blamed = {merchant for outage in outages
                  if (merchant := outage.scope.value("merchant")) is not None and outage.kind != "stall"}  # fmt: skip
        found = find(board, self.lately, blamed)
        for finding in found:
            if finding.scope.value("merchant") is not None:
                # What one shop showed is accounted for: what the others show begins anew.
                self._forget(self._nodes_of(finding.cells))
        return found + stalled

    def next_minute_ms(self, never: int) -> int:
        """When shops that stall are looked for next: at every full minute, whether counts come in at it or not."""
        return (self.board.boundary_ms // STEP_MS + 1) * STEP_MS if self.board.has_evidence else never

    def arrive(self, sources: int) -> bool:
        """All details up to the boundary have come in, of so many sources as there are; what is not whole says nothing.
        Whether a shop stalls, where that was due."""
        board, newest = self.board, self.lately.newest
        if board.boundary_ms % STEP_MS or not board.has_evidence:
            return False
        if self.arrivals.minutes != self._open_minutes:  # a new policy's: windows of another length say other things
            self.arrivals = Arrivals(self._open_minutes)
        if newest and not board.signals.sources_away and len(newest) >= sources:
            self.arrivals.step(newest.values(), board.boundary_ms, board.policy.merchants_detail_max)
        return any(True for _ in self._shops_past())

    @property
    def _open_minutes(self) -> int:
        return max(1, round(self.board.policy.open_ms / STEP_MS))

    def _shops_past(self) -> Iterable[tuple[str, Shop]]:
        return self.arrivals.past(self.board.policy.evidence.page_years * YEAR_S).items()

    def _shops_that_stall(self) -> Iterator[Finding]:
        """They wait for the morning: a shop that is closed looks the same."""
        every = frozenset(range(len(self.board.nodes.leaves)))
        for name, shop in self._shops_past():
            onset_ms, down = shop.onset_ms or self.board.boundary_ms, (shop.seen, shop.usual)
            scope = Scope((("merchant", name),))
            yield Finding(scope, STALL, "stall", "warning", onset_ms, shop.m, None, None, every, down)

    def next_due_ms(self, never: int, is_open: bool) -> int:
        """When to ask again; `is_open`: evidence speaks for an outage."""
        boundary_ms = self.board.boundary_ms
        asks = self.board.has_evidence and (is_open or np.count_nonzero(self.board.signals.flags) > 0)
        return (boundary_ms // AGAIN_MS + 1) * AGAIN_MS if asks else never

    def forget_shops(self) -> None:
        """The statistics were off until now: what shops lacked before that says nothing."""
        for shop in self.arrivals.shops.values():
            shop.forget()

    def watch(self, outage: Outage, finding: Finding) -> None:
        """An outage rests on evidence: look for its recovery."""
        signals = self.board.signals
        what = {SLOW: SLOW_COUNT, STALL: STALL_COUNT}.get(finding.channel, RATE)
        bar = signals.bar(outage.node)  # first of all, for the node may be new
        usual = float(signals.baseline.usual[outage.node])
        watch(signals.recovery, outage.node, what, usual, finding.down, self.board.boundary_ms, bar, outage.times)

    def speaks_for(self, outage: Outage) -> bool:
        """Whether the evidence has a say in when it is over: statistics that are off have none."""
        return outage.by_evidence and self.board.has_evidence

    def turn(self, outage: Outage) -> str | None:
        """The reason of an update, where its kind or severity is not what it was."""
        if self.board.boundary_ms % AGAIN_MS or not self.speaks_for(outage):
            return None
        return self._course.look(outage) if outage.scope.value("merchant") is None else None

    def is_over(self, outage: Outage) -> bool:
        """Whether the evidence calls it over."""
        if (merchant := outage.scope.value("merchant")) is not None:
            return self._is_well(outage, merchant)
        hold_ms, signals = self.board.policy.evidence.recovery_hold_ms, self.board.signals
        recovery = signals.in_hand(signals.recovery)
        return bool(is_over(recovery, outage.node, self.board.boundary_ms, hold_ms))

    def _is_well(self, outage: Outage, merchant: str) -> bool:
        """A shop is well once its payments have come, or been approved, again for as long as a scope's."""
        board = self.board
        if board.boundary_ms % AGAIN_MS:
            return False
        if not self._looks_well(outage, merchant):
            outage.hold_ms = None
        elif outage.hold_ms is None:
            outage.hold_ms = board.boundary_ms
        return (
            outage.hold_ms is not None
            and board.boundary_ms - outage.hold_ms >= board.policy.evidence.recovery_hold_ms
        )

    def _looks_well(self, outage: Outage, merchant: str) -> bool:
        if outage.kind == "stall":
            shop = self.arrivals.shops.get(merchant)
            return shop is None or shop.is_well  # one that is forgotten sends nothing as a rule
        board = self.board
        leaves = {board.nodes.leaves[leaf] for leaf in outage.cells}
        since_ms = board.boundary_ms - board.policy.evidence.recovery_hold_ms
        counts = self.lately.since(since_ms, leaves, board.policy.open_ms)
        return shops.is_well(counts, merchant, outage.rate or 1.0)

    def over_since_ms(self, outage: Outage) -> int:
        """When its recovery began."""
        if outage.scope.value("merchant") is not None:
            return outage.hold_ms or self.board.boundary_ms
        return int(self.board.signals.recovery.zero_ms[outage.node])

    def is_long_frozen(self, outage: Outage) -> bool:
        """Whether nothing was learned of its scope for so long that a person is asked."""
        return self.board.has_evidence and bool(self.board.signals.long_frozen()[outage.node])

    def close(self, outage: Outage, recovered: bool) -> None:
        """The outage is resolved; where it recovered, what it shares a leaf with begins anew."""
        if self.board.has_evidence:
            self.board.signals.recovery.watched[outage.node] = CALM
            if recovered:
                if (shop := self.arrivals.shops.get(outage.scope.value("merchant") or "")) is not None:
                    shop.forget()
                self._forget(self._touching(outage))

    def freeze(self, outages: Iterable[Outage]) -> None:
        """Nothing within an open outage is learned as usual. What lies above it is frozen by its own evidence alone:
        else one small bank that is down for long would keep the platform from learning."""
        if self.board.has_evidence:
            own = self.board.nodes.own_nodes()
            for outage in outages:
                self.board.signals.baseline.frozen[0, [outage.node, *own[self._leaves_of(outage)]]] = True

    def _touching(self, outage: Outage) -> Int64s:
        return self._nodes_of(self._leaves_of(outage))

    def _leaves_of(self, outage: Outage) -> Int64s:
        """Those that an outage says something of: a shop that sends nothing says nothing of any bank."""
        if outage.kind == "stall" and outage.scope.value("merchant") is not None:
            return np.zeros(0, np.int64)
        return np.union1d(self.board.nodes.leaves_of(outage.node), sorted(outage.cells)).astype(np.int64)

    def _nodes_of(self, leaves: Iterable[int]) -> Int64s:
        """All nodes above some leaves."""
        nodes = np.unique(self.board.nodes.leaf_nodes[np.array(sorted(leaves), np.int64)])
        return nodes[nodes >= 0].astype(np.int64)

    def _forget(self, nodes: Int64s) -> None:
        forget(self.board.signals.evidence, nodes)
        self.board.signals.flags[nodes] = 0
