"""Late answers and their ages: what sources say anew against what they said, and how old what waits for long is."""

from __future__ import annotations

import random
from collections import Counter as Bag

import numpy as np
import pytest

from detector.counting.ages import BINS, EDGES, age_bin
from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE
from detector.counting.hand import in_hand
from detector.counting.tally import Cells
from detector.judging.flow import NO, YES, Flow, forget_changes, make_flow, reach
from detector.judging.hazard import LATEST, make_hazard
from detector.judging.late import BIN, COUNT, FREE_COUNT, NEXT, more_ages
from detector.judging.later import MINUTE_MS, begin_long, end_long, grow_long, late_since
from detector.judging.ring import (
    END,
    Leaves,
    Marks,
    Rows,
    clear_source,
    close_pane,
    find_row,
    make_leaves,
    make_rows,
    put_cells,
    reshaped,
)
from detector.judging.windows import make_windows

LEAVES, PANE_MS, OPEN_MS = 2, 5_000, 60_000
NODES = np.zeros((LEAVES, 1), np.int32)
Said = dict[tuple[int, int, int], tuple[np.ndarray, list[int]]]
"""By (source, leaf, pane): late answers by status, and the bins of their ages; none where they were not told."""


def total(said: Said) -> Bag[tuple[int, int, int]]:
    """{(leaf, bin, answer): how many}; the bin is -1 where it is not known."""
    found: Bag[tuple[int, int, int]] = Bag()
    for (_, leaf, _), (late, ages) in said.items():
        yes, no = int(late[APPROVED]), int(late[DECLINED] + late[ERROR])
        for n, bin_ in enumerate(ages or [-1] * (yes + no)):
            found[leaf, bin_, YES if n < yes else NO] += 1
    return found


def told(flow: Flow) -> Bag[tuple[int, int, int]]:
    """What the flow says of one boundary, in the same words."""
    found: Bag[tuple[int, int, int]] = Bag()
    for answer in (YES, NO):
        for leaf in range(LEAVES):
            found[leaf, -1, answer] = int(flow.late[leaf, answer])
            for bin_ in range(BINS):
                found[leaf, bin_, answer] = int(flow.aged[leaf, bin_, answer])
    return found


def say(chance: random.Random, leaf: int, pane: int) -> tuple[np.ndarray, list[int]]:
    """What a source might say of a cell, with ages or without."""
    late = np.zeros(5, np.int32)
    for status in (APPROVED, DECLINED, ERROR):
        late[status] = chance.choice((0, 0, 1, 2, 40))
    counts = int(late[APPROVED]), int(late[DECLINED] + late[ERROR])
    return late, [bin_ for count in counts for bin_ in sorted(chance.randrange(18, BINS) for _ in range(count))]


def put(rows: Rows, leaves: Leaves, marks: Marks, flow: Flow, source: int, boundary_ms: int, cells: Said) -> Rows:
    """Put one source's cells in, as a board does; whether a record tells ages holds for all of them."""
    size = len(cells)
    ages = np.array([bin_ for _, said in cells.values() for bin_ in said], np.uint8)
    if rows.free[FREE_COUNT] < len(ages):
        rows = more_ages(rows, max(len(rows.ages), len(ages)))
    zeros = np.zeros((size, 6), np.int32)
    told = Cells(
        (), np.array([leaf for _, leaf, _ in cells], np.int32), np.array([pane for _, _, pane in cells], np.int64),
        zeros, zeros, np.array([late for late, _ in cells.values()], np.int32), np.full(size, -1, np.int64),
        np.zeros((size, 5), np.uint8), np.zeros(0, np.uint64), np.zeros(size, np.int32),
        np.zeros((size, 4), np.int32), ages,
    )  # fmt: skip
    put_cells(
        in_hand(rows), in_hand(leaves), in_hand(marks), in_hand(flow), in_hand(make_windows(LEAVES)), NODES, source, 0,
        PANE_MS, boundary_ms, OPEN_MS, told.leaf.copy(), told.pane, told.counts, told.votes, told.late, told.late_start,
        told.lengths, told.hashes, told.technical, told.orders, told.late_ages,
    )  # fmt: skip
    return rows


def kept(rows: Rows) -> int:
    """How many places the rows of the ring hold."""
    count = 0
    for head in rows.head.ravel().tolist():
        row = head
        while row != END:
            place = rows.aged[row]
            while place != NONE:
                assert rows.ages[place, COUNT] > 0
                assert 0 <= rows.ages[place, BIN] < BINS
                count, place = count + 1, rows.ages[place, NEXT]
            row = rows.next[row]
    return count


