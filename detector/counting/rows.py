"""What a row of the ledger says, in as few bytes as it takes: a source holds 20 minutes of payments.

Leaf and merchant are those of the counters it is counted in (`details`). Its start is in milliseconds after the book's
base, which moves on with the boundaries (`move_base`); the other times are milliseconds after the start. When it was
touched is a minute of log time, without the days. So what lies before the base is taken to lie there, and a payment
whose events are more than SPAN_MS apart to have begun as late as that allows: nothing that is told depends on it, for
the pane of either start has closed, and no order that is open asks for it. Does not know why a row changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.compiled import compiled, inlined
from detector.counting.book import MINUTE_MS, Book

SPAN_MS = 0xFFFFFFFF
"""What four bytes of milliseconds span: 49 days."""
DAY_MS = 86_400_000
_VOTE_BIT = 6
ALONE, VOTE, HALF_GREEN, NO_VOTE = 1 << 5, 1 << _VOTE_BIT, 1 << 7, 0xFF ^ (1 << _VOTE_BIT)
"""`row.marks`; the bits below say which statuses were seen. ALONE: see `mates.index_payment`."""
_MINUTES = 0xFFFF


@inlined
def leaf_of(book: Book, row: Any) -> int:
    """The leaf of a row in any state."""
    return int(book.merchants[row.counters].leaf)


@inlined
def voter_of(row: Any) -> np.uint64:
    """The hash of who pays: the shopper, or the order where nobody says who."""
    return np.uint64(row.shopper if row.shopper != 0 else row.order)


@inlined
def vote_of(row: Any) -> int:
    """1 where the row is a vote, else 0."""
    return (int(row.marks) >> _VOTE_BIT) & 1


# Times


@inlined
def start_of(book: Book, row: Any) -> int:
    """When the payment began, ms."""
    return int(book.state[0].base_ms + row.start)


@inlined
def occurred_of(book: Book, row: Any) -> int:
    """`occurred_at` of the event that won, ms."""
    return start_of(book, row) + int(row.after)


@inlined
def first_of(book: Book, row: Any) -> int:
    """The earliest `occurred_at` of the payment's events, ms."""
    return start_of(book, row) + int(row.first)


@inlined
def start_within(book: Book, start: int, occurred: int, first: int) -> int:
    """The start that a row with these times has."""
    return int(max(start, book.state[0].base_ms, max(occurred, first) - SPAN_MS))


@inlined
def set_times(book: Book, row: Any, start: int, occurred: int, first: int) -> None:
    """Let a row say these times; `start` is one of `start_within`."""
    row.start = start - book.state[0].base_ms
    row.after, row.first = max(occurred - start, 0), max(first - start, 0)


@compiled
def move_base(book: Book, next_ms: int) -> None:
    """Take the base along where the boundary is far from it, or none was yet; rows are to say the same as before."""
    rule, state = book.rule[0], book.state[0]
    kept_ms = rule.open_ms + rule.horizon_ms + rule.block_ms + rule.pane_ms + DAY_MS
    if next_ms - state.base_ms <= rule.base_moves_ms and state.rows > 0:
        return
    by = next_ms - kept_ms - state.base_ms
    for at in range(state.rows):
        _begin_later(book.rows[at], by)
    state.base_ms += by


@inlined
def _begin_later(row: Any, by: int) -> None:
    moved = int(row.start) - by
    row.start = max(moved, 0)
    if moved < 0:
        row.after, row.first = max(int(row.after) + moved, 0), max(int(row.first) + moved, 0)


@inlined
def begins_before(one: Any, other: Any) -> bool:
    """Whether a payment began before another; of two in one millisecond the lesser hash did."""
    return bool(one.start < other.start or (one.start == other.start and one.payment < other.payment))


@inlined
def took_long(row: Any, answer_ms: int) -> bool:
    """Whether what is known of a payment came only after the `answer_ms` of its leaf, which may be none (-1)."""
    return bool(answer_ms >= 0 and row.after >= answer_ms)


# Log time


@inlined
def begin_touched(row: Any, log_time: int) -> None:
    """Note when the first event of the row came."""
    row.touched = (log_time // MINUTE_MS) & _MINUTES


@inlined
def touch(book: Book, row: Any, log_time: int) -> None:
    """Note that another event of the row came at this log time; an event that was held may be merged after a newer."""
    now, minute = book.state[0].log_time_ms // MINUTE_MS, log_time // MINUTE_MS
    if (now - minute) & _MINUTES < (now - int(row.touched)) & _MINUTES:
        row.touched = minute & _MINUTES


@inlined
def touched_ms(book: Book, row: Any) -> int:
    """The end of the minute in which the newest event came, ms of log time."""
    minute = book.state[0].log_time_ms // MINUTE_MS
    return int(minute - ((minute - int(row.touched)) & _MINUTES) + 1) * MINUTE_MS - 1
