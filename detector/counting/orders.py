"""Half green orders: a placed order with bank and method is a pending payment until a real one takes its place.

A pure function of the set of an order's events and payments, worked out anew whenever one of them changes:
of two `placed` less than H apart the later replaces the earlier; a payment of the order that started after
placed - H and has an event before placed + H removes it; `cancelled`, or `confirmed`, within H makes it cancelled.
Does not know how payments themselves are joined (`ledger`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import CLOSED, DEAD, MINUTE_MS, Book
from detector.counting.cells import free_row, link, new_row, put_in_cell, take_from_cell, unlink
from detector.counting.columns import CANCELLED, NONE, PENDING, PLACED, SPARE
from detector.counting.details import count_row, name_counters
from detector.counting.hashing import mix, order_payment
from detector.counting.index import find, put, remove, tag_of
from detector.counting.mates import enter_ring, leave_ring
from detector.counting.rows import (
    HALF_GREEN,
    begin_touched,
    first_of,
    occurred_of,
    set_times,
    start_of,
    start_within,
    touch,
)
from detector.counting.votes import join_group, leave_group

EVENTS_MAX = 64
"""How many distinct events of one order are kept; what is past it is counted as `crowded`."""


@compiled
def merge_order(book: Book, event: Any) -> None:
    """Merge an order event whose time has come."""
    if event.kind == PLACED and event.leaf == NONE:
        return
    at = _order_for(book, event.order)
    order = book.orders[at]
    if order.events == NONE:
        order.touched = event.log_time
        _to_wheel(book, at)
    order.touched = max(order.touched, event.log_time)
    record = _order_record(book, event)
    known = order.events
    while known != NONE and book.order_events[known].record != record:
        known = book.order_events[known].next
    if known != NONE:
        return
    if order.count >= EVENTS_MAX:
        book.state[0].crowded += book.state[0].noted_ms == NONE
        return
    _keep(book, order, event, record)
    settle_order(book, event.order)


@compiled
def _order_record(book: Book, event: Any) -> np.uint64:
    said = mix(mix(event.order, np.uint64(event.kind)), np.uint64(event.occurred))
    if event.kind != PLACED:
        return said
    return mix(said, mix(mix(book.leaf_hash[event.leaf], event.merchant), event.shopper))


@compiled
def _keep(book: Book, order: Any, event: Any, record: np.uint64) -> None:
    state = book.state[0]
    at = state.order_event_free
    if at != NONE:
        state.order_event_free = book.order_events[at].next
    else:
        at = state.order_events
        state.order_events += 1
        if state.order_events + SPARE > len(book.order_events):
            state.full = 1
    kept = book.order_events[at]
    kept.record, kept.kind, kept.occurred, kept.leaf = record, event.kind, event.occurred, event.leaf
    kept.merchant, kept.shopper, kept.row = event.merchant, event.shopper, NONE
    kept.next = order.events
    order.events = at
    order.count += 1


@compiled
def _order_for(book: Book, key: np.uint64) -> int:
    """The order, made where there is none yet."""
    at = find(book.order_slots, book.orders["order"], key)
    if at != NONE:
        return at
    state = book.state[0]
    at = state.order_free
    if at != NONE:
        state.order_free = book.orders[at].next
    else:
        at = state.orders
        state.orders += 1
    order = book.orders[at]
    order.order, order.rows, order.events, order.count = key, NONE, NONE, 0
    state.order_indexed += 1
    if put(book.order_slots, tag_of(key), at, state.order_indexed) or state.orders + SPARE > len(book.orders):
        state.full = 1
    return int(at)


@compiled
def _forget_if_empty(book: Book, at: int) -> None:
    order, state = book.orders[at], book.state[0]
    if order.rows == NONE and order.events == NONE:
        remove(book.order_slots, order.order, at)
        state.order_indexed -= 1
        order.next = state.order_free
        state.order_free = at


@compiled
def link_payment(book: Book, at: int) -> None:
    """Chain a payment's row to its order."""
    row = book.rows[at]
    order = book.orders[_order_for(book, row.order)]
    row.order_next = NONE
    if order.rows == NONE or enter_ring(book, order.rows, at):
        order.rows = at


@compiled
def unlink_payment(book: Book, at: int) -> None:
    """Take a payment's row out of its order's ring."""
    order_at = find(book.order_slots, book.orders["order"], book.rows[at].order)
    left = leave_ring(book, at)
    if order_at == NONE:
        return  # it stood for itself
    if book.orders[order_at].rows == at:
        book.orders[order_at].rows = left
    _forget_if_empty(book, order_at)


@compiled
def is_needed(book: Book, row: Any) -> bool:
    """Whether an event of the order may still ask for the row: its own, or a placed order that the payment removes.

    A placed order asks while its vote block is open.
    """
    state, rule = book.state[0], book.rule[0]
    order_at = find(book.order_slots, book.orders["order"], row.order)
    at = book.orders[order_at].events if order_at != NONE else NONE
    while at != NONE:
        event = book.order_events[at]
        asks = event.kind == PLACED and event.occurred // rule.block_ms >= state.first_block
        if row.marks & HALF_GREEN or (asks and _removes(book, row, event)):
            return True
        at = event.next
    return False


@compiled
def index_orders(book: Book, first: int) -> int:
    """Chain every payment there is, from a row on, to its order: called when the first order event comes. The row to go
    on from, where a table must grow first."""
    state = book.state[0]
    state.orders_seen = 1
    for at in range(first, state.rows):
        if state.full:
            return at
        row = book.rows[at]
        if row.cell >= CLOSED:
            link_payment(book, at)
    return int(state.rows)


