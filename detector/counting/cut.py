"""What is told at a boundary: absolute values of the cells that changed, or of every cell of the open panes.

Brings the sum of a cell's answered rows, its pending rows and its late answers into the `out_*` tables of the book;
what becomes of them there is the Counter's business. Does not know why a cell changed.
"""

from __future__ import annotations

from typing import Any

from detector.arrays import Int32s, UInt8s, UInt64s
from detector.compiled import compiled, inlined
from detector.counting.book import BOUNDARY_MS, LATE_AT, ORDERS_AT, OUT_COUNTS, VOTES_AT, Book
from detector.counting.cells import begin, mark
from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE, PENDING
from detector.counting.details import note_overdue
from detector.counting.impact import FINE, WAITS, count_order, effect
from detector.counting.rows import vote_of, voter_of
from detector.counting.sums import AHEAD, BAD, GOOD, SHOPS, keep_smallest, prefetch_next, sum_answered
from detector.counting.top import tell_details

BAD_VOTERS, PENDING_VOTERS, BAD_MERCHANTS, PENDING_MERCHANTS, APPROVED_VOTERS = range(5)
SIDE_BY_SIDE, LOOKED_AT_MAX = 4, 128
"""Cells whose pending rows `_look_ahead` walks together, and how many of each at most: all must stay in the cache."""
ANSWERS = (BAD_VOTERS, BAD_MERCHANTS, APPROVED_VOTERS)
"""The kind of hashes that each of a sum's is told as."""


@compiled
def mark_all(book: Book) -> None:
    """Mark every cell of the open panes that holds something."""
    for at in range(book.state[0].cells):
        cell = book.cells[at]
        if cell.pane != NONE and (cell.rows != NONE or cell.waiting != NONE or cell.lates != NONE):
            mark(book, at)


@compiled
def unmark_all(book: Book) -> None:
    """Forget which cells changed."""
    state = book.state[0]
    for n in range(state.dirty):
        book.cells[book.dirty[n]].dirty = 0
    state.dirty = 0


@compiled
def close_below_floor(book: Book) -> None:
    """Close the open panes below a floor that was raised; nothing was told of them, nor is."""
    if book.state[0].next_ms != NONE:
        unmark_all(book)
        begin(book, book.state[0].next_ms)


