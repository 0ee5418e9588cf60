"""Records whose log time is in doubt: which are, who decides, and how far time may go meanwhile.

A record more than `clock_ahead_ms` ahead of its topic's log time is *doubted*, and what follows on the topic waits
behind it, in order, until of the next 20 records most lie beyond it too (not more than `clock_ahead_ms` before it), or
the watermark has come near: then time moves as if there had been no doubt. Where the topic is read to its end, the
watermark comes near and no further, or what waits would be late. Otherwise the record is passed over. So is a topic's
first record, which may be any after a restart: refuted, it is asked about once more with its `occurred_at` for a log
time. In a pause, or at the end of what there is (`flush`), those that came decide; where none did, and somebody says
what o'clock it is, whether that is near enough. Does not know what becomes of a record that is believed or passed over.
"""

from __future__ import annotations

from typing import Any

from detector.compiled import compiled, inlined
from detector.counting.book import TOPICS, Book
from detector.counting.columns import NONE

WITNESSES = 20
LONE_JUMP_MS = 30 * 86_400_000
"""How far time may jump on the word of fewer than 20 witnesses: a bank may rest for days, and none sells in 2099."""
NEVER_MS = 1 << 62

WAIT, BELIEVE, REFUSE = range(3)
"""What may be decided."""


@inlined
def jumps(book: Book, event: Any) -> bool:
    """Whether the record's log time is to be doubted, as far as is known now."""
    known_ms = known_ms_of(book, event)
    return bool(known_ms == NONE or event.log_time > known_ms + book.rule[0].clock_ahead_ms)


@inlined
def known_ms_of(book: Book, event: Any) -> int:
    """What time it is at least where the event stands in its topic. The watermark is beyond the topic's log time only
    where nothing is left to read of it, or too much waits for it."""
    return int(max(book.topics[event.topic].log_time_ms, book.state[0].watermark_ms))


@inlined
def says_two(book: Book, event: Any) -> bool:
    """Whether there is no log time yet, and this record gives it two to choose from."""
    return bool(known_ms_of(book, event) == NONE and event.log_time != event.occurred)


@compiled
def doubt(book: Book, at: int) -> None:
    """Let a record wait, behind those of its topic that do."""
    topic = book.topics[book.hold[at].topic]
    if topic.doubted > 0:
        book.hold[topic.doubt_last].next = at
    else:
        topic.doubt = at
    topic.doubt_last = at
    topic.doubted += 1


@compiled
def verdict_on(book: Book, topic: Any) -> int:
    """What is decided of the first doubted record of a topic that has one."""
    state, doubted = book.state[0], book.hold[topic.doubt]
    if not jumps(book, doubted):
        return BELIEVE
    least_ms = doubted.log_time - book.rule[0].clock_ahead_ms
    witnesses = min(WITNESSES, topic.doubted - 1)
    agreeing, at = 0, doubted.next
    for _ in range(witnesses):
        agreeing += book.hold[at].log_time > least_ms
        at = book.hold[at].next
    if 2 * agreeing > WITNESSES:
        return BELIEVE
    if 2 * (witnesses - agreeing) >= WITNESSES:
        return REFUSE
    if not state.flush:
        return WAIT
    if 2 * agreeing < witnesses:
        return REFUSE
    if state.clock_ms != NONE:  # more will come, and can be asked
        return BELIEVE if doubted.log_time <= state.clock_ms + book.rule[0].clock_ahead_ms else WAIT
    known_ms = known_ms_of(book, doubted)
    is_first = known_ms == NONE
    since_ms = doubted.occurred if is_first else known_ms
    if doubted.log_time - since_ms <= LONE_JUMP_MS or (is_first and witnesses > 0):
        return BELIEVE
    return WAIT if is_first else REFUSE  # an event of 1970, or a time of 2099


@inlined
def undoubted_ms(book: Book) -> int:
    """How far the watermark may go: where it is near the first doubted record of a topic that is read to its end, that
    is believed."""
    until_ms = NEVER_MS
    for number in range(TOPICS):
        topic = book.topics[number]
        if topic.ended and topic.doubted > 0:
            until_ms = min(until_ms, book.hold[topic.doubt].log_time - book.rule[0].clock_ahead_ms)
    return until_ms
