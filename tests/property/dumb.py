"""The ledger as one would write it without caring for speed: every answer worked out anew from the list of events.

Knows no tables, no chains, no arrival order; forgets nothing. `Event` is one event in words, `columns` the batch.
"""

from __future__ import annotations

from collections import Counter as Bag
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from detector.contracts.codes import fault_domain
from detector.contracts.policy import Policy
from detector.contracts.scope import Leaf
from detector.counting import hashing
from detector.counting import names as naming
from detector.counting.ages import EDGES
from detector.counting.columns import STATUSES, Columns
from detector.counting.hashing import mix_hashes, order_payment
from detector.counting.names import Names
from detector.counting.tally import COUNTS, FIRST, ORDERS, UNSAID, Details, Tally

hash_text, leaf_key = lru_cache(100_000)(hashing.hash_text), lru_cache(1_000)(naming.leaf_key)
"""Each word is asked for at every boundary anew."""
KINDS = ("payment", "placed", "confirmed", "cancelled")
FINALITY = {"pending": 0, "cancelled": 1, "error": 2, "declined": 2, "approved": 2}
RANK = {"pending": 0, "cancelled": 0, "error": 0, "declined": 1, "approved": 2}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a payment (`kind` payment, a status) or an order; None: absent."""

    kind: str
    order: str
    occurred: int
    payment: str | None = None
    status: str = "pending"
    leaf: Leaf | None = None
    started: int | None = None
    shopper: str | None = None
    merchant: str = "unknown"
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one payment."""

    payment: int
    voter: int
    merchant: int
    leaf: Leaf
    status: str
    start: int
    first: int
    occurred: int
    code: str | None
    order: str = ""
    """Of a payment; a half green order stands for itself."""


def columns(events: Sequence[Event], names: Names, log_times: Sequence[int], offsets: Sequence[int]) -> Columns:
    """The events as a decoder would hand them over."""

    def hashed(text: str | None) -> int:
        return hash_text(text) if text is not None else 0

    def column(values: Iterable[int], dtype: Any) -> Any:
        return np.array(list(values), dtype)

    return Columns(
        kind=column((KINDS.index(e.kind) for e in events), np.uint8),
        status=column((STATUSES.index(e.status) for e in events), np.uint8),
        leaf=column((names.leaf(e.leaf) if e.leaf else -1 for e in events), np.int32),
        code=column((names.code(e.code) if e.code else -1 for e in events), np.int32),
        payment=column((hashed(e.payment) for e in events), np.uint64),
        order=column((hashed(e.order) for e in events), np.uint64),
        shopper=column((hashed(e.shopper) for e in events), np.uint64),
        merchant=column((names.merchant(e.merchant) for e in events), np.uint64),
        occurred_at=column((e.occurred for e in events), np.int64),
        started_at=column((-1 if e.started is None else e.started for e in events), np.int64),
        log_time=column(log_times, np.int64),
        offset=column(offsets, np.int64),
    )


def start_of(event: Event) -> int:
    return event.occurred if event.started is None else min(event.started, event.occurred)


def is_late_answer(event: Event, policy: Policy) -> bool:
    return event.started is not None and event.occurred - event.started >= policy.horizon_ms


@lru_cache(100_000)
def record_hash(event: Event) -> int:
    mix = mix_hashes
    started = (-1 if event.started is None else event.started) % 2**64
    said = mix(mix(hash_text(event.payment or ""), STATUSES.index(event.status)), mix(event.occurred, started))
    return mix(said, said_hash(event))


@lru_cache(100_000)
def said_hash(event: Event) -> int:
    """Of all in which two events of a payment can differ that say one status of one moment, and are not one event."""
    code = hash_text(event.code) if event.code else 0
    return mix_hashes(mix_hashes(leaf_key(event.leaf or ()), hash_text(event.merchant)), code)


