"""The details that ride on a tally: the (leaf, merchant) pairs with most votes, the (leaf, code) pairs with most reds.

Reads the counters that `details` keeps and leaves rows in the `detail_*` tables of the book, where leaves, merchants
and codes are numbered anew. Does not know when details are due.
"""

from __future__ import annotations

import numpy as np

from detector.compiled import compiled
from detector.counting.book import Book, Records
from detector.counting.columns import NONE, Int32s, UInt64s
from detector.counting.index import place_of

_COUNT_BITS, _KEY_BITS, _COUNT_MAX = np.uint64(20), np.uint64(44), (1 << 20) - 1


@compiled
def tell_details(book: Book) -> None:
    """Put the pairs that count most into the `detail_*` tables."""
    state = book.state[0]
    state.detail_leaves = state.detail_names = state.detail_codes = 0
    state.detail_merchant_rows = _pick(book.merchants, book.merchants["votes"], book)
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
    told = book.told
    told[8], told[9], told[10] = state.detail_leaves, state.detail_names, state.detail_codes
    told[11], told[12] = state.detail_merchant_rows, state.detail_code_rows


@compiled
def _tell_codes(book: Book) -> None:
    state = book.state[0]
    state.detail_code_rows = _pick(book.codes, book.codes["payments"], book)
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
def _pick(table: Records, counts: Int32s, book: Book) -> int:
    """Put the places of the live entries that count most into `picked`, by (count, then smaller hash); how many."""
    keys, live, ranks, limit = table["key"], table["payments"], book.ranks, len(book.picked)
    size = 0
    for place in range(len(table)):
        if live[place] > 0:
            ranks[size] = _rank(counts[place], keys[place])
            size += 1
    least = _nth_largest(ranks, size, limit) if size > limit else np.uint64(0)
    found = 0
    for place in range(len(table)):
        if live[place] > 0 and _rank(counts[place], keys[place]) >= least and found < limit:
            book.picked[found] = place
            found += 1
    return found


@compiled
def _rank(count: int, key: np.uint64) -> np.uint64:
    """The count in the upper 20 bits, the rest of them the larger the smaller the hash."""
    return (np.uint64(min(count, _COUNT_MAX)) << _KEY_BITS) | (~key >> _COUNT_BITS)


@compiled
def _nth_largest(values: UInt64s, size: int, n: int) -> np.uint64:
    """The n-th largest of the first `size` values (n < size); they are left in another order."""
    low, high, wanted = 0, size - 1, size - n
    while low < high:
        pivot, left, right = values[(low + high) // 2], low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            break
    return values[wanted]
