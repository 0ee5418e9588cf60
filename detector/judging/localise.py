"""Where is it? Few causes for many bad cells, by a greedy search for the likeliest name (penalised likelihood).

    score(name) = max_j Σ llr[cell, j] over its cells not yet explained − ln(names of its level) − 3 × values it fixes

The best name is a cause and explains its cells; again, while the best has 10 nats. Healthy cells pull the sum of a
name down by themselves, so one big dead bank never blames the platform. That all cells of a cause drop alike is the
ripple effect of Squeeze and PSqueeze; that few values are worth more than many is Adtributor's.

Of names with the same cells the broader is said, and what else those cells share stands beside it: "only method seen:
pix". What fixes neither bank nor merchant is not said while all evidence is one bank's, as in `naming`: it is the bank.

Knows no words, counts or times: values are the caller's numbers, evidence is in nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np

from detector.arrays import Bools, Float64s, Int32s, Int64s

Level: TypeAlias = tuple[int, ...]
"""The places of the dimensions that a name of this level fixes; () is the platform's."""

UNKNOWN = -1
"""In `Table.values`: the cell has no value here, and so no name that fixes this dimension."""

_TIE = 1e-9
"""Nats. Scores as near as this are equal: sums in another order of cells differ less."""


@dataclass(frozen=True, slots=True)
class Table:
    """The evidence, cell by cell, since the onset. Leave out cells without votes: they would count as seen."""

    dimensions: tuple[str, ...]  # such as ("bank", "method", "merchant")
    values: Int32s  # [cell, dimension] number of the value, or UNKNOWN
    llr: Float64s  # [cell, alternative] nats for "bad in this way" against "healthy"


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause, named by the values it fixes."""

    fixed: tuple[tuple[int, int], ...]  # (place of the dimension, number of the value); empty is the platform
    alternative: int  # the way of being bad that fits best
    score: float  # nats, the best of all names with these cells
    cells: Int64s  # rows of the table that it explains, ascending
    only: tuple[tuple[int, int], ...]  # what all its cells share besides: each could be fixed without losing a cell


def levels(dimensions: tuple[str, ...]) -> tuple[Level, ...]:
    """The levels of names, broader ones first, the bank's before others: platform, each dimension, each pair, all.

    Of a merchant only itself, and itself at a bank or by a method: who sells where is a person's business.
    """
    merchant = [place for place, name in enumerate(dimensions) if name == "merchant"]
    leaf = [place for place, name in enumerate(dimensions) if name != "merchant"]
    leaf.sort(key=lambda place: dimensions[place] != "bank")
    of_merchants = [(m, p) for m in merchant for p in leaf if dimensions[p] in ("bank", "method")]
    singles, pairs = [(place,) for place in [*leaf, *merchant]], list(combinations(leaf, 2))
    everything = [tuple(leaf)] if len(leaf) > 2 else []
    return ((), *singles, *pairs, *of_merchants, *everything)


def localise(
    table: Table,
    *,
    gain: float = 10.0,
    per_dimension: float = 3.0,
    causes_max: int = 16,
    levels: tuple[Level, ...] | None = None,
) -> list[Cause]:
    """The causes, best first: each a name whose cells, as far as none before explains them, give `gain` nats or more.

    `levels`: broader ones first, for in a tie, and of names with the same cells, the earlier is said. The order of
    cells changes nothing.
    """
    if not len(table.values):
        return []
    search, causes = _search(table, levels, per_dimension), list[Cause]()
    while len(causes) < causes_max and (cause := search.best(gain)):
        causes.append(cause)
        search.explain(cause.cells)
    return causes


@dataclass(slots=True)
class _Search:
    """All names as nodes, numbered level by level and by value: of two equals the lower number is said.

    The last node, number N, is nobody: of cells that are explained, and of those without a value on a level.
    """

    table: Table
    levels: tuple[Level, ...]
    nodes: Int64s  # [cell, level] node
    level: Int64s  # [N] number of the level
    penalty: Float64s  # [N] nats
    sums: Float64s  # [N + 1, alternative] nats of the cells not yet explained
    counts: Int64s  # [N + 1] how many these are; 0 for nobody

    def best(self, gain: float) -> Cause | None:
        """The best cause that is left, if it has `gain` nats."""
        nobody = len(self.level)
        top: Float64s = self.sums[:nobody].max(axis=1)
        # What is left of a node without cells is rounding, and no evidence.
        score = np.where((self.counts[:nobody] > 0) & (top > _TIE), top - self.penalty, -np.inf)
        while (best := float(score.max(initial=-np.inf))) >= gain - _TIE:
            node = int(np.argmax(score >= best - _TIE))
            alternative = int(np.argmax(self.sums[node] >= top[node] - _TIE))
            cells = np.flatnonzero(self.nodes[:, self.level[node]] == node)
            narrow = self._in_one_bank(cells, alternative)
            if not narrow or self._names_whom(int(self.level[node])):
                return self._cause(self._broadest(cells, narrow), alternative, float(score[node]), cells)
            score[node] = -np.inf
        return None

    def explain(self, cells: Int64s) -> None:
        """These cells count for nobody from here on."""
        sums, counts = _sums(self.nodes[cells], self.table.llr[cells], len(self.counts))
        self.sums -= sums
        self.counts -= counts
        self.nodes[cells] = len(self.level)

    def _in_one_bank(self, cells: Int64s, alternative: int) -> bool:
        """Is all evidence that of one bank? A bank shows it where its cells together speak for it: one refusal at a
        healthy bank makes no second one. Cells whose bank is unknown stand beside the banks, for no bank's name could
        be said for them instead. Where banks are not told apart the answer is no."""
        if "bank" not in self.table.dimensions:
            return False
        bank, number = np.unique(self.table.values[cells, self.table.dimensions.index("bank")], return_inverse=True)
        shows = bank[np.bincount(number, self.table.llr[cells, alternative]) > _TIE]
        return len(shows) == 1 and bool(shows[0] != UNKNOWN)

    def _names_whom(self, level: int) -> bool:
        """Does a name of this level say which bank or which merchant?"""
        return any(self.table.dimensions[place] in ("bank", "merchant") for place in self.levels[level])

    def _broadest(self, cells: Int64s, narrow: bool) -> int:
        """Of the levels with a name for exactly these cells the first that may be said."""
        nodes = self.nodes[cells]
        same: Bools = (nodes == nodes[0]).all(axis=0) & (self.counts[nodes[0]] == len(cells))
        return next(int(level) for level in np.flatnonzero(same) if not narrow or self._names_whom(int(level)))

    def _cause(self, level: int, alternative: int, score: float, cells: Int64s) -> Cause:
        values, fixed = self.table.values[cells], self.levels[level]
        shared = np.flatnonzero((values == values[0]).all(axis=0) & (values[0] != UNKNOWN))
        pairs = {int(place): int(values[0, place]) for place in shared}
        only = tuple(pair for pair in pairs.items() if pair[0] not in fixed)
        return Cause(tuple((place, pairs[place]) for place in sorted(fixed)), alternative, score, cells, only)


def _search(table: Table, chosen: tuple[Level, ...] | None, per_dimension: float) -> _Search:
    """Number the names and add up their cells."""
    wanted = levels(table.dimensions) if chosen is None else chosen
    singles = [_numbered(table.values[:, place].astype(np.int64)) for place in range(len(table.dimensions))]
    numbers = [_numbers(singles, level, len(table.values)) for level in wanted]
    sizes = [int(number.max()) + 1 for number in numbers]
    first = np.cumsum([0, *sizes])
    nobody = int(first[-1])
    nodes = np.column_stack([np.where(n < 0, nobody, n + start) for n, start in zip(numbers, first, strict=False)])
    penalty = [np.log(max(size, 1)) + per_dimension * len(level) for size, level in zip(sizes, wanted, strict=True)]
    sums, counts = _sums(nodes, table.llr, nobody + 1)
    level_of = np.repeat(np.arange(len(wanted)), sizes)
    return _Search(table, wanted, nodes, level_of, np.repeat(penalty, sizes), sums, counts)


def _numbers(singles: list[Int64s], level: Level, cells: int) -> Int64s:
    """For each cell the number of its name on a level, from 0 in the order of values, or UNKNOWN."""
    number = np.zeros(cells, np.int64)
    for done, place in enumerate(level):
        one = singles[place]
        if done == 0:
            number = one
            continue
        # Two numbers below the count of cells, packed: no overflow, however many dimensions a level has.
        packed = number * (one.max() + 1) + one
        number = _numbered(np.where((number < 0) | (one < 0), UNKNOWN, packed))
    return number


def _numbered(keys: Int64s) -> Int64s:
    """The keys' ranks among those that occur; UNKNOWN stays so."""
    found, rank = np.unique(keys, return_inverse=True)
    return rank.astype(np.int64) - int(found[0] < 0)


def _sums(nodes: Int64s, llr: Float64s, size: int) -> tuple[Float64s, Int64s]:
    """(sums[node, alternative], counts[node]) of the cells; nobody, the last node, has no count."""
    flat, wide = nodes.ravel(), nodes.shape[1]
    columns = [np.bincount(flat, np.repeat(column, wide), size) for column in llr.T]
    counts = np.bincount(flat, minlength=size).astype(np.int64)
    counts[-1] = 0
    return np.column_stack(columns), counts
