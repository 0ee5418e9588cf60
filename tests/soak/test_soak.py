"""The verdict of a soak: what rises is said; what falls, swings or peaks is flat; the load fits its time."""

from __future__ import annotations

import math
import random

import pytest

from detector.contracts.policy import DEFAULT
from tests.soak.__main__ import faults, table
from tests.soak.flat import LOOKS_MIN, Limit, rise, settled
from tests.soak.looks import Look, Looks, fill_s, limits

MEMORY = Limit("memory_mb", "MB", 0.05, 0.0, 1_200.0)
LAG = Limit("lag", "events", 0.0, 2_000.0, 1_200.0)
AN_HOUR = [10.0 * number for number in range(360)]


def test_a_leak_is_not_flat() -> None:
    """From 400 MB to 428 MB in the last forty minutes is 7 %: more than it may be."""
    found = rise(MEMORY, [(at_s, 400 + 28 * at_s / 3_590) for at_s in AN_HOUR])
    assert (round(found.first), round(found.last), found.is_flat) == (400, 428, False)


def test_a_small_rise_is_flat() -> None:
    """From 400 MB to 416 MB is 4 %."""
    assert rise(MEMORY, [(at_s, 400 + 16 * at_s / 3_590) for at_s in AN_HOUR]).is_flat


def test_what_falls_is_flat() -> None:
    """Memory given back is no leak."""
    assert rise(MEMORY, [(at_s, 600 - at_s / 20) for at_s in AN_HOUR]).is_flat


def test_peaks_do_not_tilt_the_line() -> None:
    """A lag of some tens of events with a peak of a hundred thousand in each of the last outages is flat."""
    chance = random.Random(1)
    looks = [(at_s, 1e5 if at_s > 2_000 and at_s % 400 < 60 else chance.uniform(0, 90)) for at_s in AN_HOUR]
    assert rise(LAG, looks).is_flat


def test_a_saw_is_flat_and_a_rising_saw_is_not() -> None:
    """Tables that double and are swept swing; what their swings stand on may not rise."""
    saw = [(at_s, 400 + 20 * math.sin(at_s / 60)) for at_s in AN_HOUR]
    assert rise(MEMORY, saw).is_flat
    assert rise(MEMORY, [(at_s, value + at_s / 50) for at_s, value in saw]).is_flat is False


def test_a_queue_that_grows_is_not_flat() -> None:
    """A lag that grows by two events a second is found, however it jitters."""
    chance = random.Random(2)
    assert rise(LAG, [(at_s, 2 * at_s + chance.uniform(0, 500)) for at_s in AN_HOUR]).is_flat is False


def test_few_looks_say_nothing() -> None:
    """No verdict is made up where the system tells nothing, or the soak was too short."""
    assert rise(MEMORY, []).is_flat is None
    assert rise(MEMORY, [(float(number), 1.0) for number in range(LOOKS_MIN - 1)]).is_flat is None


def test_the_warm_up_is_left_out() -> None:
    """Ledgers fill until their oldest payments leave them."""
    filling = [(at_s, min(400.0, 100 + at_s / 4)) for at_s in AN_HOUR]
    assert rise(MEMORY, filling).is_flat is False
    assert rise(MEMORY, settled(MEMORY, filling)).is_flat


def test_memory_is_looked_at_when_ledgers_are_full() -> None:
    """By the default policy the first payments go after 20 minutes, and the last of a vote block of ten after 21; a
    minute for the sweep and a block for the first peak; what no ledger holds is looked at after a third of the time."""
    assert fill_s(DEFAULT) == 32 * 60 + 5
    warm_s = {limit.name: limit.warm_s for limit in limits(2_000, 3_600)}
    assert (warm_s["memory_mb"], warm_s["lag"]) == (1_925, 1_200)
    assert {limit.warm_s for limit in limits(2_000, 36_000)} == {12_000}


@pytest.mark.parametrize("minutes", [6, 10, 60, 600])
def test_banks_die_all_the_time(minutes: int) -> None:
    """The first in the first minutes, one every ten minutes, of both kinds where there is time."""
    found = faults(60.0 * minutes)
    assert [fault.from_ms for fault in found] == [90_000 + 600_000 * number for number in range(-(-minutes // 10))]
    assert len({fault.kind for fault in found}) == min(2, len(found))


def look(at_s: float, **other: float | None) -> Look:
    """A quiet moment."""
    said: dict[str, float | None] = {
        "lag": 10, "payments": 1e5, "age_s": 3, "judged_s": at_s / 1000, "boundary_s": 1e9 + at_s, "counted": at_s,
        "letters": 5, "late_answers": 5, "started": 1, "memory_mb": 300, "files": 40, "threads": 9, **other,
    }  # fmt: skip
    queues = {"tallies": 1.0, "letters": 0.0, "held": 100.0, "waiting": 4.0}
    return Look(at_s=at_s, queues=queues, **said)  # type: ignore[arg-type]  # the names are its own


def test_every_quantity_gets_its_verdict() -> None:
    """All of a quiet hour is flat, and a tick is what judging a boundary took; where open files grow, these are named,
    and of what the system does not tell nothing is said."""
    quiet = Looks([look(at_s) for at_s in AN_HOUR])
    rises = {limit.name: rise(limit, settled(limit, quiet.of(limit.name))) for limit in limits(2_000, 3_600)}
    assert [name for name, one in rises.items() if not one.is_flat] == []
    assert rises["tick"].last == pytest.approx(1.0)
    leaking = Looks([look(at_s, files=40 + at_s // 100, memory_mb=None) for at_s in AN_HOUR])
    rises = {limit.name: rise(limit, settled(limit, leaking.of(limit.name))) for limit in limits(2_000, 3_600)}
    assert [name for name, one in rises.items() if one.is_flat is False] == ["files"]
    said = "\n".join(table(list(rises.values()), look(1, started=0)))
    assert "open           NOT FLAT" in said
    assert "MB             not said: too short" in said
    assert "0 outages: NONE" in said
