"""Seeded shops at work: orders are placed, payments start, banks answer or do not, shoppers wait, give up, try again.

A pure function of `Shops`: block by block of event time each block is drawn from its own seed, so that nothing depends
on how the events are read. Does not know JSON (that is `line.py`), files, Kafka or real time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from detector.counting.columns import APPROVED, CANCELLED, DECLINED, ERROR, PENDING
from detector.rehearsal.fault import Fault, FaultKind, parse_fault
from detector.rehearsal.shops import METHODS, Floats, Shops, zipf

PLACED, CONFIRMED, ORDER_CANCELLED = 5, 6, 7
"""Kinds of event beside the five statuses of a payment."""

EVENT = np.dtype(
    [("at", np.int64), ("start", np.int64), ("order", np.int64), ("attempt", np.uint8), ("kind", np.uint8),
     ("bank", np.int32), ("method", np.int8), ("merchant", np.int32), ("shopper", np.int32), ("amount", np.int32),
     ("code", np.int8)]
)  # fmt: skip
"""One event: times in epoch ms, names by number; `bank` and `method` are -1 in an order without a choice."""

Events: TypeAlias = npt.NDArray[Any]  # of EVENT, one dimension
Bools: TypeAlias = npt.NDArray[np.bool_]
Int64s: TypeAlias = npt.NDArray[np.int64]

CODES = ("", "00", "05", "51", "54", "61", "91", "96")
NO_CODE, CODE_OK, CODE_DOWN = 0, 1, 6
_DECLINE_CODES = np.array([2, 3, 4, 5])
_DECLINE_SHARES = np.array([0.35, 0.80, 0.92, 1.0])

ATTEMPTS_MAX = 4
ORDERS_A_BLOCK = 4_000
BLOCK_MS_MIN, BLOCK_MS_MAX = 1_000, 3_600_000
LATENCY_MS_MAX = 3 * 86_400_000
NEVER = np.int64(2**62)
ERROR_SHARE = 0.05  # of a healthy bank's reds
DOWN_ANSWER_MS = 400  # how soon a dead bank's refusal comes back
PATIENCE_MS_MIN, PATIENCE_MS_MEAN = 30_000, 150_000
TO_PAYMENT_MS, ABANDONED_MS = 6_000, 240_000
THINK_MS_MIN, THINK_MS_MEAN = 4_000, 15_000
OTHER_BANK_SHARE, OTHER_METHOD_SHARE = 0.4, 0.2


def simulate(shops: Shops, duration_ms: int | None = None) -> Iterator[Events]:
    """The events in the order of their times, in chunks; without a duration they never end.

    Equal times are put in order by what the events say, so that the chunks' lengths never show.
    """
    platform = _Platform(shops)
    end = None if duration_ms is None else shops.start_ms + duration_ms
    ahead = np.empty(0, EVENT)
    start, block = shops.start_ms, 0
    while end is None or start < end:
        stop = start + platform.block_ms if end is None else min(start + platform.block_ms, end)
        ahead = np.concatenate((ahead, platform.block(block, start, stop)))
        is_due = ahead["at"] < stop
        due = ahead[is_due]
        yield due[np.lexsort((due["kind"], due["attempt"], due["order"], due["at"]))]
        ahead = ahead[~is_due] if end is None else ahead[~is_due & (ahead["at"] < end)]
        start, block = stop, block + 1


def made_day() -> tuple[Shops, int]:
    """A day pressed into three hours, some 150,000 events, and its duration in ms: for the tests of the whole way.

    Three outages of the default policy: a bank all red, a bank all pending, a method red at every bank.
    """
    faults = ("bank:bnp all_red 40m 60m", "bank:cedar all_pending 75m 95m", "method:pix all_red 120m 135m")
    shops = Shops(seed=7, rate=4.0, banks=8, merchants=60, shoppers=20_000, day_ms=10_800_000,
                  faults=tuple(parse_fault(fault) for fault in faults))  # fmt: skip
    return shops, 10_800_000


def block_ms(rate: float) -> int:
    """How much event time is drawn at once: about `ORDERS_A_BLOCK` orders."""
    return int(np.clip(ORDERS_A_BLOCK / rate * 1000, BLOCK_MS_MIN, BLOCK_MS_MAX))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of payments: `status` and `code` of the answer, when it came, when the shopper left (or NEVER)."""

    status: npt.NDArray[np.uint8]
    code: npt.NDArray[np.int8]
    answer_at: Int64s
    cancel_at: Int64s


