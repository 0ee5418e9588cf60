"""The details that ride on a tally: the (leaf, merchant) pairs with most votes and the (leaf, code) pairs with most reds.

Reads the counters that `details` keeps and leaves rows in the `detail_*` tables of the book, where leaves, merchants
and codes are numbered anew. Does not know when details are due.
"""

from __future__ import annotations

import numpy as np

from detector.compiled import compiled
from detector.counting.book import Book, Records
from detector.counting.columns import NONE, Int32s, UInt64s
from detector.counting.index import place_of


@compiled
def tell_details(book: Book) -> None:
    """Put the pairs that count most into the `detail_*` tables, most first."""
    state = book.state[0]
    state.detail_leaves = state.detail_names = state.detail_codes = 0
    state.detail_merchant_rows = _pick(book.merchants, book.merchants["votes"], book.picked)
    book.numbered["key"][:] = 0
    for n in range(state.detail_merchant_rows):
        entry = book.merchants[book.picked[n]]
        row = book.detail_merchants[n]
        row[0] = _number_leaf(book, entry.leaf)
        row[1], is_new = _number(book, entry.merchant, state.detail_names)
        if is_new:
            book.detail_names[state.detail_names] = entry.merchant
            state.detail_names += 1
        row[2], row[3], row[4], row[5] = entry.votes, entry.approved, entry.red, entry.overdue
    _tell_codes(book)
    for n in range(state.detail_leaves):
        book.leaf_mark[book.detail_leaves[n]] = NONE


@compiled
def _tell_codes(book: Book) -> None:
    state = book.state[0]
    state.detail_code_rows = _pick(book.codes, book.codes["payments"], book.picked)
    book.numbered["key"][:] = 0
    for n in range(state.detail_code_rows):
        entry = book.codes[book.picked[n]]
        row = book.detail_codes[n]
        row[0] = _number_leaf(book, entry.leaf)
        row[1], is_new = _number(book, book.code_hash[entry.code], state.detail_codes)
        if is_new:
            book.detail_code_names[state.detail_codes] = entry.code
            state.detail_codes += 1
        row[2] = entry.payments


@compiled
def _number_leaf(book: Book, leaf: int) -> int:
    state = book.state[0]
    if book.leaf_mark[leaf] == NONE:
        book.leaf_mark[leaf] = state.detail_leaves
        book.detail_leaves[state.detail_leaves] = leaf
        state.detail_leaves += 1
    return int(book.leaf_mark[leaf])


@compiled
def _number(book: Book, key: np.uint64, following: int) -> tuple[int, bool]:
    """The number of a hash among those met so far, and whether it is new: then it is `following`."""
    entry = book.numbered[place_of(book.numbered["key"], key)]
    if entry.key != 0:
        return int(entry.number), False
    entry.key, entry.number = key, following
    return following, True


@compiled
def _pick(table: Records, counts: Int32s, picked: Int32s) -> int:
    """Put the places of the live entries that count most into `picked`, most first; how many."""
    keys, live, size = table["key"], table["payments"], 0
    for place in range(len(table)):
        if live[place] <= 0:
            continue
        if size < len(picked):
            picked[size] = place
            size += 1
            _rise(counts, keys, picked, size - 1)
        elif _is_less(counts, keys, picked[0], place):
            picked[0] = place
            _sink(counts, keys, picked, size)
    for last in range(size - 1, 0, -1):
        picked[0], picked[last] = picked[last], picked[0]
        _sink(counts, keys, picked, last)
    return size


@compiled
def _is_less(counts: Int32s, keys: UInt64s, one: int, other: int) -> bool:
    """Whether one entry comes after the other: a smaller count, or an equal one and a larger hash."""
    return bool(counts[one] < counts[other] or (counts[one] == counts[other] and keys[one] > keys[other]))


@compiled
def _rise(counts: Int32s, keys: UInt64s, heap: Int32s, at: int) -> None:
    while at > 0 and _is_less(counts, keys, heap[at], heap[(at - 1) // 2]):
        above = (at - 1) // 2
        heap[at], heap[above] = heap[above], heap[at]
        at = above


@compiled
def _sink(counts: Int32s, keys: UInt64s, heap: Int32s, size: int) -> None:
    at = 0
    while 2 * at + 1 < size:
        least = 2 * at + 1
        if least + 1 < size and _is_less(counts, keys, heap[least + 1], heap[least]):
            least += 1
        if not _is_less(counts, keys, heap[least], heap[at]):
            return
        heap[at], heap[least] = heap[least], heap[at]
        at = least
