"""The engine as it is shipped, with many keys in one `Signals`: each leaf is a key of its own, each second a boundary.

Keys are leaves bank × method, so that a simulated day gives as many key-days as there are leaves; the nodes of banks,
methods and platform are moved too, but not looked at. Votes come in by `flow.note_change`, as from the ring. What is
usual is learned from hours of history by the engine's own rule before anything is measured.

`First` notes when a key first passes each of many bars, from one stream: only the bar moves.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detector.arrays import Float64s, Int32s, Int64s
from detector.compiled import allocating, compiled
from detector.contracts.policy import Policy, load_policy
from detector.counting.ages import EDGES
from detector.counting.columns import APPROVED, DECLINED
from detector.judging import baseline as usual
from detector.judging.advance import Bars, run
from detector.judging.evidence import PAGE, SLOW, STALL, forget
from detector.judging.flow import NO, YES, note_change
from detector.judging.hazard import LEARNED, make_rates
from detector.judging.nodes import Nodes
from detector.judging.ring import Rows, make_rows
from detector.judging.signals import YEAR_S, Signals, parents_of

SECOND_MS, HOUR_MS, DAY_MS = 1_000, 3_600_000, 86_400_000
START_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
CHANNELS = np.array([PAGE, SLOW, STALL], np.int64)
"""The channels that page."""
LEVELS_YEARS = np.append(10 ** (np.arange(-32, 24) / 8), 1_000.0)
"""Bars that are noted at once, in years; the last is the shipped one."""
SHIPPED = len(LEVELS_YEARS) - 1
HISTORY_DAYS = 28
AGAIN_S = 512
"""Who is refused comes back within so long."""
BLOCK_S = Policy.vote_block_ms // SECOND_MS
POLICY = Path(__file__).parents[3] / "deploy" / "policy.toml"


class First(NamedTuple):
    """Per key, of the channels in `CHANNELS`: when a bar was first passed, and after how many votes; -1: not yet."""

    bars_s: Float64s  # [level]
    second: Int64s  # [key, channel, level]
    votes: Int64s  # [key, channel, level]
    seen: Int64s  # [key] votes so far
    reached: Int64s  # [key, channel] how many bars are passed


def make_first(keys: int) -> First:
    """No bar is passed."""
    shape = (keys, len(CHANNELS), len(LEVELS_YEARS))
    return First(
        LEVELS_YEARS * YEAR_S,
        np.full(shape, -1),
        np.full(shape, -1),
        np.zeros(keys, np.int64),
        np.zeros(shape[:2], np.int64),
    )


class Traffic(NamedTuple):
    """Per key: votes a second, and how many of them are approved; the same for all: how many come at once, and whether
    who is refused tries again."""

    rate: Float64s  # [key]
    approved: Float64s  # [key]
    cluster: int = 1
    retries: int = 0  # more tries of who is refused; all are refused


def policy() -> Policy:
    """The shipped policy, with the statistics on."""
    shipped = load_policy(POLICY.read_text(encoding="utf-8"), POLICY.name)
    return replace(shipped, evidence=replace(shipped.evidence, mode="live"))


class Fleet:
    """Keys by (bank, method), numbered as they are given."""

    def __init__(self, leaves: list[tuple[str, str]], leaves_max: int = 5_000) -> None:
        self.policy = replace(policy(), leaves_max=leaves_max)
        self.nodes = Nodes(self.policy)
        self.nodes.numbers(tuple(leaves))
        self.signals = Signals(self.policy, self.nodes)
        self.rows = make_rows(len(leaves), 2, 2, 1, 1)
        self.own = self.nodes.own_nodes()
        self.keys = len(leaves)
        self.signals.time_ms = START_MS
        self.again = np.zeros((len(leaves), AGAIN_S), np.int32)

    def teach(self, chance: np.random.Generator, hourly: Float64s, approved: Float64s, cluster: int = 1) -> None:
        """Hours of history, `hourly[hour, key]` votes of which `approved` is the share; the last ends now."""
        known, parents = self.signals.baseline, parents_of(self.nodes)
        begin_ms = self.signals.time_ms - len(hourly) * HOUR_MS
        for hour in range(len(hourly)):
            came = cluster * chance.poisson(hourly[hour] / cluster)
            yes = chance.binomial(came, approved[hour])
            self._count(known.hours[0], np.stack([yes, came - yes], axis=1))
            self._count(known.came[0], came)
            usual.learn(known, parents, begin_ms + (hour + 1) * HOUR_MS)
        self.answer_at_once(hourly.sum(axis=0), approved.mean(axis=0))
        self.know()

    def know(self) -> None:
        """What was learned holds."""
        make_rates(self.signals.hazard, self.nodes.groups())
        self.signals.refresh()

    def answer_at_once(self, votes: Float64s, approved: Float64s) -> None:
        """All votes of the history were answered within their second."""
        hazard = self.signals.hazard
        for table in (hazard.at_risk, hazard.entered):
            table[LEARNED, :, 0] = votes
        hazard.answers[LEARNED, :, 0, YES] = votes * approved
        hazard.answers[LEARNED, :, 0, NO] = votes * (1 - approved)

    def _count(self, table: Float64s, values: Any) -> None:
        """Every node above a key counts it."""
        for place in range(self.nodes.leaf_nodes.shape[1]):
            np.add.at(table, self.nodes.leaf_nodes[:, place], values)

    def play(self, seed: int, traffic: Traffic, first: First, seconds: int, learns: bool = True) -> int:
        """Answers come within the second they began; at full hours the hour before is learned. How long it took."""
        played = seconds
        while seconds > 0:
            left = HOUR_MS - self.signals.time_ms % HOUR_MS if learns else seconds * SECOND_MS
            part = min(seconds, left // SECOND_MS)
            play(seed, traffic, self.again, first, CHANNELS, self.own, *self.state(), part)
            self.signals.time_ms += part * SECOND_MS
            if learns and self.signals.time_ms % HOUR_MS == 0:
                self.learn()
            seconds, seed = seconds - part, seed + 1
        return played

    def learn(self) -> None:
        """The hour is over. A boundary that was run already only learns."""
        self.signals.step(self.signals.in_hand(self.rows), self.signals.time_ms)

    def state(self) -> tuple[Any, ...]:
        """What `signals.run` works on, up to the time."""
        s, rules, hand = self.signals, self.policy.evidence, self.signals.in_hand
        bars = Bars(
            rules.page_years * YEAR_S, rules.ticket_years * YEAR_S, rules.freeze_days * 86_400.0, rules.recovery_hold_ms
        )
        return (
            hand(self.rows),
            self.nodes.leaf_nodes,
            hand(s.flow),
            hand(s.hazard),
            hand(s.baseline),
            hand(s.evidence),
            hand(s.recovery),
            hand(s.technical),
            hand(s.weights),
            hand(s.due),
            s.flags,
            bars,
            s.time_ms,
            self.policy.pane_ms,
            self.policy.open_ms,
        )

    def forget(self) -> None:
        """All keys begin anew, with what they learned."""
        forget(self.signals.evidence, np.arange(len(self.nodes.scopes)))

    def copy(self) -> list[Any]:
        """What changes, to go back to."""
        s = self.signals
        groups = (s.flow, s.hazard, s.baseline, s.evidence, s.recovery, s.due, s.weights, s.technical)
        return [s.time_ms, s.flags.copy(), *([array.copy() for array in group] for group in groups)]

    def back_to(self, copy: list[Any]) -> None:
        """As it was when `copy` was made."""
        s = self.signals
        s.time_ms, s.flags[:] = copy[0], copy[1]
        for group, kept in zip(
            (s.flow, s.hazard, s.baseline, s.evidence, s.recovery, s.due, s.weights, s.technical), copy[2:], strict=True
        ):
            for mine, old in zip(group, kept, strict=True):
                mine[...] = old


@allocating
def play(seed: int, traffic: Traffic, again: Int32s, first: First, channels: Int64s, own: Int32s, rows: Rows,
         leaf_nodes: Int32s, flow: Any, hazard: Any, known: Any, evidence: Any, recovery: Any, technical: Any,
         weights: Any, due: Any, flags: Any, bars: Any, time_ms: int, pane_ms: int, closing_ms: int,
         seconds: int) -> None:  # fmt: skip
    """Second after second: draw votes, tell the flow, run the boundary, note the bars that are passed."""
    np.random.seed(seed)
    edges, cluster = EDGES, traffic.cluster
    votes = np.zeros(6, np.int32)
    for _ in range(seconds):
        slot = time_ms // 1_000 % AGAIN_S
        for key in range(len(own)):
            came = cluster * np.random.poisson(traffic.rate[key] / cluster) if traffic.rate[key] > 0 else 0
            no = again[key, slot]
            if came > 0 or no > 0:
                yes = np.random.binomial(came, traffic.approved[key])
                if traffic.retries > 0:
                    try_again(again, key, time_ms // 1_000, came - yes, traffic.retries)
                again[key, slot] = 0
                give(flow, edges, votes, key, yes, came - yes + no)
                first.seen[key] += came + no
        run(rows, leaf_nodes, flow, hazard, known, evidence, recovery, technical, weights, due, flags, bars, False,
            False, time_ms, time_ms + 1_000, 1_000, pane_ms, closing_ms)  # fmt: skip
        time_ms += 1_000
        note(first, evidence.m, channels, own, time_ms // 1_000)


@compiled
def try_again(again: Int32s, key: int, second: int, refused: int, retries: int) -> None:
    """Who is refused tries again, half a minute later on average and refused again: the first try in the next block of
    votes is a vote of its own."""
    for _ in range(refused):
        at, block = float(second), second // BLOCK_S
        for _ in range(retries):
            at += np.random.exponential(30.0)
            if int(at) // BLOCK_S != block:
                if int(at) - second < AGAIN_S:
                    again[key, int(at) % AGAIN_S] += 1
                break


@compiled
def give(flow: Any, edges: Int64s, votes: Int32s, key: int, yes: int, no: int, technical: int = 0) -> None:
    """So many votes of a key began and were answered; of the refused so many for a technical reason."""
    votes[APPROVED], votes[DECLINED] = yes, no
    note_change(flow, edges, key, 0, False, flow.nothing, votes, technical)


@compiled
def note(first: First, m: Float64s, channels: Int64s, own: Int32s, second: int) -> None:
    """Which bars are passed for the first time."""
    for key in range(len(own)):
        for c in range(len(channels)):
            level = first.reached[key, c]
            while level < len(first.bars_s) and m[own[key], channels[c]] >= first.bars_s[level]:
                first.second[key, c, level] = second
                first.votes[key, c, level] = first.seen[key]
                level += 1
            first.reached[key, c] = level
