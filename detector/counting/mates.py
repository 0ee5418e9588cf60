"""The payments of an order: found by its hash, and chained in a ring, each to the next of its mates.

A payment is known by its order and its own id, and one index leads from an order to its payments: as a rule there is
one, so what is new is known to be new without a look at any row. Knows neither what a payment says of its order
(`impact`) nor what became of the order (`orders`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.cells import mark_row
from detector.counting.columns import NONE
from detector.counting.hashing import mix
from detector.counting.index import enter, first_at, has_tag, place_with, remove_at, row_at, tag_of
from detector.counting.rows import ALONE

RING_MAX = 64
"""How many payments of one order are chained to each other; one that is past it stands for itself and is counted as
`crowded`: a shop that gives all its orders one id must cost no more than others."""
PLACES_MAX = RING_MAX
"""How many payments have their places in the index side by side; one that is past it has a place by its own id."""


@inlined
def payment_key(event: Any) -> np.uint64:
    """The hash by which a payment is known: of its order and its own id."""
    return mix(event.order, event.payment)


@inlined
def look_up(book: Book, order: np.uint64, key: np.uint64) -> tuple[int, int]:
    """The row of a payment, and where there is none that of another payment of its order; or NONE."""
    at, mate = _find(book, tag_of(order), order, key)
    if at == NONE and book.state[0].alone > 0:
        at = _find(book, tag_of(key), order, key)[0]
    return at, mate


@inlined
def _find(book: Book, tag: int, order: np.uint64, key: np.uint64) -> tuple[int, int]:
    slots, mate = book.row_slots, NONE
    place = first_at(slots, tag)
    while has_tag(slots, place, tag):
        at = row_at(slots, place)
        row = book.rows[at]
        if row.payment == key:
            return at, NONE
        if row.order == order:
            mate = at
        place += 1
    return NONE, mate


@inlined
def index_payment(book: Book, at: int) -> None:
    """Enter the row of a payment that is not there."""
    slots, row, state = book.row_slots, book.rows[at], book.state[0]
    tag = tag_of(row.order)
    first = place = first_at(slots, tag)
    while has_tag(slots, place, tag):
        place += 1
    if place - first >= PLACES_MAX:
        row.marks |= ALONE
        state.alone += 1
        tag = _tag_of(row)
        place = first_at(slots, tag)
    state.indexed += 1
    if enter(slots, place, tag, at, state.indexed):
        state.full = 1


@compiled
def forget_payment(book: Book, at: int) -> None:
    """Take a row out of the index."""
    row, state = book.rows[at], book.state[0]
    remove_at(book.row_slots, place_with(book.row_slots, _tag_of(row), at))
    state.indexed -= 1
    if row.marks & ALONE:
        state.alone -= 1


@inlined
def _tag_of(row: Any) -> int:
    """Of the place where a row is in the index."""
    return tag_of(row.payment if row.marks & ALONE else row.order)


# Rings


@inlined
def tell_mates(book: Book, at: int) -> None:
    """What a payment says changed: the cells of the others of its order are to be told."""
    if book.rows[at].order_next != NONE:
        _mark_mates(book, at)


@compiled
def _mark_mates(book: Book, at: int) -> None:
    other = book.rows[at].order_next
    while other != at:
        mate = book.rows[other]
        if mate.cell >= 0:
            mark_row(book, mate)
        other = mate.order_next


@compiled
def enter_ring(book: Book, member: int, at: int) -> bool:
    """Put a payment into the ring of the payments of an order, one of which is `member`; a ring of one is NONE. False
    where the ring is full."""
    row, other = book.rows[at], book.rows[member]
    size, mate = 1, other.order_next
    while mate != NONE and mate != member:
        size, mate = size + 1, book.rows[mate].order_next
    if size >= RING_MAX:
        book.state[0].crowded += book.state[0].noted_ms == NONE
        return False
    row.order_next = other.order_next if other.order_next != NONE else member
    other.order_next = at
    return True


@compiled
def leave_ring(book: Book, at: int) -> int:
    """Take a payment out of its ring; one that is left in it, or NONE."""
    row = book.rows[at]
    left = row.order_next
    row.order_next = NONE
    if left == NONE:
        return NONE
    before = left
    while book.rows[before].order_next != at:
        before = book.rows[before].order_next
    book.rows[before].order_next = left if left != before else NONE
    return int(left)
