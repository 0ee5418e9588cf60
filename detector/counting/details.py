"""Counters behind the details: what the rows of open panes hold by (leaf, merchant) and by (leaf, code).

Kept up to date with every row that enters, leaves or changes; never looked at by the policy. A row names its counters
instead of its merchant and leaf, so they stay until the last row that does is forgotten.
Does not know why a row changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, ERROR, NONE, PENDING, SPARE
from detector.counting.hashing import mix, pair
from detector.counting.index import find, place_of, put, remove, tag_of
from detector.counting.rows import took_long, vote_of


@inlined
def is_cancelled_late(row: Any, answer_ms: int) -> bool:
    """Whether the shopper left only after waiting the leaf's `answer_ms`."""
    return bool(row.status == CANCELLED and took_long(row, answer_ms))


@inlined
def is_technical(book: Book, row: Any, leaf: int) -> bool:
    """Whether a red of the leaf tells that nobody decided: there is no valid answer, or its code says so."""
    if row.status != DECLINED or row.code == NONE:
        return bool(row.status == ERROR)
    return bool((book.technical[row.code] >> np.uint64(book.reader[leaf])) & np.uint64(1))


@inlined
def name_counters(book: Book, row: Any, merchant: np.uint64, leaf: int) -> None:
    """Let a row that is counted nowhere say this merchant and leaf."""
    if row.counters != NONE:
        named = book.merchants[row.counters]
        if named.merchant == merchant and named.leaf == leaf:
            return
    at = _counters_for(book, merchant, leaf)
    book.merchants[at].rows += 1
    leave_counters(book, row)
    row.counters = at


@compiled
def _counters_for(book: Book, merchant: np.uint64, leaf: int) -> int:
    """The counters of a merchant and leaf, made where there are none yet."""
    key, state = pair(merchant, book.leaf_hash[leaf]), book.state[0]
    at = find(book.merchant_slots, book.merchants["key"], key)
    if at != NONE:
        return at
    at = state.merchant_free
    if at != NONE:
        state.merchant_free = book.merchants[at].next
    else:
        at = state.merchants
        state.merchants += 1
    entry = book.merchants[at]
    entry.key, entry.merchant, entry.leaf, entry.rows = key, merchant, leaf, 0
    entry.payments = entry.votes = entry.approved = entry.red = entry.overdue = entry.technical = 0
    state.merchant_indexed += 1
    is_crowded = put(book.merchant_slots, tag_of(key), at, state.merchant_indexed)
    if is_crowded or state.merchants + SPARE > len(book.merchants):
        state.full = 1
    return int(at)


@compiled
def leave_counters(book: Book, row: Any) -> None:
    """Let a row that is counted nowhere say no merchant; counters that no row says are free."""
    at, state = row.counters, book.state[0]
    row.counters = NONE
    if at == NONE:
        return
    entry = book.merchants[at]
    entry.rows -= 1
    if entry.rows == 0:
        remove(book.merchant_slots, entry.key, at)
        state.merchant_indexed -= 1
        entry.next = state.merchant_free
        state.merchant_free = at


@compiled
def count_row(book: Book, at: int, by: int) -> None:
    """Add (1) or take off (-1) all that a row in an open cell stands for."""
    if book.rule[0].details_ms == 0:
        return
    row = book.rows[at]
    entry = book.merchants[row.counters]
    entry.payments += by
    entry.votes += by * vote_of(row)
    if row.status == APPROVED:
        entry.approved += by
    elif row.status == DECLINED or row.status == ERROR:
        entry.red += by
        if is_technical(book, row, entry.leaf):
            entry.technical += by
        if row.code != NONE:
            _count_code(book, row, entry.leaf, by)
    elif (row.status == PENDING and book.cells[row.cell].overdue) or is_cancelled_late(row, book.answer_ms[entry.leaf]):
        entry.overdue += by


@compiled
def _count_code(book: Book, row: Any, leaf: int, by: int) -> None:
    key = mix(book.code_hash[row.code], book.leaf_hash[leaf])
    entry = book.codes[place_of(book.codes["key"], key)]
    if entry.key == 0:
        entry.key, entry.leaf, entry.code = key, leaf, row.code
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
        book.merchants[row.counters].overdue += 1
        at = row.next
