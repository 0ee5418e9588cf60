"""The policy's rule for when an outage is over, read literally, and what an open outage keeps for it beyond the ring.

Looks at one outage at a time; does not decide what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from detector.arrays import Int64s
from detector.judging.board import Board
from detector.judging.outage import KeptPane, Outage
from detector.judging.recent import nothing
from detector.judging.ring import CANCELLED, DECLINED, ERROR, PENDING
from detector.judging.streak import NEVER

QUIET_GAPS = 5
"""A scope is without traffic after so many of its mean gaps between payments, and T at the least."""


class ResolveRule:
    """The rule over a board's counts."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def keep(self, outages: Iterable[Outage], pane: int) -> None:
        """A pane leaves the ring: the open outages add it up, and keep what the resolve rule may still need of it."""
        board = self.board
        for outage in outages:
            if pane >= outage.began:
                outage.leave(board.totals(outage.node, pane, pane))
                voters = np.zeros(2, np.uint64)
                found = board.pane_sum(outage.node, pane, voters)
                if found.approved + found.red + found.overdue:
                    known = [int(voter) for voter in voters[: found.voters]]
                    outage.kept.append(KeptPane(pane, found.approved, found.red, found.overdue, known))
                    self._forget_old(outage)

    def _forget_old(self, outage: Outage) -> None:
        """Panes older than the newest that hold enough decided are never asked for again."""
        decided = 0
        for place in range(len(outage.kept) - 1, -1, -1):
            decided += outage.kept[place].approved + outage.kept[place].red
            if decided >= self.board.policy.resolve.decided:
                del outage.kept[:place]
                return

    def look(self, outage: Outage) -> None:
        """Counts of the scope came in: its hold begins, goes on, or is broken off."""
        if not self._shows_recovery(outage):
            outage.hold_ms = None
        elif outage.hold_ms is None:
            outage.hold_ms = self.board.boundary_ms

    def is_over(self, outage: Outage) -> bool:
        """Whether its hold has lasted long enough."""
        hold_ms = outage.hold_ms
        return hold_ms is not None and self.board.boundary_ms - hold_ms >= self.board.policy.resolve.hold_ms

    def _shows_recovery(self, outage: Outage) -> bool:
        rule = self.board.policy.resolve
        approved, red, overdue, voters = self._recent(outage)
        if approved < rule.approved or voters < rule.voters:
            return False
        usual = self.usual_rate(outage)
        bar = min(0.5, rule.rate_share * (1.0 if usual is None else usual))
        return approved >= bar * (approved + red + overdue)

    def _recent(self, outage: Outage) -> tuple[int, int, int, int]:
        """Approved, red, overdue and approved voters of the newest panes, beyond the ring where that is needed."""
        scratch = np.zeros(2, np.uint64)
        found = self.board.recent(outage.node, outage.began, scratch)
        approved, red, overdue = found.approved, found.red, found.overdue
        voters = {int(voter) for voter in scratch[: found.voters]}
        for pane in reversed(outage.kept):
            if approved + red >= self.board.policy.resolve.decided:
                break
            approved, red, overdue = approved + pane.approved, red + pane.red, overdue + pane.overdue
            voters.update(pane.voters)
        needed = self.board.policy.resolve.decided - approved - red
        if needed > 0 and outage.folded_red >= needed:
            overdue += outage.folded_overdue * needed // outage.folded_red
            red += needed
        elif needed > 0:
            red, overdue = red + outage.folded_red, overdue + outage.folded_overdue
        return approved, red, overdue, len(voters)

    def usual_rate(self, outage: Outage) -> float | None:
        """The rate of the hour before it began; final once its first pane is closed."""
        if not outage.rate_is_final:
            outage.rate = self.board.rate_before(outage.node, outage.began)
            outage.rate_is_final = self.closes_ms(outage) <= self.board.boundary_ms
        return outage.rate

    def note_usual_rates(self, outages: Iterable[Outage]) -> None:
        """Take the rates that become final now: later the panes that they rest on leave the ring."""
        for outage in outages:
            if not outage.rate_is_final and self.closes_ms(outage) <= self.board.boundary_ms:
                self.usual_rate(outage)

    def closes_ms(self, outage: Outage) -> int:
        """When the first pane of an outage is closed."""
        moment = self.board.moment
        return (outage.began + 1) * moment.pane_ms + moment.closing_ms

    def quiet_from_ms(self, outage: Outage) -> int:
        """When the scope will have had no payment for T, or for several of its usual gaps if these are longer.

        Of a shop nobody counts them: never.
        """
        if outage.scope.value("merchant") is not None:
            return int(NEVER)
        rules = self.board.policy.rules(outage.scope)
        rule = rules.all_red if outage.kind in ("all_red", "drop") else rules.all_pending
        newest = max(int(self.board.marks.newest[outage.node]), outage.began)
        return (newest + 1) * self.board.policy.pane_ms + max(rule.after_ms, QUIET_GAPS * outage.gap_ms)

    def left_before(self, node: int, began: int) -> Int64s:
        """What had left the ring when an outage is found: the fold of its streak, of which nothing was approved.

        The fold knows no votes, and of what waited or was cancelled late only that it is bad or waits.
        """
        fold, counts = self.board.fold, nothing()
        if began <= fold.first[node] < self.board.oldest:
            counts[PENDING] = fold.overdue[node] + fold.waiting[node]
            counts[DECLINED], counts[ERROR] = fold.red[node] - fold.error[node], fold.error[node]
            counts[CANCELLED] = fold.payments[node] - fold.red[node] - counts[PENDING]
            counts[8:] = fold.orders[node]
        return counts
