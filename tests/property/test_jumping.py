"""The statistics say the same of one history however it is told: every boundary or those with news, in any order."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detector.contracts.policy import Policy
from detector.counting.tally import Cells, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate

SECOND_MS = 1_000
SOURCES = 3
NIGHT_MS = 150 * 60_000
FAULTS = ("merchant:shop-1 stall 95m 150m", "bank:aurora errors 60m 75m share=0.6", "bank:bnp all_pending 110m 116m",
          "merchant:shop-2 all_red 125m 140m")  # fmt: skip
NO_CELLS = Cells((), *(np.zeros(0, np.int32) for _ in Cells.__slots__[1:]))


def told(seed: int) -> list[list[Tally]]:
    """What each of three Counters tells of some hours of shops, in order; the last record of each at one boundary."""
    faults = tuple(parse_fault(fault) for fault in FAULTS)
    shops = Shops(banks=3, merchants=6, shoppers=2_000, rate=0.25, seed=seed, faults=faults)
    lines, log = Lines(shops), list[Tally]()

    def keep(tally: Tally) -> Tally:
        log.append(tally)
        return tally

    replay = Replay(Policy(), SOURCES, keep)
    for events in simulate(shops, NIGHT_MS):
        replay.feed([line.encode() for line in lines.values(events)])
    replay.finish()
    by_source: dict[Any, list[Tally]] = {}
    for tally in log:
        by_source.setdefault(tally.source, []).append(tally)
    end_ms = max(tally.boundary_ms for tally in log)
    return [[*of, _empty(of[-1], end_ms)] if of[-1].boundary_ms < end_ms else of for of in by_source.values()]


def _empty(before: Tally, boundary_ms: int) -> Tally:
    return replace(before, boundary_ms=boundary_ms, cells=NO_CELLS, first_pane=-1, details=None)


def every_second(records: list[Tally]) -> list[Tally]:
    """The same with a record at each boundary, as a worker on a quiet topic writes."""
    found = records[:1]
    for record in records[1:]:
        for boundary_ms in range(found[-1].boundary_ms + SECOND_MS, record.boundary_ms, SECOND_MS):
            found.append(_empty(found[-1], boundary_ms))
        found.append(record)
    return found


def shuffled(parts: list[list[Tally]], chance: random.Random) -> list[Tally]:
    """One log of the parts: each in its order, now one, now another ahead by minutes."""
    left = [list(reversed(part)) for part in parts]
    log = []
    while any(left):
        part = chance.choice([part for part in left if part])
        log += [part.pop() for _ in range(min(len(part), chance.choice((1, 3, 400))))]
    return log


def judged(log: list[Tally]) -> tuple[list[Change], Any]:
    """All changes, `input` apart, which says where each source was read; and what is known of the shops at the end."""
    judge = Judge(Policy())
    changes = [change for tally in log for change in judge.take(tally)]
    said = [replace(change, data=change.data.model_copy(update={"input": None})) for change in changes]
    return said, judge.export()["lifecycle"]["arrivals"]


@pytest.mark.parametrize("seed", range(2))
def test_however_it_is_told(seed: int) -> None:
    """Records of three sources in the order of their boundaries, shuffled, and with one every second: the same."""
    parts, chance = told(seed), random.Random(seed)
    in_order = sorted((tally for part in parts for tally in part), key=lambda tally: tally.boundary_ms)
    expected, shops = judged(in_order)
    assert {"merchant", "bank"} <= {change.data.scope.dimension for change in expected}
    for log in (shuffled(parts, chance), shuffled([every_second(part) for part in parts], chance)):
        found, shops_too = judged(log)
        for number, (one, other) in enumerate(zip(found, expected, strict=False)):
            assert one == other, f"seed {seed}, change {number} differs"
        assert len(found) == len(expected), f"seed {seed}"
        assert shops_too == shops, f"seed {seed}"
