"""The verdict of a stress test, from looks that are made up: what held, and what gave way first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.stress.held import LOOKS, Look, Part, held

RATE = 1_000.0


def look(second: int, **other: float | None) -> Look:
    """A second in which everything holds, but for what is said otherwise."""
    events = round(second * RATE)
    calm = Look(float(second), events, events, 20.0, events, 0, 4.0, 300.0, 0.2 * second)
    return replace(calm, **other)  # type: ignore[arg-type]


def calm(seconds: int = 20) -> list[Look]:
    """A run in which everything holds."""
    return [look(second) for second in range(1, seconds + 1)]


def test_what_holds_is_said_with_its_figures() -> None:
    """Nothing saturated; rates, cores and the middle latency are those of the looks."""
    found = held([*calm(), look(21, due=20_000, sent=20_000, counted=20_000)], RATE, 20.0)
    assert found.first is None
    assert (found.sent_per_s, found.counted_per_s) == (pytest.approx(RATE), pytest.approx(RATE))
    assert (found.cores, found.age_s, found.memory_mb) == (pytest.approx(0.2), 4.0, 300.0)
    assert found.drained_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (Part.SENDER, {"sent": 2_000}),
        (Part.BROKER, {"sent": 2_000, "ack_ms": 4_000.0}),
        (Part.COUNTING, {"lag": 6_000}),
        (Part.JUDGING, {"age_s": 31.0}),
    ],
)
def test_what_gave_way_is_named(part: Part, wrong: dict[str, float]) -> None:
    """Where it lasts some looks; and since when."""
    found = held([look(second, **(wrong if second >= 5 else {})) for second in range(1, 15)], RATE, 20.0)
    assert found.first is not None
    assert (found.first.part, found.first.at_s) == (part, 5.0)


def test_one_bad_second_is_a_hiccup() -> None:
    """Fewer looks in a row than that are forgiven."""
    looks = [look(second, lag=9_000) if second < LOOKS else look(second) for second in range(1, 15)]
    assert held(looks, RATE, 20.0).first is None


def test_what_came_first_is_blamed() -> None:
    """Counting falls behind, then judging with it: counting is named, though judging is late as well."""
    looks = [
        look(second, lag=6_000 if second >= 6 else 0, age_s=40.0 if second >= 9 else 4.0) for second in range(1, 20)
    ]
    found = held(looks, RATE, 20.0)
    assert found.first is not None
    assert found.first.part == Part.COUNTING


def test_after_the_load_nothing_saturates() -> None:
    """What is slow once no more comes is said as the time it took, or that it never did."""
    late = [look(second, due=20_000, sent=20_000, lag=9_000 if second < 27 else 0) for second in range(21, 30)]
    assert held(calm() + late, RATE, 20.0).first is None
    assert held(calm() + late, RATE, 20.0).drained_s == pytest.approx(7.0)
    assert held(calm() + late[:3], RATE, 20.0).drained_s is None


def test_a_system_that_tells_nothing_is_no_error() -> None:
    """Without memory, CPU, lag or a boundary these are none, and the rest stands."""
    looks = [look(second, lag=None, age_s=None, memory_mb=None, cpu_s=None) for second in range(1, 10)]
    found = held(looks, RATE, 20.0)
    assert (found.cores, found.memory_mb, found.age_s, found.drained_s, found.first) == (None,) * 5
    assert held([], RATE, 1.0).sent_per_s == 0
