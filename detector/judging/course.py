"""How an open outage of the evidence stands now: its kind and its severity follow what its scope shows lately.

    all_red, all_pending   ─ some are approved, or answered, again ─▶   drop, slow         `partly_recovered`
    critical               ─ less is lost than a page is for ───────▶   warning            `partly_recovered`
    and back, where it is                                                                  `worse`

Both ways with room between them, only what has held for a minute, and one change a minute at most. While a scope looks
well nothing is said: it is over soon. Does not start, resolve or name anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detector.arrays import Float64s
from detector.judging.board import Board
from detector.judging.finding import LOST_MIN, POINTS_MIN, since
from detector.judging.outage import Kind, Outage
from detector.judging.recovery import RATE, SLOW_COUNT, looks_well

HELD_MS = APART_MS = 60_000
SPANS_MS = (60_000, 300_000, 900_000)
"""Looked at is the shortest that holds votes enough."""
KIND_VOTES_MIN = 10.0
"""Approvals that would be usual, so that none is a sign."""
RATE_VOTES_MIN = 50.0
ALIVE_APPROVED_MIN, ALIVE_SHARE, DEAD_SHARE = 3.0, 0.1, 0.02
"""Dead scopes are alive with so many approvals and this share of the usual; they are dead again below the other."""
TWICE = 2.0
"""So many more must hang than are refused, or the other way, before the kind says so."""
MORE = 1.5
"""So much more than a page is for must be lost before it is worth one again."""
DEAD = ("all_red", "all_pending")
HANGS = ("all_pending", "slow")
_YES, _NO, _WAITS, _DUE, _TECHNICAL, _LATE_YES, _LATE_NO, _LATE_DUE = range(8)
"""Columns of `since`."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of the outage's leaves since a time: approved, refused, hanging where answers were due."""

    yes: float
    no: float
    hung: float

    @property
    def asked(self) -> float:
        """How many it is known of how they stand."""
        return self.yes + self.no + self.hung


class Course:
    """What the outages of a board show lately."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._at_ms = -1
        self._seen: dict[int, Float64s] = {}

    def look(self, outage: Outage) -> str | None:
        """The reason of an `updated` event; None where nothing changes."""
        now_ms, stands = self.board.boundary_ms, (outage.kind, outage.eased)
        found = self._stands(outage)
        if found is None or found == stands:
            outage.turn_ms = None
        elif outage.turn_ms is None or outage.turn != found:
            outage.turn, outage.turn_ms = found, now_ms
        elif now_ms - max(outage.turn_ms, outage.turned_ms) >= HELD_MS:
            outage.turn_ms, outage.turned_ms = None, now_ms
            outage.kind, outage.eased = found
            return _reason(stands, found)
        return None

    def _stands(self, outage: Outage) -> tuple[Kind, bool] | None:
        recovery = self.board.signals.recovery
        if outage.kind == "stall" or looks_well(self.board.signals.in_hand(recovery), outage.node):
            return None
        usual = float(self.board.signals.baseline.usual[outage.node])
        is_rate = recovery.watched[outage.node] == RATE
        kind: Kind = outage.kind
        eased = outage.eased and not outage.by_policy
        lately = self._lately(outage, lambda seen: usual * seen.asked >= KIND_VOTES_MIN)
        if lately is not None:
            kind = _kind(outage.kind, lately, usual) if is_rate else _pace(outage.kind, lately)
            outage.rate_now = lately.yes / lately.asked
        lately = self._lately(outage, lambda seen: seen.asked >= RATE_VOTES_MIN)
        if lately is not None and is_rate and not outage.by_policy:
            long = self._since(outage, SPANS_MS[-1])
            room = MORE if outage.eased else 1.0
            lost, points = usual * long.asked - long.yes, usual - lately.yes / lately.asked
            eased = lost < LOST_MIN * room or points < POINTS_MIN * room
        return kind, eased

    def _lately(self, outage: Outage, is_enough: Callable[[Votes], bool]) -> Votes | None:
        spans = (self._since(outage, span_ms) for span_ms in SPANS_MS)
        return next((seen for seen in spans if is_enough(seen)), None)

    def _since(self, outage: Outage, span_ms: int) -> Votes:
        if self._at_ms != self.board.boundary_ms:
            self._at_ms, self._seen = self.board.boundary_ms, {}
        since_ms = max(outage.began_ms, self._at_ms - span_ms)
        if since_ms not in self._seen:
            self._seen[since_ms] = since(self.board, since_ms)
        total = self._seen[since_ms][np.array(sorted(outage.cells), np.int64)].sum(axis=0)
        votes = Votes(float(total[_YES]), float(total[_NO]), float(min(total[_WAITS], total[_DUE])))
        if self.board.signals.recovery.watched[outage.node] != SLOW_COUNT:
            return votes
        yes, no = float(total[_LATE_YES]), float(total[_LATE_NO])
        return Votes(votes.yes + yes, votes.no + no, votes.hung + max(0.0, float(total[_LATE_DUE]) - yes - no))


def _kind(kind: Kind, lately: Votes, usual: float) -> Kind:
    if kind in DEAD:
        is_alive = lately.yes >= ALIVE_APPROVED_MIN and lately.yes >= ALIVE_SHARE * usual * lately.asked
    else:
        is_alive = lately.yes > DEAD_SHARE * lately.asked
    hangs = lately.no < TWICE * lately.hung if kind in HANGS else lately.hung > TWICE * lately.no
    if is_alive:
        return "slow" if hangs else "drop"
    return "all_pending" if hangs else "all_red"


def _pace(kind: Kind, lately: Votes) -> Kind:
    """Where answers are what is missing, those that come are what counts, whatever they say."""
    answered = lately.yes + lately.no
    if kind in DEAD:
        return "slow" if answered >= max(ALIVE_APPROVED_MIN, ALIVE_SHARE * lately.asked) else kind
    return "all_pending" if answered <= DEAD_SHARE * lately.asked else kind


def _reason(before: tuple[Kind, bool], now: tuple[Kind, bool]) -> str:
    """Better or worse, first by whether it is worth a page, then by whether anything is approved."""
    was, is_now = ((eased, kind not in DEAD) for kind, eased in (before, now))
    return "changed" if was == is_now else "partly_recovered" if is_now > was else "worse"
