"""Orders hit: which payments went wrong for their order, and whether the order was approved all the same.

    10:01 card at bnp   declined      hit: the earliest bad payment of the order in its block
    10:02 card at bnp   error         the same order, said already
    10:03 pix           approved      recovered: approved after the first began

An order is counted once in an aligned block of starts (that of the votes), in the cell of its earliest payment there
that is red, or approved or left after `answer_s`, or that still waits: whether that is overdue is for the Judge to say.
It is recovered where a payment of it, at any bank and by any method, is approved after that one began. A half green
order stands for itself: a payment takes its place. All of it is worked out when a cell is told; here are the chains
that lead from a payment to the others of its order, and who must be told anew. Does not know when cells are told.
"""

from __future__ import annotations

from typing import Any

from detector.arrays import Int32s
from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.cells import mark_row
from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE, PENDING
from detector.counting.index import enter, first_at, has_tag, place_with, remove_at, row_at, set_slot, tag_of
from detector.counting.rows import begins_before, leaf_of, occurred_of, start_of, took_long

FINE, HIT, WAITS = range(3)
RING_MAX = 64
"""How many payments of one order are chained to each other; one that is past it stands for itself and is counted as
`crowded`: a shop that gives all its orders one id must cost no more than others."""


@inlined
def effect(row: Any, answer_ms: int) -> int:
    """FINE, HIT, or WAITS: what a payment says of its order, by its leaf's `answer_s`."""
    if row.status == DECLINED or row.status == ERROR:
        return HIT
    if answer_ms < 0:
        return FINE
    if row.status == PENDING:
        return WAITS
    return HIT if took_long(row, answer_ms) else FINE


@compiled
def count_order(book: Book, at: int, what: int, counts: Int32s) -> None:
    """Add a payment that is not FINE to ORDERS (`tally`), if its order counts here."""
    row = book.rows[at]
    recovered = row.status == APPROVED
    other = row.order_next
    while other != NONE and other != at:
        mate = book.rows[other]
        if _is_before(book, mate, row) and effect(mate, book.answer_ms[leaf_of(book, mate)]) != FINE:
            return
        recovered |= mate.status == APPROVED and occurred_of(book, mate) >= start_of(book, row)
        other = mate.order_next
    place = 0 if what == HIT else 2
    counts[place] += 1
    counts[place + 1] += recovered


@inlined
def _is_before(book: Book, mate: Any, row: Any) -> bool:
    if begins_before(row, mate):
        return False
    block_ms = book.rule[0].block_ms
    return bool(start_of(book, mate) // block_ms == start_of(book, row) // block_ms)


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


@inlined
def chain(book: Book, at: int) -> bool:
    """Chain a payment to the others of its order, where no order was ever told of: then an order is its payments.
    Whether there are others."""
    slots, row, state = book.order_slots, book.rows[at], book.state[0]
    tag = tag_of(row.order)
    first = place = first_at(slots, tag)
    while has_tag(slots, place, tag):
        member = row_at(slots, place)
        if book.rows[member].order == row.order:
            return bool(enter_ring(book, member, at))
        place += 1
    state.order_indexed += 1
    if enter(slots, first, tag, at, state.order_indexed):
        state.full = 1
    return False


@compiled
def unchain(book: Book, at: int) -> None:
    """Take a payment out of the ring that `chain` put it in."""
    slots, row, state = book.order_slots, book.rows[at], book.state[0]
    tag = tag_of(row.order)
    left, place = leave_ring(book, at), place_with(slots, tag, at)
    if place == NONE:
        return
    if left != NONE:
        set_slot(slots, place, tag, left)
    else:
        remove_at(slots, place)
        state.order_indexed -= 1
