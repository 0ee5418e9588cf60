"""A made world of 30 banks, 5 methods, 6 countries and 40 merchants, in which one fault at a time is to be named.

132 ways to pay (bank × method × country), 3,000 votes a minute, 3 minutes of data. Shares of the votes, all judged,
none measured:

* banks 1/rank: the largest 25 %, the 30th 0.8 %, since a country has few large banks and a long tail;
* methods 50, 25, 12, 8 and 5 %: cards, then wallets, then what is slow;
* countries 40, 20, 15, 10, 8 and 7 %;
* merchants 1/rank^1.3: the largest 36 %, the 40th 0.3 %, as where many shops pool their traffic; each sells everywhere.

Which ways there are is drawn by the root of their shares, so that a large bank is in more countries, and every bank in
one. Usual approval is 0.6 to 0.97, by method, and 0.3 on the logit from way to way. Ticks, onsets and baselines are
others' business: the evidence of a cell is that of its counts against a baseline that is true, or one that is wrong by
0.2 on the logit and lowered by two such.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from detector.arrays import Bools, Float64s, Int32s, Int64s
from detector.judging.localise import Table, localise

DIMENSIONS = ("bank", "method", "country", "merchant")
BANK, METHOD, COUNTRY, MERCHANT = range(4)
BANKS, WAYS, MERCHANTS = 30, 132, 40
VOTES_PER_MINUTE, MINUTES = 3_000, 3

METHOD_SHARES = np.array([0.50, 0.25, 0.12, 0.08, 0.05])
METHOD_RATES = np.array([0.90, 0.94, 0.85, 0.75, 0.68])
COUNTRY_SHARES = np.array([0.40, 0.20, 0.15, 0.10, 0.08, 0.07])
WAY_SPREAD, BASELINE_ERROR = 0.3, 0.2
"""Standard deviations on the logit."""

VOTES_MIN, BEYOND_MIN = 40, 15
"""Expected votes of a scope that is made bad, and of each name one value broader beyond it: with fewer, a dead scope
cannot be told from a quiet one, nor a bank's method from the bank."""

Name = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class World:
    """All cells, those without votes too: the ways × the merchants."""

    values: Int32s  # [cell, dimension]
    votes: Float64s  # [cell] expected in all minutes
    logit: Float64s  # [cell] of the usual approval rate


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the benchmark: where a fault lies, and by what it multiplies the approval rate there."""

    where: str
    fixes: tuple[tuple[int, ...], ...]  # places of the values that are fixed, by fault
    times: float

    @property
    def name(self) -> str:
        """As it is printed."""
        return f"{self.where} x{self.times:g}" if self.fixes else self.where


ROWS = (
    Row("platform", ((),), 0.05), Row("platform", ((),), 0.65),
    Row("bank", ((BANK,),), 0.0), Row("bank", ((BANK,),), 0.65),
    Row("method", ((METHOD,),), 0.0), Row("method", ((METHOD,),), 0.65),
    Row("country", ((COUNTRY,),), 0.0),
    Row("merchant", ((MERCHANT,),), 0.0),
    Row("merchant*bank", ((BANK, MERCHANT),), 0.0),
    Row("bank*method", ((BANK, METHOD),), 0.0), Row("bank*method", ((BANK, METHOD),), 0.65),
    Row("two banks", ((BANK,), (BANK,)), 0.0),
    Row("nothing", (), 1.0),
)  # fmt: skip


@dataclass(slots=True)
class Score:
    """What came of a row's trials."""

    pages: list[int] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def text(self) -> str:
        """Pages a trial, share of trials with exactly the right causes, CPU time of a call."""
        return f"{np.mean(self.pages):5.2f} {np.mean(self.exact):8.0%} {np.median(self.ms):7.1f}"


def expit(logit: Float64s) -> Float64s:
    """The rate of a logit."""
    return np.asarray(1 / (1 + np.exp(-logit)))


@cache
def make_world(seed: int) -> World:
    """Which ways to pay there are, and how usual and how good each is; every bank has at least one. All rows are of the
    same worlds."""
    chance = np.random.default_rng(seed)
    banks = 1 / np.arange(1, BANKS + 1)
    share = np.einsum("b,m,c->bmc", banks / banks.sum(), METHOD_SHARES, COUNTRY_SHARES)
    # The smallest of exponential keys: drawing without putting back, by the root of the share.
    keys = chance.exponential(size=share.shape) / np.sqrt(share)
    first = keys.reshape(BANKS, -1).argmin(axis=1) + np.arange(BANKS) * keys[0].size
    keys.flat[first] = 0
    ways = np.argwhere(keys <= np.partition(keys, WAYS - 1, axis=None)[WAYS - 1])
    merchants = np.arange(1, MERCHANTS + 1) ** -1.3
    # Votes of a bank are its share, however many ways it has.
    own = share[tuple(ways.T)] / np.bincount(ways[:, BANK], share[tuple(ways.T)])[ways[:, BANK]]
    votes = np.outer(own * (banks / banks.sum())[ways[:, BANK]], merchants / merchants.sum())
    rate = METHOD_RATES[ways[:, METHOD]]
    logit = np.clip(np.log(rate / (1 - rate)) + chance.normal(0, WAY_SPREAD, WAYS), 0.4, 3.5)
    values = np.column_stack([np.repeat(ways, MERCHANTS, axis=0), np.tile(np.arange(MERCHANTS), WAYS)])
    return World(values.astype(np.int32), votes.ravel() * VOTES_PER_MINUTE * MINUTES, np.repeat(logit, MERCHANTS))


