"""What every source last said of late answers and their ages, row by row of the ring: what it says anew replaces it.

    aged[row] -> (bin and answer, how many) -> (bin and answer, how many) -> END       until the pane closes

Few rows have any, so they are chained in a pool of their own. Does not know what waits, nor what is expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.arrays import Int32s, UInt8s
from detector.compiled import compiled
from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE
from detector.judging.flow import NO, YES, Flow, reach, touch

if TYPE_CHECKING:
    from detector.judging.ring import Rows

NEXT, BIN, ANSWER, COUNT = range(4)
"""Columns of `Rows.ages`."""
FREE, FREE_COUNT = 2, 3
"""In `Rows.free`: the first unused place of the pool, and how many are."""


def make_pool(places: int) -> Int32s:
    """An empty pool of ages."""
    pool = np.zeros((places, 4), np.int32)
    pool[:, NEXT] = np.arange(1, places + 1)
    pool[-1, NEXT] = NONE
    return pool


def more_ages(rows: Rows, extra: int) -> Rows:
    """The same rows with room for `extra` more ages."""
    size, pool = len(rows.ages), make_pool(extra)
    pool[:, NEXT] += size
    pool[-1, NEXT] = rows.free[FREE]
    free = rows.free.copy()
    free[FREE], free[FREE_COUNT] = size, free[FREE_COUNT] + extra
    return rows._replace(ages=np.concatenate([rows.ages, pool]), free=free)


@compiled
def tell_late(rows: Rows, flow: Flow, leaf: int, row: int, late: Int32s, ages: UInt8s, at: int, is_news: bool) -> None:
    """A source says a row's late answers anew, and, where `ages` are told, how old they were: from `at` on."""
    drop_late(rows, flow, leaf, row, is_news)
    for status in range(5):
        rows.late[row, status] = late[status]
    if len(ages):
        for answer in range(2):
            count = late[APPROVED] if answer == YES else late[DECLINED] + late[ERROR]
            _put_run(rows, row, answer, ages, at, count)
            at += count
    if is_news:
        _note(rows, flow, leaf, row, 1)


@compiled
def drop_late(rows: Rows, flow: Flow, leaf: int, row: int, is_news: bool) -> None:
    """A row says nothing of late answers any more."""
    if is_news:
        _note(rows, flow, leaf, row, -1)
    drop_ages(rows, row)
    rows.late[row] = 0


@compiled
def _put_run(rows: Rows, row: int, answer: int, ages: UInt8s, at: int, count: int) -> None:
    """Ages in ascending order; equal ones share a place."""
    for n in range(at, at + count):
        place = rows.aged[row]
        if place != NONE and rows.ages[place, BIN] == ages[n] and rows.ages[place, ANSWER] == answer:
            rows.ages[place, COUNT] += 1
            continue
        place = rows.free[FREE]
        rows.free[FREE] = rows.ages[place, NEXT]
        rows.free[FREE_COUNT] -= 1
        rows.ages[place, NEXT], rows.ages[place, COUNT] = rows.aged[row], 1
        rows.ages[place, BIN], rows.ages[place, ANSWER] = ages[n], answer
        rows.aged[row] = place


@compiled
def drop_ages(rows: Rows, row: int) -> None:
    """Nothing is known any more of how old a row's late answers were."""
    while rows.aged[row] != NONE:
        place = rows.aged[row]
        rows.aged[row] = rows.ages[place, NEXT]
        rows.ages[place, NEXT] = rows.free[FREE]
        rows.free[FREE] = place
        rows.free[FREE_COUNT] += 1


@compiled
def copy_ages(old: Rows, row: int, new: Rows, at: int) -> None:
    """A row of `new`, whose pool is no smaller, gets the ages of one of `old`."""
    place = old.aged[row]
    while place != NONE:
        taken = new.free[FREE]
        new.free[FREE] = new.ages[taken, NEXT]
        new.free[FREE_COUNT] -= 1
        for column in range(4):
            new.ages[taken, column] = old.ages[place, column]
        new.ages[taken, NEXT] = new.aged[at]
        new.aged[at] = taken
        place = old.ages[place, NEXT]


@compiled
def _note(rows: Rows, flow: Flow, leaf: int, row: int, sign: int) -> None:
    """The flow is told of what a row says: 1, or said: -1."""
    late, place = rows.late[row], rows.aged[row]
    yes, no = late[APPROVED], late[DECLINED] + late[ERROR]
    if yes == 0 and no == 0:
        return
    while place != NONE:
        bin_, answer, count = rows.ages[place, BIN], rows.ages[place, ANSWER], rows.ages[place, COUNT]
        reach(flow, leaf, bin_)
        flow.aged[leaf, bin_, answer] += sign * count
        if answer == YES:
            yes -= count
        else:
            no -= count
        place = rows.ages[place, NEXT]
    flow.late[leaf, YES] += sign * yes
    flow.late[leaf, NO] += sign * no
    touch(flow, leaf)
