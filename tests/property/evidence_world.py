"""A few leaves with their ring and statistics, and payments that come, wait, are answered, cancelled or taken back.

`World` feeds the engine as a board does; `Reference` is told of the same votes, one by one, and works everything out
anew from their states at each boundary, in plain Python.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np

from detector.contracts.policy import DEFAULT, Policy
from detector.counting.ages import EDGES
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, PENDING
from detector.judging.evidence import LEFT_MIN, PAGE, SLOW, TECHNICAL, TICKET
from detector.judging.hazard import LEARNED, make_rates
from detector.judging.nodes import Nodes
from detector.judging.ring import END, find_row, make_rows, take_row, tell_flow
from detector.judging.signals import Signals

SECOND_MS = 1_000
BIN_EDGES = EDGES.tolist()
START_MS = 1_700_006_400_000
LEAVES = (("bnp", "card"), ("bnp", "pix"), ("ing", "card"))
ON = replace(DEFAULT, evidence=replace(DEFAULT.evidence, mode="live"))
NATS = 2e-4
"""Weights of what waits are kept with seven digits."""
GONE_AT_ONCE = -1
"""In `Vote.status`: taken back."""


def log_odds(p: float) -> float:
    """ln(p ÷ (1 − p))."""
    return math.log(p / (1 - p))


def share(x: float) -> float:
    """The inverse of `log_odds`."""
    return 1 / (1 + math.exp(-x))


@dataclass
class World:
    """The engine with a ring; votes are put in as a source would say them."""

    policy: Policy = ON
    leaves: tuple[tuple[str, str], ...] = LEAVES
    now_ms: int = START_MS
    nodes: Nodes = field(init=False)
    signals: Signals = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = Nodes(self.policy)
        self.nodes.numbers(self.leaves)
        self.signals = Signals(self.policy, self.nodes)
        self.signals.time_ms = self.now_ms
        self.rows = make_rows(8, 1_024, 4_096, 1, 1)

    def teach(self, seed: int) -> None:
        """Usual rates, volumes and waiting times, all of them made up."""
        chance = random.Random(seed)
        known, hazard = self.signals.baseline, self.signals.hazard
        for node in range(len(self.nodes.scopes)):
            known.level[node] = 400 * chance.uniform(0.6, 0.95), 60.0
            known.volumes[node] = 500.0
            self.signals.technical.level[node] = 600.0, chance.uniform(0, 20)
        for leaf in range(len(self.nodes.leaves)):
            hazard.at_risk[LEARNED, leaf] = 2_000.0
            hazard.entered[LEARNED, leaf] = 1_000 * np.linspace(1, 0.1, len(EDGES) + 1)
            hazard.answers[LEARNED, leaf, :, 0] = [chance.uniform(5, 60) for _ in range(len(EDGES) + 1)]
            hazard.answers[LEARNED, leaf, :, 1] = [chance.uniform(0, 30) for _ in range(len(EDGES) + 1)]
        make_rates(hazard, self.nodes.groups())
        self.signals.refresh()

    def age(self) -> None:
        """The next second begins."""
        self.now_ms += SECOND_MS
        self.signals.age(self.signals.in_hand(self.rows), self.now_ms)

    def change(self, leaf: int, pane: int, more: int | None, fewer: int | None, technical: int = 0) -> None:
        """One vote more of a status in a cell, and one fewer of another; and so many technical ones more."""
        rows, flow = self.signals.in_hand(self.rows), self.signals.in_hand(self.signals.flow)
        row = find_row(rows, leaf, pane, 1)
        if row == END:
            row = take_row(rows, leaf, pane, 1)
        votes = self.rows.votes[row].copy()
        if more is not None:
            votes[more] += 1
        if fewer is not None:
            votes[fewer] -= 1
        closing_ms = self.policy.horizon_ms + self.policy.grace_ms
        votes.setflags(write=False)  # as a record's
        tell_flow(rows, flow, leaf, pane, row, votes, technical, self.policy.pane_ms, self.now_ms, closing_ms)
        self.rows.votes[row] = votes
        self.rows.technical[row] += technical

    def step(self) -> None:
        """The counts of this second are in."""
        self.signals.step(self.signals.in_hand(self.rows), self.now_ms)


@dataclass
class Vote:
    """One vote: PENDING, APPROVED, DECLINED, CANCELLED or GONE_AT_ONCE."""

    leaf: int
    pane: int
    status: int
    is_technical: bool = False
    """Where it is refused."""
    has_just_ended: bool = False
    """In this second; one that is cancelled goes on to weigh what waiting weighs at this age."""
    weights: dict[tuple[int, int, int], float] = field(default_factory=dict)
    """What it weighed at the boundary before, by (node, channel, alternative)."""


class Reference:
    """Everything from the states of all votes, boundary by boundary."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.votes: list[Vote] = []
        nodes = len(world.nodes.scopes)
        counts = {PAGE: 6, TICKET: 6, TECHNICAL: 6, SLOW: 3}
        self.r = {(n, c, j): 0.0 for n in range(nodes) for c, count in counts.items() for j in range(count)}
        self.sums, self.onset = dict.fromkeys(self.r, 0.0), dict.fromkeys(self.r, -1)
        self.begun: set[int] = set()
        """Nodes of which a vote was ever refused for a technical reason."""
        self._nulls: dict[tuple[int, int, int], float] = {}
        """Of this boundary."""
        self.unsure: set[tuple[int, int, int]] = set()
        """Whose sum was so near 0 that rounding says whether its case began anew."""

    def null(self, leaf: int, node: int, channel: int) -> float:
        """The leaf's usual rate, lowered as the node asks."""
        key = leaf, node, channel
        if key not in self._nulls:
            signals, own, is_technical = self.world.signals, self.world.nodes.own_nodes()[leaf], channel == TECHNICAL
            known = signals.technical if is_technical else signals.baseline
            shift = signals.technical_shift if is_technical else signals.shifts[channel]
            self._nulls[key] = share(log_odds(float(known.usual[own])) - float(shift[node]))
        return self._nulls[key]

    def weight(self, vote: Vote, node: int, channel: int, j: int) -> float:
        """Nats of a vote as it stands."""
        if channel == TECHNICAL:
            return self.technical_weight(vote, node, j)
        p = self.null(vote.leaf, node, channel)
        other = min(0.02, p / 2) if j == 5 else share(log_odds(p) - (1, 1.4, 1.8, 2.5, 3.5)[j])
        if vote.status == APPROVED:
            return math.log(other / p)
        if vote.status == DECLINED:
            return math.log((1 - other) / (1 - p))
        if vote.status == CANCELLED and not vote.has_just_ended:
            return vote.weights[node, channel, j]
        if vote.status == GONE_AT_ONCE:
            return 0.0
        left = np.maximum(self.world.signals.hazard.left[vote.leaf, self.bin_of(vote)], LEFT_MIN)
        return math.log((other * left[0] + (1 - other) * left[1]) / (p * left[0] + (1 - p) * left[1]))

    def technical_weight(self, vote: Vote, node: int, j: int) -> float:
        """Nats of an answered vote in the channel of technical refusals."""
        p = self.null(vote.leaf, node, TECHNICAL)
        other = min(0.02, p / 2) if j == 5 else share(log_odds(p) - (1, 1.4, 1.8, 2.5, 3.5)[j])
        if vote.status not in (APPROVED, DECLINED):
            return 0.0
        return math.log((1 - other) / (1 - p)) if vote.is_technical else math.log(other / p)

    def bin_of(self, vote: Vote) -> int:
        """By the age at this boundary, or at the last at which its pane was open."""
        policy = self.world.policy
        age_ms = self.world.now_ms - (vote.pane + 1) * policy.pane_ms
        closing_ms = policy.horizon_ms + policy.grace_ms
        while age_ms >= closing_ms:
            age_ms -= SECOND_MS
        return bisect_right(BIN_EDGES, age_ms)

    def step(self, answered: list[Vote]) -> None:
        """A boundary: the change of all weights, then the recursion. `answered`: votes whose waiting ended now."""
        llr = dict.fromkeys(self.r, 0.0)
        self._nulls.clear()
        for vote in self.votes:
            vote.has_just_ended = any(vote is one for one in answered)
            for node in self.world.nodes.scopes_of(vote.leaf):
                if vote.status == DECLINED and vote.is_technical:
                    self.begun.add(node)
                for channel in (PAGE, TICKET, TECHNICAL):
                    for j in range(6):
                        now = self.weight(vote, node, channel, j)
                        llr[node, channel, j] += now - vote.weights.get((node, channel, j), 0.0)
                        vote.weights[node, channel, j] = now
        self.slow(llr, answered)
        for key, gain in llr.items():
            if key[1] != TECHNICAL or key[0] in self.begun:
                self.recur(key, gain)

    def slow(self, llr: dict[tuple[int, int, int], float], answered: list[Vote]) -> None:
        """Answers seen, against those due of all that waited in this second or was answered in it."""
        signals = self.world.signals
        waits = [vote for vote in self.votes if vote.status == PENDING] + answered
        for node in range(len(self.world.nodes.scopes)):
            mine = [vote for vote in waits if node in self.world.nodes.scopes_of(vote.leaf)]
            due = sum(float(signals.hazard.rate[vote.leaf, self.bin_of(vote)].sum()) for vote in mine)
            seen = sum(vote.status in (APPROVED, DECLINED) for vote in answered if vote in mine)
            for j, slower in enumerate((0.02, 0.25, 0.5)):
                llr[node, SLOW, j] = seen * math.log(slower) + (1 - slower) * due * float(signals.due.slow_keep[node])

    def recur(self, key: tuple[int, int, int], gain: float) -> None:
        """R ← (R + dt) · exp(llr), the sum since it was last 0, and when that began."""
        self.r[key] = (self.r[key] + 1.0) * math.exp(gain)
        if self.sums[key] == 0.0 and gain > 0:
            self.onset[key] = self.world.now_ms - SECOND_MS
        total = self.sums[key] + gain
        if gain != 0.0 and abs(total) < NATS:
            self.unsure.add(key)
        elif total <= 0.0:
            self.unsure.discard(key)
        self.sums[key] = max(0.0, total)
