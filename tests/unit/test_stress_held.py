"""The verdict of a stress test, from looks that are made up: what held, and what gave way first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.stress.held import LOOKS, Look, Part, held, is_behind

RATE = 1_000.0


def look(second: int, **other: float | None) -> Look:
    """A second in which everything holds, but for what is said otherwise."""
    events = round(second * RATE)
    calm = Look(float(second), events, events, 0, 20.0, events, 0, 4.0, 300.0, 0.2 * second, False)
    return replace(calm, **other)  # type: ignore[arg-type]


def after(second: int = 21, **other: float | None) -> Look:
    """A second after the load in which all of it is counted, but for what is said otherwise."""
    return look(second, **{"due": 20_000, "sent": 20_000, "counted": 20_000, "over": True, **other})


def calm(seconds: int = 20) -> list[Look]:
    """A run in which everything holds."""
    return [look(second) for second in range(1, seconds + 1)]


def test_what_holds_is_said_with_its_figures() -> None:
    """Nothing saturated; rates, cores and the middle latency are those of the looks."""
    found = held([*calm(), after()], RATE, 20.0)
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
    looks = [look(second, lag=9_000) if second < LOOKS else look(second) for second in range(1, 21)]
    assert held([*looks, after()], RATE, 20.0).first is None


def test_what_came_first_is_blamed() -> None:
    """Counting falls behind, then judging with it: counting is named, though judging is late as well."""
    looks = [
        look(second, lag=6_000 if second >= 6 else 0, age_s=40.0 if second >= 9 else 4.0) for second in range(1, 20)
    ]
    found = held(looks, RATE, 20.0)
    assert found.first is not None
    assert found.first.part == Part.COUNTING


def test_after_the_load_nothing_saturates() -> None:
    """What is slow once no more comes is said as the time it took."""
    late = [after(second, lag=9_000 if second < 27 else 0) for second in range(21, 30)]
    assert held(calm() + late, RATE, 20.0).first is None
    assert held(calm() + late, RATE, 20.0).drained_s == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("part", "wrong", "why"),
    [
        (Part.COUNTING, {"lag": 900, "counted": 19_100}, "900 events were not counted"),
        (Part.COUNTING, {"lag": None}, "nobody knows how many events were not counted"),
        (Part.SENDER, {"sent": 19_900, "over": False}, "100 events were due and not sent"),
        (Part.BROKER, {"sent": 19_900, "ack_ms": 9_000.0, "over": False}, "a batch waited 9,000 ms for it"),
        (Part.BROKER, {"sent": 19_900, "lost": 100}, "did not say in time that it had 100 events"),
    ],
)
def test_what_is_not_counted_to_its_end_did_not_hold(part: Part, wrong: dict[str, float | None], why: str) -> None:
    """Though no look under load complains: who was waited for in vain is named."""
    found = held([*calm(), after(21, **wrong), after(80, **wrong)], RATE, 20.0)
    assert found.first is not None
    assert (found.first.part, why in found.first.why) == (part, True), found.first


def test_what_was_given_up_is_not_waited_for() -> None:
    """The rest is counted: the lag is gone, and the broker is to blame for what is not with it."""
    found = held([*calm(), after(sent=19_900, lost=100)], RATE, 20.0)
    assert (found.drained_s, found.lost) == (pytest.approx(1.0), 100)
    assert found.first is not None


@pytest.mark.parametrize(("share", "part"), [(0.96, None), (0.9, Part.SENDER), (0.25, Part.SENDER)])
def test_a_load_that_was_not_sent_in_its_time_did_not_hold(share: float, part: Part | None) -> None:
    """However short it was, and though all of it was sent and counted later."""
    looks = [look(second, sent=round(share * second * RATE)) for second in range(1, 6)]
    found = held([*looks, after(6, due=5_000, sent=5_000)], RATE, 5.0)
    assert (found.first and found.first.part) == part


def test_what_was_never_sent_is_not_waited_for() -> None:
    """A load that was stopped is over when what was sent is counted; how much was not is said, and who is to blame."""
    looks = [look(second, sent=round(0.25 * second * RATE)) for second in range(1, 21)]
    assert is_behind(looks[-1])
    found = held([*looks, after(21, sent=5_000, counted=5_000, lag=100), after(22, sent=5_000)], RATE, 20.0)
    assert (found.unsent, found.drained_s) == (15_000, pytest.approx(2.0))
    assert (found.first and found.first.part) == Part.SENDER


def test_a_few_events_of_a_slow_load_may_be_under_way() -> None:
    """A load of one event a second is no sender's end because the last one is not sent yet."""
    looks = [look(second, due=second, sent=second - 1) for second in range(1, 6)]
    assert held([*looks, after(6, due=5, sent=5)], 1.0, 5.0).first is None


def test_a_system_that_tells_nothing_is_no_error() -> None:
    """Without memory, CPU or a boundary these are none, and the rest stands."""
    looks = [look(second, age_s=None, memory_mb=None, cpu_s=None) for second in range(1, 21)]
    found = held([*looks, after(age_s=None, memory_mb=None, cpu_s=None)], RATE, 20.0)
    assert (found.cores, found.memory_mb, found.age_s, found.first) == (None,) * 4
    assert held(looks[:1], RATE, 1.0).sent_per_s == 0
