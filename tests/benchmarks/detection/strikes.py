"""Three traps that strike: one merchant's bug, cards tested at one merchant, a surge of volume.

The gate is asked as the Judge asks it, every five seconds while the bar is passed: with the votes since the onset, and
merchants by what the details said lately. A page is one for the bank; that a merchant is blamed is no page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from detector.arrays import Float64s, Int32s
from detector.counting.tally import Details, Source
from detector.judging import shops as gate
from detector.judging.evidence import NO, PAGE, TICKET, YES, best_onset, forget
from detector.judging.lately import APPROVED, RED, Lately
from tests.benchmarks.detection import shops_play, surge
from tests.benchmarks.detection.engine import HISTORY_DAYS, Fleet
from tests.benchmarks.detection.shops_play import MERCHANTS, PANE_S, Shops, make_shops

KEYS = 100
HEALTHY_S = 900
OPEN_PANES = 132
"""Of 660 s: what details hold."""
POINTS_MIN, LOST_MIN = 0.05, 5.0
SOURCE = Source("default", 0)


def run(quick: bool, seed: int) -> Iterator[list[dict[str, Any]]]:
    """Rows of the three traps."""
    traps = ("merchant bug", "card testing")
    for per_minute, minutes in ((10.0, 20),) if quick else ((10.0, 20), (100.0, 15), (1.0, 90)):
        yield [shop(trap, per_minute, minutes, 1 if quick else 2, seed) for trap in traps]
        yield [shop("bank outage under the gate", per_minute, minutes, 1, seed)]
        if per_minute > 1:
            yield [shop(trap, per_minute, minutes, 1, seed, exact=True) for trap in traps]
    yield surge.run(quick, seed)


def shop(trap: str, per_minute: float, minutes: int, times: int, seed: int, exact: bool = False) -> dict[str, Any]:
    """So many injections: which became a bank's page, which blamed the merchant, how long the page took.

    `exact`: the gate is told each merchant's votes since the onset, which the shipped one cannot know.
    """
    paged, blamed, delays = 0, 0, []
    for n in range(times):
        pages, blames = _episode(trap, per_minute, minutes, seed + 1_000 * n, exact)
        paged, blamed = paged + int((pages >= 0).sum()), blamed + int((blames >= 0).sum())
        delays += pages[pages >= 0].tolist()
    told = ", gate told the votes since the onset" if exact else ""
    return {
        "trap": trap,
        "setting": f"{per_minute:g}/min, {minutes} min{told}",
        "shipped": not exact,
        "pages": paged,
        "strikes": KEYS * times,
        "blamed": blamed,
        "seconds_mean": round(float(np.mean(delays)), 1) if delays else None,
    }


def _episode(trap: str, per_minute: float, minutes: int, seed: int, exact: bool) -> tuple[Float64s, Float64s]:
    """Per key: seconds from the strike to a bank's page, and to a merchant's blame; -1: neither."""
    chance = np.random.default_rng(seed)
    fleet = Fleet([(f"bank-{n}", "method") for n in range(KEYS)])
    rate, approved = np.full(KEYS, per_minute / 60), np.full(KEYS, 0.9)
    hours = HISTORY_DAYS * 24
    fleet.teach(chance, np.tile(rate * 3_600, (hours, 1)), np.tile(approved, (hours, 1)))
    struck = np.zeros(KEYS, np.int64) if trap == "merchant bug" else chance.integers(0, MERCHANTS, KEYS)
    panes = (HEALTHY_S + minutes * 60) // PANE_S
    made, start_s = make_shops(KEYS, panes, struck), fleet.signals.time_ms // 1_000
    pages, blames = np.full(KEYS, -1.0), np.full(KEYS, -1.0)
    lately = [Lately() for _ in range(KEYS)]
    for pane in range(panes):
        second = pane * PANE_S - HEALTHY_S
        if second == 0:
            approved = np.full(KEYS, 0.02) if trap == "bank outage under the gate" else approved
        made.broken[:] = float(trap == "merchant bug" and second >= 0)
        made.tested[:] = 200 / 240 if trap == "card testing" and 0 <= second < 240 else 0.0
        shops_play.play(seed + pane, rate, approved, made, start_s, *fleet.state(), PANE_S)
        fleet.signals.time_ms += PANE_S * 1_000
        if fleet.signals.time_ms % 3_600_000 == 0:
            fleet.learn()
        _tell(fleet, made, pane, lately)
        _ask(fleet, made, pane, start_s, second + PANE_S, exact, lately, pages, blames)
    return pages, blames


def _tell(fleet: Fleet, made: Shops, pane: int, lately: list[Lately]) -> None:
    """Every key's source tells what its open panes hold."""
    shown = made.counts[:, max(0, pane + 1 - OPEN_PANES) : pane + 1].sum(axis=1)
    for key in range(KEYS):
        told = details(fleet.nodes.leaves[key], shown[key])
        lately[key].note(SOURCE, fleet.signals.time_ms, told)


def _ask(
    fleet: Fleet, made: Shops, pane: int, start_s: int, second: int, exact: bool, lately: list[Lately],
    pages: Float64s, blames: Float64s,
) -> None:  # fmt: skip
    """Ask the gate about every key past the bar that has no page yet."""
    for key in np.flatnonzero((fleet.signals.flags[fleet.own] & (1 << PAGE)) > 0):
        if pages[key] >= 0 or second < 0:
            continue
        _, onset_ms = best_onset(fleet.signals.evidence, int(fleet.own[key]), PAGE)
        since = made.counts[key, max(0, (onset_ms // 1_000 - start_s) // PANE_S) : pane + 1].sum(axis=0)
        yes, no = (float(count) for count in since.sum(axis=0))
        weight = fleet.signals.weights.answer[TICKET, 0, [key]].mean(axis=0)
        if exact:
            told = details(fleet.nodes.leaves[key], since)
            pairs = told.merchant_counts[:, [APPROVED, RED]].astype(np.float64)
            counts = dict(sorted(zip(told.merchants, pairs, strict=True), key=lambda told_of: told_of[0]))
        else:
            counts = lately[key].since(onset_ms, {fleet.nodes.leaves[key]}, OPEN_PANES * PANE_S * 1_000)
        blamed = {f"shop-{made.struck[key]}"} if blames[key] >= 0 else set()
        suspect = gate.suspect(counts, yes, no, weight[:, YES], weight[:, NO], blamed)
        usual = float(fleet.signals.baseline.usual[fleet.own[key]])
        matters = usual * (yes + no) - yes >= LOST_MIN and usual - yes / max(yes + no, 1.0) >= POINTS_MIN
        if suspect is None and matters:
            pages[key] = second
        elif suspect is not None:
            blames[key] = second if blames[key] < 0 else blames[key]
            forget(fleet.signals.evidence, fleet.own[key : key + 1].astype(np.int64))


def details(leaf: tuple[str, ...], counts: Int32s) -> Details:
    """What a source would tell of one leaf: approved and refused by merchant."""
    some = np.flatnonzero(counts.sum(axis=1))
    table = np.zeros((len(some), 4), np.int32)
    table[:, 0], table[:, 1], table[:, 2] = counts[some].sum(axis=1), counts[some, 0], counts[some, 1]
    names = tuple(f"shop-{n}" for n in some)
    return Details((leaf,), names, np.zeros(len(some), np.int32), np.arange(len(some), dtype=np.int32), table)
