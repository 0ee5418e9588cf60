"""The newest status of every payment: a join of events in which neither order, copies nor batches leave a trace.

Per payment, which its order and its id name: `start` = the least (`started_at`, else `occurred_at`) of its events; the
winning event gives status, leaf, merchant and code: an answer beats `cancelled` beats `pending`, then the later
`occurred_at`, then the rank of the status, then the hash of leaf, merchant and code. Answers H or more after their own
start never touch the row.
Does not know when an event is due (`watermark`) nor how cells are summed (`cut`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.arrays import Int64s
from detector.compiled import compiled, inlined
from detector.counting.ages import answer_bin
from detector.counting.book import CLOSED, Book
from detector.counting.cells import cell_for, link, mark, new_row, put_in_cell, take_from_cell, unlink
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, NONE, PAYMENT, PENDING, SPARE
from detector.counting.details import count_row, name_counters
from detector.counting.hashing import mix, pair
from detector.counting.index import find, home_of, put, row_near, tag_of
from detector.counting.mates import enter_ring, index_payment, look_up, payment_key, tell_mates
from detector.counting.orders import link_payment, merge_order, settle_order
from detector.counting.rows import (
    begin_touched,
    first_of,
    leaf_of,
    occurred_of,
    set_times,
    start_of,
    start_within,
    touch,
    voter_of,
)
from detector.counting.sums import sum_at_once
from detector.counting.votes import join_group, leave_group
from detector.prefetch import prefetch


@compiled
def merge(book: Book, event: Any) -> None:
    """Merge one event whose time has come."""
    state = book.state[0]
    if state.noted_ms != NONE:
        state.rebuilt += 1
    else:
        state.events += 1
    if event.topic == 0:
        state.offset = max(state.offset, event.offset)
    if event.kind != PAYMENT:
        merge_order(book, event)
    elif event.started != NONE and event.occurred - event.started >= book.rule[0].horizon_ms:
        _merge_late_answer(book, event)
    else:
        _merge_payment(book, event)


@inlined
def prefetch_event(book: Book, event: Any) -> None:
    """Ask for the memory that merging the event will look at first."""
    leaf_hash = book.leaf_hash[event.leaf] if event.leaf != NONE else np.uint64(0)
    _prefetch_slots(book.row_slots, event.order)
    if book.state[0].orders_seen:
        _prefetch_slots(book.order_slots, event.order)
    _prefetch_slots(book.merchant_slots, pair(event.merchant, leaf_hash))
    if book.rule[0].votes:
        _prefetch_slots(book.groups, pair(voter_of(event), leaf_hash))


@inlined
def prefetch_rows(book: Book, event: Any) -> None:
    """Ask for what the indexes lead to, once they are there."""
    leaf_hash = book.leaf_hash[event.leaf] if event.leaf != NONE else np.uint64(0)
    slots = book.merchant_slots
    at = row_near(slots, tag_of(pair(event.merchant, leaf_hash)))
    if at != NONE:
        prefetch(book.merchants, at)
    at = row_near(book.row_slots, tag_of(event.order))
    if at != NONE:
        prefetch(book.rows, at)


@inlined
def _prefetch_slots(slots: Int64s, key: np.uint64) -> None:
    home = home_of(slots, tag_of(key))
    prefetch(slots, home)
    prefetch(slots, min(home + 6, len(slots) - 1))


@inlined
def event_start(event: Any) -> int:
    """When the event says its payment began; no payment begins after its own event."""
    return int(min(event.started, event.occurred) if event.started != NONE else event.occurred)


@inlined
def record_hash(book: Book, event: Any) -> np.uint64:
    """The hash of what a payment event says; free of the numbers that names happen to have."""
    said = mix(mix(event.payment, np.uint64(event.status)), mix(np.uint64(event.occurred), np.uint64(event.started)))
    return mix(said, _said_hash(book, event.leaf, event.merchant, event.code))


@compiled
def _merge_payment(book: Book, event: Any) -> None:
    key = payment_key(event)
    at, mate = look_up(book, event.order, key)
    if at == NONE:
        at = _open_row(book, event, key, mate)
    else:
        _join(book, at, event)
    sum_at_once(book, at)
    row, state = book.rows[at], book.state[0]
    state.newest_start_ms = max(state.newest_start_ms, start_of(book, row))
    _note_status(book, at, event)


@inlined
def _note_status(book: Book, at: int, event: Any) -> None:
    """Count once, for the metric, that the payment reached the event's status; `at` is its row, or NONE."""
    if at != NONE:
        row = book.rows[at]
        if row.marks & (1 << event.status):
            return
        row.marks |= 1 << event.status
    if book.state[0].noted_ms == NONE:
        book.totals[event.leaf, event.status] += 1


