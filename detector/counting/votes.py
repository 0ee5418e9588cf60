"""Which rows are votes: the earliest payment (start, then hash) of a voter x leaf in an aligned block of starts.

A group chains the rows of one voter x leaf x block and points to its vote; it lives until the last pane of its block
has closed, so that a closed payment keeps its vote. Does not know what a vote is used for.
"""

from __future__ import annotations

from typing import Any

from detector.compiled import compiled, inlined
from detector.counting.book import Book
from detector.counting.cells import mark, mark_row
from detector.counting.columns import NONE
from detector.counting.details import merchant_at
from detector.counting.hashing import mix
from detector.counting.index import place_of


@compiled
def join_group(book: Book, at: int) -> None:
    """Chain the row in its group, where the block is still open; it may take the vote."""
    row, state = book.rows[at], book.state[0]
    block = row.start // book.rule[0].block_ms
    if block < state.first_block:
        return
    group = _group_of(book, row, block)
    row.group_next, row.group_previous = group.rows, NONE
    if group.rows != NONE:
        book.rows[group.rows].group_previous = at
    group.rows = at
    if group.vote == NONE:
        _give_vote(book, group, at)
    elif _is_before(row, book.rows[group.vote]):
        _take_vote(book, group)
        _give_vote(book, group, at)


@compiled
def leave_group(book: Book, at: int) -> None:
    """Unchain the row from its group, where the block is still open; its vote goes to the next earliest."""
    row = book.rows[at]
    block = row.start // book.rule[0].block_ms
    if block < book.state[0].first_block:
        return
    group = _group_of(book, row, block)
    if row.group_previous != NONE:
        book.rows[row.group_previous].group_next = row.group_next
    else:
        group.rows = row.group_next
    if row.group_next != NONE:
        book.rows[row.group_next].group_previous = row.group_previous
    if group.vote == at:
        _take_vote(book, group)
        _vote_again(book, group)


@inlined
def _group_of(book: Book, row: Any, block: int) -> Any:
    """The group, made where there is none yet."""
    voter = row.shopper if row.shopper != 0 else row.order
    key = mix(voter, book.leaf_hash[row.leaf])
    ring = block % len(book.groups)
    groups = book.groups[ring]
    group = groups[place_of(groups["key"], key)]
    if group.key == 0:
        group.key, group.rows, group.vote = key, NONE, NONE
        book.group_used[ring] += 1
        if book.group_used[ring] * 10 >= len(groups) * 7:
            book.state[0].full = 1
    return group


@compiled
def _vote_again(book: Book, group: Any) -> None:
    best = at = group.rows
    while at != NONE:
        if _is_before(book.rows[at], book.rows[best]):
            best = at
        at = book.rows[at].group_next
    if best != NONE:
        _give_vote(book, group, best)


@inlined
def _is_before(one: Any, other: Any) -> bool:
    return bool(one.start < other.start or (one.start == other.start and one.payment < other.payment))


@compiled
def _give_vote(book: Book, group: Any, at: int) -> None:
    group.vote = at
    _set_vote(book, at, 1)


@compiled
def _take_vote(book: Book, group: Any) -> None:
    _set_vote(book, group.vote, 0)
    group.vote = NONE


@inlined
def _set_vote(book: Book, at: int, vote: int) -> None:
    row = book.rows[at]
    row.vote = vote
    if row.cell < 0:
        return
    book.merchants[merchant_at(book, row)].votes += 2 * vote - 1
    cell = book.cells[row.cell]
    if at == cell.rows and at != cell.summed:
        mark(book, row.cell)  # not in the sum yet
    else:
        mark_row(book, row)