class _Platform:
    """The tables that every block is drawn from, and the number of the next order."""

    def __init__(self, shops: Shops) -> None:
        self.shops = shops
        self.block_ms = block_ms(shops.rate)
        self._approval = shops.approval()
        self._banks = zipf(shops.banks, 1.0)
        self._merchants = zipf(shops.merchants, 0.9)
        self._methods = np.cumsum([method.share for method in METHODS])
        self._median = np.array([method.median_ms for method in METHODS], np.float64)
        self._spread = np.array([method.spread for method in METHODS])
        self._waits = np.array([method.waits for method in METHODS])
        self._orders = 0

    def block(self, number: int, start: int, stop: int) -> Events:
        """All events that the orders placed from `start` up to `stop` will ever give, in no order."""
        rng = np.random.default_rng([self.shops.seed, 1, number])
        orders = self._place(rng, self._times(rng, start, stop))
        parts = [_without_choice(orders, rng.random(len(orders)) >= self.shops.chosen_share)]
        is_left = rng.random(len(orders)) < self.shops.abandoned_share
        parts.append(_changed(orders[is_left], orders["at"][is_left] + _wait(rng, is_left, ABANDONED_MS),
                              ORDER_CANCELLED))  # fmt: skip
        paying = orders[~is_left]
        paying["at"] += 500 + _wait(rng, ~is_left, TO_PAYMENT_MS)
        for _ in range(ATTEMPTS_MAX):
            made, paying = self._attempt(rng, paying)
            parts += made
        return np.concatenate(parts)

    def _times(self, rng: np.random.Generator, start: int, stop: int) -> Int64s:
        """Times of orders: a Poisson stream as dense as the day's peak, thinned to the hour."""
        shops = self.shops
        count = rng.poisson(shops.rate * (1 + shops.swing) * (stop - start) / 1000)
        at = np.sort(rng.integers(start, stop, count))
        hour = 1 - shops.swing * np.cos(2 * np.pi * (at % shops.day_ms) / shops.day_ms)
        return at[rng.random(count) * (1 + shops.swing) < hour]

    def _place(self, rng: np.random.Generator, at: Int64s) -> Events:
        count = len(at)
        orders = np.zeros(count, EVENT)
        orders["at"] = at
        orders["kind"] = PLACED
        orders["order"] = np.arange(self._orders, self._orders + count)
        orders["bank"] = np.searchsorted(self._banks, rng.random(count))
        orders["method"] = self._some_method(rng, count)
        orders["merchant"] = np.searchsorted(self._merchants, rng.random(count))
        orders["shopper"] = rng.integers(0, self.shops.shoppers, count)
        orders["amount"] = np.clip(np.exp(rng.normal(8.3, 0.9, count)), 100, 5_000_000)
        self._orders += count
        return orders

    def _some_method(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.intp]:
        return np.minimum(np.searchsorted(self._methods, rng.random(count)), len(METHODS) - 1)

    def _attempt(self, rng: np.random.Generator, paying: Events) -> tuple[list[Events], Events]:
        """One payment of each of these orders, started at its `at`: its events, and the payments tried after it."""
        paying["start"] = paying["at"]
        paying["kind"] = PENDING
        is_sent, outcome = self._outcome(rng, paying)
        is_answered = is_sent & (outcome.answer_at < NEVER)
        is_cancelled = is_sent & (outcome.cancel_at < NEVER)
        is_approved = is_answered & (outcome.status == APPROVED)
        answers = _changed(paying[is_answered], outcome.answer_at[is_answered], outcome.status[is_answered])
        answers["code"] = outcome.code[is_answered]
        confirmed = _changed(paying[is_approved],
                             outcome.answer_at[is_approved] + rng.integers(50, 500, int(is_approved.sum())),
                             CONFIRMED)  # fmt: skip
        events = [paying[is_sent], answers, confirmed,
                  _changed(paying[is_cancelled], outcome.cancel_at[is_cancelled], CANCELLED)]  # fmt: skip
        is_refused = is_answered & ~is_approved & ~is_cancelled
        left_at = np.where(is_refused, outcome.answer_at, outcome.cancel_at)
        return events, self._retries(rng, paying, left_at, is_refused | is_cancelled)

    def _outcome(self, rng: np.random.Generator, paying: Events) -> tuple[Bools, _Outcome]:
        """What the bank says to each payment, faults included, and whether the payment is sent at all."""
        count, method = len(paying), paying["method"]
        is_approved = rng.random(count) < self._approval[paying["bank"], method]
        is_error = ~is_approved & (rng.random(count) < ERROR_SHARE)
        declined = _DECLINE_CODES[np.searchsorted(_DECLINE_SHARES, rng.random(count))]
        wait = self._median[method] * np.exp(self._spread[method] * rng.normal(0, 1, count))
        status = np.where(is_approved, APPROVED, np.where(is_error, ERROR, DECLINED)).astype(np.uint8)
        code = np.where(is_approved, CODE_OK, np.where(is_error, CODE_DOWN + 1, declined)).astype(np.int8)
        is_sent = np.ones(count, np.bool_)
        for fault in self.shops.faults:
            struck = _struck(self.shops, fault, paying) & (rng.random(count) < fault.share)
            _strike(fault.kind, fault.factor, struck, status, code, wait, is_sent)
        patience = PATIENCE_MS_MIN + rng.exponential(PATIENCE_MS_MEAN, count)
        gives_up = self._waits[method] & (wait > patience)
        start = paying["start"]
        # A shopper who left takes no answer with him, so a late approval cannot follow his next try.
        answer_at = np.where((wait == np.inf) | gives_up, NEVER, start + _whole(wait))
        return is_sent, _Outcome(status, code, answer_at, np.where(gives_up, start + _whole(patience), NEVER))

    def _retries(self, rng: np.random.Generator, paying: Events, left_at: Int64s, is_open: Bools) -> Events:
        """The next payments of orders whose payment failed; some at another bank, some by another method."""
        again = is_open & (rng.random(len(paying)) < self.shops.retry_share)
        retries = paying[again]
        count = len(retries)
        retries["at"] = left_at[again] + THINK_MS_MIN + _wait(rng, again, THINK_MS_MEAN)
        retries["attempt"] += 1
        other_bank = np.searchsorted(self._banks, rng.random(count))
        other_method = self._some_method(rng, count)
        retries["bank"] = np.where(rng.random(count) < OTHER_BANK_SHARE, other_bank, retries["bank"])
        retries["method"] = np.where(rng.random(count) < OTHER_METHOD_SHARE, other_method, retries["method"])
        return retries