@compiled
def _open_row(book: Book, event: Any, key: np.uint64, mate: int) -> int:
    at = new_row(book)
    row, state = book.rows[at], book.state[0]
    row.payment, row.order, row.shopper = key, event.order, event.shopper
    begin_touched(row, event.log_time)
    _win(book, row, event)
    start = start_within(book, event_start(event), event.occurred, event.occurred)
    set_times(book, row, start, event.occurred, event.occurred)
    index_payment(book, at)
    put_in_cell(book, at)
    join_group(book, at)
    if row.cell == CLOSED and state.noted_ms == NONE:
        state.too_late += 1
    if state.orders_seen:
        link_payment(book, at)
        settle_order(book, row.order)
        tell_mates(book, at)
    elif mate != NONE and enter_ring(book, mate, at):
        tell_mates(book, at)
    return at


@compiled
def _join(book: Book, at: int, event: Any) -> None:
    """Join an event to the row there is, and move the row to where it now belongs."""
    row = book.rows[at]
    touch(book, row, event.log_time)
    wins, leaf = _beats(book, event, row), leaf_of(book, row)
    occurred = event.occurred if wins else occurred_of(book, row)
    known_start, known_first = start_of(book, row), first_of(book, row)
    first = min(known_first, event.occurred)
    start = start_within(book, min(known_start, event_start(event)), occurred, first)
    shopper = _least_known(row.shopper, event.shopper)
    moves = start != known_start or shopper != row.shopper or (wins and event.leaf != leaf)
    if moves:
        _move(book, at, event, wins, start, occurred, first, shopper)
    elif wins:
        _change(book, at, event, first)
    else:
        set_times(book, row, start, occurred, first)
    if book.state[0].orders_seen and (moves or first != known_first):
        settle_order(book, row.order)


@compiled
def _move(
    book: Book, at: int, event: Any, wins: bool, start: int, occurred: int, first: int, shopper: np.uint64,
) -> None:  # fmt: skip
    """Take the row out of its chains, change it, and chain it anew."""
    row, state = book.rows[at], book.state[0]
    was_closed = row.cell == CLOSED
    leave_group(book, at)
    if not was_closed:
        take_from_cell(book, at)
    tell_mates(book, at)
    row.shopper = shopper
    if wins:
        _win(book, row, event)
    set_times(book, row, start, occurred, first)
    put_in_cell(book, at)
    join_group(book, at)
    if (was_closed or row.cell == CLOSED) and state.noted_ms == NONE:
        state.too_late += 1


@compiled
def _change(book: Book, at: int, event: Any, first: int) -> None:
    """Give a row that stays in its chains what the winning event says."""
    row, state = book.rows[at], book.state[0]
    if row.cell == CLOSED:
        _win(book, row, event)
        set_times(book, row, start_of(book, row), event.occurred, first)
        tell_mates(book, at)
        if state.noted_ms == NONE:
            state.too_late += 1
        return
    count_row(book, at, -1)
    unlink(book, at)
    _win(book, row, event)
    set_times(book, row, start_of(book, row), event.occurred, first)
    link(book, at)
    count_row(book, at, 1)
    tell_mates(book, at)