@compiled
def settle_order(book: Book, key: np.uint64) -> None:
    """Make the order's half green rows what its events and payments say."""
    at = find(book.order_slots, book.orders["order"], key)
    if at == NONE:
        return
    order = book.orders[at]
    event_at = order.events
    while event_at != NONE:
        placed = book.order_events[event_at]
        if placed.kind == PLACED:
            if _is_replaced(book, order, placed) or _is_paid(book, order, placed):
                if placed.row != NONE:
                    _drop(book, placed)
            else:
                _show(book, order, placed)
        event_at = placed.next


@compiled
def _is_replaced(book: Book, order: Any, placed: Any) -> bool:
    horizon_ms = book.rule[0].horizon_ms
    at = order.events
    while at != NONE:
        other = book.order_events[at]
        wait_ms = other.occurred - placed.occurred
        if other.kind == PLACED and (0 < wait_ms < horizon_ms or (wait_ms == 0 and other.record > placed.record)):
            return True
        at = other.next
    return False


@compiled
def _is_paid(book: Book, order: Any, placed: Any) -> bool:
    at = order.rows
    while at != NONE:
        if _removes(book, book.rows[at], placed):
            return True
        at = book.rows[at].order_next
        if at == order.rows:
            return False
    return False


@compiled
def _removes(book: Book, row: Any, placed: Any) -> bool:
    horizon_ms = book.rule[0].horizon_ms
    started, first = start_of(book, row), first_of(book, row)
    return bool(started > placed.occurred - horizon_ms and first < placed.occurred + horizon_ms)


@compiled
def _cancelled_ms(book: Book, order: Any, placed: Any) -> int:
    """When the order was last cancelled or confirmed within H of being placed, or NONE."""
    latest = NONE
    at = order.events
    while at != NONE:
        other = book.order_events[at]
        if other.kind != PLACED and 0 <= other.occurred - placed.occurred < book.rule[0].horizon_ms:
            latest = max(latest, other.occurred)
        at = other.next
    return latest


@compiled
def _show(book: Book, order: Any, placed: Any) -> None:
    """Make or change the half green row of a placed order."""
    cancelled_ms = _cancelled_ms(book, order, placed)
    status = PENDING if cancelled_ms == NONE else CANCELLED
    occurred = max(cancelled_ms, placed.occurred)
    if placed.row == NONE:
        _open_row(book, order, placed, status, occurred)
        return
    row, state = book.rows[placed.row], book.state[0]
    touch(book, row, order.touched)
    if row.status == status and occurred_of(book, row) == occurred:
        return
    if row.cell == CLOSED:
        if state.noted_ms == NONE:
            state.too_late += 1
        _say(book, row, placed, status, occurred)
        return
    count_row(book, placed.row, -1)
    unlink(book, placed.row)
    _say(book, row, placed, status, occurred)
    link(book, placed.row)
    count_row(book, placed.row, 1)


@compiled
def _open_row(book: Book, order: Any, placed: Any, status: int, occurred: int) -> None:
    at = new_row(book)
    row, state = book.rows[at], book.state[0]
    row.marks |= HALF_GREEN
    row.payment, row.order = order_payment(order.order, placed.occurred), order.order
    row.shopper, row.code = placed.shopper, NONE
    name_counters(book, row, placed.merchant, placed.leaf)
    _say(book, row, placed, status, occurred)
    begin_touched(row, order.touched)
    placed.row = at
    put_in_cell(book, at)
    join_group(book, at)
    state.newest_start_ms = max(state.newest_start_ms, start_of(book, row))
    if row.cell == CLOSED and state.noted_ms == NONE:
        state.too_late += 1


@inlined
def _say(book: Book, row: Any, placed: Any, status: int, occurred: int) -> None:
    row.status = status
    set_times(book, row, start_within(book, placed.occurred, occurred, occurred), occurred, placed.occurred)


@compiled
def _drop(book: Book, placed: Any) -> None:
    """Take a half green row away; one whose pane has closed is left to the wheel."""
    at, state = placed.row, book.state[0]
    placed.row = NONE
    leave_group(book, at)
    if book.rows[at].cell == CLOSED:
        book.rows[at].cell = DEAD
        if state.noted_ms == NONE:
            state.too_late += 1
    else:
        take_from_cell(book, at)
        free_row(book, at)


@compiled
def _to_wheel(book: Book, at: int) -> None:
    order, state = book.orders[at], book.state[0]
    due = (order.touched + 2 * book.rule[0].horizon_ms) // MINUTE_MS + 1
    bucket = max(due, state.swept + 1) % book.wheel.shape[1]
    order.next = book.wheel[1, bucket]
    book.wheel[1, bucket] = at


@compiled
def forget_order_events(book: Book, at: int) -> None:
    """Forget an order's events once 2 H of log time have gone by since the newest, and none is of a vote block that is
    open: a placed order whose payment turns out to be another's votes there again."""
    order, state, rule = book.orders[at], book.state[0], book.rule[0]
    young = order.touched + 2 * rule.horizon_ms >= state.log_time_ms
    event_at = order.events
    while event_at != NONE:
        young = young or book.order_events[event_at].occurred // rule.block_ms >= state.first_block
        event_at = book.order_events[event_at].next
    if young:
        _to_wheel(book, at)
        return
    while order.events != NONE:
        event_at = order.events
        order.events = book.order_events[event_at].next
        book.order_events[event_at].next = state.order_event_free
        state.order_event_free = event_at
    order.count = 0
    _forget_if_empty(book, at)
