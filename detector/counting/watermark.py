"""When an event's time has come: log time, its doubted jumps, the watermark, held events and the boundaries passed.

A boundary B covers `occurred_at` < B. It is cut between two events, as soon as the watermark has reached it, and what
occurred later is held until then: any split of the events into batches gives the same cuts.

Log time is the running maximum of the records' own, of each topic: the other may be read far ahead, and which first is
chance, so what it says decides nothing of a record. The source's log time, by which is forgotten, is that of the topic
that is further. A record far ahead of its topic's is in doubt, and waits (`doubt`). Knows neither what merging an event
does (`ledger`) nor what is told at a cut (`cut`).
"""

from __future__ import annotations

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.compiled import compiled, inlined
from detector.counting.book import BOUNDARY_MS, HOLD_SECONDS, MINUTE_MS, TOPICS, Book
from detector.counting.cells import begin
from detector.counting.columns import NONE, SPARE
from detector.counting.cut import cut, details_due, mark_all, unmark_all
from detector.counting.doubt import (
    BELIEVE,
    REFUSE,
    WAIT,
    doubt,
    jumps,
    known_ms_of,
    says_two,
    undoubted_ms,
    verdict_on,
)
from detector.counting.ledger import merge, prefetch_event, prefetch_rows
from detector.counting.sweep import sweep

LOOKED_UP_AHEAD, FOUND_AHEAD = 16, 8
"""By how many events the indexes, and what they lead to, are asked for before one is merged."""
BACKLOG_MS = 86_400_000
"""How far before the first watermark the first boundary may lie."""

DONE, CUT, GROW, CUT_ROOM = range(4)
"""Why `step` came back: all was read; a boundary was cut; a table must grow; the next cut needs more room."""
SNAPSHOT, SNAPSHOT_WITH_DETAILS = 1, 2
"""`state.cut_snapshot` while a snapshot is told, else 0."""


@compiled
def step(
    book: Book, position: int, topic: int, kind: UInt8s, status: UInt8s, leaf: Int32s, code: Int32s, payment: UInt64s,
    order: UInt64s, shopper: UInt64s, merchant: UInt64s, occurred: Int64s, started: Int64s, log_time: Int64s,
    offset: Int64s,
) -> tuple[int, int]:  # fmt: skip
    """Read events from `position` on until there is something to say; (why, how far)."""
    state = book.state[0]
    while True:
        if state.full:
            return GROW, position
        if state.releasing != NONE:
            _release(book)
            continue
        if state.next_ms != NONE and state.watermark_ms >= state.next_ms:
            if state.dirty > len(book.out_cells):
                return CUT_ROOM, position
            if _pass_boundary(book):
                return CUT, position
            continue
        if _settle_doubt(book):
            continue
        if position == len(kind):
            return DONE, position
        at = _new_held(book)
        event = book.hold[at]
        event.topic, event.next = topic, NONE
        event.kind, event.status = kind[position], status[position]
        event.leaf, event.code = leaf[position], code[position]
        event.payment, event.order = payment[position], order[position]
        event.shopper, event.merchant = shopper[position], merchant[position]
        event.occurred, event.started = occurred[position], started[position]
        event.log_time, event.offset = log_time[position], offset[position]
        position += 1
        if book.topics[topic].doubted > 0 or jumps(book, event):
            doubt(book, at)
        else:
            _arrive(book, at)


@inlined
def _new_held(book: Book) -> int:
    state = book.state[0]
    state.held += 1
    at = state.hold_free
    if at != NONE:
        state.hold_free = book.hold[at].next
        return int(at)
    at = state.hold
    state.hold += 1
    if state.hold + SPARE > len(book.hold):
        state.full = 1
    return int(at)


@inlined
def _free_held(book: Book, at: int) -> None:
    state = book.state[0]
    state.held -= 1
    book.hold[at].next = state.hold_free
    state.hold_free = at


# Doubt


