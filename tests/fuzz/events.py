"""Sound events to spoil: those of seeded shops, as records of two topics.

Knows no mistake; the same seed gives the same records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detector.rehearsal.line import Lines, is_order
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from tests.property.batches import Written

__all__ = ["PAYMENTS", "START_MS", "TOPICS", "Stretch", "stretches"]

START_MS = 1_772_000_000_000
RATE = 500.0
"""Orders a second: about four times as many records."""
PAYMENTS, ORDERS = TOPICS = ("payments", "orders")
FETCHED = 4_000
"""Records of both topics at once: about what a fetch holds."""
READ_MS = 40
"""A record is written so long after what it tells of."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of both topics in a while: time, key, value, no headers."""

    by_topic: dict[str, list[Written]]

    def __len__(self) -> int:
        return sum(map(len, self.by_topic.values()))


def stretches(seed: int) -> Iterator[Stretch]:
    """Without an end, a few seconds of event time at once."""
    shops = Shops(seed, START_MS, RATE, swing=0.0, banks=12, merchants=300, shoppers=20_000)
    lines = Lines(shops)
    for events in simulate(shops):
        for some in (events[at : at + FETCHED] for at in range(0, len(events), FETCHED)):
            stretch = Stretch({topic: [] for topic in TOPICS})
            rows = zip(is_order(some), some["at"].tolist(), lines.keys(some), lines.values(some), strict=True)
            for order, at_ms, key, value in rows:
                stretch.by_topic[TOPICS[order]].append((at_ms + READ_MS, key.encode(), value.encode(), []))
            yield stretch
