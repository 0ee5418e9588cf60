"""Histories with all the hard cases, drawn from a seed: what shops, shoppers and platforms really do, and more often.

Each event keeps the producers' contract: one that comes H or more after its payment's start says `started_at`.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from detector.contracts.policy import Policy
from detector.contracts.scope import Leaf
from tests.property.dumb import Event

START_MS = 1_700_000_000_000
LEAVES = (("bnp", "card"), ("bnp", "pix"), ("axa", "card"), ("axa", "transfer"))
POLICY = Policy(horizon_ms=60_000, grace_ms=20_000, clock_ahead_ms=300_000)
"""A short H, so that short histories outlive it."""


def history(
    seed: int, policy: Policy = POLICY, *, span_ms: int = 200_000, payments: int = 40, orders: int = 12
) -> list[Event]:
    """Events by `occurred_at`, copies aside."""
    random = Random(seed)
    events: list[Event] = []
    for number in range(payments):
        events += _payment(random, policy, number, START_MS + random.randrange(span_ms))
    for number in range(orders):
        events += _order(random, policy, number, START_MS + random.randrange(span_ms))
    return sorted(events, key=lambda event: (event.occurred, repr(event)))


def _payment(random: Random, policy: Policy, number: int, start: int) -> list[Event]:
    """One payment: its pending, its answers, what comes late, twice, or from two banks at once."""
    horizon, room_ms = policy.horizon_ms, min(10_000, disorder_ms(policy))
    order = f"order-{random.randrange(20)}" if random.random() < 0.6 else f"order-of-{number}"
    shopper = f"shopper-{random.randrange(4)}" if random.random() < 0.6 else None
    merchant = random.choice(("unknown", "shop-1", "shop-2", "shop-3"))
    leaf = whole(random, policy, random.choice(LEAVES))
    start -= start % random.choice((1, 1000, 5000))
    events: list[Event] = []

    def say(status: str, at: int, **more: Any) -> None:
        fields: dict[str, Any] = {"leaf": leaf, "shopper": shopper, "merchant": merchant, **more}
        if at - start >= horizon:
            fields["started"] = start
        of = order if random.random() < 0.95 else "order-7"  # the same id at another order: a payment of its own
        events.append(Event("payment", of, at, f"payment-{number}", status, **fields))

    for _ in range(random.randint(1, 4)):
        wait = random.choice((0, 1, random.randrange(5_000), random.randrange(horizon), random.randrange(3 * horizon)))
        status = random.choice(("pending", "pending", "approved", "declined", "error", "cancelled"))
        code = random.choice((None, "05", "91")) if status in ("declined", "error") else None
        other = {"leaf": whole(random, policy, random.choice(LEAVES))} if random.random() < 0.15 else {}
        is_told = random.random() < 0.2 and wait < horizon // 2 and room_ms > 0
        began = {"started": start - random.randrange(room_ms)} if is_told else {}
        nameless = {"shopper": None} if random.random() < 0.1 else {}
        say(status, start + wait, code=code, **other, **began, **nameless)
        if random.random() < 0.15:  # two finals in one millisecond
            say(random.choice(("approved", "declined", "error", "cancelled")), start + wait, **other)
    return events


def whole(random: Random, policy: Policy, of: Leaf) -> Leaf:
    """A leaf of so many dimensions as the policy has."""
    return (*of, *(random.choice(("none", "visa")) for _ in policy.dimensions[2:]))


def _order(random: Random, policy: Policy, number: int, placed: int) -> list[Event]:
    """One order: placed, perhaps again, perhaps confirmed or cancelled, at times long after."""
    order = f"order-{number}"
    shopper = random.choice((None, "shopper-1", f"shopper-{number}"))
    events = []
    for _ in range(random.randint(1, 3)):
        of = random.choice((*LEAVES, None))
        leaf = None if of is None else whole(random, policy, of)
        merchant = random.choice(("unknown", "shop-1"))
        events.append(Event("placed", order, placed, leaf=leaf, shopper=shopper, merchant=merchant))
        placed += random.choice((0, random.randrange(policy.horizon_ms), random.randrange(2 * policy.horizon_ms)))
    for _ in range(random.randint(0, 2)):
        after = random.choice((0, random.randrange(5_000), random.randrange(2 * policy.horizon_ms)))
        at = events[0].occurred + after
        events.append(Event(random.choice(("confirmed", "cancelled")), order, at))
    return events


def copied(random: Random, events: list[Event], share: float) -> list[Event]:
    """The events with some sent again at once."""
    return [again for event in events for again in [event] * (2 if random.random() < share else 1)]


def disorder_ms(policy: Policy) -> int:
    """By how much an event may come late, its payment have begun as much before others say, and its pane be open."""
    return max(0, policy.grace_ms + policy.lateness_ms - policy.boundary_ms) // 2


def shuffled(random: Random, events: list[Event], bound_ms: int, policy: Policy = POLICY) -> list[Event]:
    """The events out of order, none later than `bound_ms` after it should have come, or than the policy allows."""
    bound_ms = min(bound_ms, disorder_ms(policy))
    return [event for _, _, event in sorted(
        (event.occurred + random.randrange(bound_ms + 1), n, event) for n, event in enumerate(events)
    )]  # fmt: skip


def log_times(events: list[Event]) -> list[int]:
    """When each record was written: never before what it tells occurred, never before the record before."""
    newest, times = 0, []
    for event in events:
        newest = max(newest, event.occurred + 50)
        times.append(newest)
    return times


def batches(random: Random, count: int) -> list[tuple[int, int]]:
    """A split of `count` events into batches, as (start, stop)."""
    cuts = sorted({0, count, *(random.randrange(count + 1) for _ in range(random.randrange(12)))})
    return list(pairwise(cuts))
