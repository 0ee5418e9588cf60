"""What the answered rows of a cell come to, kept while it grows, so that a cut need not walk all of them again.

Rows enter a chain at its head, so what is not in the sum yet stands before `cell.summed`; most are added as soon as
they are there (`sum_at_once`). Whatever else happens to an answered row (it leaves, changes, gets or loses its vote, a
mate of its order changes) makes the sum begin anew; but for the vote of a row that was put in just now, which is in no
sum yet (`votes`). So does an older pane's, whose place a newer pane has. Pending rows are in no sum: nearly all of them
go. What is told is the same as if every row were walked every time. Does not know when a cell is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.arrays import UInt8s, UInt64s
from detector.compiled import compiled, inlined
from detector.counting.book import ORDERS_AT, SUMMED_PANES, TECHNICAL_AT, VOTES_AT, Book
from detector.counting.columns import APPROVED, CANCELLED, NONE, PENDING
from detector.counting.details import is_technical
from detector.counting.impact import FINE, count_order, effect
from detector.counting.rows import vote_of, voter_of
from detector.prefetch import prefetch

BAD, SHOPS, GOOD = range(3)
"""Hashes of a sum: voters of reds and of those who left late, their merchants, voters of approvals."""
CANCELLED_LATE = 5
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
        _begin_sum(book, cell, place)
    _add_rows(book, cell, place)
    cell.summed = cell.rows if place != SUMMED_PANES else NONE
    return int(place)


@inlined
def sum_at_once(book: Book, at: int) -> None:
    """Add the row that an event was merged into, once its vote and its mates are settled, where its cell's sum holds
    all others, or there are none: it is at hand now, and would have to be fetched again for the cut."""
    row = book.rows[at]
    if row.cell < 0 or row.status == PENDING:
        return
    cell = book.cells[row.cell]
    place = cell.pane % SUMMED_PANES
    if cell.rows != at or cell.summed != row.next:
        return
    if cell.summed == NONE and book.sum_panes[place, cell.leaf] <= cell.pane:
        _begin_sum(book, cell, place)
    if book.sum_panes[place, cell.leaf] == cell.pane:
        _add_row(book, cell, place, at)
        cell.summed = at


@compiled
def _begin_sum(book: Book, cell: Any, place: int) -> None:
    book.sum_panes[place, cell.leaf] = cell.pane
    book.sum_counts[place, cell.leaf, :] = 0
    book.sum_lengths[place, cell.leaf, :] = 0
    cell.summed = NONE


@compiled
def _add_rows(book: Book, cell: Any, place: int) -> None:
    at, ahead, end = cell.rows, cell.rows, cell.summed
    for _ in range(AHEAD):
        ahead = prefetch_next(book, ahead, end)
    while at != end:
        ahead = prefetch_next(book, ahead, end)
        _add_row(book, cell, place, at)
        at = book.rows[at].next


@inlined
def _add_row(book: Book, cell: Any, place: int, at: int) -> None:
    row, leaf = book.rows[at], cell.leaf
    counts, lengths, hashes = book.sum_counts[place, leaf], book.sum_lengths[place, leaf], book.sum_hashes[place, leaf]
    status, what = row.status, effect(row, book.answer_ms[leaf])
    if what != FINE:
        count_order(book, at, what, counts[ORDERS_AT:])
        if status == CANCELLED:
            status = CANCELLED_LATE
    counts[status] += 1
    counts[VOTES_AT + status] += vote_of(row)
    voter = voter_of(row)
    if status == APPROVED:
        keep_smallest(hashes[GOOD], lengths, GOOD, APPROVED_VOTERS_MAX, voter)
    elif status != CANCELLED:
        keep_smallest(hashes[BAD], lengths, BAD, book.rule[0].voters, voter)
        merchant = book.merchants[row.counters].merchant
        keep_smallest(hashes[SHOPS], lengths, SHOPS, book.rule[0].merchants, merchant)
        if vote_of(row) and is_technical(book, row, leaf):
            counts[TECHNICAL_AT] += 1


@inlined
def prefetch_next(book: Book, at: int, end: int) -> int:
    """Ask for the counters of a row of a chain; the row that follows it. Who does so some rows ahead finds the rows and
    their counters there, when it comes to them."""
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
