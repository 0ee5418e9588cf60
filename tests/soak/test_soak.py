"""The verdict of a soak: what rises is said; what falls, swings or peaks is flat; the load fits its time."""

from __future__ import annotations

import math
import random

import pytest

from detector.contracts.policy import load_policy
from tests.soak.__main__ import faults, horizon_s, policy, table
from tests.soak.flat import LOOKS_MIN, Limit, rise, settled
from tests.soak.looks import Look, Looks, limits

MEMORY = Limit("memory_mb", "MB", 0.05, 0.0)
LAG = Limit("lag", "events", 0.0, 2_000.0)
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
    """A third of the time: ledgers fill until their oldest payments leave them."""
    filling = [(at_s, min(400.0, 100 + at_s / 4)) for at_s in AN_HOUR]
    assert rise(MEMORY, filling).is_flat is False
    assert rise(MEMORY, settled(filling, 3_600)).is_flat


@pytest.mark.parametrize("minutes", [6, 10, 60, 600])
def test_a_soak_fits_its_time(minutes: int) -> None:
    """Ledgers are full before the warm-up is over, banks die after it too, and the policy is one."""
    for_s = 60.0 * minutes
    found = load_policy(policy(for_s))
    assert 2 * found.horizon_ms <= for_s * 1000 / 3
    assert found.horizon_ms == 1000 * horizon_s(for_s)
    assert [fault.from_ms / 1000 > for_s / 3 for fault in faults(for_s)].count(True) >= 2
    assert all(fault.to_ms / 1000 <= for_s for fault in faults(for_s))


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
    and what the system does not tell has too few looks."""
    quiet = Looks([look(at_s) for at_s in AN_HOUR])
    rises = {limit.name: rise(limit, quiet.of(limit.name)) for limit in limits(2_000)}
    assert [name for name, one in rises.items() if not one.is_flat] == []
    assert rises["tick"].last == pytest.approx(1.0)
    leaking = Looks([look(at_s, files=40 + at_s // 100, memory_mb=None) for at_s in AN_HOUR])
    rises = {limit.name: rise(limit, leaking.of(limit.name)) for limit in limits(2_000)}
    assert [name for name, one in rises.items() if one.is_flat is False] == ["files"]
    said = "\n".join(table(list(rises.values()), look(1, started=0)))
    assert "open           NOT FLAT" in said
    assert "MB             too few looks" in said
    assert "0 outages: NONE" in said
