"""The search finds what a person finds who writes down every name and adds up its cells, in any order of cells."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest

from detector.judging.localise import UNKNOWN, Level, Table, levels, localise

GAIN, PER_DIMENSION, TIE = 4.0, 1.0, 1e-9
SEEDS, TABLES = 25, 12

Name = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What is compared of a cause."""

    fixed: Name
    alternative: int
    score: float
    cells: tuple[int, ...]
    only: Name


def names(table: Table, level: Level, cells: list[int]) -> dict[Name, list[int]]:
    """Every name of a level and its cells, by value; cells without a value have none."""
    found: dict[Name, list[int]] = defaultdict(list)
    for cell in cells:
        values = [int(table.values[cell, place]) for place in level]
        if UNKNOWN not in values:
            found[tuple(zip(level, values, strict=True))].append(cell)
    return dict(sorted(found.items()))


def evidence(table: Table, cells: list[int], alternative: int) -> float:
    """Nats of these cells."""
    return math.fsum(float(table.llr[cell, alternative]) for cell in cells)


def may_be_said(table: Table, name: Name, cells: list[int], alternative: int) -> bool:
    """Not while all evidence is one bank's, unless that bank, or a merchant, is part of the name."""
    fixed = {table.dimensions[place] for place, _ in name}
    if "bank" not in table.dimensions or fixed & {"bank", "merchant"}:
        return True
    by_bank: dict[int, list[int]] = defaultdict(list)
    for cell in cells:
        by_bank[int(table.values[cell, table.dimensions.index("bank")])].append(cell)
    shows = [bank for bank, part in by_bank.items() if evidence(table, part, alternative) > TIE]
    return len(shows) > 1 or UNKNOWN in shows


def next_cause(table: Table, left: list[int]) -> Said | None:
    """The best name for what is left, said as broadly as may be."""
    named: list[tuple[Name, list[int], int, float]] = []
    for level in levels(table.dimensions):
        everything = names(table, level, list(range(len(table.values))))
        for name, cells in names(table, level, left).items():
            sums = [evidence(table, cells, j) for j in range(table.llr.shape[1])]
            j = next(j for j, total in enumerate(sums) if total >= max(sums) - TIE)
            score = max(sums) - math.log(len(everything)) - PER_DIMENSION * len(level)
            if max(sums) > TIE and score >= GAIN - TIE and may_be_said(table, name, cells, j):
                named.append((name, cells, j, score))
    if not named:
        return None
    best = max(score for *_, score in named)
    _, cells, j, score = next(one for one in named if one[3] >= best - TIE)
    # A broader name's own score may be below the gain; it is said all the same for these cells.
    for level in levels(table.dimensions):
        for name, same in names(table, level, left).items():
            if same == cells and may_be_said(table, name, cells, j):
                return Said(tuple(sorted(name)), j, score, tuple(cells), shared(table, name, cells))
    raise AssertionError("the best name is one of the names")


def shared(table: Table, name: Name, cells: list[int]) -> Name:
    """The values all cells have, besides those of the name."""
    fixed = {place for place, _ in name}
    values = {place: {int(table.values[cell, place]) for cell in cells} for place in range(len(table.dimensions))}
    only = [(place, seen.pop()) for place, seen in values.items() if place not in fixed and len(seen) == 1]
    return tuple(pair for pair in only if pair[1] != UNKNOWN)


def dumb(table: Table) -> list[Said]:
    """Cause after cause, with the whole sum done again for each."""
    left, found = list(range(len(table.values))), list[Said]()
    while cause := next_cause(table, left):
        found.append(cause)
        left = [cell for cell in left if cell not in cause.cells]
    return found


def said(table: Table, cells: np.ndarray) -> list[Said]:
    """What the search says; row n of its table is cell `cells[n]`."""
    return [
        Said(cause.fixed, cause.alternative, cause.score, tuple(sorted(cells[cause.cells].tolist())), cause.only)
        for cause in localise(table, gain=GAIN, per_dimension=PER_DIMENSION, causes_max=1000)
    ]


def random_table(chance: random.Random) -> Table:
    """Some cells, of two to four dimensions, a value unknown now and then; halves of nats, so that there are ties."""
    dimensions = chance.choice((("bank", "method"), ("method", "bank", "merchant"), ("method", "country"),
                                ("bank", "method", "country", "merchant"), ("bank",)))  # fmt: skip
    alternatives = chance.choice((1, 3))
    bad = [[chance.randrange(UNKNOWN, 3) for _ in dimensions] for _ in range(2)]
    rows, nats = list[list[int]](), list[list[float]]()
    for _ in range(chance.choice((1, 5, 30))):
        row = [UNKNOWN if chance.random() < 0.05 else chance.randrange(chance.choice((1, 4))) for _ in dimensions]
        hit = any(all(value in (UNKNOWN, one) for value, one in zip(name, row, strict=True)) for name in bad)
        rows.append(row)
        nats.append([(chance.randrange(-4, 24) if hit else chance.randrange(-20, 8)) / 2 for _ in range(alternatives)])
    return Table(dimensions, np.array(rows, np.int32), np.array(nats, float))


def close(found: list[Said], expected: list[Said]) -> bool:
    """Equal, scores but for rounding."""
    return len(found) == len(expected) and all(
        (a.fixed, a.alternative, a.cells, a.only) == (b.fixed, b.alternative, b.cells, b.only)
        and math.isclose(a.score, b.score, abs_tol=1e-9)
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_it_finds_what_a_person_finds(seed: int) -> None:
    """Name, alternative, score, cells and what they share, cause after cause."""
    chance = random.Random(seed)
    for number in range(TABLES):
        table = random_table(chance)
        expected, found = dumb(table), said(table, np.arange(len(table.values)))
        assert close(found, expected), f"seed {seed}, table {number}: {found} instead of {expected}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_order_of_cells_changes_nothing(seed: int) -> None:
    """The same cells shuffled give the same causes; with evidence of any size, not in halves alone."""
    chance = random.Random(seed)
    for number in range(TABLES):
        table = random_table(chance)
        if number % 2:
            noise = np.array([[chance.gauss(0, 1) for _ in row] for row in table.llr])
            table = Table(table.dimensions, table.values, table.llr + noise)
        order = np.array(chance.sample(range(len(table.values)), len(table.values)))
        shuffled = Table(table.dimensions, table.values[order], table.llr[order])
        expected, found = said(table, np.arange(len(order))), said(shuffled, order)
        assert close(found, expected), f"seed {seed}, table {number}: {found} instead of {expected}"


def test_the_tables_tell_something() -> None:
    """Of the random tables many have a cause, some several, some one whose name could be narrower."""
    chance = random.Random(0)
    found = [dumb(random_table(chance)) for _ in range(300)]
    assert sum(bool(causes) for causes in found) > 100
    assert sum(len(causes) > 1 for causes in found) > 20
    assert sum(any(cause.only for cause in causes) for causes in found) > 30