@pytest.mark.parametrize("seed", range(6))
def test_what_is_said_anew_replaces_what_was_said(seed: int) -> None:
    """At each boundary the flow is told exactly how what all sources say of open panes has changed, by age; places
    come back when panes close, and a ring of another size says the same."""
    chance = random.Random(seed)
    rows, leaves, flow = make_rows(LEAVES, 32, 512, 1, 1), make_leaves(LEAVES), make_flow(LEAVES)
    marks = Marks(np.zeros(1, np.uint8), *(np.full(1, END, np.int64) for _ in range(4)))
    said: Said = {}
    for pane in range(1, 25):
        boundary_ms, before = (pane + 1) * PANE_MS, total(said)
        for source in (1, 2, 3):
            if chance.random() < 0.1:
                clear_source(
                    in_hand(rows), in_hand(leaves), in_hand(marks), in_hand(flow), in_hand(make_windows(LEAVES)), NODES,
                    source, pane - 3, pane, 0, PANE_MS, boundary_ms, OPEN_MS,
                )  # fmt: skip
                said |= {key: (np.zeros(5, np.int32), []) for key in said if key[0] == source and key[2] >= pane - 3}
            keys = [(source, leaf, at) for leaf in range(LEAVES) for at in range(max(1, pane - 6), pane + 1)]
            cells = {key: say(chance, *key[1:]) for key in chance.sample(keys, chance.randrange(min(5, len(keys))))}
            if chance.random() < 0.3:
                cells = {key: (late, []) for key, (late, _) in cells.items()}
            if cells:
                rows = put(rows, leaves, marks, flow, source, boundary_ms, cells)
                said |= cells
        change = total(said)
        change.subtract(before)
        assert +told(flow) == +change, f"seed {seed}, pane {pane}"
        assert -told(flow) == -change, f"seed {seed}, pane {pane}"
        forget_changes(in_hand(flow))
        assert not any(told(flow).values()), f"seed {seed}, pane {pane}"
        close_pane(in_hand(rows), pane - 7)
        if pane > 7 and (row := find_row(in_hand(rows), 0, pane - 7, 0)) != END:
            assert rows.aged[row] == NONE
        said = {key: value for key, value in said.items() if key[2] > pane - 7}
        if pane % 8 == 0:
            rows = reshaped(rows, 40, 1, 1)
        assert kept(rows) == len(rows.ages) - rows.free[FREE_COUNT], f"seed {seed}, pane {pane}"


@pytest.mark.parametrize("seed", range(4))
def test_what_waits_for_long_is_as_old_as_it_is(seed: int) -> None:
    """Votes that came in any minute are found in the bin of their true age, or in the stages near it, for 30 days."""
    chance = random.Random(seed)
    flow, born = make_flow(1), chance.randrange(10_000_000) * MINUTE_MS
    held = in_hand(flow)
    begin_long(held, EDGES, 0, 661_000, 3.0)
    hours = sorted(chance.uniform(0.3, 700) for _ in range(40))
    now_ms = began_ms = born + 661_000 - 661_000 % MINUTE_MS
    hazard = make_hazard(1)
    for hour in hours:
        while now_ms < began_ms + hour * 3_600_000:
            now_ms += MINUTE_MS
            grow_long(held, 19, now_ms, MINUTE_MS)
            forget_changes(held)
        bin_, waiting = age_bin(EDGES, now_ms - born), flow.old.copy()
        assert waiting.sum() == 3.0
        flow.aged[0, bin_, YES] = 1
        reach(held, 0, bin_)
        found = end_long(in_hand(hazard), held, 0)
        assert found == pytest.approx((1.0, 0.0)), f"seed {seed}, after {hour:.1f} h, bin {bin_}"
        flow.aged[0, bin_, YES], flow.old[:] = 0, waiting
    for _ in range(46 * 24 * 60):
        now_ms += MINUTE_MS
        grow_long(held, 19, now_ms, MINUTE_MS)
    assert flow.old.sum() == 0.0


def test_an_answer_to_nobody_counts_for_nothing() -> None:
    """Of five answers to two that are known to wait two are learned, each as what it is; none of another age goes."""
    flow, hazard = make_flow(1), make_hazard(1)
    held = in_hand(flow)
    begin_long(held, EDGES, 0, 2 * 3_600_000, 2.0)
    begin_long(held, EDGES, 0, 30 * 3_600_000, 7.0)
    bin_ = age_bin(EDGES, 2 * 3_600_000)
    flow.aged[0, bin_, YES], flow.aged[0, bin_, NO] = 4, 1
    assert end_long(in_hand(hazard), held, 0) == (1.6, 0.4)
    np.testing.assert_allclose(hazard.answers[LATEST, 0, bin_], (1.6, 0.4))
    assert flow.old.sum() == flow.old[0, age_bin(EDGES, 30 * 3_600_000)].sum() == 7.0


def test_answers_without_an_age_are_spread() -> None:
    """Over all that waits where nothing is known, and no more than that."""
    flow, hazard = make_flow(1), make_hazard(1)
    held = in_hand(flow)
    begin_long(held, EDGES, 0, 2 * 3_600_000, 3.0)
    begin_long(held, EDGES, 0, 30 * 3_600_000, 1.0)
    flow.late[0] = 2, 4
    assert end_long(in_hand(hazard), held, 0) == (2.0, 2.0)
    assert flow.old.sum() == 0.0


def test_late_answers_are_added_up_since_a_minute() -> None:
    """Only of full minutes since the onset, and of the last hour."""
    flow = make_flow(1)
    flow.minutes[0, :, YES] = np.arange(64)
    for minute, since_ms in ((63, 61.5), (2, 1.0)):
        wanted = sum(n for n in range(64) if since_ms <= n <= minute)
        assert late_since(flow, int(since_ms * MINUTE_MS), minute * MINUTE_MS + 5)[0].tolist() == [wanted, 0, 0]
