"""Which rows are votes: the earliest payment (start, then hash) of a voter x leaf in an aligned block of starts.

A group chains the rows of one voter x leaf x block, the vote at its head, which an index finds; it lives until the last
pane of its block has closed, so that a closed payment keeps its vote. Does not know what a vote is used for.
"""

from __future__ import annotations

from typing import Any

from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.cells import mark, mark_row
from detector.counting.columns import NONE
from detector.counting.hashing import pair
from detector.counting.index import enter, first_at, has_tag, remove_at, row_at, set_slot, tag_of
from detector.counting.rows import NO_VOTE, VOTE, begins_before, leaf_of, start_of, voter_of

HEIRS_MAX = 64
"""Among how many of a group the earliest is looked for where its vote leaves it, the last that came; a group that has
more is counted as `crowded`: a shop that gives all its guests one name must cost no more than others."""


@inlined
def _block_of(book: Book, at: int) -> int:
    return start_of(book, book.rows[at]) // int(book.rule[0].block_ms)


@inlined
def _tag_of_group(book: Book, row: Any, block: int) -> int:
    """The tag of a voter x leaf x block: its last bits are those of the block, by which it is forgotten (`begin`)."""
    mask = book.rule[0].block_mask
    tag = tag_of(pair(voter_of(row), book.leaf_hash[leaf_of(book, row)]))
    return int((tag & ~mask) | (block & mask))


@compiled
def join_group(book: Book, at: int) -> None:
    """Chain the row in its group, where the block is still open; it may take the vote."""
    row, state, block, slots = book.rows[at], book.state[0], _block_of(book, at), book.groups
    if book.rule[0].votes == 0 or block < state.first_block:
        return
    tag = _tag_of_group(book, row, block)
    first = first_at(slots, tag)
    place = _place_of_group(book, first, tag, row)
    ballots = book.ballots
    ballots[at].next = ballots[at].previous = NONE
    if place == NONE:
        state.groups += 1
        if enter(slots, first, tag, at, state.groups):
            state.full = 1
        _set_vote(book, at, 1)
        return
    head = row_at(slots, place)
    if begins_before(row, book.rows[head]):
        ballots[at].next, ballots[head].previous = head, at
        set_slot(slots, place, tag, at)
        _set_vote(book, head, 0)
        _set_vote(book, at, 1)
    else:
        _chain_after(book, head, at)


@compiled
def leave_group(book: Book, at: int) -> None:
    """Unchain the row from its group, where the block is still open; its vote goes to the next earliest."""
    row, state, block, slots = book.rows[at], book.state[0], _block_of(book, at), book.groups
    if book.rule[0].votes == 0 or block < state.first_block:
        return
    ballots = book.ballots
    if ballots[at].previous != NONE:
        _unchain(book, at)
        return
    tag = _tag_of_group(book, row, block)
    place = _place_of_group(book, first_at(slots, tag), tag, row)
    _set_vote(book, at, 0)
    if ballots[at].next == NONE:
        remove_at(slots, place)
        state.groups -= 1
        return
    best = _earliest(book, ballots[at].next)
    if best != ballots[at].next:
        _unchain(book, best)
        _chain_after(book, at, best)
    ballots[best].previous = NONE
    set_slot(slots, place, tag, best)
    _set_vote(book, best, 1)


@inlined
def _place_of_group(book: Book, place: int, tag: int, row: Any) -> int:
    """The place of the vote of the row's group, or NONE."""
    slots, voter, leaf = book.groups, voter_of(row), leaf_of(book, row)
    while has_tag(slots, place, tag):
        head = book.rows[row_at(slots, place)]
        if voter_of(head) == voter and leaf_of(book, head) == leaf:
            return place
        place += 1
    return NONE


@inlined
def _chain_after(book: Book, before: int, at: int) -> None:
    ballots = book.ballots
    following = ballots[before].next
    ballots[at].next, ballots[at].previous = following, before
    if following != NONE:
        ballots[following].previous = at
    ballots[before].next = at


@inlined
def _unchain(book: Book, at: int) -> None:
    """Take a row that is not the head out of its group."""
    ballots = book.ballots
    before, following = ballots[at].previous, ballots[at].next
    ballots[before].next = following
    if following != NONE:
        ballots[following].previous = before


@compiled
def _earliest(book: Book, first: int) -> int:
    best = at = first
    for _ in range(HEIRS_MAX):
        if begins_before(book.rows[at], book.rows[best]):
            best = at
        at = book.ballots[at].next
        if at == NONE:
            return best
    book.state[0].crowded += book.state[0].noted_ms == NONE
    return best


@inlined
def _set_vote(book: Book, at: int, vote: int) -> None:
    row = book.rows[at]
    row.marks = (row.marks & NO_VOTE) | (VOTE * vote)
    if row.cell < 0:
        return
    book.merchants[row.counters].votes += 2 * vote - 1
    cell = book.cells[row.cell]
    if at == cell.rows and at != cell.summed:
        mark(book, row.cell)  # not in the sum yet
    else:
        mark_row(book, row)
