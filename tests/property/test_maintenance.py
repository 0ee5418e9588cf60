"""Whatever is announced, extended and called off in whatever storm: an outage is scheduled exactly where a person with
the list of maintenances says so, and when the Judge read of it makes no difference."""

from __future__ import annotations

import random

import pytest

from detector.contracts.models import Maintenance, OutageData
from detector.contracts.scope import Scope
from detector.counting.tally import Marker, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from tests.property.test_lifecycle import LENGTH_MS, POLICY, START_MS, log_of, story

SCOPES = ("platform", "bank:bnp", "bank:axa", "method:pix", "bank:bnp,method:card", "bank:cic")
EMPTY = (107, 109, 110)
"""Seeds in whose stories nothing announced dies."""


def announced(chance: random.Random) -> list[Maintenance]:
    """Some maintenances, each with up to two changes, in the order in which they are said."""
    out = []
    for number in range(chance.randrange(4, 10)):
        scope, begin = chance.choice(SCOPES), START_MS + chance.randrange(LENGTH_MS)
        at_ms, end = begin + chance.randrange(-300_000, 60_000), begin + chance.randrange(5_000, 250_000)
        for _ in range(chance.randrange(1, 4)):
            out.append(
                Maintenance(maintenance_id=f"m{number}", scope=scope, starts_at=begin, ends_at=end, declared_at=at_ms,
                            cancelled=chance.random() < 0.2)
            )  # fmt: skip
            at_ms, end = at_ms + chance.randrange(1, 60_000), max(begin + 1, end + chance.randrange(-40_000, 60_000))
    return sorted(out, key=lambda said: said.declared_at or 0)


def covers(said: list[Maintenance], scope: Scope, at_ms: int) -> bool:
    """By the list alone: the last word of each maintenance until now."""
    last = {one.maintenance_id: one for one in said if (one.declared_at or 0) <= at_ms}
    names = set(scope.key.split(",")) | {"platform"}
    return any(
        one.starts_at <= at_ms < one.ends_at and not one.cancelled
        and (set(one.scope.split(",")) <= names or one.scope == "platform")
        for one in last.values()
    )  # fmt: skip


def marker(said: Maintenance) -> Marker:
    return Marker("maintenance", text=said.model_dump_json())


@pytest.mark.parametrize("seed", range(100, 112))
def test_scheduled_is_what_the_list_says(seed: int) -> None:
    """At every boundary, of every open outage; and its newest event says the same, with the severity that follows."""
    chance, _, payments = story(seed, POLICY)
    said, judge = announced(chance), Judge(POLICY)
    told: dict[str, OutageData] = {}
    waiting, found = list(said), 0
    for record in log_of(POLICY, payments, 1):
        while waiting and (waiting[0].declared_at or 0) <= record.boundary_ms:
            judge.take(marker(waiting.pop(0)))
        told.update((change.data.outage_id, change.data) for change in judge.take(record))
        for outage in judge.open_outages():
            data, where = told[outage.outage_id], f"seed {seed}, {outage.scope.key}, {judge.time_ms - START_MS} ms"
            is_covered = covers(said, outage.scope, judge.time_ms)
            assert data.scheduled == is_covered, where
            assert data.severity == ("warning" if is_covered else "critical"), where
            found += is_covered
    assert found or seed in EMPTY, f"seed {seed}: an empty story proves nothing"


@pytest.mark.parametrize("seed", range(120, 128))
def test_when_it_was_read_makes_no_difference(seed: int) -> None:
    """All that was said read at once at the start, each just in time, over a restart, and with boundaries at which
    nothing is new left out: the same events."""
    chance, _, payments = story(seed, POLICY)
    said, log = announced(chance), log_of(POLICY, payments, 2)
    cut = chance.randrange(100, len(log))
    at_once: list[Tally | Marker] = [*map(marker, said), *log]
    in_time: list[Tally | Marker] = []
    waiting = list(said)
    for record in log:
        while waiting and (waiting[0].declared_at or 0) <= record.boundary_ms:
            in_time.append(marker(waiting.pop(0)))
        in_time.append(record)
    expected = play(at_once)
    assert expected == play(in_time), f"seed {seed}"
    assert expected == play(in_time, cut), f"seed {seed}, cut {cut}"
    pairs = [log[at : at + 2] for at in range(0, len(log), 2)]
    news = [pair for pair in pairs if any(len(record.cells) for record in pair) or pair is pairs[-1]]
    assert expected == play([*map(marker, said), *(record for pair in news for record in pair)]), f"seed {seed}"


def play(log: list[Tally | Marker], cut: int | None = None) -> list[Change]:
    """What a Judge says; from a cut on, what one says that was restored there."""
    judge, changes = Judge(POLICY), []
    for place, record in enumerate(log):
        if place == cut:
            state, judge = judge.export(), Judge.restore(judge.export())
            assert judge.maintenances.export() == state["maintenances"]
            for before in log[:cut]:
                judge.refill(before)
        changes += judge.take(record)
    return changes