def _wait(rng: np.random.Generator, rows: Bools, mean_ms: int) -> Int64s:
    return _whole(rng.exponential(mean_ms, int(rows.sum())))


def _whole(wait_ms: Floats) -> Int64s:
    return np.minimum(wait_ms, LATENCY_MS_MAX).astype(np.int64)


def _changed(rows: Events, at: Int64s, kind: int | npt.NDArray[np.uint8]) -> Events:
    rows = rows.copy()
    rows["at"] = at
    rows["kind"] = kind
    return rows


def _without_choice(orders: Events, rows: Bools) -> Events:
    orders = orders.copy()
    orders["bank"][rows] = -1
    orders["method"][rows] = -1
    return orders


def _struck(shops: Shops, fault: Fault, paying: Events) -> Bools:
    """Which payments start in the fault's time and scope."""
    since = paying["start"] - shops.start_ms
    rows: Bools = (since >= fault.from_ms) & (since < fault.to_ms)
    names = {"bank": shops.bank_names, "method": tuple(method.name for method in METHODS),
             "merchant": shops.merchant_names}  # fmt: skip
    for dimension, name in fault.scope.values:
        rows &= paying[dimension] == names[dimension].index(name)
    return rows


def _strike(kind: FaultKind, factor: float, struck: Bools, status: npt.NDArray[np.uint8], code: npt.NDArray[np.int8],
            wait: Floats, is_sent: Bools) -> None:  # fmt: skip
    """Do to the struck payments what the fault does, in place."""
    if kind in (FaultKind.ALL_RED, FaultKind.ERRORS):
        status[struck], code[struck] = ERROR, CODE_DOWN
        wait[struck] = DOWN_ANSWER_MS
    elif kind is FaultKind.ALL_PENDING:
        wait[struck] = np.inf
    elif kind is FaultKind.SLOW:
        wait[struck] *= factor
    else:
        is_sent[struck] = False
