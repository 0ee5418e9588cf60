"""What each merchant did lately: the sources' details as they were told over the last hour, to be compared.

Details say what the open panes hold at a moment, and a payment is held for as long as its pane is open. So what is held
now came within that time, what was held so long ago came in the time before, and so on. Of the rest, what was held at
its end less what was held at its beginning is what came less what left; and what left had come so long before, which is
known in the same way, as far back as is remembered. Of what was held then alone it is not known when it came; evenly,
is assumed:

    came(onset, end) = held(end) − held(onset) + came(onset − open, end − open)
    came(onset, end) = held(first) · (end − onset) ÷ open      before the first that is remembered

Does not know who is to blame.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np

from detector.arrays import Float64s, Int32s
from detector.contracts.scope import Leaf
from detector.counting.tally import Details, Source

APPROVED, RED = 1, 2
"""Columns of `Details.merchant_counts`."""
TECHNICAL = 2
"""Column of what came since an onset, after the approved and the refused."""
SPAN_MS = 3_600_000
FINE_MS, STEP_MS = 60_000, 30_000
"""All that was told in the last minute is kept, of the time before the last in each half."""
KNOWN_MS = SPAN_MS - 2 * STEP_MS
"""So far back a Judge that took over, and read an hour of the log again, knows the same as the one before."""
NAMES_MAX = 65_536
_Name = TypeVar("_Name", Leaf, str)


class Held(NamedTuple):
    """What a source held at a moment, row by row; leaves and merchants by number."""

    at_ms: int
    leaf: Int32s
    merchant: Int32s
    counts: Int32s  # [row, approved red]
    technical: Int32s  # [row]


class Told:
    """What one source held: every time of the last minute, and the last time in each half minute of the hour."""

    def __init__(self) -> None:
        self._coarse: deque[Held] = deque()
        self._fine: deque[Held] = deque()

    def __iter__(self) -> Iterator[Held]:
        return chain(self._coarse, self._fine)

    def __len__(self) -> int:
        return len(self._coarse) + len(self._fine)

    def add(self, held: Held) -> None:
        """The newest; what is not needed beside it goes."""
        coarse, fine = self._coarse, self._fine
        fine.append(held)
        while fine[0].at_ms <= held.at_ms - FINE_MS:
            past = fine.popleft()
            if past.at_ms // STEP_MS != fine[0].at_ms // STEP_MS:
                coarse.append(past)
        while coarse and (coarse[1] if len(coarse) > 1 else fine[0]).at_ms <= held.at_ms - SPAN_MS:
            coarse.popleft()

    def weighted(self, onset_ms: int, open_ms: int) -> Iterator[tuple[Held, float]]:
        """How often what was held at each moment counts in what came since the onset, or for as long as is known."""
        end_ms, oldest_ms = self._fine[-1].at_ms, next(iter(self)).at_ms
        floor_ms = end_ms - KNOWN_MS
        first_ms, onset_ms = max(oldest_ms, floor_ms), max(onset_ms, floor_ms)
        while first_ms <= end_ms - open_ms > onset_ms:
            yield from self._at(end_ms, 1.0)
            end_ms -= open_ms
        if onset_ms < first_ms:
            yield from self._at(end_ms, 1.0)
            return
        rest = (end_ms - onset_ms) / open_ms
        while first_ms < end_ms:
            yield from self._at(end_ms, 1.0)
            yield from self._at(max(first_ms, onset_ms), -1.0)
            if onset_ms < first_ms:
                break
            end_ms, onset_ms = end_ms - open_ms, onset_ms - open_ms
        yield from self._at(first_ms, rest)

    def _at(self, at_ms: int, weight: float) -> Iterator[tuple[Held, float]]:
        """What was held at a moment: between two that were told it is taken to have changed evenly."""
        after = self._fine[-1]
        for before in chain(reversed(self._fine), reversed(self._coarse)):
            if before.at_ms <= at_ms:
                break
            after = before
        share = (at_ms - before.at_ms) / max(1, after.at_ms - before.at_ms) if after.at_ms > at_ms else 0.0
        yield before, weight * (1 - share)
        if share:
            yield after, weight * share

    def renumber(self, moved: Int32s) -> None:
        """Merchants have other numbers from now on."""
        self._coarse, self._fine = (
            deque(held._replace(merchant=moved[held.merchant]) for held in some) for some in (self._coarse, self._fine)
        )


class Lately:
    """Of every source what it told; `newest` is the last of it as it came."""

    def __init__(self) -> None:
        self.newest: dict[Source, Details] = {}
        self._told: defaultdict[Source, Told] = defaultdict(Told)
        self._leaves: dict[Leaf, int] = {}
        self._merchants: dict[str, int] = {}

    def note(self, source: Source, boundary_ms: int, details: Details) -> None:
        """A source tells its details anew."""
        self.newest[source] = details
        if len(self._merchants) > NAMES_MAX:
            self._forget_names()
        leaves = _numbered(self._leaves, details.leaves)
        merchants = _numbered(self._merchants, details.merchants)
        counts, technical = details.merchant_counts[:, APPROVED : RED + 1].copy(), _technical(details)
        held = Held(boundary_ms, leaves[details.merchant_leaf], merchants[details.merchant], counts, technical)
        self._told[source].add(held)

    def since(self, onset_ms: int, leaves: Collection[Leaf], open_ms: int) -> Mapping[str, Float64s]:
        """Approved and refused payments of each merchant in the leaves since about `onset_ms`, by name."""
        came = self._since(onset_ms, leaves, open_ms)
        return {name: counts[:2] for name, counts in came.items()}

    def technical_since(self, onset_ms: int, leaves: Collection[Leaf], open_ms: int) -> Mapping[str, Float64s]:
        """As `since`: payments answered in another way, and those refused for a technical reason; nothing where none is
        known to be."""
        came = self._since(onset_ms, leaves, open_ms)
        if not any(counts[TECHNICAL] for counts in came.values()):
            return {}
        return {name: np.array([max(0.0, yes + no - technical), technical])
                for name, (yes, no, technical) in came.items()}  # fmt: skip

    def _since(self, onset_ms: int, leaves: Collection[Leaf], open_ms: int) -> Mapping[str, Float64s]:
        wanted = np.zeros(len(self._leaves) + 1, np.bool_)
        wanted[[self._leaves[leaf] for leaf in leaves if leaf in self._leaves]] = True
        names, merchants = list(self._merchants), [np.zeros(0, np.int32)]
        counts: list[Float64s] = [np.zeros((0, 3))]
        for told in self._told.values():
            for held, weight in told.weighted(onset_ms, open_ms):
                rows = wanted[held.leaf]
                merchants.append(held.merchant[rows])
                counts.append(np.multiply(np.column_stack((held.counts[rows], held.technical[rows])), weight))
        of, weights = np.concatenate(merchants), np.concatenate(counts)
        came = np.stack([np.bincount(of, column, len(names)) for column in weights.T], axis=1)
        came = np.maximum(came, 0.0)
        some = sorted((names[number], number) for number in np.flatnonzero(came.any(axis=1)).tolist())
        return {name: came[number] for name, number in some}

    def _forget_names(self) -> None:
        """Only those that are still held keep a number."""
        used = {n for told in self._told.values() for held in told for n in held.merchant.tolist()}
        names = [name for name, number in self._merchants.items() if number in used]
        moved = np.zeros(len(self._merchants), np.int32)
        moved[[self._merchants[name] for name in names]] = np.arange(len(names))
        self._merchants = {name: number for number, name in enumerate(names)}
        for told in self._told.values():
            told.renumber(moved)


def _technical(details: Details) -> Int32s:
    """Of each row; 0 where nobody counted."""
    told = details.merchant_technical
    return told if len(told) else np.zeros(len(details.merchant), np.int32)


def _numbered(known: dict[_Name, int], names: Sequence[_Name]) -> Int32s:
    """The numbers of names; new ones get the next."""
    numbers = list(map(known.get, names))
    if None in numbers:
        numbers = [known.setdefault(name, len(known)) for name in names]
    return np.array(numbers or [0], np.int32)