@inlined
def _settle_doubt(book: Book) -> bool:
    """Let the first doubted record of a topic go on, where that is decided; False: none is."""
    for number in range(TOPICS):
        topic = book.topics[number]
        if topic.doubted == 0:
            continue
        at = topic.doubt
        verdict = verdict_on(book, topic)
        if verdict != WAIT:
            if verdict == REFUSE and says_two(book, book.hold[at]):
                book.hold[at].log_time = book.hold[at].occurred
                return True
            topic.doubt = book.hold[at].next
            topic.doubted -= 1
            if verdict == BELIEVE:
                _arrive(book, at)
            else:
                _pass_over(book, at)
            return True
    return False


@compiled
def _pass_over(book: Book, at: int) -> None:
    """Take a record without believing its log time."""
    event = book.hold[at]
    known_ms = known_ms_of(book, event)
    if known_ms == NONE or event.occurred > known_ms + book.rule[0].clock_ahead_ms:
        _reject(book, at)
    else:
        event.log_time = known_ms
        _arrive(book, at)


@compiled
def _reject(book: Book, at: int) -> None:
    state = book.state[0]
    book.rejects[state.rejects, 0], book.rejects[state.rejects, 1] = book.hold[at].topic, book.hold[at].offset
    state.rejects += 1
    if state.rejects + SPARE > len(book.rejects):
        state.full = 1
    if state.noted_ms == NONE:
        state.clock_ahead += 1
    _free_held(book, at)


# Arrival


@compiled
def _arrive(book: Book, at: int) -> None:
    """Let a record move time; merge it, or hold it until its boundary."""
    state, event = book.state[0], book.hold[at]
    topic = book.topics[event.topic]
    topic.log_time_ms = max(topic.log_time_ms, event.log_time)
    if event.log_time > state.log_time_ms:
        state.log_time_ms = event.log_time
        if event.log_time // MINUTE_MS > state.swept:
            sweep(book)
    if event.occurred > topic.log_time_ms + book.rule[0].clock_ahead_ms:
        _reject(book, at)
        return
    event.log_time = state.log_time_ms
    topic.newest = max(topic.newest, min(event.occurred, topic.log_time_ms))
    if state.next_ms != NONE and event.occurred < state.next_ms:
        merge(book, event)
        _free_held(book, at)
    else:
        _hold(book, at)
    move_watermark(book)


@compiled
def _hold(book: Book, at: int) -> None:
    place = book.hold[at].occurred // BOUNDARY_MS % HOLD_SECONDS
    book.hold[at].next = NONE
    if book.held_at[0, place] == NONE:
        book.held_at[0, place] = at
    else:
        book.hold[book.held_at[1, place]].next = at
    book.held_at[1, place] = at


@compiled
def move_watermark(book: Book) -> None:
    """Take the watermark to where the topics allow, and what is in doubt; it never goes back."""
    state, first, second = book.state[0], book.topics[0], book.topics[1]
    newest = max(first.newest, second.newest)
    if state.held > book.rule[0].hold_max:
        state.held_over += state.noted_ms == NONE  # the topic that lags no longer holds the other back
    elif not first.ended and not second.ended:
        newest = min(first.newest, second.newest)
    elif not first.ended:
        newest = first.newest
    elif not second.ended:
        newest = second.newest
    if newest == NONE:
        return
    state.watermark_ms = max(state.watermark_ms, min(newest - book.rule[0].lateness_ms, undoubted_ms(book)))
    if state.next_ms == NONE:
        _first_boundary(book)


@compiled
def jump_to_noted(book: Book) -> None:
    """Take a watermark that is below the noted boundary there."""
    state = book.state[0]
    state.watermark_ms = max(state.watermark_ms, state.noted_ms)
    if state.next_ms == NONE:
        _first_boundary(book)


