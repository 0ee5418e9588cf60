"""What still works while something is down: what a checkout may offer instead, the best first.

Of a boundary it looks once, and at what is down once as long as it stays the same: with a thousand scopes and a hundred
outages a look for each of them would hold up the judging for a minute. Does not know what an outage is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from detector.contracts.scope import Scope
from detector.counting.columns import APPROVED, DECLINED, ERROR
from detector.judging.board import Board
from detector.judging.maintenance import Maintenances

WINDOW_MS = 300_000
RATE_MIN = 0.5
DECIDED_MIN = 5
_PLACES = {"leaf": 0, "method": 1, "bank": 2}
"""The bank's other leaves come first, then methods, then banks."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A scope that is seen to work; `above`: the values of itself and of all scopes above it by name."""

    place: int
    bank: str | None
    key: str
    above: tuple[frozenset[tuple[str, str]], ...]


class Offers:
    """The scopes that work at the board's boundary."""

    def __init__(self, board: Board, maintenances: Maintenances) -> None:
        self._board = board
        self._maintenances = maintenances
        self._known: list[Offer | None] = []
        self._seen: list[Offer] | None = None
        self._up: dict[frozenset[frozenset[tuple[str, str]]], list[Offer]] = {}

    def look_again(self) -> None:
        """The board or the maintenances have changed."""
        self._seen = None
        self._up.clear()

    def instead_of(self, scope: Scope, down: Iterable[Scope]) -> list[str]:
        """Keys of what works beside a scope while all of `down` is not to be offered."""
        near = scope.value("bank")
        return [offer.key for offer in self._beside(down) if offer.place or offer.bank == near]

    def _beside(self, down: Iterable[Scope]) -> list[Offer]:
        named = frozenset(frozenset(scope.values) for scope in down)
        if named not in self._up:
            self._up[named] = [offer for offer in self._all() if named.isdisjoint(offer.above)]
        return self._up[named]

    def _all(self) -> list[Offer]:
        if self._seen is None:
            found = [(offer.place, -rate, offer.key, offer) for offer, rate in self._rates()]
            self._seen = [offer for *_, offer in sorted(found, key=lambda one: one[:3])]
        return self._seen

    def _rates(self) -> Iterable[tuple[Offer, float]]:
        """Approval rates of the last minutes, of scopes that are seen to work and may be offered."""
        counts = self._board.payments_in((WINDOW_MS,))[:, 0, :]
        approved = counts[:, APPROVED]
        decided = approved + counts[:, DECLINED] + counts[:, ERROR]
        works = (decided >= DECIDED_MIN) & (approved >= RATE_MIN * decided)
        scopes, offers = self._board.nodes.scopes, self._offers()
        rates = approved / np.maximum(decided, 1)
        for node, rate in zip(works.nonzero()[0].tolist(), rates[works].tolist(), strict=True):
            offer = offers[node]
            if offer is not None and self._maintenances.covering(scopes[node]) is None:
                yield offer, rate

    def _offers(self) -> list[Offer | None]:
        """Of each node, what it is as an offer; None where it is none. Nodes come, and never change."""
        for scope in self._board.nodes.scopes[len(self._known) :]:
            place = _PLACES.get(scope.dimension)
            offer = None if place is None else Offer(place, scope.value("bank"), scope.key, scope.above)
            self._known.append(offer)
        return self._known
