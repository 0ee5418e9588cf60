"""The events all participants read: payments of 50 banks x 5 methods, 15 % of them with a second status.

The same number gives the same events, byte for byte, in the order of their time. Does not know Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BANKS = tuple(f"bank-{number}" for number in range(50))
METHODS = ("card", "pix", "wallet", "transfer", "boleto")
STATUSES = ("approved", "approved", "approved", "approved", "approved", "approved", "declined", "error")
SECOND_SHARE = 0.15
ANSWER_MS = (200, 4_000)
PEAK, CALM = 10_000, 1_000
"""Events a second of event time in the one partition: sixty such are the largest peak ever published; a fair day."""
START_MS = 1_772_000_000_000
MERCHANTS, SHOPPERS = 200, 200_000
PIECE = 50_000


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the topic."""

    key: bytes
    value: bytes
    at_ms: int


def events(count: int, seed: int = 1, rate: int = PEAK) -> Iterator[Event]:
    """The first `count` of them, so many a second. The first status of a payment that has two is `pending`."""
    random = np.random.default_rng(seed)
    # A little more than needed: the share is a mean, and what is too much is cut off.
    payments = int(count / (1 + SECOND_SHARE) * 1.002) + 100
    started = np.sort(random.integers(0, max(1, count * 1_000 // rate), payments))
    second = np.flatnonzero(random.random(payments) < SECOND_SHARE)
    numbers = np.concatenate([np.arange(payments), second])
    waited = np.concatenate([np.zeros(payments, np.int64), random.integers(*ANSWER_MS, len(second))])
    has_second = np.isin(np.arange(payments), second)
    status = random.integers(0, len(STATUSES), payments)
    rows = {
        "at": started[numbers] + waited,
        "number": numbers,
        "pending": np.concatenate([has_second, np.zeros(len(second), bool)]),
        "status": status[numbers],
        "leaf": random.integers(0, len(BANKS) * len(METHODS), payments)[numbers],
        "merchant": random.integers(0, MERCHANTS, payments)[numbers],
        "shopper": random.integers(0, SHOPPERS, payments)[numbers],
        "amount": random.integers(100, 99_999, payments)[numbers],
    }
    order = np.argsort(rows["at"], kind="stable")[:count]
    for at in range(0, len(order), PIECE):
        piece = order[at : at + PIECE]
        yield from map(_event, *(rows[name][piece].tolist() for name in rows))
    assert len(order) == count, f"{len(order)} of {count} events were drawn; draw with another seed"


def _event(
    at: int, number: int, pending: bool, status: int, leaf: int, merchant: int, shopper: int, amount: int
) -> Event:
    order, at_ms = f"ord-{number * 7919:010x}", START_MS + at
    value = (
        f'{{"payment_id":"pay-{number:010x}","order_id":"{order}","bank":"{BANKS[leaf // 5]}",'
        f'"method":"{METHODS[leaf % 5]}","status":"{"pending" if pending else STATUSES[status]}","occurred_at":{at_ms},'
        f'"merchant_id":"shop-{merchant}","shopper_id":"s-{shopper:06d}","amount":{amount},"currency":"EUR"}}'
    )
    return Event(order.encode(), value.encode(), at_ms)
