"""The pane ring: what every source last said of each (leaf, pane), by start time, for a little more than an hour.

    head[leaf, slot] -> row of source 0 -> row of source 3 -> END        slot = pane % slots

A row holds one source's absolute values; a tally replaces them. When a pane leaves the ring, what it still says of
the streaks goes into `fold`. The loops here do not know the policy's verdicts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.compiled import allocating, compiled
from detector.counting.ages import EDGES
from detector.counting.hand import in_hand
from detector.judging.flow import Flow, note_change
from detector.judging.late import copy_ages, drop_ages, drop_late, make_pool, tell_late
from detector.judging.later import begin_long
from detector.judging.windows import Windows, tell_windows

END = -1
"""No row, no pane."""
EVERYONE = 0
"""The source number of a row that sums a closed pane over all sources."""
DUE, NEWS = 1, 2
"""In `Marks.dirty`: judge anew, because the rules or the clocks changed; or because counts of it came in."""
PENDING, APPROVED, DECLINED, ERROR, CANCELLED, CANCELLED_LATE = range(6)
HIT, HIT_RECOVERED, WAITING, WAITING_RECOVERED = range(4)
"""Columns of `Rows.orders`."""
BAD_VOTERS, PENDING_VOTERS, BAD_MERCHANTS, PENDING_MERCHANTS, APPROVED_VOTERS = range(5)


_AGES = 256


class Rows(NamedTuple):
    """Rows of the ring, and where each chain begins. `lengths` and `hashes` as in `tally.Cells`, but each kind of
    hash has a fixed place: kind k begins at `place[k]`. `free[0]` is the first unused row, `free[1]` how many are;
    the other two say the same of `ages`."""

    head: Int32s  # [leaf, slot]
    next: Int32s
    source: Int32s
    pane: Int64s
    counts: Int32s  # [row, 6]
    votes: Int32s  # [row, 6]
    late: Int32s  # [row, 5]
    aged: Int32s  # [row]: the first of its late answers' ages in `ages`, see `late`
    technical: Int32s  # [row]
    orders: Int32s  # [row, 4]
    lengths: UInt8s  # [row, 5]
    hashes: UInt64s  # [row, places]
    place: Int64s  # [6]
    ages: Int32s  # [place, NEXT BIN ANSWER COUNT]
    free: Int64s  # [4]


class Leaves(NamedTuple):
    """What is remembered of each leaf beside its rows; panes, END for none."""

    last_approved: Int64s  # in the ring
    left_approved: Int64s  # newest approved pane that left the ring
    first: Int64s  # oldest pane ever counted


class Marks(NamedTuple):
    """What is remembered of each node; panes, END for none."""

    dirty: UInt8s  # 0, DUE or NEWS
    floor: Int64s  # a streak begins after it
    late: Int64s  # newest start of an approved late answer
    newest: Int64s  # newest pane in which anything was counted
    stamp: Int64s  # scratch: the pane in which an approval was met


def make_leaves(leaves: int) -> Leaves:
    """Nothing is remembered of any leaf."""
    return Leaves(*(np.full(leaves, END, np.int64) for _ in Leaves._fields))


def make_rows(leaves: int, slots: int, rows: int, voters: int, merchants: int, ages: int = _AGES) -> Rows:
    """Empty rows; `voters` and `merchants` smallest hashes fit each row, so many `ages` all of them."""
    place = np.cumsum([0, voters, voters, merchants, merchants, 2]).astype(np.int64)
    chain = np.arange(1, rows + 1, dtype=np.int32)
    chain[-1] = END
    return Rows(
        np.full((leaves, slots), END, np.int32), chain, np.zeros(rows, np.int32), np.zeros(rows, np.int64),
        np.zeros((rows, 6), np.int32), np.zeros((rows, 6), np.int32), np.zeros((rows, 5), np.int32),
        np.full(rows, END, np.int32), np.zeros(rows, np.int32), np.zeros((rows, 4), np.int32),
        np.zeros((rows, 5), np.uint8), np.zeros((rows, int(place[-1])), np.uint64), place,
        make_pool(ages), np.array([0, rows, 0, ages], np.int64),
    )  # fmt: skip


def more_rows(rows: Rows, leaves: int, extra: int) -> Rows:
    """The same rows with room for `leaves` leaves and `extra` more rows."""
    head = np.full((leaves, rows.head.shape[1]), END, np.int32)
    head[: len(rows.head)] = rows.head
    if not extra:
        return rows._replace(head=head)
    size = len(rows.next)
    grown = {name: _grown(getattr(rows, name), extra) for name in _BY_ROW}
    grown["next"][size:] = np.arange(size + 1, size + extra + 1)
    grown["next"][-1] = rows.free[0]
    free = np.array([size, rows.free[1] + extra, *rows.free[2:]], np.int64)
    return rows._replace(head=head, free=free, **grown)


@allocating
def copy_rows(old: Rows, new: Rows) -> None:
    """Put every row of `old` into `new`, which is empty; of each kind of hash as many as fit."""
    for leaf in range(len(old.head)):
        for slot in range(old.head.shape[1]):
            row = old.head[leaf, slot]
            while row != END:
                at = take_row(new, leaf, old.pane[row], old.source[row])
                new.counts[at] = old.counts[row]
                new.votes[at] = old.votes[row]
                new.late[at] = old.late[row]
                copy_ages(old, row, new, at)
                new.technical[at] = old.technical[row]
                new.orders[at] = old.orders[row]
                put_hashes(new, at, old.lengths[row], old.hashes[row], old.place)
                row = old.next[row]


def reshaped(rows: Rows, slots: int, voters: int, merchants: int) -> Rows:
    """The same rows in a ring of another size, or with room for another number of hashes."""
    new = make_rows(len(rows.head), slots, len(rows.next), voters, merchants, len(rows.ages))
    copy_rows(in_hand(rows), in_hand(new))
    return new


_BY_ROW = ("next", "source", "pane", "counts", "votes", "late", "aged", "technical", "orders", "lengths", "hashes")


def _grown(array: npt.NDArray[Any], extra: int) -> npt.NDArray[Any]:
    return np.concatenate([array, np.zeros((extra, *array.shape[1:]), array.dtype)])


@compiled
def find_row(rows: Rows, leaf: int, pane: int, source: int) -> int:
    """The row of a source's cell, or END."""
    row = rows.head[leaf, pane % rows.head.shape[1]]
    while row != END and rows.source[row] != source:
        row = rows.next[row]
    return int(row)


