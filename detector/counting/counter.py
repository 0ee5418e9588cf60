"""The Counter of one source: batches of events in, tallies out, one a boundary.

Owns the ledger's tables, calls the compiled loops on them and wraps what these leave into values; makes no Python
object an event. Does not know where events come from, who reads the tallies, or what an outage is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.arrays import Int64s
from detector.contracts.policy import DEFAULT, Policy
from detector.counting.book import (
    LATE_AT,
    ORDERS_AT,
    STATE,
    TECHNICAL_AT,
    VOTES_AT,
    Book,
    Told,
    grown,
    names_grown,
    new_book,
    room_for_cut,
)
from detector.counting.columns import NONE, PAYMENT, Columns
from detector.counting.cut import close_below_floor
from detector.counting.hand import in_hand
from detector.counting.hashing import hash_text
from detector.counting.index import new_slots, refill, widen
from detector.counting.names import Names
from detector.counting.orders import index_orders
from detector.counting.space import populate
from detector.counting.tally import FIRST, NO_CELLS, Cells, Details, Layout, Source, Tally
from detector.counting.watermark import CUT, CUT_ROOM, DONE, GROW, jump_to_noted, move_watermark, step

_FIELDS = tuple((name, np.dtype(kind)) for name, kind in (
    ("kind", np.uint8), ("status", np.uint8), ("leaf", np.int32), ("code", np.int32), ("payment", np.uint64),
    ("order", np.uint64), ("shopper", np.uint64), ("merchant", np.uint64), ("occurred_at", np.int64),
    ("started_at", np.int64), ("log_time", np.int64), ("offset", np.int64),
))  # fmt: skip
_STATS = (
    "events", "rebuilt", "late_answers", "too_late", "clock_ahead", "crowded", "held_over", "held", "indexed",
)  # fmt: skip
"""Where the state has what `Stats` tells, in its order."""
MANY = 1024
"""The rows that so many events are likely to need are taken at once."""
_PLACES = {name: place for place, name in enumerate(STATE.names or ())}
_NOTHING: tuple[Any, ...] = tuple(np.zeros(0, dtype) for _, dtype in _FIELDS)


@dataclass(frozen=True, slots=True)
class Stats:
    """What metrics tell of a Counter, since it began; only `rebuilt` counts while it rebuilds.

    `crowded`: times that one order or voter came to a limit (`EVENTS_MAX`, `RING_MAX`, `HEIRS_MAX`). `held_over`:
    events read while the hold was over its limit, so that the topic that lags did not hold the other back.
    """

    events: int
    rebuilt: int
    late_answers: int
    too_late: int
    clock_ahead: int
    crowded: int
    held_over: int
    held: int
    payments: int


class Counter:
    """Counts one source. `term` and `noted_ms` come from the source's last commit.

    With `noted_ms` it merges in silence until that boundary, tells one snapshot there, and then goes on; it never
    tells a boundary below it. `again`: an owner before noted none, and may have told some all the same, so that the
    first tally is a snapshot. `rejects` holds (topic, offset) of the records refused as ahead of the clock, until
    `take_rejects`.
    """

    def __init__(
        self, policy: Policy, names: Names, source: Source, layout: Layout,
        *, term: int = 0, noted_ms: int | None = None, again: bool = False,
    ) -> None:  # fmt: skip
        if noted_ms is not None and noted_ms % policy.boundary_ms:
            raise ValueError(f"a boundary is a full second; got noted_ms {noted_ms}; pass one that was told")
        self.policy, self.names, self.source, self.layout, self.term = policy, names, source, layout, term
        self._book = new_book(policy, names)
        self._hand = in_hand(self._book)
        self._numbers = self._book.state.view(np.int64)
        self._code_hashes: list[int] = []
        self._merchant_names = _MerchantNames(names)
        self._orders = False
        self._told_ms, self._again = FIRST, again
        if noted_ms is not None:
            self._set("noted_ms", noted_ms)

    # In

    def take(self, columns: Columns, topic: int = 0) -> list[Tally]:
        """Merge a batch of one topic (0 payments, 1 orders); the tallies of the boundaries passed, in order.

        A cut happens between two events: any split of the events into batches gives the same tallies.
        """
        self._know_names()
        if not self._orders and (columns.kind != PAYMENT).any():
            self._begin_orders()
        return self._run(_plain(columns), topic)

    def at_end(self, topic: int, ended: bool) -> None:
        """Say whether the topic's partition was read to its end: it then no longer holds the watermark back.

        What that lets pass is told by the next `take`, `go_on`, `idle` or `finish`.
        """
        self._book.topics[topic]["ended"] = ended
        move_watermark(self._hand)

    def go_on(self) -> list[Tally]:
        """What `at_end` let pass."""
        return self._run(_NOTHING, 0)

    def idle(self, elapsed_ms: int, clock_ms: int | None = None) -> list[Tally]:
        """Say that the source is at its end and so much time went by: boundaries move on by it.

        `clock_ms`: what o'clock it is. A record that is ahead of that, and alone, waits for others.
        """
        tallies = self._flushed(clock_ms)
        if self._get("watermark_ms") != NONE:
            self._set("watermark_ms", self._get("watermark_ms") + elapsed_ms)
        return tallies + self.go_on()

    def finish(self) -> list[Tally]:
        """Say that nothing more will come: doubted jumps of time are decided by what came."""
        return self._flushed(None)

    def caught_up(self, clock_ms: int | None = None) -> list[Tally]:
        """Say that the log was read to its end: a Counter that rebuilds jumps to its noted boundary."""
        if not self.rebuilding:
            return []
        tallies = self._flushed(clock_ms)
        if self.rebuilding:
            jump_to_noted(self._hand)
            tallies += self.go_on()
        return tallies

    def raise_floor(self, floor_ms: int) -> None:
        """Say that what was logged before cannot all be read again: nothing is told of the panes that begin before,
        so that what was told of them stays. Only while nothing was told."""
        pane = -(-floor_ms // self.policy.pane_ms)
        if pane > self._get("floor_pane"):
            self._set("floor_pane", pane)
            close_below_floor(self._hand)

    # Out

    @property
    def rebuilding(self) -> bool:
        """Whether events are merged in silence."""
        return bool(self._get("noted_ms") != NONE)

    @property
    def boundary_ms(self) -> int | None:
        """The last boundary passed; None before the first."""
        return self._get("next_ms") - self.policy.boundary_ms if self._get("next_ms") != NONE else None

    @property
    def log_time_ms(self) -> int | None:
        """The source's log time; None before the first record."""
        return self._get("log_time_ms") if self._get("log_time_ms") != NONE else None

    @property
    def watermark_ms(self) -> int | None:
        """No older events are expected; None while a topic that counts has not been read."""
        return self._get("watermark_ms") if self._get("watermark_ms") != NONE else None

    def commit_from(self, time_ms: int) -> int:
        """The log time to read again from, should everything be lost at `time_ms`, the earlier of log time and the
        boundary: a pane's start, 36 to 46 min back by default.

        A pane that is open then says which votes of its block are its own. A placed order of the block is none where a
        payment took its place that began up to H before; when that began may be said by an event up to H before
        another of the payment. And an event's own time may lie `clock_ahead_ms` ahead of its log time.
        """
        policy = self.policy  # whose `reach_ms` is at least as far
        oldest_pane_ms = (time_ms - policy.open_ms) // policy.pane_ms * policy.pane_ms
        its_block_ms = oldest_pane_ms // policy.vote_block_ms * policy.vote_block_ms
        return (its_block_ms - 2 * policy.horizon_ms - policy.clock_ahead_ms) // policy.pane_ms * policy.pane_ms

    @property
    def stats(self) -> Stats:
        """The counters for metrics."""
        return Stats(*map(self._get, _STATS))

    @property
    def payments_total(self) -> Int64s:
        """`[leaf, status]`: payments that reached the status, each once; half green orders are none."""
        return self._book.totals[: len(self.names.leaves)]

    def doubted_from(self, topic: int) -> int | None:
        """The offset of the topic's first record that is in doubt, counted or refused later; None where none is."""
        place = self._book.topics[topic]
        return int(self._book.hold[place["doubt"]]["offset"]) if place["doubted"] > 0 else None

    def take_rejects(self) -> list[tuple[int, int]]:
        """(topic, offset) of the records refused as `clock_ahead` since the last call."""
        count = self._get("rejects")
        self._set("rejects", 0)
        return [(topic, offset) for topic, offset in self._book.rejects[:count].tolist()]

    # Inside

    def _flushed(self, clock_ms: int | None) -> list[Tally]:
        self._set("flush", 1)
        self._set("clock_ms", NONE if clock_ms is None else clock_ms)
        tallies = self.go_on()
        self._set("flush", 0)
        return tallies

    def _put(self, book: Book) -> None:
        assert book.state is self._book.state, "no table that grows is the state"
        self._book, self._hand = book, in_hand(book, self._hand)

    def _get(self, name: str) -> int:
        """What the state says under a name. Asked some times a batch, and a field of a record is slow to ask."""
        return int(self._numbers[_PLACES[name]])

    def _set(self, name: str, number: int) -> None:
        self._numbers[_PLACES[name]] = number

    def _know_names(self) -> None:
        names, book = self.names, self._book
        if len(names.leaves) > len(book.totals) or len(names.codes) != len(self._code_hashes):
            self._code_hashes += [hash_text(code) for code in names.codes[len(self._code_hashes) :]]
            self._put(names_grown(book, names, self._code_hashes))

    def _begin_orders(self) -> None:
        at = index_orders(self._hand, 0)
        while at < self._get("rows"):
            self._put(grown(self._book))
            at = index_orders(self._hand, at)
        self._orders = True

    def _run(self, columns: tuple[Any, ...], topic: int) -> list[Tally]:
        tallies: list[Tally] = []
        why, position = GROW, 0
        if len(columns[0]) >= MANY and self._get("row_free") == NONE:
            populate(self._book.rows, self._get("rows"), len(columns[0]))
        while True:
            why, position = step(self._hand, position, topic, *columns)
            if why == CUT:
                tallies.append(self._tally())
            elif why == DONE:
                return tallies
            elif why == CUT_ROOM:
                self._put(room_for_cut(self._book, self._get("dirty")))
            else:
                self._put(grown(self._book))

    def _tally(self) -> Tally:
        told = Told(*self._book.told[0].item())
        after_ms, self._told_ms = self._told_ms, told.boundary_ms
        first_pane, policy = told.first_pane, self.policy
        if self._again and after_ms == FIRST:  # all there is is news
            first_pane = max((told.boundary_ms - policy.open_ms) // policy.pane_ms, self._get("floor_pane"))
        return Tally(
            self.source, self.layout, self.term, told.boundary_ms, told.newest_start_ms, told.offset,
            self._cells(told), first_pane, self._details(told) if told.details else None, after_ms,
        )  # fmt: skip

    def _cells(self, told: Told) -> Cells:
        if told.cells == 0:
            return NO_CELLS
        book, leaves = self._book, self.names.leaves
        cells, counts = book.out_cells[: told.cells], book.out_counts[: told.cells]
        return Cells(
            tuple([leaves[leaf] for leaf in book.out_leaves[: told.leaves].tolist()]),
            cells[:, 0].astype(np.int32), cells[:, 1].copy(), counts[:, :VOTES_AT].copy(),
            counts[:, VOTES_AT:LATE_AT].copy(), counts[:, LATE_AT:TECHNICAL_AT].copy(), cells[:, 2].copy(),
            book.out_lengths[: told.cells].copy(), book.out_hashes[: told.hashes].copy(),
            counts[:, TECHNICAL_AT].copy(), counts[:, ORDERS_AT:].copy(),
            book.out_ages[: told.ages].copy(),
        )  # fmt: skip

    def _details(self, told: Told) -> Details:
        book, names, merchant_names = self._book, self.names, self._merchant_names
        merchants = book.detail_merchants[: told.detail_merchant_rows]
        codes = book.detail_codes[: told.detail_code_rows]
        return Details(
            tuple([names.leaves[leaf] for leaf in book.detail_leaves[: told.detail_leaves].tolist()]),
            tuple([merchant_names[key] for key in book.detail_names[: told.detail_names].tolist()]),
            merchants[:, 0].copy(), merchants[:, 1].copy(), merchants[:, 2:6].copy(),
            tuple([names.codes[code] for code in book.detail_code_names[: told.detail_codes].tolist()]),
            codes[:, 0].copy(), codes[:, 1].copy(), codes[:, 2].copy(), merchants[:, 6].copy(),
        )  # fmt: skip


class _MerchantNames(dict[int, str]):
    """The names of merchants asked for lately, at hand without a call for each."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, key: int) -> str:
        if len(self) > self._names.policy.merchant_names_max:
            self.clear()
        self[key] = name = self._names.merchant_name(key)
        return name


def warm_up() -> None:
    """Compile every loop that counts, or load it, by counting nothing."""
    counter = Counter(DEFAULT, Names(DEFAULT), Source("warm", 0), {"warm": 1}, noted_ms=0)
    counter._begin_orders()
    counter._run(_NOTHING, 0)
    counter.at_end(1, True)
    counter.raise_floor(1)
    counter.caught_up()
    book = grown(counter._book)  # asks what is full
    widen(new_slots(0))
    refill(book.codes[:0], book.codes)


def _plain(columns: Columns) -> tuple[Any, ...]:
    """The columns as the loops were compiled for: writable, in one piece, of the right type."""
    return tuple(
        array if array.flags.carray and array.dtype == dtype else np.array(array, dtype)
        for array, dtype in ((getattr(columns, name), dtype) for name, dtype in _FIELDS)
    )
