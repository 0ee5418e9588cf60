"""What o'clock it is when the machine's clock jumps: the events decide, and nothing is late or silent for it."""

from __future__ import annotations

import pytest

from streams.degraded.wallclock import JUMP_MS, SHOWN_MS, WallClock
from streams.verdict.clock import Watch

HOUR_MS = 3_600_000
START_MS = 1_772_000_000_000


class Machine:
    """A machine whose clock is off by `off_ms`; events carry the true time, `lag_ms` ago; none where that is None."""

    def __init__(self, lag_ms: int | None = 2_000) -> None:
        self.true_ms, self.off_ms, self.slept_ms, self.lag_ms = START_MS, 0, 0, lag_ms
        self.clock = WallClock(self.wall_ms, self.steady_ms, self.newest_ms)

    def wall_ms(self) -> int:
        return self.true_ms + self.off_ms

    def steady_ms(self) -> int:
        return self.true_ms - START_MS - self.slept_ms

    def newest_ms(self) -> int | None:
        return None if self.lag_ms is None else self.true_ms - self.lag_ms

    def wait(self, ms: int) -> None:
        """Time goes by, and the clock is looked at each second."""
        for _ in range(0, ms, 1_000):
            self.true_ms += 1_000
            self.clock.now_ms()

    def sleep(self, ms: int) -> None:
        """The machine stands still, and with it the clock that never jumps; events come in at other machines."""
        self.true_ms += ms
        self.slept_ms += ms
        assert self.lag_ms is not None
        self.lag_ms += ms


@pytest.mark.parametrize("jump_ms", [3 * HOUR_MS, -3 * HOUR_MS, JUMP_MS])
def test_a_wrong_jump_is_not_believed(jump_ms: int) -> None:
    """Hours ahead or back while events go on: time is told evenly and shown as a jump, for as long as it lasts and
    five minutes more; then nothing is left of it."""
    machine = Machine()
    machine.wait(60_000)
    machine.off_ms = jump_ms
    for _ in range(20):
        machine.wait(60_000)
        assert machine.clock.now_ms() == machine.true_ms
        assert f"{jump_ms // 1000:+d} s, not believed" in (machine.clock.problem or "")
    machine.off_ms = 0
    machine.wait(SHOWN_MS - 2_000)
    assert machine.clock.problem is not None
    machine.wait(3_000)
    assert machine.clock.problem is None
    assert machine.clock.now_ms() == machine.true_ms


def test_a_mended_clock_is_believed() -> None:
    """A clock that was three hours ahead from the start and is set right: the events agree with the new time."""
    machine = Machine()
    machine.off_ms = 3 * HOUR_MS
    machine.clock = WallClock(machine.wall_ms, machine.steady_ms, machine.newest_ms)
    assert machine.clock.now_ms() == machine.true_ms + 3 * HOUR_MS
    machine.off_ms = 0
    assert machine.clock.now_ms() == machine.true_ms
    assert "-10800 s, believed" in (machine.clock.problem or "")


def test_a_resumed_machine_knows_that_it_is_late() -> None:
    """After three hours asleep its clock is three hours ahead of what went by. As soon as it reads on it is believed,
    so that what began and ended meanwhile calls nobody."""
    machine = Machine()
    machine.wait(60_000)
    machine.sleep(3 * HOUR_MS)
    machine.lag_ms = 2 * HOUR_MS
    assert machine.clock.now_ms() == machine.true_ms


def test_without_events_the_clock_is_believed() -> None:
    """A worker that counts and judges nothing has nothing to compare with."""
    machine = Machine(lag_ms=None)
    machine.off_ms = HOUR_MS
    assert machine.clock.now_ms() == machine.true_ms + HOUR_MS


def test_a_clock_that_is_slewed_is_followed() -> None:
    """Half a millisecond a second, for a day: never a jump."""
    machine = Machine()
    for second in range(86_400):
        machine.true_ms += 1_000
        machine.off_ms = second // 2
        assert machine.clock.now_ms() == machine.true_ms + machine.off_ms
    assert machine.clock.problem is None


@pytest.mark.parametrize("jump_ms", [3 * HOUR_MS, -3 * HOUR_MS])
def test_a_jump_makes_no_judge_late(jump_ms: int) -> None:
    """While the clock is off the Judge is not said to catch up, so an outage then is as critical as ever."""
    machine, watch = Machine(), Watch(0.0)
    machine.wait(60_000)
    machine.off_ms = jump_ms
    for second in range(600):
        machine.wait(1_000)
        judged_ms = machine.true_ms - 2_000
        assert list(watch.behind(judged_ms, False, machine.clock.now_ms(), float(second))) == []
