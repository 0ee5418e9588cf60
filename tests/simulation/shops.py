"""Small seeded shops: payments and orders of some minutes, banks that die, and what producers do to the events.

An event is sent some time after it occurred: mostly soon, sometimes seconds later, sometimes when all is closed; twice,
with a clock that goes wrong, or in the future. Does not know what becomes of an event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from detector.contracts.policy import EvidenceRules, Policy, Resolve, Rule
from streams.intake.placing import partition_of
from tests.property.dumb import Event

START_MS = 1_700_000_000_000
"""The wall time at which the simulated loop begins."""
VOTE_BLOCK_MS = 20_000
H_MS = 20_000
AHEAD_MS = 600_000
"""How far in the future a producer is that has gone mad: beyond every doubt."""

_BANKS, _METHODS = ("axa", "bnp", "cedar"), ("card", "pix")
_LEAVES = [(bank, method) for bank in _BANKS for method in _METHODS]
_SHOPPERS, _SHOPS = 30, 4
TAIL_MS = 90_000
"""The last part of the traffic, in which nothing is done to workers."""


def policy(evidence: bool) -> Policy:
    """Everything as by default, some thirty times as fast."""
    return Policy(
        horizon_ms=H_MS, grace_ms=20_000, clock_ahead_ms=15_000, ring_ms=90_000, wait_ms=4_000,
        all_red=Rule(12_000, 3), all_pending=Rule(15_000, 3), answers={"default": 8_000},
        resolve=Resolve(hold_ms=6_000, window_ms=12_000, decided=4, approved=2), leaves_max=50, codes_max=20,
        merchant_names_max=100, evidence=EvidenceRules(mode="live" if evidence else "off"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """An event on its way to Kafka: when it gets there, in ms from the start. `ahead`: it must be refused."""

    at_ms: int
    event: Event
    ahead: bool = False

    @property
    def topic(self) -> str:
        """Where it goes."""
        return "payments" if self.event.kind == "payment" else "orders"

    def partition(self, partitions: int) -> int:
        """As Kafka's default partitioner says."""
        return partition_of(self.event.order.encode(), partitions)

    def value(self) -> bytes:
        """What a producer writes."""
        event = self.event
        fields: dict[str, Any] = {"order_id": event.order, "occurred_at": event.occurred}
        if event.kind == "payment":
            fields |= {"payment_id": event.payment, "status": event.status}
        else:
            fields["status"] = event.kind
        if event.leaf is not None:
            fields["bank"], fields["method"] = event.leaf
        if event.merchant != "unknown":
            fields["merchant_id"] = event.merchant
        optional = {"started_at": event.started, "shopper_id": event.shopper, "code": event.code}
        return json.dumps(fields | {name: value for name, value in optional.items() if value is not None}).encode()


@dataclass(frozen=True, slots=True)
class Down:
    """A bank that answers `red`, or not at all (`hangs`), from one moment to another (ms from the start)."""

    bank: str
    kind: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Shops:
    """What is drawn once a run. `late`: some events come when they can no longer count. `downs[-1]` may last."""

    span_ms: int
    gap_ms: int
    late: bool
    skew_ms: tuple[int, ...]
    """By shop: how wrong its clock is."""
    has_orders: bool
    downs: tuple[Down, ...]

    @property
    def lasting(self) -> list[str]:
        """The banks that are down when all ends."""
        return [down.bank for down in self.downs if down.end_ms >= self.span_ms]


def draw_shops(random: Random) -> Shops:
    """Some minutes with one to three outages."""
    span_ms = random.randrange(160_000, 200_000)
    downs = []
    for bank in random.sample(_BANKS, random.choice((1, 1, 2))):
        begin_ms = random.randrange(15_000, span_ms - 115_000)
        end_ms = begin_ms + random.randrange(30_000, 60_000)
        downs.append(Down(bank, random.choice(("red", "red", "hangs")), begin_ms, end_ms))
    if random.random() < 0.5:
        left = [bank for bank in _BANKS if bank not in {down.bank for down in downs}]
        downs.append(Down(left[0], random.choice(("red", "hangs")), span_ms - 70_000, span_ms))
    skew = tuple(random.choice((0, 0, 0, -2_000, 2_000)) for _ in range(_SHOPS))
    return Shops(span_ms, random.choice((900, 1_300, 1_800)), random.random() < 0.3, skew, random.random() < 0.7,
                 tuple(downs))  # fmt: skip


