"""A history: what is sent, and what is done to the workers and their Kafka meanwhile, drawn from a seed.

Any part of it may be left out, and what remains is a history again. Does not know how it is played.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.simulation.shops import TAIL_MS, Sent, Shops, draw_shops, sent_by

STEPS = ("commit", "committed", "tallies", "outage", "outage", "health", "transaction ends", "transaction ended",
         "table", "table", "fetch", "fenced others", "connect")  # fmt: skip
"""Where a worker may be killed: on the way to, or from, one of these."""

KINDS = (
    ("kill", 5), ("kill at", 8), ("pause", 4), ("unaware", 5), ("hold", 2), ("slow", 1), ("refuse", 3),
    ("acks late", 3), ("rebalance", 3), ("all down", 1), ("stop", 1),
)  # fmt: skip
FAULTS_MAX = 9
JUDGE = -1
"""As a target: the worker that judges at that moment."""
TWO_JUDGES = 0.3
"""Of the histories: one Judge goes on unaware while another begins, and then the seat moves again."""
THREE_JUDGES = 8
"""Every so many histories that is all there is, and a third begins before the first is fenced."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is done at a moment (ms from the start) to a worker or a partition (`target`) for a while.

    `kill`: SIGKILL, a new process after `for_ms`. `kill at`: likewise, as soon as it does the step `on`. `stop`: it
    leaves in an orderly way. `pause`: it stands still, and its groups go on without it when that lasts. `unaware`: its
    heartbeats are lost, and it goes on as if they were not. `hold`: a partition has no leader. `slow`: a record a
    fetch. `refuse`: its next write is answered by an error. `acks late`: writes are answered late. `rebalance`:
    the groups place anew. `all down`: every worker is killed.
    """

    at_ms: int
    kind: str
    target: int = 0
    for_ms: int = 0
    on: str = ""

    def __str__(self) -> str:
        step = f" '{self.on}'" if self.on else ""
        return f"{self.at_ms / 1000:7.1f} s  {self.kind}{step}, target {self.target}, for {self.for_ms / 1000:.1f} s"


@dataclass(frozen=True, slots=True)
class History:
    """A run, as data. `skew_ms[worker]`: how wrong its clock is; `broker_skew_ms[partition]` likewise."""

    seed: int
    partitions: int
    workers: int
    evidence: bool
    skew_ms: tuple[int, ...]
    broker_skew_ms: tuple[int, ...]
    shops: Shops
    sent: tuple[Sent, ...]
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        downs = ", ".join(f"{down.bank} {down.kind} {down.begin_ms // 1000}-{down.end_ms // 1000} s"
                          for down in self.shops.downs)  # fmt: skip
        evidence = "on" if self.evidence else "off"
        head = (f"{self.workers} workers, {self.partitions} partitions, {len(self.sent)} events in "
                f"{self.shops.span_ms // 1000} s; down: {downs}; evidence {evidence}")  # fmt: skip
        return "\n".join([head, *map(str, self.faults)])


def draw(seed: int) -> History:
    """The history of a seed."""
    random = Random(seed)
    shops = draw_shops(random)
    partitions, workers = random.choice((1, 2, 2, 3)), random.choice((1, 2, 2, 3))
    has_three = seed % THREE_JUDGES == 1
    workers = 3 if has_three else workers
    skew = tuple(random.choice((0, 0, -15_000, 15_000)) for _ in range(workers))
    broker_skew = tuple(random.choice((0, 0, 1_500, 3_000)) for _ in range(partitions))
    drawn = [_fault(random, shops, partitions, workers) for _ in range(random.randrange(FAULTS_MAX + 1))]
    if has_three:
        drawn = _three_judges(random)
    elif random.random() < TWO_JUDGES:
        drawn += _two_judges(random)
    faults = sorted(drawn, key=lambda fault: fault.at_ms)
    return History(seed, partitions, workers, seed % 8 == 7, skew, broker_skew, shops,
                   tuple(sent_by(shops, random)), tuple(faults))  # fmt: skip


def _fault(random: Random, shops: Shops, partitions: int, workers: int) -> Fault:
    at_ms = random.randrange(5_000, shops.span_ms - TAIL_MS)
    kind = random.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0]
    target = random.randrange(partitions if kind == "hold" else workers)
    if kind == "kill at":
        return Fault(at_ms, kind, target, random.randrange(1_000, 30_000), random.choice(STEPS))
    longest_ms = {"hold": 10_000, "all down": 60_000, "acks late": 20_000}.get(kind, 35_000)
    return Fault(at_ms, kind, target, random.randrange(1_000, longest_ms))


def _two_judges(random: Random) -> list[Fault]:
    at_ms = random.randrange(20_000, 50_000)
    again_ms = at_ms + random.randrange(11_000, 18_000)
    moves = [Fault(again_ms + more_ms, "rebalance") for more_ms in (0, 4_000, 8_000)]
    return [Fault(at_ms, "unaware", JUDGE, 45_000), *moves]


def _three_judges(random: Random) -> list[Fault]:
    at_ms = random.randrange(20_000, 50_000)
    moves = [Fault(at_ms + moved_ms, "rebalance") for moved_ms in range(10_000, 30_000, 5_000)]
    return [Fault(at_ms, "unaware", JUDGE, 45_000), *moves]