@compiled
def take_row(rows: Rows, leaf: int, pane: int, source: int) -> int:
    """A new empty row in the cell's chain; the caller saw to it that one is free."""
    row = int(rows.free[0])
    rows.free[0] = rows.next[row]
    rows.free[1] -= 1
    slot = pane % rows.head.shape[1]
    rows.next[row] = rows.head[leaf, slot]
    rows.head[leaf, slot] = row
    rows.source[row] = source
    rows.pane[row] = pane
    rows.counts[row] = 0
    rows.votes[row] = 0
    rows.late[row] = 0
    rows.aged[row] = END
    rows.technical[row] = 0
    rows.orders[row] = 0
    rows.lengths[row] = 0
    return row


@compiled
def free_row(rows: Rows, row: int) -> int:
    """A row is used no more; the one after it in its chain."""
    following = int(rows.next[row])
    drop_ages(rows, row)
    rows.next[row] = rows.free[0]
    rows.free[0] = row
    rows.free[1] += 1
    return following


@compiled
def put_hashes(rows: Rows, row: int, lengths: UInt8s, hashes: UInt64s, begins: Int64s) -> None:
    """A row's smallest hashes; kind k of `hashes` begins at `begins[k]`. What the row has no room for is left out."""
    for kind in range(5):
        length = min(np.int64(lengths[kind]), rows.place[kind + 1] - rows.place[kind])
        rows.lengths[row, kind] = length
        for k in range(length):
            rows.hashes[row, rows.place[kind] + k] = hashes[begins[kind] + k]


@compiled
def approved_in(rows: Rows, leaf: int, pane: int) -> bool:
    """Has the pane an approved payment of the leaf?"""
    row = rows.head[leaf, pane % rows.head.shape[1]]
    while row != END:
        if rows.counts[row, APPROVED] > 0:
            return True
        row = rows.next[row]
    return False