def payment_rows(events: Iterable[Event], policy: Policy) -> list[tuple[str, Row]]:
    """(order, row) of every payment."""
    by_payment: dict[tuple[str, str], set[Event]] = defaultdict(set)
    for event in events:
        if event.kind == "payment" and not is_late_answer(event, policy):
            by_payment[event.order, event.payment or ""].add(event)
    rows = []
    for (order, payment), said in by_payment.items():
        wins = max(said, key=lambda e: (FINALITY[e.status], e.occurred, RANK[e.status], said_hash(e)))
        voters = [hash_text(e.shopper) for e in said if e.shopper] or [hash_text(order)]
        start, first = min(map(start_of, said)), min(e.occurred for e in said)
        key = mix_hashes(hash_text(order), hash_text(payment))
        row = Row(key, min(voters), hash_text(wins.merchant), wins.leaf or (), wins.status, start, first,
                  wins.occurred, wins.code, order)  # fmt: skip
        rows.append((order, row))
    return rows


def order_rows(events: Iterable[Event], payments: list[tuple[str, Row]], policy: Policy) -> list[Row]:
    """The half green orders."""
    horizon, rows = policy.horizon_ms, []
    by_order: dict[str, set[Event]] = defaultdict(set)
    for event in events:
        if event.kind != "payment" and not (event.kind == "placed" and event.leaf is None):
            by_order[event.order].add(event)
    paid: dict[str, list[Row]] = defaultdict(list)
    for order, row in payments:
        paid[order].append(row)
    for order, said in by_order.items():
        placed = sorted((e for e in said if e.kind == "placed"), key=lambda e: (e.occurred, _order_record(e)))
        for this, following in zip(placed, [*placed[1:], None][: len(placed)], strict=True):
            at = this.occurred
            if following is not None and following.occurred - at < horizon:
                continue
            if any(row.start > at - horizon and row.first < at + horizon for row in paid[order]):
                continue
            ends = [e.occurred for e in said if e.kind != "placed" and at <= e.occurred < at + horizon]
            voter = hash_text(this.shopper or order)
            payment = int(order_payment(np.uint64(hash_text(order)), at))
            rows.append(Row(payment, voter, hash_text(this.merchant), this.leaf or (),
                            "cancelled" if ends else "pending", at, at, max(ends, default=at), None))  # fmt: skip
    return rows


def _order_record(event: Event) -> int:
    mix = mix_hashes
    said = mix(mix(hash_text(event.order), KINDS.index(event.kind)), event.occurred)
    shopper = hash_text(event.shopper) if event.shopper else 0
    return mix(said, mix(mix(leaf_key(event.leaf or ()), hash_text(event.merchant)), shopper))


def all_rows(events: Iterable[Event], policy: Policy) -> list[Row]:
    events = list(events)
    payments = payment_rows(events, policy)
    return [row for _, row in payments] + order_rows(events, payments, policy)