@compiled
def details_due(book: Book, changed: bool) -> bool:
    """Whether details ride on the boundary `next_ms`, at which cells changed or not.

    They ride on the first boundary past each `details_ms` of event time when something changed since they were told
    last. Boundaries at which nothing changed count for nothing, but for the due one itself: which of them are visited
    depends on how events came, and what is told must not.
    """
    state, details_ms = book.state[0], book.rule[0].details_ms
    if changed:
        state.details_changed = 1
    if details_ms == 0 or not state.details_changed or state.next_ms < state.details_due_ms:
        return False
    state.details_changed = 0
    past_ms = (state.next_ms // details_ms + 1) * details_ms
    state.details_due_ms = -(-past_ms // BOUNDARY_MS) * BOUNDARY_MS
    return True


@compiled
def _put_in_order(book: Book) -> None:
    """Sort the marked cells by pane and leaf (Shell 1959, gaps of Knuth): in which order they were marked depends on
    how large the tables have become, and what is told must not."""
    cells, dirty, count = book.cells, book.dirty, book.state[0].dirty
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for n in range(gap, count):
            at, place = dirty[n], n
            pane, leaf = cells[at].pane, cells[at].leaf
            while place >= gap:
                other = cells[dirty[place - gap]]
                if other.pane < pane or (other.pane == pane and other.leaf < leaf):
                    break
                dirty[place] = dirty[place - gap]
                place -= gap
            dirty[place] = at
        gap //= 3


@compiled
def cut(book: Book, with_details: bool) -> None:
    """Tell the marked cells at the boundary `next_ms`, with details where they are due."""
    state = book.state[0]
    state.cut_leaves = state.cut_hashes = state.cut_ages = 0
    _put_in_order(book)
    for n in range(state.dirty):
        if n % SIDE_BY_SIDE == 0:
            _look_ahead(book, n)
        _tell_cell(book, n, book.dirty[n])
    for n in range(state.cut_leaves):
        book.leaf_mark[book.out_leaves[n]] = NONE
    if with_details:
        note_overdue(book)
        tell_details(book)
    told = book.told[0]
    told.boundary_ms, told.newest_start_ms, told.offset = state.next_ms, state.newest_start_ms, state.offset
    told.first_pane = state.first_pane if state.cut_snapshot else NONE
    told.cells, told.hashes, told.leaves, told.ages = state.dirty, state.cut_hashes, state.cut_leaves, state.cut_ages
    told.details = with_details
    unmark_all(book)


@compiled
def _look_ahead(book: Book, n: int) -> None:
    """Walk the pending rows of some marked cells side by side: to follow one chain is to wait for memory at every row,
    and to follow four is to wait no longer."""
    one, two = _first_waiting(book, n), _first_waiting(book, n + 1)
    three, four = _first_waiting(book, n + 2), _first_waiting(book, n + 3)
    for _ in range(LOOKED_AT_MAX):
        one, two = prefetch_next(book, one, NONE), prefetch_next(book, two, NONE)
        three, four = prefetch_next(book, three, NONE), prefetch_next(book, four, NONE)
        if one == NONE and two == NONE and three == NONE and four == NONE:
            return


@inlined
def _first_waiting(book: Book, n: int) -> int:
    return int(book.cells[book.dirty[n]].waiting) if n < book.state[0].dirty else NONE


@compiled
def _tell_cell(book: Book, n: int, at: int) -> None:
    state, cell = book.state[0], book.cells[at]
    if book.leaf_mark[cell.leaf] == NONE:
        book.leaf_mark[cell.leaf] = state.cut_leaves
        book.out_leaves[state.cut_leaves] = cell.leaf
        state.cut_leaves += 1
    book.out_cells[n, 0], book.out_cells[n, 1] = book.leaf_mark[cell.leaf], cell.pane
    book.out_cells[n, 2] = NONE
    place = sum_answered(book, cell)
    counts, lengths = book.out_counts[n], book.out_lengths[n]
    for column in range(OUT_COUNTS):
        counts[column] = book.sum_counts[place, cell.leaf, column]
    for answer in range(3):
        lengths[ANSWERS[answer]] = book.sum_lengths[place, cell.leaf, answer]
    lengths[PENDING_VOTERS] = lengths[PENDING_MERCHANTS] = 0
    _add_waiting(book, cell, counts, lengths)
    if cell.lates != NONE:
        _sum_lates(book, n, cell.lates)
    sums = book.sum_hashes[place, cell.leaf]
    _tell_hashes(state, book.out_hashes, sums[BAD], lengths[BAD_VOTERS])
    _tell_hashes(state, book.out_hashes, book.smallest[0], lengths[PENDING_VOTERS])
    _tell_hashes(state, book.out_hashes, sums[SHOPS], lengths[BAD_MERCHANTS])
    _tell_hashes(state, book.out_hashes, book.smallest[1], lengths[PENDING_MERCHANTS])
    _tell_hashes(state, book.out_hashes, sums[GOOD], lengths[APPROVED_VOTERS])


@inlined
def _tell_hashes(state: Any, told: UInt64s, run: UInt64s, length: int) -> None:
    for place in range(length):
        told[state.cut_hashes + place] = run[place]
    state.cut_hashes += length


@compiled
def _add_waiting(book: Book, cell: Any, counts: Int32s, lengths: UInt8s) -> None:
    """Add the pending rows of a cell; the hashes of their voters and merchants go to `smallest`."""
    voters, merchants = book.rule[0].voters, book.rule[0].merchants
    rows, answer_ms, at, ahead = book.rows, book.answer_ms[cell.leaf], cell.waiting, cell.waiting
    for _ in range(AHEAD):
        ahead = prefetch_next(book, ahead, NONE)
    while at != NONE:
        ahead = prefetch_next(book, ahead, NONE)
        row = rows[at]
        if effect(row, answer_ms) != FINE:
            count_order(book, at, WAITS, counts[ORDERS_AT:])
        counts[PENDING] += 1
        counts[VOTES_AT + PENDING] += vote_of(row)
        merchant = book.merchants[row.counters].merchant
        keep_smallest(book.smallest[0], lengths, PENDING_VOTERS, voters, voter_of(row))
        keep_smallest(book.smallest[1], lengths, PENDING_MERCHANTS, merchants, merchant)
        at = row.next


@compiled
def _sum_lates(book: Book, n: int, at: int) -> None:
    newest = NONE
    while at != NONE:
        late = book.lates[at]
        book.out_counts[n, LATE_AT + late.status] += 1
        if late.status == APPROVED:
            newest = max(newest, late.start)
            book.late_bins[0, late.age] += 1
        elif late.status == DECLINED or late.status == ERROR:
            book.late_bins[1, late.age] += 1
        at = late.next
    book.out_cells[n, 2] = newest
    _tell_ages(book)


@compiled
def _tell_ages(book: Book) -> None:
    """The ages of a cell's late answers: of those approved, then of those refused, the young first."""
    state = book.state[0]
    for answer in range(2):
        for bin_ in range(book.late_bins.shape[1]):
            for _ in range(book.late_bins[answer, bin_]):
                book.out_ages[state.cut_ages] = bin_
                state.cut_ages += 1
            book.late_bins[answer, bin_] = 0
