"""Counters behind the details: what the rows of open panes hold by (leaf, merchant) and by (leaf, code).

Kept up to date with every row that enters, leaves or changes; never looked at by the policy.
Does not know why a row changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, ERROR, NONE, PENDING, Int64s
from detector.counting.hashing import mix
from detector.counting.index import place_of


@inlined
def is_cancelled_late(row: Any, answer_ms: Int64s) -> bool:
    """Whether the shopper left only after waiting the leaf's `answer_ms[leaf]`."""
    wait_ms = answer_ms[row.leaf]
    return bool(row.status == CANCELLED and wait_ms >= 0 and row.occurred - row.start >= wait_ms)


@inlined
def is_technical(book: Book, row: Any) -> bool:
    """Whether a red tells that nobody decided: there is no valid answer, or its code says so."""
    if row.status != DECLINED or row.code == NONE:
        return bool(row.status == ERROR)
    return bool((book.technical[row.code] >> np.uint64(book.reader[row.leaf])) & np.uint64(1))


@inlined
def merchant_at(book: Book, row: Any) -> int:
    """The place of the counters of the row's leaf and merchant, made where there are none yet."""
    key = mix(row.merchant, book.leaf_hash[row.leaf])
    at = place_of(book.merchants["key"], key)
    entry = book.merchants[at]
    if entry.key == 0:
        entry.key, entry.merchant, entry.leaf = key, row.merchant, row.leaf
        state = book.state[0]
        state.merchants += 1
        if state.merchants * 10 >= len(book.merchants) * 7:
            state.full = 1
    return at


@compiled
def count_row(book: Book, at: int, by: int) -> None:
    """Add (1) or take off (-1) all that a row in an open cell stands for."""
    row = book.rows[at]
    entry = book.merchants[merchant_at(book, row)]
    entry.payments += by
    if row.vote:
        entry.votes += by
    if row.status == APPROVED:
        entry.approved += by
    elif row.status == DECLINED or row.status == ERROR:
        entry.red += by
        if is_technical(book, row):
            entry.technical += by
        if row.code != NONE:
            _count_code(book, row, by)
    elif (row.status == PENDING and book.cells[row.cell].overdue) or is_cancelled_late(row, book.answer_ms):
        entry.overdue += by


@compiled
def _count_code(book: Book, row: Any, by: int) -> None:
    key = mix(book.code_hash[row.code], book.leaf_hash[row.leaf])
    entry = book.codes[place_of(book.codes["key"], key)]
    if entry.key == 0:
        entry.key, entry.leaf, entry.code = key, row.leaf, row.code
        state = book.state[0]
        state.codes += 1
        if state.codes * 10 >= len(book.codes) * 7:
            state.full = 1
    entry.payments += by


@compiled
def note_overdue(book: Book) -> None:
    """Count the pendings of every cell whose time has come, once: payments have begun `answer_ms` after its pane."""
    rule, state = book.rule[0], book.state[0]
    for at in range(state.cells):
        cell = book.cells[at]
        answer_ms = book.answer_ms[cell.leaf]
        if cell.pane == NONE or cell.overdue or answer_ms < 0:
            continue
        if state.newest_start_ms >= (cell.pane + 1) * rule.pane_ms + answer_ms:
            cell.overdue = 1
            _count_overdue(book, cell)


@compiled
def _count_overdue(book: Book, cell: Any) -> None:
    at = cell.waiting
    while at != NONE:
        row = book.rows[at]
        book.merchants[merchant_at(book, row)].overdue += 1
        at = row.next
