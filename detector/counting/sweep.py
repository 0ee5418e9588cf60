"""Forgetting: a payment goes 2 H of log time after its newest event, once nothing open can depend on it.

Runs when log time enters a new minute, over a wheel of minutes, so that it costs what it forgets.
Does not know what rows say.
"""

from __future__ import annotations

from typing import Any

from detector.compiled import compiled
from detector.counting.book import DEAD, MINUTE_MS, Book
from detector.counting.cells import free_row, to_wheel
from detector.counting.columns import NONE
from detector.counting.mates import forget_payment, leave_ring
from detector.counting.orders import forget_order_events, is_needed, unlink_payment
from detector.counting.rows import HALF_GREEN, occurred_of, touched_ms


@compiled
def sweep(book: Book) -> None:
    """Forget what the minutes up to log time hold in the wheel."""
    state = book.state[0]
    minute = state.log_time_ms // MINUTE_MS
    since = max(state.swept + 1, minute - book.wheel.shape[1] + 1)
    if minute < since:
        return
    state.swept = minute
    for past in range(since, minute + 1):
        _sweep_orders(book, past % book.wheel.shape[1])
        _sweep_rows(book, past % book.wheel.shape[1])


@compiled
def _sweep_orders(book: Book, bucket: int) -> None:
    at = book.wheel[1, bucket]
    book.wheel[1, bucket] = NONE
    while at != NONE:
        following = book.orders[at].next
        forget_order_events(book, at)
        at = following


@compiled
def _sweep_rows(book: Book, bucket: int) -> None:
    at = book.wheel[0, bucket]
    book.wheel[0, bucket] = NONE
    while at != NONE:
        following = book.rows[at].next
        if _may_go(book, book.rows[at]):
            _forget(book, at)
        else:
            to_wheel(book, at)
        at = following


@compiled
def _may_go(book: Book, row: Any) -> bool:
    """An order that still asks for its payments keeps a row. So does a vote block that is open and in which the event
    that won occurred: a copy of it would be a payment that began there. So does an open pane that it was answered
    after, for a payment of its order there may be recovered by it."""
    state, rule = book.state[0], book.rule[0]
    if row.cell == DEAD:
        return True
    if touched_ms(book, row) + 2 * rule.horizon_ms >= state.log_time_ms:
        return False
    if occurred_of(book, row) // rule.block_ms >= state.first_block:
        return False
    if occurred_of(book, row) >= state.first_pane * rule.pane_ms:
        return False
    return not (state.orders_seen and is_needed(book, row))


@compiled
def _forget(book: Book, at: int) -> None:
    row, state = book.rows[at], book.state[0]
    if not row.marks & HALF_GREEN:
        forget_payment(book, at)
        if state.orders_seen:
            unlink_payment(book, at)
        else:
            leave_ring(book, at)
    free_row(book, at)
