"""Volume grows ten- or twentyfold in one step, and refusals come sooner than approvals: no outage, however it looks.

Votes wait in a real ring and age there; how soon answers come is learned by the engine from hours of the same traffic.
Approvals take 20 s on average and refusals 4 s (exponential), 10 % are refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detector.arrays import Float64s, Int32s, Int64s
from detector.compiled import allocating, compiled
from detector.counting.ages import EDGES
from detector.counting.columns import APPROVED, DECLINED, PENDING
from detector.judging.advance import run as run_boundary
from detector.judging.aging import grow_older
from detector.judging.evidence import PAGE, SLOW, STALL
from detector.judging.ring import END, Rows, find_row, make_rows, take_row, tell_flow
from tests.benchmarks.detection.engine import HISTORY_DAYS, Fleet

KEYS, SLOTS, ANSWERS = 50, 160, 1 << 20
APPROVED_SHARE, APPROVED_S, REFUSED_S = 0.9, 20.0, 4.0
WAIT_MAX_S = 600
LEARNING_S, SURGE_S = 3 * 3_600, 900


class Waiting(NamedTuple):
    """Answers to come: chained by the second at which they do (modulo 1,024)."""

    head: Int32s  # [1024]
    next: Int32s
    key: Int32s
    pane: Int64s
    status: Int32s
    free: Int32s  # [1]


def make_waiting() -> Waiting:
    """None waits."""
    chain = np.arange(1, ANSWERS + 1, dtype=np.int32)
    chain[-1] = END
    return Waiting(
        np.full(1_024, END, np.int32), chain, np.zeros(ANSWERS, np.int32), np.zeros(ANSWERS, np.int64),
        np.zeros(ANSWERS, np.int32), np.zeros(1, np.int32),
    )  # fmt: skip


def run(quick: bool, seed: int) -> list[dict[str, Any]]:
    """Rows of surges by 10 at 60 votes a minute, and by 20 at 600."""
    cases = ((60.0, 10),) if quick else ((60.0, 10), (600.0, 20))
    return [surges(per_minute, times, 1 if quick else 4, seed) for per_minute, times in cases]


def surges(per_minute: float, times: float, repeats: int, seed: int) -> dict[str, Any]:
    """So many surges from one learned state, and an outage of the same keys for comparison."""
    fleet = Fleet([(f"bank-{n}", f"method-{n % 5}") for n in range(KEYS)])
    fleet.rows = make_rows(KEYS, SLOTS, KEYS * SLOTS, 1, 1)
    hours = HISTORY_DAYS * 24
    hourly, approved = np.full((hours, KEYS), per_minute * 60), np.full((hours, KEYS), APPROVED_SHARE)
    fleet.teach(np.random.default_rng(seed), hourly, approved)
    _unlearn(fleet)
    waiting, rate = make_waiting(), per_minute / 60
    play(fleet, waiting, seed, rate, APPROVED_SHARE, LEARNING_S)
    by, paged = np.zeros(3, np.int64), 0
    for n in range(repeats):
        play(fleet, waiting, seed + 10 * n + 1, rate, APPROVED_SHARE, 1_800)
        fleet.forget()
        seen = play(fleet, waiting, seed + 10 * n + 2, rate * times, APPROVED_SHARE, SURGE_S)
        by += (seen >= 0).sum(axis=0)
        paged += int((seen >= 0).any(axis=1).sum())
        play(fleet, waiting, seed + 10 * n + 3, rate, APPROVED_SHARE, 1_800)
        fleet.forget()
    seen = play(fleet, waiting, seed + 99, rate, 0.02, 300)[:, 0]
    found = seen[seen >= 0]
    return {
        "trap": "volume surge", "setting": f"{per_minute:g}/min x{times:g}, {SURGE_S // 60} min", "pages": paged,
        "strikes": KEYS * repeats, "by_channel": dict(zip(("rate", "slow", "stall"), by.tolist(), strict=True)),
        "outage_found": len(found), "outage_seconds_mean": round(float(found.mean()), 1) if len(found) else None,
    }  # fmt: skip


def _unlearn(fleet: Fleet) -> None:
    """How soon answers come is to be learned from the ring."""
    for table in (fleet.signals.hazard.at_risk, fleet.signals.hazard.entered, fleet.signals.hazard.answers):
        table[:] = 0
    fleet.know()


def play(fleet: Fleet, waiting: Waiting, seed: int, rate: float, approved: float, seconds: int) -> Float64s:
    """Second after second; per key and channel when its bar was first passed, from the beginning; -1: it was not."""
    seen = np.full((KEYS, 3), -1.0)
    start_ms, end_ms = fleet.signals.time_ms, fleet.signals.time_ms + seconds * 1_000
    while fleet.signals.time_ms < end_ms:
        until_ms = min(end_ms, (fleet.signals.time_ms // 3_600_000 + 1) * 3_600_000)
        part = (until_ms - fleet.signals.time_ms) // 1_000
        step(seed, rate, approved, waiting, seen, fleet.own, start_ms, *fleet.state(), part)
        fleet.signals.time_ms, seed = until_ms, seed + 1_000_000
        if until_ms % 3_600_000 == 0:
            fleet.learn()
    return seen


@allocating
def step(seed: int, rate: float, approved: float, waiting: Waiting, seen: Float64s, own: Int32s, start_ms: int,
         rows: Rows, leaf_nodes: Any, flow: Any, hazard: Any, known: Any, evidence: Any, recovery: Any, technical: Any,
         weights: Any, due: Any, flags: Any, bars: Any, time_ms: int, pane_ms: int, closing_ms: int,
         seconds: int) -> None:  # fmt: skip
    """See `play`."""
    np.random.seed(seed)
    edges, votes, channels = EDGES, np.zeros(6, np.int32), (PAGE, SLOW, STALL)
    for _ in range(seconds):
        now_ms = time_ms + 1_000
        grow_older(rows, flow, edges, now_ms, 1_000, pane_ms, closing_ms)
        come(waiting, rows, flow, votes, time_ms, pane_ms, closing_ms)
        begin(waiting, rows, flow, votes, rate, approved, time_ms, pane_ms, closing_ms)
        run_boundary(rows, leaf_nodes, flow, hazard, known, evidence, recovery, technical, weights, due, flags, bars,
                     False, False, time_ms, now_ms, 1_000, pane_ms, closing_ms)  # fmt: skip
        time_ms = now_ms
        leave(rows, time_ms // pane_ms - SLOTS + 2)
        for key in range(len(own)):
            for c in range(3):
                if seen[key, c] < 0 and flags[own[key]] & (1 << channels[c]):
                    seen[key, c] = (time_ms - start_ms) / 1_000


@compiled
def begin(waiting: Waiting, rows: Rows, flow: Any, votes: Int32s, rate: float, approved: float, time_ms: int,
          pane_ms: int, closing_ms: int) -> None:  # fmt: skip
    """New votes wait; who is answered within the second is by the end of it."""
    pane = time_ms // pane_ms
    for key in range(len(rows.head)):
        for _ in range(np.random.poisson(rate)):
            good = np.random.random() < approved
            wait_s = int(np.random.exponential(APPROVED_S if good else REFUSED_S) + np.random.random())
            status = APPROVED if good else DECLINED
            if wait_s == 0:
                change(rows, flow, votes, key, pane, status, PENDING, 0, time_ms + 1_000, pane_ms, closing_ms)
                continue
            change(rows, flow, votes, key, pane, PENDING, PENDING, 0, time_ms + 1_000, pane_ms, closing_ms)
            at, slot = waiting.free[0], (time_ms // 1_000 + min(wait_s, WAIT_MAX_S)) % 1_024
            waiting.free[0] = waiting.next[at]
            waiting.key[at], waiting.pane[at], waiting.status[at] = key, pane, status
            waiting.next[at] = waiting.head[slot]
            waiting.head[slot] = at


@compiled
def come(waiting: Waiting, rows: Rows, flow: Any, votes: Int32s, time_ms: int, pane_ms: int, closing_ms: int) -> None:
    """The answers of this second."""
    slot = time_ms // 1_000 % 1_024
    at = waiting.head[slot]
    waiting.head[slot] = END
    while at != END:
        change(rows, flow, votes, waiting.key[at], waiting.pane[at], waiting.status[at], PENDING, 1, time_ms + 1_000,
               pane_ms, closing_ms)  # fmt: skip
        following = waiting.next[at]
        waiting.next[at] = waiting.free[0]
        waiting.free[0] = at
        at = following


@compiled
def change(rows: Rows, flow: Any, votes: Int32s, key: int, pane: int, more: int, fewer: int, by: int, boundary_ms: int,
           pane_ms: int, closing_ms: int) -> None:  # fmt: skip
    """One vote more of a status, and `by` fewer of another, in the ring and in the flow."""
    row = find_row(rows, key, pane, 1)
    if row == END:
        row = take_row(rows, key, pane, 1)
    for status in range(6):
        votes[status] = rows.votes[row, status]
    votes[more] += 1
    votes[fewer] -= by
    tell_flow(rows, flow, key, pane, row, votes, 0, pane_ms, boundary_ms, closing_ms)
    for status in range(6):
        rows.votes[row, status] = votes[status]


@compiled
def leave(rows: Rows, pane: int) -> None:
    """A pane leaves the ring."""
    for key in range(len(rows.head)):
        slot = pane % rows.head.shape[1]
        row = rows.head[key, slot]
        while row != END and rows.pane[row] == pane:
            following = rows.next[row]
            rows.next[row] = rows.free[0]
            rows.free[0] = row
            rows.free[1] += 1
            rows.head[key, slot] = END
            row = following
