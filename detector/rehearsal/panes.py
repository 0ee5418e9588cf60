"""What the panes of each leaf held in the end: counts by status, and votes, kept from the tallies of a replay.

Stands between Counter and Judge (`Replay`'s `through`) and changes nothing there. An answer that came after the
horizon is in no payment's own row, so a payment that waited longer stays pending here. Does not know what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from detector.arrays import Bools, Float64s, Int64s
from detector.contracts.policy import Policy
from detector.contracts.scope import Leaf, Scope, leaf_scope
from detector.counting.tally import COUNTS, Tally

MINUTE_MS = 60_000
VOTES = len(COUNTS)
"""The column of `values` after those of COUNTS."""

_PANE_BITS = 40
"""A pane's number is smaller than this power of two until the year 9999."""
_NEWS_MAX = 200_000
"""So many cells are kept as they came before they are laid over the older ones."""


@dataclass(slots=True)
class _Table:
    """The newest values of one source's cells; `keys[cell]` = leaf << 40 | pane, ascending after `fold`."""

    keys: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    values: Int64s = field(default_factory=lambda: np.zeros((0, VOTES + 1), np.int64))
    news: list[tuple[Int64s, Int64s]] = field(default_factory=list)
    waiting: int = 0

    def put(self, keys: Int64s, values: Int64s) -> None:
        self.news.append((keys, values))
        self.waiting += len(keys)
        if self.waiting > max(_NEWS_MAX, len(self.keys)):
            self.fold()

    def fold(self) -> None:
        """Lay what came over what was there: of a cell that was told several times the last counts."""
        keys = np.concatenate([self.keys, *(keys for keys, _ in self.news)])
        values = np.concatenate([self.values, *(values for _, values in self.news)])
        self.keys, from_end = np.unique(keys[::-1], return_index=True)
        self.values = values[len(keys) - 1 - from_end]
        self.news, self.waiting = [], 0


class Panes:
    """All leaves and panes of a recorded day."""

    def __init__(self, policy: Policy) -> None:
        self._dimensions = policy.dimensions
        self._pane_ms = policy.pane_ms
        self._leaves: dict[Leaf, int] = {}
        self._tables: dict[object, _Table] = {}

    def through(self, tally: Tally) -> Tally:
        """Keep what a tally says, and hand it on."""
        cells = tally.cells
        if len(cells):
            numbers = np.array([self._leaves.setdefault(leaf, len(self._leaves)) for leaf in cells.leaves], np.int64)
            values = np.column_stack([cells.counts, cells.votes.sum(axis=1)]).astype(np.int64)
            self._tables.setdefault(tally.source, _Table()).put(numbers[cells.leaf] << _PANE_BITS | cells.pane, values)
        return tally

    def has(self, scope: Scope) -> bool:
        """Whether any payment was the scope's."""
        return bool(self._members(scope).any())

    def votes(self, scope: Scope, start_ms: int, end_ms: int) -> int:
        """Votes of a scope in the panes that a stretch of time touches."""
        first, last = start_ms // self._pane_ms, (end_ms - 1) // self._pane_ms
        total = 0
        for pane, values in self._of(scope):
            total += int(values[(first <= pane) & (pane <= last), VOTES].sum())
        return total

    def by_minute(self, scope: Scope, start_ms: int, end_ms: int) -> Int64s:
        """Payments of a scope by minute of their start and status (COUNTS), from the minute of `start_ms` on."""
        first, minutes = start_ms // MINUTE_MS, (end_ms - 1) // MINUTE_MS - start_ms // MINUTE_MS + 1
        counts = np.zeros((minutes, len(COUNTS)), np.int64)
        for pane, values in self._of(scope):
            minute = pane * self._pane_ms // MINUTE_MS - first
            inside = (minute >= 0) & (minute < minutes)
            np.add.at(counts, minute[inside], values[inside, :VOTES])
        return counts

    def _of(self, scope: Scope) -> list[tuple[Int64s, Int64s]]:
        """The panes and values of a scope's cells, source by source."""
        member, found = self._members(scope), []
        for table in self._tables.values():
            table.fold()
            mine = member[table.keys >> _PANE_BITS]
            found.append((table.keys[mine] & ((1 << _PANE_BITS) - 1), table.values[mine]))
        return found

    def _members(self, scope: Scope) -> Bools:
        """For each leaf, whether it is the scope's."""
        fixed = set(scope.values)
        return np.array([fixed <= set(leaf_scope(self._dimensions, leaf).values) for leaf in self._leaves], np.bool_)


def approval_rate(counts: Int64s) -> Float64s:
    """Approved ÷ (approved + declined + error) of each row of COUNTS; not a number where nothing was decided."""
    approved = counts[:, COUNTS.index("approved")]
    decided = approved + counts[:, COUNTS.index("declined")] + counts[:, COUNTS.index("error")]
    return np.where(decided > 0, approved / np.maximum(decided, 1), np.nan)
