"""How a command that has something to clear away is asked to end."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from streams.ending import SAME_S, Ending

pytestmark = pytest.mark.usefixtures("hears_hangup")
ALL = pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


class Clock:
    """A time that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)


@ALL
def test_every_signal_interrupts(name: signal.Signals) -> None:
    """And means what it meant before when it is over; the exit code is a shell's."""
    before = signal.getsignal(name)
    ending = Ending()
    with pytest.raises(KeyboardInterrupt), ending:
        signal.raise_signal(name)
    assert signal.getsignal(name) is before
    assert ending.exit_code == 128 + name


def test_nohup_stays_nohup() -> None:
    """A SIGHUP that is ignored stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Ending():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@ALL
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_is_obeyed_at_the_next_check(name: signal.Signals) -> None:
    """One that comes while an object is taken away is printed, and gone."""

    class Last:
        def __del__(self) -> None:
            signal.raise_signal(name)

    with Ending() as ending:
        ending.check()
        last = Last()
        del last
        with pytest.raises(KeyboardInterrupt):
            ending.check()


@ALL
def test_a_signal_cancels_what_runs(name: signal.Signals) -> None:
    """A task that waits for ever is cancelled, may end what it has open, and is an interrupt."""
    ended = []

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, name)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("in order")

    with Ending() as ending, pytest.raises(KeyboardInterrupt):
        ending.run(wait())
    assert ended == ["in order"]


def test_what_runs_to_its_end_gives_its_result() -> None:
    """No signal: no difference."""

    async def seven() -> int:
        return 7

    with Ending() as ending:
        assert ending.run(seven()) == 7
    assert ending.exit_code == 0


@ALL
def test_clearing_away_is_ended_by_the_second_signal_alone(
    name: signal.Signals, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first one is known already, and so are those that come with it; the next says what is left, and leaves."""
    clock = Clock(monkeypatch)
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    with Ending() as ending:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        ending.leave("what may be left")
        clock.now_s += SAME_S / 2
        signal.raise_signal(name)
        assert (left, capfd.readouterr().err.count("what may be left")) == ([], 0)
        clock.now_s += SAME_S
        signal.raise_signal(name)
    assert (left, capfd.readouterr().err) == ([128 + name], "what may be left\n")


def test_a_first_signal_while_it_is_cleared_away_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends anyway; only a second one cuts that short."""
    clock = Clock(monkeypatch)
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    with Ending() as ending:
        ending.leave()
        signal.raise_signal(signal.SIGINT)
        assert left == []
        clock.now_s += 2 * SAME_S
        signal.raise_signal(signal.SIGINT)
    assert left == [130]