@inlined
def _win(book: Book, row: Any, event: Any) -> None:
    """Let the row, which is counted nowhere, say what the event says, but for the times."""
    row.status, row.code = event.status, event.code
    name_counters(book, row, event.merchant, event.leaf)


@inlined
def _beats(book: Book, event: Any, row: Any) -> bool:
    """Whether the event is the winner over the row's."""
    if event.status != row.status:
        ours, theirs = _finality(event.status), _finality(row.status)
        if ours != theirs:
            return ours > theirs
    occurred = occurred_of(book, row)
    if event.occurred != occurred:
        return bool(event.occurred > occurred)
    if event.status != row.status:
        return _rank(event.status) > _rank(row.status)
    named = book.merchants[row.counters]
    said = _said_hash(book, event.leaf, event.merchant, event.code)
    return bool(said > _said_hash(book, named.leaf, named.merchant, row.code))


@inlined
def _said_hash(book: Book, leaf: int, merchant: np.uint64, code: int) -> np.uint64:
    """The hash of all in which two events of a payment can differ that say one status of one moment."""
    code_hash = book.code_hash[code] if code != NONE else np.uint64(0)
    return mix(mix(book.leaf_hash[leaf], merchant), code_hash)


@inlined
def _finality(status: int) -> int:
    """An answer beats `cancelled` beats `pending`."""
    if status == PENDING:
        return 0
    return 1 if status == CANCELLED else 2


@inlined
def _rank(status: int) -> int:
    """Which of two answers in one millisecond wins."""
    if status == APPROVED:
        return 2
    return 1 if status == DECLINED else 0


@inlined
def _least_known(one: np.uint64, other: np.uint64) -> np.uint64:
    if one == 0 or other == 0:
        return max(one, other)
    return min(one, other)


@compiled
def _merge_late_answer(book: Book, event: Any) -> None:
    """Count a late answer once, in the pane of its `occurred_at`; of two that differ the larger record speaks."""
    state = book.state[0]
    pane = event.occurred // book.rule[0].pane_ms
    if pane < state.first_pane:
        if state.noted_ms == NONE:
            state.too_late += 1
        return
    key = mix(mix(payment_key(event), np.uint64(event.occurred)), np.uint64(event.status))
    at = find(book.late_slots, book.lates["key"], key)
    record = record_hash(book, event)
    if at == NONE:
        at = _open_late(book, key)
        if state.noted_ms == NONE:
            state.late_answers += 1
        _note_status(book, look_up(book, event.order, payment_key(event))[0], event)
    elif record > book.lates[at].record:
        _unchain_late(book, at)
    else:
        return
    late = book.lates[at]
    late.record, late.start, late.status = record, event.started, event.status
    late.age = answer_bin(event.started, event.occurred, book.rule[0].pane_ms)
    late.cell = cell_for(book, pane, event.leaf)
    _chain_late(book, at)


@compiled
def _open_late(book: Book, key: np.uint64) -> int:
    state = book.state[0]
    at = state.late_free
    if at != NONE:
        state.late_free = book.lates[at].next
    else:
        at = state.lates
        state.lates += 1
    book.lates[at].key = key
    state.late_indexed += 1
    if put(book.late_slots, tag_of(key), at, state.late_indexed) or state.lates + SPARE > len(book.lates):
        state.full = 1
    return int(at)


@inlined
def _chain_late(book: Book, at: int) -> None:
    late = book.lates[at]
    cell = book.cells[late.cell]
    late.next, late.previous = cell.lates, NONE
    if cell.lates != NONE:
        book.lates[cell.lates].previous = at
    cell.lates = at
    mark(book, late.cell)


@inlined
def _unchain_late(book: Book, at: int) -> None:
    late = book.lates[at]
    if late.previous == NONE:
        book.cells[late.cell].lates = late.next
    else:
        book.lates[late.previous].next = late.next
    if late.next != NONE:
        book.lates[late.next].previous = late.previous
    mark(book, late.cell)
