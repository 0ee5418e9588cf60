"""All statistics of a Judge, moved on boundary by boundary: flow → hazard, baseline → evidence, recovery.

    grow_older (what waits changes bins) ─▶ counts come in ─▶ step (expect, add up, the recursion) ─▶ flags

Holds the arrays that the compiled loops work on, and makes room in them. At the end of each hour it learns the hour
before. Says of which nodes something changed; does not know which outage that makes.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from detector.arrays import Bools, Int32s, UInt8s
from detector.contracts.policy import EvidenceRules, Policy
from detector.contracts.scope import Leaf, Scope
from detector.counting.ages import EDGES
from detector.counting.hand import Hands
from detector.judging import answers, frozen
from detector.judging import baseline as usual
from detector.judging import technical as codes
from detector.judging.advance import MINUTE_MS, Bars, Due, Figures, run_all
from detector.judging.aging import begin_waiting, grow_older
from detector.judging.baseline import HOUR_MS, make_baseline
from detector.judging.evidence import (
    forget,
    make_evidence,
    no_weights,
    weigh,
)  # fmt: skip
from detector.judging.flow import make_flow
from detector.judging.hazard import learn, make_hazard, make_rates
from detector.judging.learned import Learned, forget_leaf, forget_node, learned_of, place, teach
from detector.judging.nodes import Nodes
from detector.judging.recovery import make_recovery
from detector.judging.ring import Rows
from detector.judging.room import longer
from detector.judging.technical import make_technical

YEAR_S = 365.25 * 86_400
HOURLY_MIN = 2.0
"""A scope of which fewer votes an hour are expected does not stall alone."""

_KEPT = ("flow", "hazard", "baseline", "evidence", "recovery", "due", "technical")


class Signals:
    """The statistics over all nodes; `flags[node]` has a bit for each channel whose bar is passed."""

    def __init__(self, policy: Policy, nodes: Nodes) -> None:
        self._policy, self._nodes, self.in_hand = policy, nodes, Hands()
        self._bars = _bars(policy.evidence)
        self.waiting = Learned(policy.dimensions, {}, {})  # what was learned of scopes that have no room yet
        self._begin_empty()
        self.grow()

    def _begin_empty(self) -> None:
        """Nothing is known of any scope, and there is room for none."""
        self.time_ms = self.began_ms = -1
        self.flow, self.hazard = make_flow(0), make_hazard(0)
        self.baseline, self.evidence, self.recovery = make_baseline(0), make_evidence(0), make_recovery(0)
        self.weights, self.technical = no_weights(self._nodes.width), make_technical(0)
        self.due = Due(*(np.zeros(0) for _ in Due._fields))
        self.flags: UInt8s = np.zeros(0, np.uint8)
        self.shifts: list[usual.Floats] = []
        self.technical_shift: usual.Floats = np.zeros(0)
        self.frozen_ms = frozen.none_frozen(0)
        self._is_stale = False
        self.sources_away = False
        self.changed = False

    # ── room ──

    def grow(self) -> None:
        """Make room for new leaves and nodes; while the statistics are off, none is needed."""
        if not self._is_on:
            return
        leaves, nodes = len(self._nodes.leaves), len(self._nodes.scopes)
        known = len(self.flow.came), len(self.flags)
        if leaves > len(self.flow.came):
            self.flow = longer(self.flow, make_flow(leaves))
            self.hazard = longer(self.hazard, make_hazard(leaves), ("at_risk", "entered", "answers"))
        if nodes > len(self.flags):
            of_hours = ("hours", "came", "windows", "answers", "gaps", "frozen")
            self.baseline = longer(self.baseline, make_baseline(nodes), of_hours)
            self.evidence = longer(self.evidence, make_evidence(nodes))
            self.recovery = longer(self.recovery, make_recovery(nodes))
            self.technical = longer(self.technical, make_technical(nodes), ("hours",))
            self.due = Due(*(np.concatenate([old, np.zeros(nodes - len(old))]) for old in self.due))
            self.frozen_ms = np.concatenate([self.frozen_ms, frozen.none_frozen(nodes - len(self.flags))])
            self.flags = np.concatenate([self.flags, np.zeros(nodes - len(self.flags), np.uint8)])
        if self.waiting.nodes or self.waiting.leaves:
            teach(self.baseline, self.hazard, self.technical, self.waiting, self._nodes, *known)
        self._is_stale = True  # what follows from it is worked out once, however many come at a boundary

    def refresh(self) -> None:
        """Work out anew what is usual now, and what follows from it."""
        nodes, rules = self._nodes, self._policy.evidence
        parents = parents_of(nodes)
        usual.refresh(self.baseline, parents, max(self.time_ms, 0))
        taus = usual.pooled_tau(self.baseline, parents)
        self.shifts = shifts = [usual.shift(self.baseline, z, taus) for z in (rules.page_z, rules.ticket_z)]
        own = nodes.own_nodes()
        open_bins = int(np.searchsorted(EDGES, self._policy.open_ms)) + 1
        self.weights = weigh(self.baseline.usual[own], shifts, nodes.leaf_nodes, self.hazard.left[:, :open_bins])
        codes.refresh(self.technical, parents)
        self.technical_shift = codes.shift(self.technical, rules.page_z)
        of_codes = codes.weigh(self.technical.usual[own], self.technical_shift, nodes.leaf_nodes)
        self.weights = self.weights._replace(technical=of_codes)
        self._refresh_due()

    def bar(self, node: int) -> float:
        """The lowest approval rate of a node that still is usual, as far as it is known."""
        self.renew()
        rate = self.baseline.usual[node]
        return float(usual.expit(usual.logit(rate) - self.shifts[0][node]))

    def technical_weights(self) -> tuple[usual.Floats, usual.Floats]:
        """What votes say of the cause of technical refusals, see `weigh_cause`: too dear for every boundary."""
        own, left = self._nodes.own_nodes(), self.hazard.left[:, : self.weights.wait.shape[3]]
        lowered = float(self.technical_shift[0])
        return codes.weigh_cause(self.technical.usual[own], lowered, self.baseline.usual[own], left)

    def _refresh_due(self) -> None:
        known = self.baseline
        self.due.slow_keep[:] = answers.expected(known, max(self.time_ms, 0))
        self.due.late_keep[:] = answers.expected_late(known, max(self.time_ms, 0))
        self.due.late_weight[:] = 1 / answers.clump(known)
        quiet = self.due.quiet
        quiet[:] = np.exp(-3 * usual.volume_tau(known, parents_of(self._nodes)))
        watched = known.volume * 3600 >= HOURLY_MIN
        self.due.volume[:] = np.where(watched, known.volume * quiet, 0.0)
        others = known.volume[0] - known.volume
        with np.errstate(divide="ignore", invalid="ignore"):
            self.due.share[:] = np.where(watched & (others > 0), known.volume * quiet / others, np.inf)
        self.due.share[0] = np.inf

    # ── what was learned elsewhere ──

    def begin_with(self, learned: Learned) -> None:
        """Take what was learned elsewhere for what is known here, and for what will be."""
        self.learn_from(learned)
        self.renew()

    def learn_from(self, learned: Learned) -> None:
        """As `begin_with`, but what follows from it is worked out at the next boundary: there may be more to come."""
        left = place(self.baseline, self.hazard, self.technical, learned, self._nodes)
        self.waiting.nodes.update(left.nodes)
        self.waiting.leaves.update(left.leaves)
        self._is_stale = self._is_on

    def forget(self, scope: Scope, leaf: Leaf | None) -> None:
        """What was learned of a scope is forgotten, and what its evidence says: it was weighed by that."""
        self.waiting.nodes.pop(scope.key, None)
        node = self._nodes.node_number.get(scope)
        if node is not None and node < len(self.flags):
            forget_node(self.baseline, self.technical, node)
            forget(self.evidence, np.array([node]))
            self.flags[node], self.frozen_ms[node] = 0, frozen.NOT
        if leaf is not None:
            self.waiting.leaves.pop(leaf, None)
            number = self._nodes.leaf_number.get(leaf)
            if number is not None and number < len(self.hazard.rate) and self._nodes.leaves[number] == leaf:
                forget_leaf(self.hazard, number)
        self._is_stale = self._is_on

    def renew(self) -> None:
        """Work out what follows from what was learned, or what is new, since it was worked out last."""
        if self._is_stale:
            self._is_stale = False
            make_rates(self.hazard, self._nodes.groups())
            self.refresh()

    # ── a new policy, a new owner ──

    @property
    def _is_on(self) -> bool:
        return self._policy.evidence.mode != "off"

    def obey(self, policy: Policy, rows: Rows, at_ms: int) -> None:
        """A new policy holds from the boundary `at_ms` on. Statistics that are turned off keep what they learned and
        nothing else; those that are turned on begin with it."""
        was_on, self._policy, self._bars = self._is_on, policy, _bars(policy.evidence)
        if was_on and not self._is_on:
            learned = learned_of(self.baseline, self.hazard, self.technical, self._nodes)
            self.waiting.nodes.update(learned.nodes)
            self.waiting.leaves.update(learned.leaves)
            self._begin_empty()
        self.grow()
        if self._is_on and not was_on and at_ms >= 0:
            self._begin(rows, at_ms)

    def _begin(self, rows: Rows, at_ms: int) -> None:
        """The first boundary is the one after `at_ms`; what waits by then is at risk."""
        policy = self._policy
        self.time_ms = self.began_ms = at_ms
        begin_waiting(rows, self.in_hand(self.flow), EDGES, at_ms, policy.pane_ms, policy.open_ms)
        self._is_stale = True

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps: everything, packed, for most of it is 0."""
        self.renew()
        groups = {name: getattr(self, name) for name in _KEPT}
        return {
            "time_ms": self.time_ms,
            "began_ms": self.began_ms,
            "frozen_ms": self.frozen_ms.tobytes(),
            "flags": self.flags.tobytes(),
            "arrays": {name: [zlib.compress(array.tobytes(), 1) for array in group] for name, group in groups.items()},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back; leaves and nodes are those of then."""
        self.frozen_ms = np.frombuffer(state["frozen_ms"], np.int64).copy()
        self.time_ms, self.began_ms = state["time_ms"], state["began_ms"]
        self.flags[:] = np.frombuffer(state["flags"], np.uint8)
        for name, group in state["arrays"].items():
            for mine, packed in zip(getattr(self, name), group, strict=True):
                mine[...] = np.frombuffer(zlib.decompress(packed), mine.dtype).reshape(mine.shape)
        self.refresh()

    # ── time ──

    def coast(self, rows: Rows, until_ms: int) -> tuple[int, bool]:
        """Move on without counts up to `until_ms`, or to the first boundary at which a flag changes; (the boundary,
        whether one did)."""
        self.changed = False
        self.renew()
        while 0 <= self.time_ms < until_ms:
            hour_ms = (self.time_ms // HOUR_MS + 1) * HOUR_MS
            reached = self._run(rows, min(until_ms, hour_ms), True)
            if reached == hour_ms:
                self._learn(hour_ms)
            if reached < min(until_ms, hour_ms) or self.changed:
                break
        return self.time_ms, self.changed

    def age(self, rows: Rows, boundary_ms: int) -> None:
        """`boundary_ms` comes next, one step on: what waits is older, and counts may come in."""
        if self.time_ms < 0:
            self._begin(rows, boundary_ms - self._policy.boundary_ms)
        self.renew()
        policy = self._policy
        flow = self.in_hand(self.flow)
        grow_older(rows, flow, EDGES, boundary_ms, policy.boundary_ms, policy.pane_ms, policy.open_ms)

    def step(self, rows: Rows, boundary_ms: int) -> bool:
        """Take what came in for the boundary that was aged to; whether a flag changed."""
        self.renew()
        self._run(rows, boundary_ms, False)
        if boundary_ms % HOUR_MS == 0:
            self._learn(boundary_ms)
        return self.changed

    def long_frozen(self) -> Bools:
        """The nodes of which nothing was learned for so long that a person is asked."""
        return frozen.asks(self.frozen_ms, max(self.time_ms, 0))

    def _run(self, rows: Rows, until_ms: int, ages: bool) -> int:
        policy = self._policy
        figures = self.in_hand.whole(
            Figures, self.flow, self.hazard, self.baseline, self.evidence, self.recovery, self.technical, self.weights,
            self.due,
        )  # fmt: skip
        time_ms, self.changed = run_all(
            rows, self._nodes.leaf_nodes, figures, self.flags, *self._bars, self.sources_away, ages, self.time_ms,
            until_ms, policy.boundary_ms, policy.pane_ms, policy.open_ms,
        )  # fmt: skip
        self.time_ms = int(time_ms)
        return self.time_ms

    def close(self) -> None:
        """No more will come: what the last hours still keep on trial is learned too, the last if it is whole."""
        ended_ms = -(-self.time_ms // HOUR_MS) * HOUR_MS
        if self.time_ms < 0:
            return
        self._learn(ended_ms)
        if ended_ms - self.time_ms <= 2 * MINUTE_MS:
            self._learn(ended_ms + HOUR_MS)

    def _learn(self, ended_ms: int) -> None:
        parents = parents_of(self._nodes)
        is_whole = ended_ms - 2 * HOUR_MS >= self.began_ms - MINUTE_MS
        answered = self.baseline.hours[usual.BEFORE].sum(axis=1)
        healthy = usual.learn(self.baseline, parents, ended_ms, is_whole)
        codes.learn(self.technical, answered, healthy)
        answers.learn(self.baseline, ended_ms, healthy)
        self.frozen_ms = frozen.after_hour(self.frozen_ms, healthy, ended_ms)
        own = self._nodes.own_nodes()
        learn(self.hazard, healthy[own], self._nodes.groups())
        self.refresh()


def _bars(rules: EvidenceRules) -> Bars:
    return Bars(
        rules.page_years * YEAR_S, rules.ticket_years * YEAR_S, rules.freeze_days * 86_400.0, rules.recovery_hold_ms
    )


def parents_of(nodes: Nodes) -> Int32s:
    """The node that lends each node a rate while it has none: a leaf's method, everybody else's platform."""
    parents = np.zeros(len(nodes.scopes), np.int32)
    at = nodes.policy.dimensions.index("method") + 1
    for row in nodes.leaf_nodes:
        if len(row) > 2 and row[-1] >= 0:
            parents[row[-1]] = row[at]
    return parents
