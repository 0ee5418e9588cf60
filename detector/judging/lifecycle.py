"""When an outage starts, who it is named after, and when it is over: the policy's order, ancestors and hold.

At a boundary: what is open is looked at first (updates, resolution), then the breaches from the platform down. Knows
the board's verdicts; how an event is worded is `report`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from detector.contracts.scope import Scope
from detector.counting.columns import Int64s
from detector.judging.board import Board
from detector.judging.naming import Cells, is_below, is_below_by_name, may_be_named, rank
from detector.judging.outage import Change, KeptPane, Kind, Outage, outage_id
from detector.judging.recent import nothing, totals
from detector.judging.report import Report
from detector.judging.ring import CANCELLED, DECLINED, END, ERROR, PENDING
from detector.judging.streak import BREACH, NEVER

QUIET_GAPS = 5
"""A scope is without traffic after so many of its mean gaps between payments, and T at the least."""


class Lifecycle:
    """The open and the waiting outages of a board."""

    def __init__(self, board: Board, report: Report) -> None:
        self.board = board
        self.report = report
        self.maintenances = report.maintenances
        self.open: dict[int, Outage] = {}
        self.waiting: dict[int, int] = {}  # node -> boundary (ms) since which its breach waits
        self.ordinals: dict[str, int] = {}  # scope key -> ordinal of its last outage
        self.catching_up = False

    # ── at a boundary ──

    def judge(self, breaches: int) -> list[Change]:
        """What changes at the board's boundary, which has this many nodes in breach."""
        self.maintenances.move_to(self.board.boundary_ms, self.open.values())
        if not (breaches or self.open or self.waiting):
            return []
        self._note_usual_rates()
        resolved = list(self._look_at_open())
        if resolved:
            breaches = self.board.evaluate()
        changes = resolved + (list(self._look_at_breaches()) if breaches else self._nothing_waits())
        return changes + list(self._look_at_maintenances())

    def next_due_ms(self) -> int:
        """When the life of an outage can change next without news."""
        boundary_ms, policy = self.board.boundary_ms, self.board.policy
        dues = [int(NEVER), max(self.maintenances.due_ms, boundary_ms + policy.boundary_ms)]
        if self.waiting:
            dues.append(boundary_ms + policy.boundary_ms)
        for outage in self.open.values():
            if outage.hold_ms is not None:
                dues.append(outage.hold_ms + policy.resolve.hold_ms)
            if not outage.quiet:
                # One that starts when its last payment is long ago is looked at again at the next boundary.
                dues.append(max(self._quiet_from_ms(outage), boundary_ms + policy.boundary_ms))
            if not outage.rate_is_final:
                dues.append(self._closes_ms(outage))
        return min(due for due in dues if due > boundary_ms)

    def keep(self, pane: int) -> None:
        """A pane leaves the ring: the open outages add it up, and keep what the resolve rule may still need of it."""
        board = self.board
        for outage in self.open.values():
            if pane >= outage.began:
                outage.leave(totals(board.rows, board.tree, outage.node, pane, pane, board.moment))
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

    # ── what is open ──

    def _look_at_open(self) -> Iterator[Change]:
        for node in sorted(self.open, key=self._rank):
            outage = self.open[node]
            if self.board.has_news(node):
                self._look_at_recovery(outage)
            hold_ms = outage.hold_ms
            if hold_ms is not None and self.board.boundary_ms - hold_ms >= self.board.policy.resolve.hold_ms:
                yield self._resolve(outage, "recovered", hold_ms)
                self._restart_below(outage, hold_ms)
            elif outage.quiet != (self.board.boundary_ms >= self._quiet_from_ms(outage)):
                outage.quiet = not outage.quiet
                yield self._change("updated", outage, "no_traffic" if outage.quiet else "traffic_again")

    def _look_at_maintenances(self) -> Iterator[Change]:
        """Last at a boundary: what is over, or taken over, at the end of its maintenance pages nobody any more."""
        for node in sorted(self.open, key=self._rank):
            outage = self.open[node]
            if (reason := self._mark(outage)) is not None:
                yield self._change("updated", outage, reason)

    def _mark(self, outage: Outage) -> str | None:
        return self.maintenances.mark(outage, self._is_muted, self.catching_up)

    def _look_at_recovery(self, outage: Outage) -> None:
        if not self._shows_recovery(outage):
            outage.hold_ms = None
        elif outage.hold_ms is None:
            outage.hold_ms = self.board.boundary_ms

    def _shows_recovery(self, outage: Outage) -> bool:
        rule = self.board.policy.resolve
        approved, red, overdue, voters = self._recent(outage)
        if approved < rule.approved or voters < rule.voters:
            return False
        usual = self._usual_rate(outage)
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

    def _usual_rate(self, outage: Outage) -> float | None:
        """The rate of the hour before it began; final once its first pane is closed."""
        if not outage.rate_is_final:
            outage.rate = self.board.rate_before(outage.node, outage.began)
            outage.rate_is_final = self._closes_ms(outage) <= self.board.boundary_ms
        return outage.rate

    def _note_usual_rates(self) -> None:
        """Take the rates that become final now: later the panes that they rest on leave the ring."""
        for outage in self.open.values():
            if not outage.rate_is_final and self._closes_ms(outage) <= self.board.boundary_ms:
                self._usual_rate(outage)

    def _closes_ms(self, outage: Outage) -> int:
        """When the first pane of an outage is closed."""
        moment = self.board.moment
        return (outage.began + 1) * moment.pane_ms + moment.closing_ms

    def _quiet_from_ms(self, outage: Outage) -> int:
        """When the scope will have had no payment for T, or for several of its usual gaps if these are longer."""
        rules = self.board.policy.rules(outage.scope)
        rule = rules.all_red if outage.kind == "all_red" else rules.all_pending
        newest = max(int(self.board.marks.newest[outage.node]), outage.began)
        return (newest + 1) * self.board.policy.pane_ms + max(rule.after_ms, QUIET_GAPS * outage.gap_ms)

    def _restart_below(self, parent: Outage, hold_ms: int) -> None:
        """The streaks below a parent that is over begin where its hold began."""
        floor = self.board.pane_of(hold_ms) - 1
        for node, scope in enumerate(self.board.nodes.scopes):
            named = is_below_by_name(scope, parent.scope) or scope.key in parent.children
            streak = self.board.found.first[node] != END
            if named or (streak and is_below(scope, self.board.cells(node), parent.scope, parent.cells)):
                self.board.restart(node, floor)

    # ── what is in breach ──

    def _nothing_waits(self) -> list[Change]:
        self.waiting.clear()
        return []

    def _look_at_breaches(self) -> Iterator[Change]:
        """From the platform down; what starts is said last, with the children it has by then."""
        nodes = sorted(np.nonzero(self.board.found.verdict == BREACH)[0].tolist(), key=self._rank)
        for node in self.waiting.keys() - set(nodes):
            del self.waiting[node]
        started: list[Outage] = []
        grown: set[int] = set()
        for node in nodes:
            scope, cells = self.board.nodes.scopes[node], self.board.cells(node)
            waits_since_ms = self.waiting.pop(node, self.board.boundary_ms)
            if node in self.open or not self._may_be_named(scope, cells):
                continue
            if (parent := self._open_ancestor(scope, cells)) is not None:
                if self._adopt_child(parent, scope) and parent not in started:
                    grown.add(parent.node)
            elif self._waits(node, scope, cells, waits_since_ms):
                self.waiting[node] = waits_since_ms
            else:
                yield from self._take_over_below(scope, cells, started)
        for node in sorted(grown & self.open.keys()):
            yield self._change("updated", self.open[node], "more_scopes")
        for outage in started:
            yield self._change("started", outage, None)

    def _waits(self, node: int, scope: Scope, cells: Cells, since_ms: int) -> bool:
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
            if self._may_be_named(upper_scope, upper_cells) and is_below(scope, cells, upper_scope, upper_cells):
                return True
        return False

    def _open_ancestor(self, scope: Scope, cells: Cells) -> Outage | None:
        above = (outage for outage in self.open.values() if is_below(scope, cells, outage.scope, outage.cells))
        return min(above, key=lambda outage: self._rank(outage.node), default=None)

    def _adopt_child(self, parent: Outage, scope: Scope) -> bool:
        """Nothing starts under an open ancestor: it becomes one of its children. True where it was none yet."""
        if scope.key in parent.children:
            return False
        parent.children.append(scope.key)
        return True

    def _take_over_below(self, scope: Scope, cells: Cells, started: list[Outage]) -> Iterator[Change]:
        """A new outage; the open ones below it are over, and their scopes are its children."""
        outage = self._new_outage(self.board.nodes.node_number[scope], scope, cells)
        below = [other for other in self.open.values() if is_below(other.scope, other.cells, scope, cells)]
        for other in sorted(below, key=lambda other: self._rank(other.node)):
            outage.children += [key for key in (other.scope.key, *other.children) if key not in outage.children]
            if other in started:
                started.remove(other)
                yield self._change("started", other, None)
            yield self._resolve(other, "superseded", self.board.boundary_ms, outage.outage_id)
        self.open[outage.node] = outage
        started.append(outage)

    def _new_outage(self, node: int, scope: Scope, cells: Cells) -> Outage:
        ordinal = self.ordinals.get(scope.key, 0) + 1
        self.ordinals[scope.key] = ordinal
        found, board = self.board.found, self.board
        kind: Kind = "all_red" if found.red[node] >= found.overdue[node] else "all_pending"
        began = int(found.first[node])
        began_ms = began * board.policy.pane_ms
        gap_ms = (board.boundary_ms - began_ms) // max(1, int(found.payments[node]))
        calm: Literal["critical", "warning"] = "warning" if self._is_muted else "critical"
        outage = Outage(
            outage_id(scope, ordinal), ordinal, node, scope, kind, began, began_ms, board.boundary_ms, calm,
            self.catching_up, cells, gap_ms, *board.folded(node), left=self._left_before(node, began).tolist(),
        )  # fmt: skip
        self._mark(outage)
        return outage

    def _left_before(self, node: int, began: int) -> Int64s:
        """What had left the ring when an outage is found: the fold of its streak, of which nothing was approved.

        The fold knows no votes, and of what waited or was cancelled late only that it is bad or waits.
        """
        fold, counts = self.board.fold, nothing()
        if began <= fold.first[node] < self.board.oldest:
            counts[PENDING] = fold.overdue[node] + fold.waiting[node]
            counts[DECLINED], counts[ERROR] = fold.red[node] - fold.error[node], fold.error[node]
            counts[CANCELLED] = fold.payments[node] - fold.red[node] - counts[PENDING]
        return counts

    # ── what a clock decided ──

    @property
    def _is_muted(self) -> bool:
        return self.catching_up or self.board.policy.page_mode == "shadow"

    def catch_up(self, behind: bool) -> list[Change]:
        """The Judge is, or is no longer, behind the clock: what is open then becomes critical, if unannounced."""
        self.catching_up = behind
        if behind or self._is_muted:
            return []
        changes = []
        for node in sorted(self.open, key=self._rank):
            outage = self.open[node]
            if outage.catching_up:
                outage.catching_up = False
                outage.severity = "critical" if outage.announced_ms is None else "warning"
                changes.append(self._change("updated", outage, "caught_up"))
        return changes

    # ── words ──

    def _resolve(self, outage: Outage, reason: str, ended_ms: int, parent_id: str | None = None) -> Change:
        del self.open[outage.node]
        return self._change("resolved", outage, reason, ended_ms, parent_id)

    def _change(self, type_: Literal["started", "updated", "resolved"], outage: Outage, reason: str | None,
                ended_ms: int | None = None, parent_id: str | None = None) -> Change:  # fmt: skip
        outage.sequence += 1
        usual = self._usual_rate(outage)
        data = self.report.data(outage, self.open.values(), usual, reason, ended_ms, parent_id)
        return Change(type_, data)

    def _may_be_named(self, scope: Scope, cells: Cells) -> bool:
        dimensions = self.board.policy.dimensions
        bank_at = dimensions.index("bank") if "bank" in dimensions else None
        return may_be_named(scope, cells, self.board.nodes.leaves, bank_at)

    def _rank(self, node: int) -> tuple[int, str]:
        return rank(self.board.nodes.scopes[node], self.board.policy.dimensions)

    # ── snapshot ──

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {
            "open": [outage.export() for outage in self.open.values()],
            "waiting": list(self.waiting.items()),
            "ordinals": dict(self.ordinals),
            "catching_up": self.catching_up,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back."""
        self.open = {outage["node"]: Outage.load(outage) for outage in state["open"]}
        self.waiting = dict(tuple(pair) for pair in state["waiting"])
        self.ordinals = dict(state["ordinals"])
        self.catching_up = state["catching_up"]