def sent_by(shops: Shops, random: Random) -> list[Sent]:
    """All that is sent, in the order in which it gets there."""
    found: list[Sent] = []
    at_ms, number = 0, 0
    while at_ms < shops.span_ms:
        at_ms += 1 + int(random.expovariate(1 / shops.gap_ms))
        number += 1
        found += _order(shops, random, number, at_ms)
    in_time = [sent for sent in found if sent.at_ms < shops.span_ms]
    return sorted(in_time, key=lambda sent: (sent.at_ms, sent.value()))


def _order(shops: Shops, random: Random, number: int, at_ms: int) -> list[Sent]:
    """An order, and its payments until one is approved or the shopper gives up."""
    shop = random.randrange(_SHOPS)
    shopper = f"shopper-{random.randrange(_SHOPPERS)}" if random.random() < 0.8 else None
    merchant = "unknown" if shop == 0 else f"shop-{shop}"
    leaf, order = random.choice(_LEAVES), f"order-{number}"
    base = Event("payment", order, 0, f"payment-{number}", "pending", leaf, None, shopper, merchant)
    events: list[Event] = []
    if shops.has_orders and random.random() < 0.3:
        chosen = leaf if random.random() < 0.7 else None
        events.append(replace(base, kind="placed", payment=None, leaf=chosen, occurred=at_ms))
        if random.random() < 0.3:
            events.append(replace(events[0], kind=random.choice(("confirmed", "cancelled")), leaf=None,
                                  occurred=at_ms + random.randrange(20_000)))  # fmt: skip
        at_ms += random.randrange(500, 6_000)
    for attempt in range(random.choice((1, 1, 2))):
        payment = replace(base, payment=f"payment-{number}-{attempt}", leaf=leaf)
        made, approved = _payment(shops, random, payment, at_ms)
        events += made
        if approved:
            break
        leaf, at_ms = random.choice((leaf, random.choice(_LEAVES))), at_ms + random.randrange(2_000, 12_000)
    return [sent for event in events for sent in _send(shops, random, shop, event)]


def _payment(shops: Shops, random: Random, base: Event, at_ms: int) -> tuple[list[Event], bool]:
    """The events of one payment, in ms from the start, and whether it was approved."""
    down = next((down for down in shops.downs if base.leaf is not None and down.bank == base.leaf[0]
                 and down.begin_ms <= at_ms < down.end_ms), None)  # fmt: skip
    started = at_ms if random.random() < 0.8 else None
    events = [replace(base, occurred=at_ms, started=started)]
    if down is not None and down.kind == "hangs":
        if random.random() < 0.3:
            events.append(replace(base, status="cancelled", occurred=at_ms + random.randrange(5_000, 18_000),
                                  started=started))  # fmt: skip
        return events, False
    answer_ms = at_ms + int(random.choice((1, 1, 1, 8)) * random.uniform(200, 2_200))
    if down is not None:
        status = random.choice(("declined", "declined", "error"))
    else:
        status = random.choices(("approved", "declined", "error", "cancelled"), (90, 6, 2, 2))[0]
    if down is None and random.random() < 0.03:
        answer_ms = at_ms + random.randrange(H_MS, 2 * H_MS)
    code = random.choice(("91", "96")) if down is not None else random.choice(("05", "51", None))
    said = at_ms if answer_ms - at_ms >= H_MS else started
    code = code if status == "declined" else None
    events.append(replace(base, status=status, occurred=answer_ms, started=said, code=code))
    return events, status == "approved"


def _send(shops: Shops, random: Random, shop: int, event: Event) -> list[Sent]:
    """The event as its shop's clock tells it, when it gets to Kafka, perhaps twice."""
    skew_ms = shops.skew_ms[shop]
    ahead = event.kind == "payment" and random.random() < 0.003
    told_ms = START_MS + event.occurred + skew_ms + (AHEAD_MS if ahead else 0)
    began_ms = None if event.started is None or ahead else START_MS + event.started + skew_ms
    told = replace(event, occurred=told_ms, started=began_ms)
    found = []
    for _ in range(2 if random.random() < 0.05 else 1):
        delay_ms = random.choices(
            (random.randrange(20, 300), random.randrange(300, 5_000), random.randrange(15_000, 80_000)),
            (90, 10, 2 if shops.late else 0),
        )[0]
        found.append(Sent(max(0, event.occurred + delay_ms), told, ahead))
    return found