@allocating
def put_cells(rows: Rows, leaves: Leaves, marks: Marks, flow: Flow, windows: Windows, leaf_nodes: Int32s,
              source: int, oldest: int, pane_ms: int, boundary_ms: int, closing_ms: int, leaf: Int32s, pane: Int64s,
              counts: Int32s, votes: Int32s, late: Int32s, late_start: Int64s, lengths: UInt8s, hashes: UInt64s,
              technical: Int32s, orders: Int32s, ages: UInt8s) -> None:  # fmt: skip
    """A source's absolute values replace what it said of these cells before; panes older than `oldest` are gone."""
    begins, aged = np.zeros(6, np.int64), 0
    for i in range(len(leaf)):
        first_age, aged = aged, aged + late[i, APPROVED] + late[i, DECLINED] + late[i, ERROR]
        begins[0] = begins[5]
        for kind in range(5):
            begins[kind + 1] = begins[kind] + lengths[i, kind]
        if pane[i] < oldest:
            continue
        row = find_row(rows, leaf[i], pane[i], source)
        if row == END:
            row = take_row(rows, leaf[i], pane[i], source)
            known = leaves.first[leaf[i]]
            leaves.first[leaf[i]] = pane[i] if known == END else min(known, pane[i])
        before = rows.counts[row, APPROVED]
        tell_windows(rows, windows, leaf[i], pane[i], row, -1)
        more = technical[i] - rows.technical[row]
        tell_flow(rows, flow, leaf[i], pane[i], row, votes[i], more, pane_ms, boundary_ms, closing_ms)
        tell_late(rows, flow, leaf[i], row, late[i], ages, first_age, boundary_ms != END)
        rows.counts[row] = counts[i]
        tell_windows(rows, windows, leaf[i], pane[i], row, 1)
        rows.votes[row] = votes[i]
        rows.technical[row] = technical[i]
        rows.orders[row] = orders[i]
        put_hashes(rows, row, lengths[i], hashes, begins)
        note_approved(rows, leaves, leaf[i], pane[i], before, counts[i, APPROVED], oldest)
        note_nodes(marks, leaf_nodes[leaf[i]], pane[i], late_start[i] // pane_ms if late_start[i] >= 0 else END)


@compiled
def tell_flow(rows: Rows, flow: Flow, leaf: int, pane: int, row: int, votes: Int32s, technical: int, pane_ms: int,
              boundary_ms: int, closing_ms: int) -> None:  # fmt: skip
    """A row is about to hold other votes, and so many technical ones more; `boundary_ms` END: that is no news."""
    if boundary_ms != END:
        age_ms = boundary_ms - (pane + 1) * pane_ms
        is_closed = age_ms >= closing_ms
        waits = note_change(flow, EDGES, leaf, age_ms, is_closed, rows.votes[row], votes, technical)
        if is_closed and waits != 0:
            begin_long(flow, EDGES, leaf, age_ms, waits)


@compiled
def note_approved(rows: Rows, leaves: Leaves, leaf: int, pane: int, before: int, now: int, oldest: int) -> None:
    """Keep `last_approved` right: it moves up with an approval, and back when the newest one is taken back."""
    if now > 0:
        leaves.last_approved[leaf] = max(leaves.last_approved[leaf], pane)
    elif before > 0 and pane == leaves.last_approved[leaf]:
        while pane >= oldest and not approved_in(rows, leaf, pane):
            pane -= 1
        leaves.last_approved[leaf] = pane if pane >= oldest else END


@compiled
def note_nodes(marks: Marks, nodes: Int32s, pane: int, late_pane: int) -> None:
    """Every scope above the leaf has news."""
    for node in nodes:
        if node >= 0:
            marks.dirty[node] = NEWS
            marks.newest[node] = max(marks.newest[node], pane)
            marks.late[node] = max(marks.late[node], late_pane)


@compiled
def clear_source(rows: Rows, leaves: Leaves, marks: Marks, flow: Flow, windows: Windows, leaf_nodes: Int32s,
                 source: int, first: int, last: int, oldest: int, pane_ms: int, boundary_ms: int,
                 closing_ms: int) -> None:  # fmt: skip
    """Before a snapshot: the source has said nothing of the panes `first` to `last`."""
    for leaf in range(len(leaf_nodes)):
        for pane in range(max(first, oldest), last + 1):
            row = find_row(rows, leaf, pane, source)
            if row == END:
                continue
            before = rows.counts[row, APPROVED]
            tell_windows(rows, windows, leaf, pane, row, -1)
            tell_flow(rows, flow, leaf, pane, row, flow.nothing, -rows.technical[row], pane_ms, boundary_ms, closing_ms)
            drop_late(rows, flow, leaf, row, boundary_ms != END)
            rows.counts[row] = 0
            rows.votes[row] = 0
            rows.technical[row] = 0
            rows.orders[row] = 0
            rows.lengths[row] = 0
            note_approved(rows, leaves, leaf, pane, before, 0, oldest)
            note_nodes(marks, leaf_nodes[leaf], pane, END)


@allocating
def end_waiting(rows: Rows, marks: Marks, flow: Flow, windows: Windows, leaf_nodes: Int32s, source: int, first: int,
                until: int, pane_ms: int, boundary_ms: int, closing_ms: int) -> None:  # fmt: skip
    """The source will say no more of the panes from `first` to before `until`: what waits there is counted as
    cancelled, which is neither due nor overdue nor bad, as its answers will not be heard of."""
    votes = np.zeros(6, np.int32)
    for leaf in range(len(leaf_nodes)):
        for pane in range(first, until):
            row = find_row(rows, leaf, pane, source)
            if row == END or rows.counts[row, PENDING] == 0:
                continue
            tell_windows(rows, windows, leaf, pane, row, -1)
            votes[:] = rows.votes[row]
            votes[CANCELLED] += votes[PENDING]
            votes[PENDING] = 0
            tell_flow(rows, flow, leaf, pane, row, votes, 0, pane_ms, boundary_ms, closing_ms)
            rows.votes[row] = votes
            rows.counts[row, CANCELLED] += rows.counts[row, PENDING]
            rows.counts[row, PENDING] = 0
            tell_windows(rows, windows, leaf, pane, row, 1)
            rows.orders[row, WAITING] = rows.orders[row, WAITING_RECOVERED] = 0
            rows.lengths[row, PENDING_VOTERS] = rows.lengths[row, PENDING_MERCHANTS] = 0
            note_nodes(marks, leaf_nodes[leaf], pane, END)


@compiled
def merge_source(rows: Rows, leaf: int, pane: int) -> None:
    """The pane is closed for every source: its rows become one, of the source EVERYONE. Nothing will be compared with
    it, so ages are not kept."""
    row = rows.head[leaf, pane % rows.head.shape[1]]
    if row == END:
        return
    rows.source[row] = EVERYONE
    drop_ages(rows, row)
    other = rows.next[row]
    while other != END:
        add_to(rows.counts, row, other)
        add_to(rows.votes, row, other)
        add_to(rows.late, row, other)
        rows.technical[row] += rows.technical[other]
        add_to(rows.orders, row, other)
        for kind in range(5):
            room = rows.place[kind + 1] - rows.place[kind]
            rows.lengths[row, kind] = join_smallest(
                rows.hashes[row], rows.place[kind], rows.lengths[row, kind],
                rows.hashes[other], rows.place[kind], rows.lengths[other, kind], room,
            )  # fmt: skip
        other = free_row(rows, other)
    rows.next[row] = END


@compiled
def add_to(table: Int32s, row: int, other: int) -> None:
    """Add one row of a table to another."""
    for column in range(table.shape[1]):
        table[row, column] += table[other, column]


@compiled
def close_pane(rows: Rows, pane: int) -> None:
    """Merge the sources of a pane in every leaf."""
    for leaf in range(len(rows.head)):
        merge_source(rows, leaf, pane)


@compiled
def join_smallest(into: UInt64s, at: int, length: int, other: UInt64s, begin: int, count: int, room: int) -> int:
    """Join sorted distinct hashes into `into[at : at + length]`, keeping the `room` smallest; the new length."""
    for k in range(count):
        value = other[begin + k]
        spot = length
        while spot > 0 and into[at + spot - 1] > value:
            spot -= 1
        if spot == room:
            break
        if spot > 0 and into[at + spot - 1] == value:
            continue
        length = min(length + 1, room)
        for j in range(length - 1, spot, -1):
            into[at + j] = into[at + j - 1]
        into[at + spot] = value
    return length
