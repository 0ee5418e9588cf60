"""Orders hit: which payments went wrong for their order, and whether the order was approved all the same.

    10:01 card at bnp   declined      hit: the earliest bad payment of the order in its block
    10:02 card at bnp   error         the same order, said already
    10:03 pix           approved      recovered: approved after the first began

An order is counted once in an aligned block of starts (that of the votes), in the cell of its earliest payment there
that is red, or approved or left after `answer_s`, or that still waits: whether that is overdue is for the Judge to say.
It is recovered where a payment of it, at any bank and by any method, is approved after that one began. A half green
order stands for itself: a payment takes its place. All of it is worked out when a cell is told. Does not know when
that is, nor how the payments of an order are found (`mates`).
"""

from __future__ import annotations

from typing import Any

from detector.arrays import Int32s
from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.columns import APPROVED, DECLINED, ERROR, NONE, PENDING
from detector.counting.rows import begins_before, leaf_of, occurred_of, start_of, took_long

FINE, HIT, WAITS = range(3)


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
