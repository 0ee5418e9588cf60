"""When an outage starts, who it is named after, and when it is over: the policy's order, ancestors and hold.

At a boundary: what is open is looked at first (updates, resolution), then the breaches from the platform down. Knows
the board's verdicts; how an event is worded is `report`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from detector.contracts.models import Trigger
from detector.contracts.policy import Policy
from detector.contracts.scope import Scope
from detector.judging.adoption import finding_as_told
from detector.judging.baseline import HOUR_MS
from detector.judging.board import Board
from detector.judging.cases import Cases
from detector.judging.finding import Finding
from detector.judging.kinship import Kinship
from detector.judging.naming import Cells
from detector.judging.outage import Change, Kind, Outage, Standing, outage_id
from detector.judging.relapse import Relapses
from detector.judging.report import Report
from detector.judging.resolve import ResolveRule
from detector.judging.severity import Mode, Severities
from detector.judging.streak import BREACH, NEVER

GROWTH_APART_MS = 60_000


class Lifecycle:
    """The open and the waiting outages of a board."""

    def __init__(self, board: Board, report: Report) -> None:
        self.board = board
        self.report = report
        self.maintenances = report.maintenances
        self.open: dict[int, Outage] = {}
        self.waiting: dict[int, int] = {}  # node -> boundary (ms) since which its breach waits
        self.kin = Kinship(board, self.open, self.waiting)
        self.ordinals: dict[str, int] = {}  # scope key -> ordinal of its last outage
        self.severities = Severities(board)
        self.cases = Cases(board, report.lately)
        self.relapses = Relapses()
        self.rule = ResolveRule(board)

    # ── at a boundary ──

    def judge(self, breaches: int) -> list[Change]:
        """What changes at the board's boundary, which has this many nodes in breach."""
        self.maintenances.move_to(self.board.boundary_ms, self.open.values())
        self.report.offers.look_again()
        findings = self.cases.findings(self.open.values())
        if not (breaches or self.open or self.waiting or findings):
            return []
        self.rule.note_usual_rates(self.open.values())
        self.cases.freeze(self.open.values())
        is_released = self._look_by_rule()
        resolved = list(self._look_at_open())
        if is_released or resolved:
            breaches, findings = self.board.evaluate(), self.cases.findings(self.open.values())
        changes = resolved + (list(self._look_at_breaches()) if breaches else self._nothing_waits())
        changes += self._look_at_findings(findings)
        return changes + list(self._look_at_maintenances()) + list(self._look_at_frozen())

    def keep(self, pane: int) -> None:
        """A pane leaves the ring: the open outages keep what they still need of it."""
        self.rule.keep(self.open.values(), pane)

    def next_due_ms(self) -> int:
        """When the life of an outage can change next without news."""
        boundary_ms, policy = self.board.boundary_ms, self.board.policy
        dues = [
            int(NEVER),
            self.cases.next_due_ms(int(NEVER), any(outage.by_evidence for outage in self.open.values())),
            max(self.maintenances.due_ms, boundary_ms + policy.boundary_ms),
        ]  # fmt: skip
        if self.waiting:
            dues.append(boundary_ms + policy.boundary_ms)
        for outage in self.open.values():
            if outage.hold_ms is not None:
                dues.append(outage.hold_ms + policy.resolve.hold_ms)
            if not outage.quiet:
                # One that starts when its last payment is long ago is looked at again at the next boundary.
                dues.append(max(self.rule.quiet_from_ms(outage), boundary_ms + policy.boundary_ms))
            if outage.grows:
                dues.append(max(self._tells_growth_ms(outage), boundary_ms + policy.boundary_ms))
            if not outage.rate_is_final:
                dues.append(self.rule.closes_ms(outage))
            if self.board.has_evidence:  # each hour of it is kept from being learned
                dues.append((boundary_ms // HOUR_MS + 1) * HOUR_MS)
        return min(due for due in dues if due > boundary_ms)

    # ── what is open ──

    def _look_by_rule(self) -> bool:
        """What the operator's rule says of what is open; whether it called one over, and streaks begin anew."""
        is_released = False
        for outage in self.in_order():
            if self._by_rule(outage) and self.board.has_news(outage.node):
                self.rule.look(outage)
            if outage.is_ruled and outage.hold_ms is not None and self.rule.is_over(outage):
                outage.released = is_released = True
                self.kin.restart_below(outage, outage.hold_ms)
        return is_released

    def _look_at_open(self) -> Iterator[Change]:
        for outage in self.in_order():
            if (over_ms := self._over_since_ms(outage)) is not None:
                yield self._resolve(outage, "recovered", over_ms)
            elif outage.quiet != (self.board.boundary_ms >= self.rule.quiet_from_ms(outage)):
                outage.quiet = not outage.quiet
                yield self._change("updated", outage, "no_traffic" if outage.quiet else "traffic_again")
            elif self._tells_growth(outage):
                yield self._grown(outage)
            elif (reason := self.cases.turn(outage)) is not None:
                self.severities.weigh(outage)
                yield self._change("updated", outage, reason)

    def _by_rule(self, outage: Outage) -> bool:
        """Whether the operator's rule has a say in when it is over; where the statistics are off it has the only."""
        return outage.by_policy or not self.cases.speaks_for(outage)

    def _look_at_maintenances(self) -> Iterator[Change]:
        """Last at a boundary: what is over, or taken over, at the end of its maintenance pages nobody any more."""
        for outage in self.in_order():
            if (reason := self._mark(outage)) is not None:
                yield self._change("updated", outage, reason)

    def _look_at_frozen(self) -> Iterator[Change]:
        """Once for each outage: so long unlike the usual may be a new normal, and only a person can say so."""
        for outage in self.in_order():
            if not outage.asked and self.cases.is_long_frozen(outage):
                outage.asked = True
                yield self._change("updated", outage, "frozen_24h")

    def _mark(self, outage: Outage) -> str | None:
        return self.maintenances.mark(outage, self.severities.is_muted(outage), self.catching_up)

    def _over_since_ms(self, outage: Outage) -> int | None:
        """When the recovery began of an outage that is over: every rule that speaks for it says so."""
        hold_ms, over_ms = outage.hold_ms, outage.began_ms
        if self._by_rule(outage):
            if hold_ms is None or not self.rule.is_over(outage):
                return None
            over_ms = hold_ms
        if self.cases.speaks_for(outage):
            if not self.cases.is_over(outage):
                return None
            over_ms = max(over_ms, self.cases.over_since_ms(outage))
        return over_ms

    # ── what is in breach ──

    def _nothing_waits(self) -> list[Change]:
        self.waiting.clear()
        return []

    def _look_at_breaches(self) -> Iterator[Change]:
        """From the platform down; what starts is said last, with the children it has by then."""
        nodes = sorted(np.nonzero(self.board.found.verdict == BREACH)[0].tolist(), key=self.kin.rank)
        for node in self.waiting.keys() - set(nodes):
            del self.waiting[node]
        started: list[Outage] = []
        grown: set[int] = set()
        for node in nodes:
            scope, cells = self.board.nodes.scopes[node], self.board.cells(node)
            waits_since_ms = self.waiting.pop(node, self.board.boundary_ms)
            mine = self.open.get(node)
            if not (mine and mine.is_ruled) and not self.kin.may_be_named(scope, cells):
                continue
            if mine is not None:
                yield from self._speak_for(mine, "policy", True, started)
            elif (parent := self.kin.open_ancestor(scope, cells, Standing.RULED)) is not None:
                if parent.adopt(scope.key) and parent not in started:
                    grown.add(parent.node)
            elif self.kin.waits(node, scope, cells, waits_since_ms):
                self.waiting[node] = waits_since_ms
            else:
                yield from self._start(self._new_outage(node, scope, cells), started)
        yield from self._say(grown, started)

    def _say(self, grown: set[int], started: list[Outage]) -> Iterator[Change]:
        for node in sorted(grown & self.open.keys()):
            self.open[node].grows = True
            if self._tells_growth(self.open[node]):
                yield self._grown(self.open[node])
        for outage in started:
            yield self.started(outage)

    def _tells_growth(self, outage: Outage) -> bool:
        """Evidence names scope after scope while it builds up: once a minute says it all."""
        return outage.grows and self.board.boundary_ms >= self._tells_growth_ms(outage)

    def _tells_growth_ms(self, outage: Outage) -> int:
        return max(outage.grown_ms, outage.detected_ms) + GROWTH_APART_MS if outage.by_evidence else 0

    def _grown(self, outage: Outage) -> Change:
        outage.grows, outage.grown_ms = False, self.board.boundary_ms
        return self._change("updated", outage, "more_scopes")

    def _look_at_findings(self, findings: list[Finding]) -> Iterator[Change]:
        """What the evidence names: it joins an open outage, becomes a child of one, or starts one."""
        started: list[Outage] = []
        grown: set[int] = set()
        for finding in sorted(findings, key=lambda finding: self.kin.rank(self.board.node_of(finding.scope))):
            scope, node = finding.scope, self.board.node_of(finding.scope)
            if node in self.open:
                yield from self._join(self.open[node], finding, started)
            elif (parent := self.kin.open_ancestor(scope, finding.cells, finding.standing)) is not None:
                if parent.adopt(scope.key) and parent not in started:
                    grown.add(parent.node)
            else:
                outage = self._found_outage(node, finding)
                yield from self._start(outage, started)
                self.cases.watch(outage, finding)
        yield from self._say(grown, started)

    def _join(self, outage: Outage, finding: Finding, started: list[Outage]) -> Iterator[Change]:
        outage.return_period_s = max(outage.return_period_s or 0.0, finding.return_period_s)
        outage.lower_bound = finding.lower_bound or outage.lower_bound
        if not outage.by_evidence:
            self.cases.watch(outage, finding)
        yield from self._speak_for(outage, "evidence", finding.severity == "critical", started)

    def _speak_for(self, outage: Outage, trigger: Trigger, pages: bool, started: list[Outage]) -> Iterator[Change]:
        """Another rule speaks for an open outage, or the same one louder: it takes over what it may as one that
        starts."""
        is_new = not (outage.is_ruled if trigger == "policy" else outage.by_evidence)
        if is_new:
            outage.trigger = "evidence,policy"
        was_loud = outage.is_loud
        outage.pages = outage.pages or pages
        if trigger == "policy":  # the operator's rule always calls
            outage.silent = outage.eased = outage.released = False
            if outage.by_evidence:  # it looks for approvals since the onset, which may lie before the streak
                outage.hold_ms = None
        if is_new or (outage.is_loud and not was_loud):
            self.severities.weigh(outage)
            yield from self._take_over_below(outage, started)
            yield self._change("updated", outage, trigger if is_new else "worse")

    def _found_outage(self, node: int, finding: Finding) -> Outage:
        """An outage that the evidence starts."""
        board, ordinal = self.board, self.ordinals.get(finding.scope.key, 0) + 1
        self.ordinals[finding.scope.key] = ordinal
        gap_ms = int((board.boundary_ms - finding.onset_ms) / max(1.0, sum(finding.down)))
        outage = Outage(
            outage_id(finding.scope, ordinal), ordinal, node, finding.scope, finding.kind,
            board.pane_of(finding.onset_ms), finding.onset_ms, board.boundary_ms, "warning", self.catching_up,
            finding.cells, gap_ms, rate=finding.baseline_rate, rate_is_final=True, trigger="evidence",
            return_period_s=finding.return_period_s, lower_bound=finding.lower_bound,
            pages=finding.severity == "critical",
        )  # fmt: skip
        self.relapses.link(outage, board.policy.evidence.reopen_min * 60_000)
        outage.severity = self.severities.of(outage)
        self._mark(outage)
        return outage

    def _start(self, outage: Outage, started: list[Outage]) -> Iterator[Change]:
        yield from self._take_over_below(outage, started)
        self.open[outage.node] = outage
        started.append(outage)

    def _take_over_below(self, outage: Outage, started: list[Outage]) -> Iterator[Change]:
        """The open outages below it that stand no higher are over, and their scopes are its children."""
        for other in self.kin.to_take_over(outage):
            outage.children += [key for key in (other.scope.key, *other.children) if key not in outage.children]
            if other in started:
                started.remove(other)
                yield self.started(other)
            yield self._resolve(other, "superseded", self.board.boundary_ms, outage.outage_id)

    def _new_outage(self, node: int, scope: Scope, cells: Cells) -> Outage:
        found, board, ordinal = self.board.found, self.board, self.ordinals.get(scope.key, 0) + 1
        self.ordinals[scope.key] = ordinal
        kind: Kind = "all_red" if found.red[node] >= found.overdue[node] else "all_pending"
        began = int(found.first[node])
        began_ms = began * board.policy.pane_ms
        gap_ms = (board.boundary_ms - began_ms) // max(1, int(found.payments[node]))
        outage = Outage(
            outage_id(scope, ordinal), ordinal, node, scope, kind, began, began_ms, board.boundary_ms, "warning",
            self.catching_up, cells, gap_ms, *board.folded(node), left=self.rule.left_before(node, began).tolist(),
        )  # fmt: skip
        outage.severity = self.severities.of(outage)
        self._mark(outage)
        return outage

    def begin_anew(self, scope: Scope) -> list[Change]:
        """A person had what is usual of a scope forgotten: evidence speaks no more for its outage."""
        outage = next((one for one in self.open.values() if one.scope == scope and one.by_evidence), None)
        if outage is None:
            return []
        self.report.offers.look_again()
        if not outage.is_ruled:
            return [self._resolve(outage, "baseline_reset", self.board.boundary_ms)]
        self.cases.close(outage, True)
        outage.trigger = "policy"
        return [self._change("updated", outage, "baseline_reset")]

    # ── what a clock decided ──

    @property
    def catching_up(self) -> bool:
        """Whether the Judge is behind the clock."""
        return self.severities.catching_up

    def catch_up(self, behind: bool) -> list[Change]:
        """The Judge is, or is no longer, behind the clock: what is open then becomes critical, if unannounced."""
        self.severities.catching_up = behind
        if behind or self.board.policy.page_mode == "shadow":
            return []
        self.report.offers.look_again()
        waited = [outage for outage in self.in_order() if self.severities.catch_up(outage)]
        return [self._change("updated", outage, "caught_up") for outage in waited]

    # ── what a policy decides ──

    def obey(self, before: Policy) -> list[Change]:
        """The board's policy was `before` until now. Another [page] mode marks every open outage anew, another
        [evidence] mode weighs those that rest on evidence alone; where it was off they are watched again."""
        policy = self.board.policy
        if self.board.has_evidence and before.evidence.mode == "off":
            self._watch_again()
        if policy.page_mode != before.page_mode:
            return self.follow_mode(self.in_order(), "page_mode")
        if policy.evidence.mode != before.evidence.mode:
            return self.follow_mode([outage for outage in self.in_order() if not outage.by_policy], "evidence_mode")
        return []

    def follow_mode(self, outages: list[Outage], mode: Mode) -> list[Change]:
        """Another mode holds than when these were told last. That of [evidence] is said where it changes what pages."""
        self.report.offers.look_again()
        others = [outage for outage in outages if self.severities.follow_mode(outage) or mode == "page_mode"]
        return [self._change("updated", outage, mode) for outage in others]

    def _watch_again(self) -> None:
        self.cases.forget_shops()
        for outage in self.open.values():
            if outage.by_evidence:
                outage.hold_ms = outage.hold_ms if outage.by_policy else None
                data = self.report.data(outage, self.open.values(), self.rule.usual_rate(outage), None, None, None)
                self.cases.watch(outage, finding_as_told(outage, data))

    # ── words ──

    def _resolve(self, outage: Outage, reason: str, ended_ms: int, parent_id: str | None = None) -> Change:
        del self.open[outage.node]
        self.cases.close(outage, reason != "superseded")
        if reason == "recovered" and outage.by_evidence:
            self.relapses.remember(outage, ended_ms)
        return self._change("resolved", outage, reason, ended_ms, parent_id)

    def started(self, outage: Outage) -> Change:
        """It begins, or is told so again."""
        return self._change("started", outage, "reopened" if outage.continues_id else None)

    def _change(self, type_: Literal["started", "updated", "resolved"], outage: Outage, reason: str | None,
                ended_ms: int | None = None, parent_id: str | None = None) -> Change:  # fmt: skip
        outage.sequence += 1
        outage.called = outage.called or outage.severity == "critical"
        usual = self.rule.usual_rate(outage)
        data = self.report.data(outage, self.open.values(), usual, reason, ended_ms, parent_id)
        return Change(type_, data)

    def in_order(self) -> list[Outage]:
        """What is open, from the platform down."""
        return [self.open[node] for node in sorted(self.open, key=self.kin.rank)]

    # ── snapshot ──

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {
            "open": [outage.export() for outage in self.open.values()],
            "waiting": list(self.waiting.items()),
            "ordinals": dict(self.ordinals),
            "catching_up": self.catching_up,
            "relapses": self.relapses.export(),
            "arrivals": self.cases.arrivals.export(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back."""
        self.open.clear()
        self.open.update({outage["node"]: Outage.load(outage) for outage in state["open"]})
        self.waiting.clear()
        self.waiting.update(tuple(pair) for pair in state["waiting"])
        self.ordinals = dict(state["ordinals"])
        self.severities.catching_up = state["catching_up"]
        self.relapses.load(state["relapses"])
        self.cases.arrivals.load(state["arrivals"])
