"""What the answered rows of a cell come to, kept while it grows, so that a cut need not walk all of them again.

Rows enter a chain at its head, so what is new since the last cut stands before `cell.summed`. Whatever else happens to
an answered row (it leaves, changes, gets or loses its vote, a mate of its order changes) makes the sum begin anew; but
for the vote of a row that was put in just now, which is in no sum yet (`votes`). So does an older pane's, whose place a
newer pane has. Pending rows are in no sum: nearly all of them go. What is told is the same as if every row were walked
every time. Does not know when a cell is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import SUMMED_PANES, Book
from detector.counting.columns import APPROVED, CANCELLED, NONE, UInt8s, UInt64s
from detector.counting.details import is_technical
from detector.counting.impact import FINE, count_order, fate
from detector.counting.rows import vote_of, voter_of
from detector.prefetch import prefetch

BAD, SHOPS, GOOD = range(3)
"""Hashes of a sum: voters of reds and of those who left late, their merchants, voters of approvals."""
CANCELLED_LATE = 5
VOTES, LATE, TECHNICAL, ORDERS = 6, 12, 17, 18
"""Where votes, late answers, the technical among the votes, and orders begin in a row of counts."""
APPROVED_VOTERS_MAX = 2
AHEAD = 4
"""By how many rows what they lead to is asked for before it is looked at."""


@compiled
def sum_answered(book: Book, cell: Any) -> int:
    """Bring the sum of a cell up to date; the place it has among `sum_*[place, leaf]`."""
    leaf, place = cell.leaf, cell.pane % SUMMED_PANES
    if book.sum_panes[place, leaf] > cell.pane:
        place, cell.summed = SUMMED_PANES, NONE
    if book.sum_panes[place, leaf] != cell.pane or cell.summed == NONE:
        book.sum_panes[place, leaf] = cell.pane
        book.sum_counts[place, leaf, :] = 0
        book.sum_lengths[place, leaf, :] = 0
        cell.summed = NONE
    _add_rows(book, cell, place)
    cell.summed = cell.rows if place != SUMMED_PANES else NONE
    return int(place)


@compiled
def _add_rows(book: Book, cell: Any, place: int) -> None:
    counts, lengths = book.sum_counts[place, cell.leaf], book.sum_lengths[place, cell.leaf]
    hashes, answer_ms, rows = book.sum_hashes[place, cell.leaf], book.answer_ms[cell.leaf], book.rows
    voters, merchants = book.rule[0].voters, book.rule[0].merchants
    at, ahead, end = cell.rows, cell.rows, cell.summed
    for _ in range(AHEAD):
        ahead = reach_next(book, ahead, end)
    while at != end:
        ahead = reach_next(book, ahead, end)
        row = rows[at]
        status = row.status
        what = fate(row, answer_ms)
        if what != FINE:
            count_order(book, at, what, counts[ORDERS:])
            if status == CANCELLED:
                status = CANCELLED_LATE
        counts[status] += 1
        counts[VOTES + status] += vote_of(row)
        voter = voter_of(row)
        if status == APPROVED:
            keep_smallest(hashes[GOOD], lengths, GOOD, APPROVED_VOTERS_MAX, voter)
        elif status != CANCELLED:
            keep_smallest(hashes[BAD], lengths, BAD, voters, voter)
            keep_smallest(hashes[SHOPS], lengths, SHOPS, merchants, book.merchants[row.counters].merchant)
            if vote_of(row) and is_technical(book, row, cell.leaf):
                counts[TECHNICAL] += 1
        at = row.next


@inlined
def reach_next(book: Book, at: int, end: int) -> int:
    """Ask for the counters of a row of a chain, and go on to the next. Who does so some rows ahead waits for neither:
    which row follows says only the one before."""
    if at == end:
        return end
    row = book.rows[at]
    prefetch(book.merchants, row.counters)
    return int(row.next)


@inlined
def keep_smallest(run: UInt64s, lengths: UInt8s, kind: int, limit: int, value: np.uint64) -> None:
    """Put a value in an ascending run of distinct ones that keeps the smallest."""
    length = int(lengths[kind])
    if length == limit and (limit == 0 or value >= run[length - 1]):
        return
    place = length
    while place > 0 and run[place - 1] > value:
        place -= 1
    if place > 0 and run[place - 1] == value:
        return
    if length < limit:
        length += 1
        lengths[kind] = length
    for shifted in range(length - 1, place, -1):
        run[shifted] = run[shifted - 1]
    run[place] = value