@compiled
def _first_boundary(book: Book) -> None:
    """Begin with the boundary that covers the oldest event held."""
    state = book.state[0]
    oldest = state.watermark_ms
    for place in range(HOLD_SECONDS):
        at = book.held_at[0, place]
        while at != NONE:
            oldest = min(oldest, book.hold[at].occurred)
            at = book.hold[at].next
    oldest = max(oldest, state.watermark_ms - BACKLOG_MS)
    next_ms = (oldest // BOUNDARY_MS + 1) * BOUNDARY_MS
    if state.noted_ms != NONE:
        next_ms = min(next_ms, state.noted_ms)
    begin(book, next_ms)
    for place in range(HOLD_SECONDS):
        _let_go(book, place)


@compiled
def _let_go(book: Book, place: int) -> None:
    """Let the events of one place of the ring go that the next boundary covers; the others stay."""
    state, at = book.state[0], book.held_at[0, place]
    book.held_at[0, place] = NONE
    while at != NONE:
        event = book.hold[at]
        following = event.next
        if event.occurred < state.next_ms:
            event.next = state.releasing
            state.releasing = at
        else:
            _hold(book, at)
        at = following


# Boundaries


@compiled
def _pass_boundary(book: Book) -> bool:
    """Cut the boundary `next_ms` and go to the next at which something waits; whether there is something to tell."""
    state = book.state[0]
    last_ms = state.watermark_ms // BOUNDARY_MS * BOUNDARY_MS
    if state.noted_ms == NONE:
        changed = state.dirty > 0
        with_details = details_due(book, changed)
        told = changed or with_details or state.next_ms == last_ms
        if told:
            state.cut_snapshot = 0
            cut(book, with_details)
    else:
        told = state.next_ms == state.noted_ms
        if not state.cut_snapshot:
            # In silence too, so that what rides on later boundaries is what rode on them before the move.
            with_details = details_due(book, state.dirty > 0)
            unmark_all(book)
        if told and not state.cut_snapshot:
            mark_all(book)
            state.cut_snapshot = SNAPSHOT_WITH_DETAILS if with_details else SNAPSHOT
            if state.dirty > len(book.out_cells):
                return False  # `step` asks for room and comes again
        if told:
            cut(book, state.cut_snapshot == SNAPSHOT_WITH_DETAILS)
            state.noted_ms = NONE
    _go_to(book, _next_boundary(book, last_ms))
    return bool(told)


@compiled
def _next_boundary(book: Book, last_ms: int) -> int:
    """The next boundary that covers a held event, at which details are due, the last one passed, or the noted one."""
    state = book.state[0]
    next_ms = state.next_ms + BOUNDARY_MS
    if next_ms > last_ms:
        return int(next_ms)
    until_ms = min(last_ms, state.noted_ms) if state.noted_ms >= next_ms else last_ms
    if state.details_changed and next_ms <= state.details_due_ms < until_ms:
        until_ms = state.details_due_ms
    first = next_ms // BOUNDARY_MS - 1
    for second in range(first, min(until_ms // BOUNDARY_MS, first + HOLD_SECONDS)):
        if book.held_at[0, second % HOLD_SECONDS] != NONE:
            return (second + 1) * BOUNDARY_MS
    return int(until_ms)


@compiled
def _go_to(book: Book, next_ms: int) -> None:
    """Make a boundary the next, and let the events go that it covers."""
    begin(book, next_ms)
    place = (next_ms // BOUNDARY_MS - 1) % HOLD_SECONDS
    book.state[0].releasing = book.held_at[0, place]
    book.held_at[0, place] = NONE


@compiled
def _release(book: Book) -> None:
    """Merge the events that were let go, or hold them again where they share their place with another time."""
    state = book.state[0]
    looked_up = found = state.releasing
    for _ in range(LOOKED_UP_AHEAD):
        looked_up = _look_up_ahead(book, looked_up)
    for _ in range(FOUND_AHEAD):
        found = _find_ahead(book, found)
    while state.releasing != NONE and not state.full:
        looked_up, found = _look_up_ahead(book, looked_up), _find_ahead(book, found)
        at = state.releasing
        state.releasing = book.hold[at].next
        if book.hold[at].occurred < state.next_ms:
            merge(book, book.hold[at])
            _free_held(book, at)
        else:
            _hold(book, at)


@inlined
def _look_up_ahead(book: Book, at: int) -> int:
    """Ask for the places of the indexes that merging a held event looks at; the one that follows it."""
    if at == NONE:
        return NONE
    prefetch_event(book, book.hold[at])
    return int(book.hold[at].next)


@inlined
def _find_ahead(book: Book, at: int) -> int:
    """Ask for what the indexes lead to, once they are there; the held event that follows."""
    if at == NONE:
        return NONE
    prefetch_rows(book, book.hold[at])
    return int(book.hold[at].next)
