"""The details that ride on a tally: the (leaf, merchant) pairs that count most, the (leaf, code) pairs with most reds.

A merchant's red payment counts as RED_VOTES votes: who is to blame is asked of the details, and a small shop of which
all is refused must be in them. Reads the counters that `details` keeps and leaves rows in the `detail_*` tables of the
book, where leaves, merchants and codes are numbered anew. Does not know when details are due.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Int32s, UInt64s
from detector.compiled import compiled
from detector.counting.book import Book, Records
from detector.counting.columns import NONE
from detector.counting.index import place_of

_COUNT_BITS, _KEY_BITS, _COUNT_MAX = np.uint64(20), np.uint64(44), (1 << 20) - 1
_0 = np.uint64(0)
RED_VOTES = 8


@compiled
def tell_details(book: Book) -> None:
    """Put the pairs that count most into the `detail_*` tables."""
    state = book.state[0]
    state.detail_leaves = state.detail_names = state.detail_codes = 0
    table = book.merchants
    state.detail_merchant_rows = _pick(table, state.merchants, table["votes"], RED_VOTES, table["red"], book)
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
        row[6] = entry.technical
    _tell_codes(book)
    for n in range(state.detail_leaves):
        book.leaf_mark[book.detail_leaves[n]] = NONE
    told = book.told[0]
    told.detail_leaves, told.detail_names = state.detail_leaves, state.detail_names
    told.detail_merchant_rows = state.detail_merchant_rows
    told.detail_codes, told.detail_code_rows = state.detail_codes, state.detail_code_rows


@compiled
def _tell_codes(book: Book) -> None:
    state = book.state[0]
    state.detail_code_rows = _pick(book.codes, len(book.codes), book.codes["payments"], 0, book.codes["payments"], book)
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
def _pick(table: Records, used: int, counts: Int32s, more: int, others: Int32s, book: Book) -> int:
    """Put the places of the live entries that count most into `picked`, by (count, then smaller hash); how many. Each
    of `others` counts for `more`. All entries are among the first `used`.

    `ranks` and `picked` are a heap with the least of those kept so far on top.
    """
    keys, live, ranks, picked = table["key"], table["payments"], book.ranks, book.picked
    size, least = 0, _0
    for place in range(used):
        # One question a place, nearly always with the same answer: which places are live cannot be foretold.
        rank = _rank(counts[place] + more * others[place], keys[place]) * np.uint64(live[place] > 0)
        if rank <= least:
            continue
        if size < len(ranks):
            ranks[size], picked[size] = rank, place
            size += 1
            _rise(ranks, picked, size - 1)
        else:
            ranks[0], picked[0] = rank, place
            _sink(ranks, picked)
        least = ranks[0] if size == len(ranks) else _0
    return size


@compiled
def _rank(count: int, key: np.uint64) -> np.uint64:
    """The count in the upper 20 bits, in the others the more the smaller the hash."""
    return np.uint64((np.uint64(min(count, _COUNT_MAX)) << _KEY_BITS) | (~key >> _COUNT_BITS))


@compiled
def _rise(ranks: UInt64s, picked: Int32s, at: int) -> None:
    while at > 0 and ranks[at] < ranks[(at - 1) // 2]:
        above = (at - 1) // 2
        ranks[at], ranks[above] = ranks[above], ranks[at]
        picked[at], picked[above] = picked[above], picked[at]
        at = above


@compiled
def _sink(ranks: UInt64s, picked: Int32s) -> None:
    at = 0
    while 2 * at + 1 < len(ranks):
        least = 2 * at + 1
        if least + 1 < len(ranks) and ranks[least + 1] < ranks[least]:
            least += 1
        if ranks[at] <= ranks[least]:
            return
        ranks[at], ranks[least] = ranks[least], ranks[at]
        picked[at], picked[least] = picked[least], picked[at]
        at = least
