"""Cells (leaf x pane): the rows and late answers chained in each, which of them changed, and the closing of panes.

Invariant: a pane is open while it will be at the boundary that is cut next: `next_ms` < its end + H + grace. One before
`floor_pane` is closed: of what it hangs on a part is gone from the log.
Does not know what a row says (`ledger`) nor how a cell is summed (`cut`).
"""

from __future__ import annotations

from typing import Any

from detector.compiled import compiled, inlined
from detector.counting.book import CLOSED, FREE, MINUTE_MS, Book
from detector.counting.columns import NONE, PENDING, SPARE
from detector.counting.details import count_row, leave_counters
from detector.counting.index import remove, remove_tagged
from detector.counting.rows import VOTE, leaf_of, move_base, start_of, touched_ms


@inlined
def cell_for(book: Book, pane: int, leaf: int) -> int:
    """The cell of an open pane, made where there is none yet."""
    state = book.state[0]
    place = state.first_place + pane - state.first_pane  # without a division, which waits longer than all else here
    panes = book.cell_at[place if place < len(book.cell_at) else place - len(book.cell_at)]
    if panes[leaf + 1] == NONE:
        at = _new_cell(book)
        cell = book.cells[at]
        cell.pane, cell.leaf, cell.lates, cell.dirty, cell.overdue = pane, leaf, NONE, 0, 0
        cell.waiting = cell.rows = cell.summed = NONE
        cell.next = panes[0]
        panes[0] = panes[leaf + 1] = at
    return int(panes[leaf + 1])


@compiled
def _new_cell(book: Book) -> int:
    state = book.state[0]
    at = state.cell_free
    if at != NONE:
        state.cell_free = book.cells[at].next
        return int(at)
    at = state.cells
    state.cells += 1
    if state.cells + SPARE > len(book.cells):
        state.full = 1
    return int(at)


@inlined
def mark(book: Book, at: int) -> None:
    """The cell is to be told at the next cut."""
    cell = book.cells[at]
    if cell.dirty == 0:
        cell.dirty = 1
        book.dirty[book.state[0].dirty] = at
        book.state[0].dirty += 1


@compiled
def put_in_cell(book: Book, at: int) -> None:
    """Chain the row in the cell its leaf and start name, or in the wheel where that pane has closed."""
    row, state = book.rows[at], book.state[0]
    pane_ms = book.rule[0].pane_ms
    since_ms = start_of(book, row) - state.first_pane * pane_ms  # few bits are divided sooner
    if since_ms < 0:
        if row.cell != CLOSED:
            row.cell = CLOSED
            to_wheel(book, at)
        return
    row.cell = cell_for(book, state.first_pane + since_ms // pane_ms, leaf_of(book, row))
    link(book, at)
    count_row(book, at, 1)


@compiled
def take_from_cell(book: Book, at: int) -> None:
    """Unchain the row from its open cell."""
    count_row(book, at, -1)
    unlink(book, at)
    book.rows[at].cell = FREE


@compiled
def link(book: Book, at: int) -> None:
    """Chain the row in its cell, first among those that wait or those that do not."""
    row = book.rows[at]
    cell = book.cells[row.cell]
    if row.status == PENDING:
        first, cell.waiting = cell.waiting, at
    else:
        first, cell.rows = cell.rows, at
    row.next, row.previous = first, NONE
    if first != NONE:
        book.rows[first].previous = at
    mark(book, row.cell)


@compiled
def unlink(book: Book, at: int) -> None:
    """Unchain the row in its cell, its status still being what it was when it was chained."""
    row = book.rows[at]
    cell = book.cells[row.cell]
    if row.previous != NONE:
        book.rows[row.previous].next = row.next
    elif row.status == PENDING:
        cell.waiting = row.next
    else:
        cell.rows = row.next
    if row.next != NONE:
        book.rows[row.next].previous = row.previous
    mark_row(book, row)


@inlined
def mark_row(book: Book, row: Any) -> None:
    """The row's cell is to be told, and what the row said before is no longer true: its sum begins anew."""
    mark(book, row.cell)
    if row.status != PENDING:
        book.cells[row.cell].summed = NONE


@compiled
def to_wheel(book: Book, at: int) -> None:
    """Forget the row once 2 H of log time have gone by since it was touched: its minute's bucket will ask."""
    row, state = book.rows[at], book.state[0]
    due = (touched_ms(book, row) + 2 * book.rule[0].horizon_ms) // MINUTE_MS + 1
    bucket = max(due, state.swept + 1) % book.wheel.shape[1]
    row.next = book.wheel[0, bucket]
    book.wheel[0, bucket] = at


@compiled
def new_row(book: Book) -> int:
    """A free row, in no chain."""
    state = book.state[0]
    at = state.row_free
    if at != NONE:
        state.row_free = book.rows[at].next
    else:
        at = state.rows
        state.rows += 1
        if state.rows + SPARE > len(book.rows):
            state.full = 1
    row = book.rows[at]
    row.cell, row.marks = FREE, VOTE if book.rule[0].votes == 0 else 0
    row.order_next = row.counters = NONE
    return int(at)


@compiled
def free_row(book: Book, at: int) -> None:
    """Give the row back; it must be in no chain."""
    row = book.rows[at]
    leave_counters(book, row)
    row.cell = FREE
    row.next = book.state[0].row_free
    book.state[0].row_free = at


@compiled
def begin(book: Book, next_ms: int) -> None:
    """Make `next_ms` the boundary that is cut next, and close the panes and blocks that will have closed by then.

    Called right after a cut: no cell is marked.
    """
    rule, state = book.rule[0], book.state[0]
    first_pane = max((next_ms - rule.open_ms) // rule.pane_ms, state.floor_pane)
    if state.next_ms != NONE:
        for pane in range(state.first_pane, min(first_pane, state.first_pane + len(book.cell_at))):
            _close_pane(book, pane)
    first_block = first_pane * rule.pane_ms // rule.block_ms
    for block in range(state.first_block, min(first_block, state.first_block + rule.block_mask + 1)):
        if state.groups > 0:
            state.groups -= remove_tagged(book.groups, rule.block_mask, block & rule.block_mask)
    move_base(book, next_ms)
    state.next_ms, state.first_pane, state.first_block = next_ms, first_pane, first_block
    state.first_place = first_pane % len(book.cell_at)


@compiled
def _close_pane(book: Book, pane: int) -> None:
    panes, state = book.cell_at[pane % len(book.cell_at)], book.state[0]
    at = panes[0]
    while at != NONE:
        cell = book.cells[at]
        _close_rows(book, cell.waiting)
        _close_rows(book, cell.rows)
        _forget_lates(book, cell)
        panes[cell.leaf + 1] = NONE
        following = cell.next
        cell.pane, cell.next = NONE, state.cell_free
        state.cell_free = at
        at = following
    panes[0] = NONE


@compiled
def _close_rows(book: Book, at: int) -> None:
    while at != NONE:
        row = book.rows[at]
        following = row.next
        count_row(book, at, -1)
        row.cell = CLOSED
        to_wheel(book, at)
        at = following


@compiled
def _forget_lates(book: Book, cell: Any) -> None:
    state = book.state[0]
    at = cell.lates
    while at != NONE:
        late = book.lates[at]
        following = late.next
        remove(book.late_slots, late.key, at)
        state.late_indexed -= 1
        late.next = state.late_free
        state.late_free = at
        at = following
