"""The Judge: a deterministic function of the tallies log. Records come in, changes of outages come out.

    tally, marker ──▶ Sources (who is where) ──▶ Board (counts, verdicts) ──▶ Lifecycle (outages) ──▶ changes

Knows no clock, no Kafka, no snapshot topic: what a clock decides comes in as a marker.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Container, Iterable
from typing import Any

from detector.contracts.models import HealthRecord, Lesson, Maintenance, OutageData
from detector.contracts.policy import Policy
from detector.contracts.scope import Scope
from detector.counting.tally import Marker, Source, Tally
from detector.judging.adoption import finding_as_told, open_as_told, past_as_told
from detector.judging.board import Board
from detector.judging.health import Health
from detector.judging.learned import Learned, learned_of
from detector.judging.lessons import Lessons, scope_of
from detector.judging.lifecycle import Lifecycle
from detector.judging.maintenance import Maintenances
from detector.judging.misfit import Misfit, is_ours, obeyable, read_lesson, read_maintenance
from detector.judging.outage import Change, Outage, ordinal_of
from detector.judging.report import Report
from detector.judging.severity import Mode
from detector.judging.sources import NOT_YET, Progress, Sources, State, follows
from detector.judging.state import VERSION, OtherVersion
from detector.judging.windows import SPANS_MS


class Judge:
    """Judges every boundary once, in order, as soon as every live source has reached it.

    `passed_over`: how many records it could not take, by why. `is_told_all`: it takes the log from its first record on.
    """

    def __init__(self, policy: Policy, *, is_told_all: bool = False) -> None:
        self.board = Board(policy)
        self.sources = Sources(is_told_all)
        self.maintenances = Maintenances()
        self.lessons = Lessons(self.board)
        self.report = Report(self.board, self.sources, self.maintenances)
        self.lifecycle = Lifecycle(self.board, self.report)
        self._health = Health(self.board, self.lifecycle, self.report)
        self.newest_start_ms = NOT_YET
        self.passed_over: Count[Misfit] = Count()
        self._known: dict[str, OutageData] = {}
        self._told_otherwise: list[tuple[Outage, Mode]] = []  # adopted, and told under another mode

    @property
    def policy(self) -> Policy:
        """What holds now."""
        return self.board.policy

    @property
    def time_ms(self) -> int:
        """The newest boundary judged; -1 before the first."""
        return self.board.boundary_ms

    # ── the log ──

    def take(self, record: Tally | Marker) -> list[Change]:
        """One record of the log, in its order; what changes by it."""
        if isinstance(record, Marker):
            return self._obey(record) + self._advance()
        if not is_ours(record, self.policy):
            self.passed_over[Misfit.TALLY] += 1
            return []
        if not self.sources.accept(record, self.time_ms):
            return []
        return self._advance()

    def _obey(self, marker: Marker) -> list[Change]:
        if marker.kind in ("stuck", "ended") and marker.source is not None:
            self.sources.leave(marker.source, State(marker.kind))
        elif marker.kind in ("catching_up", "caught_up"):
            return self.lifecycle.catch_up(marker.kind == "catching_up")
        elif marker.kind == "policy":
            return self._hear(obeyable(marker.text, self.policy))
        elif marker.kind == "maintenance":
            return self._hear(read_maintenance(marker.text))
        elif marker.kind == "baseline":
            return self._hear(read_lesson(marker.text))
        return []

    def _hear(self, said: Policy | Maintenance | Lesson | Misfit) -> list[Change]:
        if isinstance(said, Misfit):
            self.passed_over[said] += 1
        elif isinstance(said, Policy):
            before = self.policy
            self.board.obey(said, self._leaving)
            return self.lifecycle.obey(before)
        elif isinstance(said, Maintenance):
            self.maintenances.announce(said, self.policy.maintenances_max)
        else:
            return self._learn(said)
        return []

    def _learn(self, lesson: Lesson) -> list[Change]:
        """From here on this is usual. What was found against what was forgotten is not found any more."""
        taken = self.lessons.take(lesson)
        return self.lifecycle.begin_anew(scope_of(lesson)) if taken and lesson.forgets else []

    def _advance(self) -> list[Change]:
        """Judge as far as every live source has come."""
        changes: list[Change] = []
        self._age()
        target_ms = self.sources.target_ms()
        while (boundary_ms := self.sources.next_boundary_ms(target_ms)) != NOT_YET:
            changes += self._coast(boundary_ms - self.policy.boundary_ms)
            changes += self._judge_records(boundary_ms)
        return changes + self._coast(target_ms)

    def _judge_records(self, boundary_ms: int) -> list[Change]:
        is_next = boundary_ms > self.time_ms
        if is_next:
            self._move_to(boundary_ms)
            self.board.expect()
        for mine, tally in self.sources.take(boundary_ms):
            self._put(mine, tally, mine.applied_ms)
        self._age()
        if is_next:
            self.board.weigh()
            self._arrive()
        return self._judge() if boundary_ms == self.time_ms else []

    def _coast(self, until_ms: int) -> list[Change]:
        """Nothing new up to `until_ms`: judge only the boundaries at which something is due, jump the others."""
        changes: list[Change] = []
        if self.time_ms == NOT_YET:
            return changes
        step_ms = self.policy.boundary_ms
        while self.time_ms < until_ms:
            due_ms = min(self.board.next_due_ms(), self.lifecycle.next_due_ms())
            boundary_ms = max(-(-due_ms // step_ms) * step_ms, self.time_ms + step_ms)
            stop_ms = min(boundary_ms, until_ms, self.lifecycle.cases.next_minute_ms(until_ms))
            reached_ms, tells = self.board.coast(stop_ms)
            self._move_to(reached_ms)
            if self._arrive() or tells or reached_ms == boundary_ms:
                changes += self._judge()
        return changes

    def _arrive(self) -> bool:
        return self.lifecycle.cases.arrive(len(self.sources.by_source))

    def _judge(self) -> list[Change]:
        self._adopt_due()
        adopted, self._told_otherwise = self._told_otherwise, []
        changes = [change for outage, mode in adopted for change in self.lifecycle.follow_mode([outage], mode)]
        changes += self.lifecycle.judge(self.board.evaluate())
        self.board.settle()
        return changes

    def _move_to(self, boundary_ms: int) -> None:
        self.board.move_to(boundary_ms, self._leaving)
        if len(self.sources.by_source) > 1:
            policy = self.policy
            closed_ms = self.sources.closed_ms() - policy.open_ms
            self.board.close_before(self.board.pane_of(closed_ms))

    @property
    def _leaving(self) -> Callable[[int], None] | None:
        """Who looks at a pane before it leaves the ring."""
        return self.lifecycle.keep if self.lifecycle.open else None

    def _put(self, mine: Progress, tally: Tally, applied_ms: int) -> None:
        """A source's record changes the board; what its records up to `applied_ms` closed stays as it is."""
        policy = self.policy
        closed = self.board.pane_of(applied_ms - policy.open_ms)
        first = max(tally.first_pane, closed)
        if tally.first_pane >= 0:
            self.board.clear(mine.number, first, max(closed, self.board.pane_of(tally.boundary_ms - policy.open_ms)))
        self.board.put(mine.number, tally.cells, first)
        self.newest_start_ms = max(self.newest_start_ms, min(tally.newest_start_ms, tally.boundary_ms))
        if tally.details is not None:
            self.report.lately.note(tally.source, tally.boundary_ms, tally.details)

    def _age(self) -> None:
        """Pendings age up to the newest start on the platform, those of a source that is away up to where it was."""
        away = {
            mine.number: min(self.newest_start_ms, mine.judged_ms)
            for mine in self.sources.by_source.values()
            if mine.state is State.STUCK or mine.state is State.BEHIND
        }
        self.board.age(self.newest_start_ms, away, len(self.sources.by_source))
        # What a source does not tell is missing everywhere: no stall.
        self.board.signals.sources_away = bool(away)

    # ── a new owner ──

    def export(self) -> dict[str, Any]:
        """The whole state except the ring and what still waits; plain values and bytes."""
        return {
            "version": VERSION,
            "policy": self.policy.canonical(),
            "newest_start_ms": self.newest_start_ms,
            "board": self.board.export(),
            "sources": self.sources.export(),
            "is_told_all": self.sources.is_told_all,
            "lifecycle": self.lifecycle.export(),
            "maintenances": self.maintenances.export(),
            "lessons": self.lessons.export(),
            "health": {key: list(value) for key, value in self._health.since.items()},
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Judge:
        """The Judge that wrote `export`; `refill` gives it back its ring. Raises OtherVersion."""
        if (version := state.get("version", 1)) != VERSION:
            raise OtherVersion(f"a snapshot has version {VERSION}; got {version}")
        judge = cls(Policy.parse(state["policy"]), is_told_all=state.get("is_told_all", False))
        judge.newest_start_ms = state["newest_start_ms"]
        judge.board.load(state["board"])
        judge.sources.load(state["sources"])
        judge.lifecycle.load(state["lifecycle"])
        judge.maintenances.load(state["maintenances"])
        judge.lessons.load(state["lessons"])
        judge._health.since = {key: (word, since_ms) for key, (word, since_ms) in state["health"].items()}
        return judge

    def refill(self, record: Tally | Marker) -> None:
        """Re-read the hour of log before a snapshot's offset, in order: up to its boundary it fills the ring, judging
        nothing; what lies beyond is queued."""
        mine = None if record.source is None else self.sources.by_source.get(record.source)
        if mine is None:
            return
        if isinstance(record, Marker):
            mine.was_stuck |= record.kind == "stuck"
            return
        if not is_ours(record, self.policy):
            return
        at = (record.term, record.boundary_ms)
        if not mine.refilled < at <= (mine.term, mine.boundary_ms):
            return
        if not follows(record, *mine.refilled):
            if not mine.was_stuck:
                return
            mine.refilled_torn = record.term
        elif mine.refilled == (NOT_YET, NOT_YET) and record.term == mine.torn:
            mine.refilled_torn = record.term
        mine.was_stuck = False
        if record.term > mine.refilled[0]:
            mine.pass_on(record.boundary_ms)
        mine.refilled = at
        if record.boundary_ms <= mine.judged.get(record.term, NOT_YET):
            with self.board.without_news():
                self._put(mine, record, mine.refilled_ms)
            if record.term != mine.refilled_torn:
                mine.refilled_ms = max(mine.refilled_ms, record.boundary_ms)
        else:
            mine.waiting.append(record)

    def adopt(self, newest: Iterable[OutageData]) -> None:
        """The newest event of each outage on the outages topic. What is open there and is not found again by the
        time it was detected is taken over as it stands, and judged on; ordinals go on from there."""
        self._known = {data.outage_id: data for data in newest}
        self._adopt_due()

    def _adopt_due(self) -> None:
        if not self._known or self.time_ms == NOT_YET:
            return
        due = [data for data in self._known.values() if data.detected_at < self.time_ms]
        for data in sorted(due, key=lambda data: data.detected_at):
            del self._known[data.outage_id]
            self._adopt(data)

    def _adopt(self, data: OutageData) -> None:
        scope = data.scope.to_scope()
        ordinal = ordinal_of(scope, data.outage_id)
        node = self.board.node_of(scope)
        if ordinal <= self.lifecycle.ordinals.get(scope.key, 0):
            return
        self.lifecycle.ordinals[scope.key] = ordinal
        if data.ended_at is not None:
            if data.trigger != "policy" and data.reason == "recovered":
                self.lifecycle.relapses.past.append(past_as_told(self.board, data))
        elif node not in self.lifecycle.open:
            outage = open_as_told(self.board, data, ordinal)
            self.lifecycle.open[node] = outage
            if data.shadow != (self.policy.page_mode == "shadow"):
                self._told_otherwise.append((outage, "page_mode"))
            elif outage.severity == "critical" and self.lifecycle.severities.is_silenced(outage):
                self._told_otherwise.append((outage, "evidence_mode"))
            if outage.by_evidence and self.board.has_evidence:
                self.lifecycle.cases.watch(outage, finding_as_told(outage, data))

    def untold(self, told: Container[str]) -> list[Change]:
        """What is open and not among those that the outages topic tells of: as started, as it stands now."""
        lifecycle = self.lifecycle
        return [lifecycle.started(outage) for outage in lifecycle.in_order() if outage.outage_id not in told]

    # ── what is usual ──

    def learned(self, ended: bool = False) -> Learned:
        """What the statistics know by now; `ended`: no more will come, so the last hours are learned too."""
        if ended:
            self.board.signals.close()
        signals = self.board.signals
        return learned_of(signals.baseline, signals.hazard, signals.technical, self.board.nodes)

    def begin_with(self, learned: Learned) -> None:
        """Judge by what was learned elsewhere. Raises ValueError where it was learned by other dimensions."""
        if learned.dimensions != self.policy.dimensions:
            raise ValueError(
                f"baselines are learned by the policy's dimensions {self.policy.dimensions}; got "
                f"{learned.dimensions}; learn them with this policy"
            )
        self.board.signals.begin_with(learned)

    def long_frozen(self) -> list[Scope]:
        """The scopes of which nothing was learned for 24 hours: a new normal, or an outage that lasts."""
        nodes = self.board.signals.long_frozen().nonzero()[0].tolist()
        return [self.board.nodes.scopes[node] for node in nodes]

    # ── questions ──

    def health(self) -> list[HealthRecord]:
        """How every scope is now."""
        return self._health.records()

    def rates(self) -> list[tuple[Scope, dict[int, list[int]]]]:
        """For each scope and window (ms): payments by pending, approved, declined, error, cancelled, cancelled late."""
        if self.time_ms == NOT_YET:
            return []
        sums = self.board.payments_in(SPANS_MS).tolist()
        return [
            (scope, dict(zip(SPANS_MS, by_window, strict=True)))
            for scope, by_window in zip(self.board.nodes.scopes, sums, strict=True)
        ]

    def open_outages(self) -> list[Outage]:
        """Those that are open now."""
        return list(self.lifecycle.open.values())

    def blocked(self) -> dict[str, int]:
        """How often a scope lacked only the merchants to be in breach."""
        return {"min_merchants": int(self.board.found.blocked[0])}

    def missing(self) -> list[Source]:
        """Sources that are not judged now."""
        return [source for source, mine in sorted(self.sources.by_source.items())
                if mine.state in (State.STUCK, State.BEHIND)]  # fmt: skip
