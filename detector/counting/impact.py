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

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.cells import mark_row
from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE, PENDING, Int32s
from detector.counting.index import EMPTY, put, remove, tag_of

FINE, HIT, WAITS = range(3)
_LOW = 0xFFFFFFFF


@inlined
def is_alone(row: Any) -> bool:
    """Whether it is the only payment of its order."""
    return bool(row.order_next == NONE and row.order_previous == NONE)


@inlined
def fate(row: Any, answer_ms: int) -> int:
    """FINE, HIT, or WAITS: what a payment says of its order, by its leaf's `answer_s`."""
    if row.status == DECLINED or row.status == ERROR:
        return HIT
    if answer_ms < 0:
        return FINE
    if row.status == PENDING:
        return WAITS
    return HIT if row.occurred - row.start >= answer_ms else FINE


@compiled
def count_order(book: Book, row: Any, what: int, counts: Int32s) -> None:
    """Add a payment that is not FINE to ORDERS (`tally`), if its order counts here."""
    recovered = row.status == APPROVED
    for forward in range(2):
        at = row.order_next if forward else row.order_previous
        while at != NONE:
            mate = book.rows[at]
            if _is_before(mate, row, book.rule[0].block_ms) and fate(mate, book.answer_ms[mate.leaf]) != FINE:
                return
            recovered |= mate.status == APPROVED and mate.occurred >= row.start
            at = mate.order_next if forward else mate.order_previous
    place = 0 if what == HIT else 2
    counts[place] += 1
    counts[place + 1] += recovered


@inlined
def _is_before(mate: Any, row: Any, block_ms: int) -> bool:
    if mate.start > row.start or (mate.start == row.start and mate.payment > row.payment):
        return False
    return bool(mate.start // block_ms == row.start // block_ms)


@inlined
def tell_mates(book: Book, at: int) -> None:
    """What a payment says changed: the cells of the others of its order are to be told."""
    if not is_alone(book.rows[at]):
        _mark_mates(book, at)


@compiled
def _mark_mates(book: Book, at: int) -> None:
    for forward in range(2):
        other = book.rows[at].order_next if forward else book.rows[at].order_previous
        while other != NONE:
            mate = book.rows[other]
            if mate.cell >= 0:
                mark_row(book, mate)
            other = mate.order_next if forward else mate.order_previous


@inlined
def chain(book: Book, at: int) -> bool:
    """Chain a payment to the others of its order, where no order was ever told of: then an order is its payments.
    Whether there are others."""
    slots, row, state = book.order_slots, book.rows[at], book.state[0]
    mask, tag = len(slots) - 1, tag_of(row.order)
    place = tag & mask
    while slots[place] != EMPTY:
        first = slots[place] & _LOW
        if (slots[place] >> 32) & _LOW == tag and book.rows[first].order == row.order:
            _put_after(book, first, at)
            return True
        place = (place + 1) & mask
    slots[place] = (tag << 32) | np.int64(at)
    state.order_indexed += 1
    if state.order_indexed * 10 >= len(slots) * 7:
        state.full = 1
    return False


@compiled
def _put_after(book: Book, first: int, at: int) -> None:
    row, head = book.rows[at], book.rows[first]
    row.order_previous, row.order_next = first, head.order_next
    if head.order_next != NONE:
        book.rows[head.order_next].order_previous = at
    head.order_next = at


@compiled
def unchain(book: Book, at: int) -> None:
    """Take a payment out of the chain that `chain` put it in."""
    row, state = book.rows[at], book.state[0]
    if row.order_next != NONE:
        book.rows[row.order_next].order_previous = row.order_previous
    if row.order_previous != NONE:
        book.rows[row.order_previous].order_next = row.order_next
    else:
        remove(book.order_slots, row.order, at)
        if row.order_next != NONE:
            put(book.order_slots, tag_of(row.order), row.order_next)
        else:
            state.order_indexed -= 1
    row.order_next = row.order_previous = NONE
