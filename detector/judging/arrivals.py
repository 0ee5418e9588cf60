"""Shops whose payments stop arriving: the recursion of `evidence` over what the largest shops send beside their peers.

    due = what the peers sent lately × the shop's usual share of it × exp(−3 tau)      llr = seen · ln θ + (1 − θ) · due

Details say how many votes of a shop the open panes hold: those of the last eleven minutes. Such windows are taken one
after the other, in as many rows as they have minutes, each a minute after the one before; M is the mean of all rows,
which is evidence as each of them is. So a shop is missed after about as long as a window is, the sooner the more it
sends. A shop that is not told of in a leaf may have as many votes there as the least that is: it is given the benefit
of it. Shares are learned of the last day, but not from a window that speaks against the shop. Knows no other channel.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detector.counting.names import UNKNOWN
from detector.counting.tally import Details
from detector.counting.top import RED_VOTES
from detector.judging.circumstances import RED
from detector.judging.evidence import FEWER, R_MAX

SHOPS_MAX = 256
STEP_MS = 60_000
HALF_LIFE_STEPS = 24 * 60
KNOWN_STEPS_MIN, KNOWN_VOTES_MIN, HOURLY_MIN = 60, 30.0, 2.0
"""How long a shop must have been watched, by how many votes, and how many an hour it must send."""
TAU2 = 0.2**2 + 0.3**2
"""How far a shop's share wanders, on the log, as of volumes of which one week is known."""
WELL_SHARE = 0.5
_KEEP = 0.5 ** (1 / HALF_LIFE_STEPS)
_THETA = [(theta, math.log(theta)) for theta in FEWER.tolist()]
_NATS_MAX = math.log(R_MAX)
_VOTES = 0


@dataclass(slots=True)
class Shop:
    """What is known of a shop; `own` and `peers` are votes of the past, the newer the more."""

    r: list[list[float]]
    """Seconds, by row of windows and alternative."""
    steps: int = 0
    own: float = 0.0
    peers: float = 0.0
    leaves: float = 0.0
    """In how many leaves it is told of, as a rule."""
    seen: float = 0.0
    usual: float = 0.0
    """Votes that the open panes hold now, and would as a rule."""
    onset_ms: int | None = None
    """Since when it sends too little."""

    @property
    def m(self) -> float:
        """Return period, in seconds."""
        return sum(map(sum, self.r)) / (len(self.r) * len(_THETA))

    @property
    def is_known(self) -> bool:
        """Whether enough is known of it."""
        weight = (1 - _KEEP**self.steps) / (1 - _KEEP)
        enough = self.steps >= KNOWN_STEPS_MIN and self.own >= KNOWN_VOTES_MIN
        return enough and 60 * self.own / weight >= HOURLY_MIN

    @property
    def is_well(self) -> bool:
        """Whether it sends half as much as usual, or more."""
        return self.seen > 0 and self.seen >= WELL_SHARE * self.usual

    def weigh(self, seen: float, peers: float, at_ms: int, row: int) -> None:
        """A window of a row is full."""
        self.seen, window_ms = seen, len(self.r) * STEP_MS
        if not self.is_known or self.peers <= 0:
            return
        self.usual = peers * self.own / self.peers
        due = self.usual * math.exp(-3 * math.sqrt(TAU2 + 1 / self.own))
        speaks, r = False, self.r[row]
        for j, (theta, log_theta) in enumerate(_THETA):
            llr = seen * log_theta + (1 - theta) * due
            r[j] = min((r[j] + window_ms / 1000) * math.exp(min(llr, _NATS_MAX)), R_MAX)
            speaks = speaks or llr > 0
        if not speaks:
            self.onset_ms = None
        elif self.onset_ms is None:
            self.onset_ms = at_ms - round(window_ms * (1 - seen / self.usual))

    def learn(self, peers: float) -> None:
        """Take the window for usual; a minute's share of it, for there is one every minute."""
        self.steps += 1
        self.own = self.own * _KEEP + self.seen / len(self.r)
        self.peers = self.peers * _KEEP + peers / len(self.r)

    def forget(self) -> None:
        """Its outage is over."""
        self.r, self.onset_ms = _nothing(len(self.r)), None


class Arrivals:
    """The largest shops beside all others; the open panes hold the votes of `minutes` minutes."""

    def __init__(self, minutes: int) -> None:
        self.shops: dict[str, Shop] = {}
        self.minutes = minutes

    def step(self, details: Collection[Details], at_ms: int, rows_max: int) -> None:
        """Take what all sources tell at a full minute, at most `rows_max` pairs of leaf and shop each."""
        held, leaves, cut = _held(details, rows_max)
        everybody, row = sum(held.values()), at_ms // STEP_MS % self.minutes
        for name, shop in self.shops.items():
            told, seen = leaves.get(name, 0), held.get(name, 0.0)
            peers = everybody - seen
            shop.weigh(seen + max(0.0, shop.leaves - told) * cut, peers, at_ms, row)
            if shop.onset_ms is None:
                shop.learn(peers)
                shop.leaves = max(shop.leaves * _KEEP, told)
        self._choose(held)

    def _choose(self, held: Mapping[str, float]) -> None:
        """Watch the largest that are not watched yet, while there is room; a shop that is long gone makes some."""
        self.shops = {name: shop for name, shop in self.shops.items() if shop.own >= 1.0 or name in held}
        new = sorted((name for name in held if name not in self.shops), key=lambda name: (-held[name], name))
        for name in new[: SHOPS_MAX - len(self.shops)]:
            self.shops[name] = Shop(_nothing(self.minutes))

    def past(self, bar_s: float) -> dict[str, Shop]:
        """The shops whose bar is passed."""
        return {name: shop for name, shop in sorted(self.shops.items()) if shop.m >= bar_s}

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {"shops": {name: asdict(shop) for name, shop in self.shops.items()}}

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back."""
        self.shops = {name: Shop(**shop) for name, shop in state["shops"].items()}


def _nothing(rows: int) -> list[list[float]]:
    return [[0.0] * len(_THETA) for _ in range(rows)]


def _held(details: Collection[Details], rows_max: int) -> tuple[dict[str, float], dict[str, int], float]:
    """Votes in open panes by shop, in how many leaves it is told of, and how many it may have where it is not."""
    held: dict[str, float] = {}
    leaves: dict[str, int] = {}
    cut = 0.0
    for one in details:
        votes = one.merchant_counts[:, _VOTES]
        if len(votes) >= rows_max:
            cut += float((votes + RED_VOTES * one.merchant_counts[:, RED]).min())
        for number, count in zip(one.merchant.tolist(), votes.tolist(), strict=True):
            name = one.merchants[number]
            if name != UNKNOWN and count > 0:
                held[name] = held.get(name, 0.0) + count
                leaves[name] = leaves.get(name, 0) + 1
    return held, leaves, cut
