"""How the demo is asked to end."""

from __future__ import annotations

import signal

import pytest

from streams.demo.ending import Ending

BOTH = pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_both_signals_interrupt(name: signal.Signals) -> None:
    """And mean what they meant before when it is over."""
    before = signal.getsignal(name)
    with pytest.raises(KeyboardInterrupt), Ending():
        signal.raise_signal(name)
    assert signal.getsignal(name) is before


@BOTH
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
