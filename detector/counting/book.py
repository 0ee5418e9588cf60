"""The tables of one source's ledger: their columns, their first sizes and how they grow.

Everything here is an array, so that compiled loops can walk it; a chain is an index into a table, NONE at its end.
Knows nothing of what merges into the tables or is read from them: `ledger`, `orders`, `cells`, `votes` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.contracts.policy import Policy
from detector.counting.ages import BINS
from detector.counting.columns import NONE, SPARE
from detector.counting.index import is_full, new_slots, refill, widen
from detector.counting.names import Names
from detector.counting.space import lengthened, new_table

Records: TypeAlias = npt.NDArray[Any]

CLOSED, DEAD, FREE = -1, -2, -3
"""`row.cell` where it is no cell: its pane has closed; a half green order that lost its place there; unused."""

TOPICS = 2
VOTES_AT, LATE_AT, TECHNICAL_AT, ORDERS_AT, OUT_COUNTS = 6, 12, 17, 18, 22
"""Where votes, late answers, the technical among the votes, and orders begin in a row of counts, and its length."""
BOUNDARY_MS = Policy.boundary_ms
MINUTE_MS = 60_000
HOLD_SECONDS = 4096
"""Places of the ring of held events; events further apart than this share one."""
LINE_BYTES = 64
SUMMED_PANES = 4
"""How many of the newest panes keep what their answered rows come to."""


def _record(*columns: tuple[str, str]) -> np.dtype[Any]:
    plain = np.dtype(list(columns), align=True)
    return np.dtype((np.record, plain))


def _line(*columns: tuple[str, str]) -> np.dtype[Any]:
    """A record as long as a line of memory: in a table, which begins at one, none lies across two."""
    fields = dict(_record(*columns).fields or {})
    formats, offsets = [kind for kind, *_ in fields.values()], [at for _, at, *_ in fields.values()]
    said: Any = {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": LINE_BYTES}
    plain = np.dtype(said, align=True)
    return np.dtype((np.record, plain))


ROW = _line(
    # what a cut looks at, side by side, for it walks many rows
    ("order", "u8"), ("shopper", "u8"),
    ("start", "u4"), ("after", "u4"),  # of the winner's `occurred_at`; what these say is known by `rows`
    ("next", "i4"),  # of a closed pane's row: in the wheel
    ("counters", "i4"), ("order_next", "i4"), ("code", "i4"),
    ("status", "u1"), ("marks", "u1"), ("touched", "u2"),
    ("cell", "i4"), ("previous", "i4"), ("first", "u4"), ("payment", "u8"),
)  # fmt: skip
BALLOT = _record(("next", "i4"), ("previous", "i4"))
CELL = _record(
    ("pane", "i8"), ("leaf", "i4"), ("lates", "i4"), ("next", "i4"),
    ("waiting", "i4"), ("rows", "i4"),  # the chains of its pending rows, and of all others, the newest first
    ("summed", "i4"),  # the first of the rows that its sum holds already, NONE: it holds none, see `sums`
    ("dirty", "u1"), ("overdue", "u1"),
)  # fmt: skip
ORDER = _record(("order", "u8"), ("touched", "i8"), ("rows", "i4"), ("events", "i4"), ("count", "i4"), ("next", "i4"))
ORDER_EVENT = _record(
    ("record", "u8"), ("merchant", "u8"), ("shopper", "u8"), ("occurred", "i8"),
    ("leaf", "i4"), ("row", "i4"), ("next", "i4"), ("kind", "u1"),
)  # fmt: skip
LATE = _record(
    ("key", "u8"), ("record", "u8"), ("start", "i8"), ("cell", "i4"), ("next", "i4"), ("previous", "i4"),
    ("status", "u1"), ("age", "u1"),  # its bin, see `ages`
)  # fmt: skip
MERCHANT = _line(
    ("key", "u8"), ("merchant", "u8"), ("leaf", "i4"), ("rows", "i4"),  # how many rows name it, closed ones too
    ("payments", "i4"), ("votes", "i4"), ("approved", "i4"), ("red", "i4"), ("overdue", "i4"),
    ("technical", "i4"), ("next", "i4"),
)  # fmt: skip
CODE = _record(("key", "u8"), ("leaf", "i4"), ("code", "i4"), ("payments", "i4"))
EVENT = _record(
    ("payment", "u8"), ("order", "u8"), ("shopper", "u8"), ("merchant", "u8"),
    ("occurred", "i8"), ("started", "i8"), ("log_time", "i8"), ("offset", "i8"),
    ("leaf", "i4"), ("code", "i4"), ("next", "i4"), ("kind", "u1"), ("status", "u1"), ("topic", "u1"),
)  # fmt: skip
TOPIC = _record(*((name, "i8") for name in ("newest", "log_time_ms", "ended", "doubt", "doubt_last", "doubted")))
RULE = _record(*((name, "i8") for name in (
    "pane_ms", "horizon_ms", "open_ms", "lateness_ms", "clock_ahead_ms", "block_ms", "voters", "merchants",
    "details_ms",  # 0: none are kept
    "votes",  # 0: every payment is one, nobody asks who it is
    "hold_max",
    "block_mask",  # of bits, in which the blocks that are open at once have different numbers
    "base_moves_ms",  # how far a boundary may be from the base, see `rows`
)))  # fmt: skip
STATE = _record(*((name, "i8") for name in (
    # time: the boundary to be cut next (NONE: none yet), and where things stand
    "next_ms", "watermark_ms", "log_time_ms", "noted_ms", "flush", "clock_ms", "newest_start_ms", "offset",
    "first_pane", "first_block", "base_ms", "swept", "releasing", "details_due_ms", "details_changed", "orders_seen",
    "first_place",  # of the first pane, in `cell_at`
    "floor_pane",  # what lies before is told of no more, see `cells`
    # the cut that was made last
    "cut_hashes", "cut_leaves", "cut_ages", "cut_snapshot",
    "detail_leaves", "detail_names", "detail_codes", "detail_merchant_rows", "detail_code_rows",
    # how full the tables are; `full` says that one must grow
    "full", "rows", "row_free", "indexed", "alone", "cells", "cell_free", "orders", "order_free", "order_events",
    "order_event_free", "lates", "late_free", "late_indexed", "order_indexed", "merchants", "merchant_free",
    "merchant_indexed", "codes", "groups", "dirty", "held", "hold", "hold_free", "rejects",
    # what metrics tell
    "events", "rebuilt", "late_answers", "too_late", "clock_ahead", "crowded", "held_over",
)))  # fmt: skip


NUMBERED = _record(("key", "u8"), ("number", "i4"))


class Told(NamedTuple):
    """What `Book.told` holds."""

    boundary_ms: int
    newest_start_ms: int
    offset: int
    first_pane: int
    cells: int
    hashes: int
    leaves: int
    details: int
    detail_leaves: int
    detail_names: int
    detail_codes: int
    detail_merchant_rows: int
    detail_code_rows: int
    ages: int


TOLD = _record(*((name, "i8") for name in Told._fields))


class Book(NamedTuple):
    """The tables. `*_slots` are indexes (see `index`); the others are pools of records."""

    rows: Records
    ballots: Records  # the place of each row in its group, see `votes`
    row_slots: Int64s
    cells: Records
    cell_at: Int32s  # cell_at[pane % panes, leaf + 1]; [.., 0] is the first cell of the pane's chain
    dirty: Int32s
    groups: Int64s  # an index of votes, see `votes`
    orders: Records
    order_slots: Int64s
    order_events: Records
    lates: Records
    late_slots: Int64s
    merchants: Records
    merchant_slots: Int64s
    codes: Records
    wheel: Int32s  # wheel[0 rows | 1 orders, minute % minutes]: who is to be forgotten in that minute of log time
    hold: Records
    held_at: Int32s  # held_at[0 first | 1 last, second % HOLD_SECONDS]
    topics: Records
    rejects: Int64s  # rejects[n, topic and offset]
    totals: Int64s  # totals[leaf, status]: for metrics
    leaf_hash: UInt64s
    answer_ms: Int64s
    reader: UInt8s
    technical: UInt64s  # by code, see `Names`
    code_hash: UInt64s
    rule: Records
    state: Records
    out_cells: Int64s  # [cell, leaf pane late_start]
    out_counts: Int32s  # [cell, 6 counts 6 votes 5 late technical 4 orders]
    out_lengths: UInt8s
    out_hashes: UInt64s
    out_ages: UInt8s  # of the late answers, see `tally.Cells`
    out_leaves: Int32s  # the leaves of the cut, as they are numbered in it
    leaf_mark: Int32s  # leaf_mark[leaf]: its number in the cut, NONE outside
    smallest: UInt64s  # scratch: smallest[kind, n]
    sum_panes: Int64s  # sum_panes[place, leaf]: whose sum it is, see `sums`
    sum_counts: Int32s  # sum_counts[place, leaf]: as a row of out_counts
    sum_lengths: UInt8s  # sum_lengths[place, leaf, kind]
    sum_hashes: UInt64s  # sum_hashes[place, leaf, kind, n]
    late_bins: Int32s  # scratch: late_bins[approved refused, bin]
    told: Records  # what `Told` names, of the last cut
    picked: Int32s  # scratch: places of a table, those that count most
    ranks: UInt64s  # scratch: how much these count
    numbered: Records  # scratch: hash -> number
    detail_leaves: Int32s
    detail_names: UInt64s  # merchants' hashes
    detail_code_names: Int32s
    detail_merchants: Int32s  # [row, leaf merchant votes approved red overdue technical]
    detail_codes: Int32s  # [row, leaf code payments]


def new_book(policy: Policy, names: Names) -> Book:
    """Empty tables for one source."""
    open_ms = policy.open_ms
    panes = open_ms // policy.pane_ms + 3
    limit = policy.merchants_detail_max
    widest = max(policy.voters_max, policy.merchants_max, 2)
    book = Book(
        rows=new_table(1024, ROW, room=ROW.itemsize << 20), row_slots=new_slots(1024),
        ballots=new_table(1024, BALLOT, room=BALLOT.itemsize << 20),
        cells=new_table(1024, CELL), cell_at=np.full((panes, 17), NONE, np.int32), dirty=new_table(1024, np.int32),
        groups=new_slots(1024),
        orders=new_table(1024, ORDER), order_slots=new_slots(1024), order_events=new_table(1024, ORDER_EVENT),
        lates=new_table(1024, LATE), late_slots=new_slots(1024),
        merchants=new_table(1024, MERCHANT), merchant_slots=new_slots(1024), codes=np.zeros(1024, CODE),
        wheel=np.full((2, 2 * policy.horizon_ms // MINUTE_MS + 8), NONE, np.int32),
        hold=new_table(1024, EVENT), held_at=np.full((2, HOLD_SECONDS), NONE, np.int32),
        topics=np.zeros(TOPICS, TOPIC), rejects=new_table(1024, np.int64, (2,)),
        totals=np.zeros((16, 5), np.int64), leaf_hash=names.leaf_hash, answer_ms=names.answer_ms,
        reader=names.reader, technical=names.technical,
        code_hash=np.zeros(16, np.uint64), rule=_rule(policy), state=np.zeros(1, STATE),
        out_cells=np.zeros((256, 3), np.int64), out_counts=np.zeros((256, OUT_COUNTS), np.int32),
        out_lengths=np.zeros((256, 5), np.uint8), out_hashes=np.zeros(256 * 5 * widest, np.uint64),
        out_ages=new_table(1024, np.uint8), out_leaves=np.zeros(16, np.int32), leaf_mark=np.full(16, NONE, np.int32),
        smallest=np.zeros((5, widest), np.uint64), **_sums(16, widest), late_bins=np.zeros((2, BINS), np.int32),
        told=np.zeros(1, TOLD),
        picked=np.zeros(limit, np.int32), ranks=np.zeros(limit, np.uint64),
        numbered=np.zeros(1 << (4 * limit).bit_length(), NUMBERED),
        detail_leaves=np.zeros(2 * limit, np.int32), detail_names=np.zeros(limit, np.uint64),
        detail_code_names=np.zeros(limit, np.int32), detail_merchants=np.zeros((limit, 7), np.int32),
        detail_codes=np.zeros((limit, 3), np.int32),
    )  # fmt: skip
    for name in ("newest", "log_time_ms", "doubt", "doubt_last"):
        book.topics[name] = NONE
    for name in ("next_ms", "watermark_ms", "log_time_ms", "noted_ms", "newest_start_ms", "offset", "releasing"):
        book.state[name] = NONE
    for name in ("row_free", "cell_free", "order_free", "order_event_free", "late_free", "hold_free", "merchant_free"):
        book.state[name] = NONE
    return book


def _sums(leaves: int, widest: int) -> dict[str, npt.NDArray[Any]]:
    """Sums of no pane. The last place is for panes older than those that keep theirs."""
    places = SUMMED_PANES + 1
    return {
        "sum_panes": np.full((places, leaves), NONE, np.int64),
        "sum_counts": np.zeros((places, leaves, OUT_COUNTS), np.int32),
        "sum_lengths": np.zeros((places, leaves, 3), np.uint8),
        "sum_hashes": np.zeros((places, leaves, 3, widest), np.uint64),
    }


HOLD_MAX = 1 << 20
BASE_MOVES_MS = 40 * 86_400_000


def _rule(policy: Policy) -> Records:
    rule = np.zeros(1, RULE)
    for name in ("pane_ms", "horizon_ms", "lateness_ms", "clock_ahead_ms", "details_ms"):
        rule[name] = getattr(policy, name)
    rule["open_ms"] = policy.open_ms
    rule["block_ms"] = policy.vote_block_ms
    blocks = (policy.open_ms + policy.pane_ms) // policy.vote_block_ms + 2
    rule["block_mask"] = (1 << blocks.bit_length()) - 1
    rule["voters"], rule["merchants"], rule["hold_max"] = policy.voters_max, policy.merchants_max, HOLD_MAX
    rule["votes"] = policy.counts_votes
    rule["base_moves_ms"] = BASE_MOVES_MS
    return rule


def longer(table: npt.NDArray[Any], length: int, fill: int = 0) -> npt.NDArray[Any]:
    """The table with its first axis made `length` long."""
    shape = (length, *table.shape[1:])
    grown = np.full(shape, fill, table.dtype) if fill else np.zeros(shape, table.dtype)
    grown[: len(table)] = table
    return grown


def roomier(pool: npt.NDArray[Any], used: int) -> npt.NDArray[Any]:
    """The pool, twice as long where fewer than SPARE places are left; then the one passed must not be looked at."""
    return lengthened(pool, 2 * len(pool)) if used + SPARE > len(pool) else pool


def names_grown(book: Book, names: Names, hashes: Sequence[int]) -> Book:
    """Room for every leaf and code the names hold by now; `hashes` are those of all codes."""
    leaves = len(names.leaves)
    if leaves > len(book.totals):
        size = 1 << (leaves - 1).bit_length()
        wide = np.full((len(book.cell_at), size + 1), NONE, np.int32)
        wide[:, : book.cell_at.shape[1]] = book.cell_at
        book = book._replace(
            cell_at=wide, totals=longer(book.totals, size), out_leaves=longer(book.out_leaves, size),
            leaf_mark=longer(book.leaf_mark, size, NONE), **_sums(size, book.smallest.shape[1]),
        )  # fmt: skip
    if len(hashes) > len(book.code_hash):
        book = book._replace(code_hash=np.zeros(1 << (len(hashes) - 1).bit_length(), np.uint64))
    book.code_hash[: len(hashes)] = hashes
    return book


_POOLS = {
    "merchants": "merchants", "rows": "rows", "ballots": "rows", "cells": "cells", "dirty": "cells", "orders": "orders",
    "order_events": "order_events", "lates": "lates", "out_ages": "lates", "hold": "hold", "rejects": "rejects",
}  # fmt: skip
_INDEXES = {
    "merchant_slots": "merchant_indexed", "row_slots": "indexed", "groups": "groups", "order_slots": "order_indexed",
    "late_slots": "late_indexed",
}  # fmt: skip
"""Where the state says how much of a table is used."""


def grown(book: Book) -> Book:
    """Every table that is nearly full made larger; the book passed, and one that could not grow, is of no use."""
    state = book.state[0]
    state.full = 0
    used = dict(zip(state.dtype.names, state.item(), strict=True))
    tables = {name: roomier(getattr(book, name), used[count]) for name, count in _POOLS.items()}
    for name, count in _INDEXES.items():
        slots = getattr(book, name)
        tables[name] = widen(slots) if is_full(slots, used[count]) else slots
    return book._replace(**tables, codes=_fewer(book.codes, state))


def room_for_cut(book: Book, cells: int) -> Book:
    """Room for a cut of so many cells."""
    if cells <= len(book.out_cells):
        return book
    size = 1 << (cells - 1).bit_length()
    return book._replace(
        out_cells=np.zeros((size, 3), np.int64), out_counts=np.zeros((size, OUT_COUNTS), np.int32),
        out_lengths=np.zeros((size, 5), np.uint8), out_hashes=np.zeros(size * book.smallest.size, np.uint64),
    )  # fmt: skip


def _fewer(codes: Records, state: Any) -> Records:
    """The counters of codes without those that count nothing, at most half full, where they are nearly full."""
    if state.codes * 10 < len(codes) * 7:
        return codes
    live = codes[codes["payments"] > 0]
    wider = np.zeros(max(1024, 1 << (len(live) * 2).bit_length()), codes.dtype)
    refill(live, wider)
    state.codes = len(live)
    return wider