def votes_of(rows: list[Row], policy: Policy) -> set[int]:
    """The payments that are votes: all of them, where nobody asks."""
    if policy.evidence.mode == "off":
        return {row.payment for row in rows}
    first: dict[tuple[int, Leaf, int], Row] = {}
    for row in sorted(rows, key=lambda row: (row.start, row.payment)):
        first.setdefault((row.voter, row.leaf, row.start // policy.vote_block_ms), row)
    return {row.payment for row in first.values()}


def column_of(row: Row, policy: Policy) -> str:
    """Which of COUNTS a row counts in."""
    answer = policy.answer_ms(row.leaf)
    late = row.status == "cancelled" and answer >= 0 and row.occurred - row.start >= answer
    return "cancelled_late" if late else row.status


def is_technical(row: Row, policy: Policy) -> bool:
    """Whether nobody decided a red: no valid answer, or a code that says so."""
    named = dict(zip(policy.dimensions, row.leaf, strict=True))
    domain = fault_domain(row.code, named["method"], named.get("network")) if row.code else "unknown"
    return row.status == "error" or (row.status == "declined" and domain in ("issuer", "network"))


def is_open(pane: int, boundary: int, policy: Policy) -> bool:
    return boundary < (pane + 1) * policy.pane_ms + policy.horizon_ms + policy.grace_ms


Said = tuple[tuple[int, ...], ...]
Told = dict[tuple[Leaf, int], Said]


def cells(events: Iterable[Event], boundary: int, policy: Policy) -> Told:
    """Every cell of the panes open at the boundary that holds something, as `told` gives them."""
    events = [event for event in events if event.occurred < boundary]
    rows = all_rows(events, policy)
    votes = votes_of(rows, policy)
    by_cell: dict[tuple[Leaf, int], list[Row]] = defaultdict(list)
    by_order: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_order[row.order].append(row)
        by_cell[row.leaf, row.start // policy.pane_ms].append(row)
    lates = late_answers(events, policy)
    return {key: _say(by_cell[key], votes, lates.get(key, []), by_order, policy)
            for key in [*by_cell, *(key for key in lates if key not in by_cell)]
            if is_open(key[1], boundary, policy)}  # fmt: skip


def late_answers(events: Iterable[Event], policy: Policy) -> dict[tuple[Leaf, int], list[Event]]:
    distinct: dict[tuple[str, str | None, int, str], Event] = {}
    for event in events:
        if event.kind == "payment" and is_late_answer(event, policy):
            key = event.order, event.payment, event.occurred, event.status
            distinct[key] = max(distinct.get(key, event), event, key=record_hash)
    found: dict[tuple[Leaf, int], list[Event]] = defaultdict(list)
    for event in distinct.values():
        found[event.leaf or (), event.occurred // policy.pane_ms].append(event)
    return found


def fate(row: Row, policy: Policy) -> str:
    """What a payment says of its order."""
    answer = policy.answer_ms(row.leaf)
    if row.status in ("declined", "error"):
        return "hit"
    if row.status == "pending":
        return "waiting" if answer >= 0 else ""
    return "hit" if answer >= 0 and row.occurred - row.start >= answer else ""


def orders_hit(rows: list[Row], by_order: dict[str, list[Row]], policy: Policy) -> tuple[int, ...]:
    """Orders that count in a cell by their earliest bad payment of its block, and how many of them are recovered."""
    found: Bag[str] = Bag()
    for row in rows:
        what = fate(row, policy)
        mates = by_order[row.order] if row.order else [row]
        block = row.start // policy.vote_block_ms
        bad = [mate for mate in mates if mate.start // policy.vote_block_ms == block and fate(mate, policy)]
        if what and row == min(bad, key=lambda mate: (mate.start, mate.payment)):
            found[what] += 1
            found[f"{what}_recovered"] += any(m.status == "approved" and m.occurred >= row.start for m in mates)
    return tuple(found[name] for name in ORDERS)


def _say(rows: list[Row], votes: set[int], lates: list[Event], by_order: dict[str, list[Row]], policy: Policy) -> Said:
    by_column: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_column[column_of(row, policy)].append(row)
    bad = [row for name in ("declined", "error", "cancelled_late") for row in by_column[name]]
    late = Bag(event.status for event in lates)

    def least(values: Iterable[int], limit: int) -> tuple[int, ...]:
        return tuple(sorted(set(values))[:limit])

    return (
        tuple(len(by_column[name]) for name in COUNTS),
        tuple(sum(row.payment in votes for row in by_column[name]) for name in COUNTS),
        tuple(late[name] for name in STATUSES),
        (max((event.started or 0 for event in lates if event.status == "approved"), default=-1),),
        least((row.voter for row in bad), policy.voters_max),
        least((row.voter for row in by_column["pending"]), policy.voters_max),
        least((row.merchant for row in bad), policy.merchants_max),
        least((row.merchant for row in by_column["pending"]), policy.merchants_max),
        least((row.voter for row in by_column["approved"]), 2),
        (sum(row.payment in votes and is_technical(row, policy) for row in rows),),
        orders_hit(rows, by_order, policy),
        late_ages(lates, ("approved",), policy),
        late_ages(lates, ("declined", "error"), policy),
    )


def late_ages(lates: list[Event], statuses: tuple[str, ...], policy: Policy) -> tuple[int, ...]:
    """The bins of the payments' ages at their late answers; an age is counted from the end of the start's pane."""
    ages = [event.occurred - ((event.started or 0) // policy.pane_ms + 1) * policy.pane_ms
            for event in lates if event.status in statuses]  # fmt: skip
    return tuple(sorted(sum(edge <= age for edge in EDGES.tolist()) for age in ages))


def details(events: Iterable[Event], boundary: int, newest_start: int, policy: Policy) -> tuple[Bag[Any], Bag[Any]]:
    """{(leaf, merchant, what): how many} and {(leaf, code): how many} over the open panes."""
    rows = all_rows([event for event in events if event.occurred < boundary], policy)
    votes = votes_of(rows, policy)
    merchants: Bag[Any] = Bag()
    codes: Bag[Any] = Bag()
    for row in rows:
        pane = row.start // policy.pane_ms
        if not is_open(pane, boundary, policy):
            continue
        answer, column = policy.answer_ms(row.leaf), column_of(row, policy)
        due = answer >= 0 and newest_start >= (pane + 1) * policy.pane_ms + answer
        merchants[row.leaf, row.merchant, "votes"] += row.payment in votes
        merchants[row.leaf, row.merchant, "approved"] += column == "approved"
        merchants[row.leaf, row.merchant, "red"] += column in ("declined", "error")
        merchants[row.leaf, row.merchant, "technical"] += is_technical(row, policy)
        merchants[row.leaf, row.merchant, "overdue"] += column == "cancelled_late" or (column == "pending" and due)
        if column in ("declined", "error") and row.code:
            codes[row.leaf, row.code] += 1
    return +merchants, +codes


# What a Counter told, in the same words


def told(tally: Tally) -> Told:
    """The cells of a tally."""
    said, place, aged = {}, 0, 0
    for n, (leaf, pane) in enumerate(zip(tally.cells.leaf.tolist(), tally.cells.pane.tolist(), strict=True)):
        runs = []
        for length in tally.cells.lengths[n].tolist():
            runs.append(tuple(tally.cells.hashes[place : place + length].tolist()))
            place += length
        late = tally.cells.late[n].tolist()
        ages = []
        for answers in (late[1], late[2] + late[3]):
            ages.append(tuple(tally.cells.late_ages[aged : aged + answers].tolist()))
            aged += answers
        said[tally.cells.leaves[leaf], pane] = (
            tuple(tally.cells.counts[n].tolist()), tuple(tally.cells.votes[n].tolist()),
            tuple(tally.cells.late[n].tolist()), (int(tally.cells.late_start[n]),), *runs,
            (int(tally.cells.technical[n]),), tuple(tally.cells.orders[n].tolist()), *ages,
        )  # fmt: skip
    assert place == len(tally.cells.hashes)
    assert aged == len(tally.cells.late_ages)
    return said


def told_details(said: Details) -> tuple[Bag[Any], Bag[Any]]:
    """The details of a tally."""
    merchants: Bag[Any] = Bag()
    codes: Bag[Any] = Bag()
    table = np.column_stack((said.merchant_counts, said.merchant_technical)).tolist()
    for leaf, merchant, counts in zip(said.merchant_leaf, said.merchant, table, strict=True):
        for what, count in zip(("votes", "approved", "red", "overdue", "technical"), counts, strict=True):
            merchants[said.leaves[leaf], hash_text(said.merchants[merchant]), what] += count
    for leaf, code, count in zip(said.code_leaf, said.code, said.code_count.tolist(), strict=True):
        codes[said.leaves[leaf], said.codes[code]] += count
    return +merchants, +codes


class ModelJudge:
    """Takes only what is above the last (term, boundary) it took; keeps every pane's last values, closed ones too. What
    stands behind a lost record closes nothing."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.last = (-1, -1)
        self.newest = self.torn = -1
        self.panes: Told = {}

    def take(self, tally: Tally, is_told_all: bool = False) -> None:
        if (tally.term, tally.boundary_ms) <= self.last:
            return
        if tally.first_pane >= 0 and tally.term > self.last[0]:
            self.panes = {key: said for key, said in self.panes.items()
                          if key[1] < tally.first_pane or not is_open(key[1], self.newest, self.policy)}  # fmt: skip
        for key, said in told(tally).items():
            if is_open(key[1], self.newest, self.policy):
                self.panes[key] = said
        follows = tally.after_ms in (UNSAID, self.last[1] if tally.term == self.last[0] else FIRST)
        if (self.last[0] >= 0 or is_told_all) and not follows:
            self.torn = tally.term
        self.last = (tally.term, tally.boundary_ms)
        if tally.term != self.torn:
            self.newest = max(self.newest, tally.boundary_ms)

    def holding(self) -> Told:
        """The cells that hold something."""
        return {key: said for key, said in self.panes.items() if any(said[0]) or any(said[2])}

    def open_cells(self) -> Told:
        """Those of the panes that are open now."""
        return {key: said for key, said in self.holding().items() if is_open(key[1], self.newest, self.policy)}