def inside(values: Int32s, name: Name) -> Bools:
    """Which cells a name covers."""
    return np.array([values[:, place] == value for place, value in name] or [[True] * len(values)]).all(axis=0)


def targets(world: World, fixes: tuple[int, ...]) -> list[Name]:
    """The scopes that fix these places, with votes enough to be found and to be told from broader ones."""
    own = votes_of_names(world, fixes)
    told = own >= VOTES_MIN
    for left_out in fixes:
        broader = votes_of_names(world, tuple(place for place in fixes if place != left_out))
        told &= broader - own >= BEYOND_MIN
    _, first = np.unique(keys_of_names(world, fixes)[told], return_index=True)
    return [tuple(zip(fixes, row, strict=True)) for row in world.values[told][first][:, fixes].tolist()]


def votes_of_names(world: World, fixes: tuple[int, ...]) -> Float64s:
    """For each cell the expected votes of all that have its values in these places."""
    key = keys_of_names(world, fixes)
    return np.bincount(key, world.votes)[key]


def keys_of_names(world: World, fixes: tuple[int, ...]) -> Int64s:
    """For each cell a number of its values in these places, which is in their order."""
    return world.values[:, fixes] @ 64 ** np.arange(len(fixes))[::-1]


def draw_faults(chance: np.random.Generator, world: World, row: Row) -> list[Name]:
    """Different scopes of a row's kind, each as likely as another."""
    found: list[Name] = []
    for fixes in row.fixes:
        free = [name for name in targets(world, fixes) if name not in found]
        found.append(free[int(chance.integers(len(free)))])
    return found


def evidence(refused: Int64s, approved: Int64s, logit_null: Float64s) -> Float64s:
    """llr[cell, alternative] in nats: logit lower by 1, 2 and 3.5, and dead (0.02, or half of the null)."""
    null = expit(logit_null)[:, None]
    worse = expit(logit_null[:, None] - np.array([1.0, 2.0, 3.5]))
    bad = np.column_stack([worse, np.minimum(0.02, null / 2)])
    return refused[:, None] * np.log((1 - bad) / (1 - null)) + approved[:, None] * np.log(bad / null)


def play(chance: np.random.Generator, world: World, faults: list[Name], times: float, wrong: bool) -> Table:
    """The votes of all minutes under these faults, as the table that is searched."""
    rate = expit(world.logit)
    for name in faults:
        rate = np.where(inside(world.values, name), rate * times, rate)
    votes = chance.poisson(world.votes)
    approved = chance.binomial(votes, rate)
    ways = chance.normal(0, BASELINE_ERROR, WAYS) - 2 * BASELINE_ERROR
    logit_null = world.logit + (np.repeat(ways, MERCHANTS) if wrong else 0.0)
    seen = votes > 0
    refused, approved = (votes - approved)[seen], approved[seen]
    return Table(DIMENSIONS, world.values[seen], evidence(refused, approved, logit_null[seen]))


def trial(seed: int, row: Row, wrong: bool, score: Score) -> None:
    """One world, one fault of the row's kind, one call; exact where causes and faults have the same cells."""
    chance, world = np.random.default_rng(seed), make_world(seed)
    faults = draw_faults(chance, world, row)
    table = play(chance, world, faults, row.times, wrong)
    before = time.process_time()
    causes = localise(table)
    score.ms.append((time.process_time() - before) * 1e3)
    expected = {np.flatnonzero(inside(table.values, name)).tobytes() for name in faults}
    score.pages.append(len(causes))
    score.exact.append({cause.cells.tobytes() for cause in causes} == expected)


def run(row: Row, trials: int, wrong: bool, seed: int = 0) -> Score:
    """A row of the table: so many trials, each in a world of its own."""
    score = Score()
    for number in range(trials):
        trial(seed + number, row, wrong, score)
    return score


def table_lines(trials: int) -> Iterator[str]:
    """The benchmark, line by line as it comes."""
    yield f"{'injected':18}{'true baseline':^26}{'wrong baseline':^26}"
    yield f"{'':18}{'pages    exact      ms':^26}{'pages    exact      ms':^26}"
    for row in ROWS:
        yield f"{row.name:18}  {run(row, trials, wrong=False).text()}      {run(row, trials, wrong=True).text()}"
