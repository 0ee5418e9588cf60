"""How the demo is asked to end: by Ctrl-C or SIGTERM, while everything is set up, and surely.

Python drops an interrupt that comes while it runs what nobody called, as it does now and then behind an import.
Does not know what ends.
"""

from __future__ import annotations

import signal
from types import TracebackType
from typing import Any, Self

__all__ = ["Ending"]


class Ending:
    """Entered, both signals are a KeyboardInterrupt; `check` raises it again where it was dropped."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {name: signal.signal(name, self._ask) for name in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def check(self) -> None:
        """KeyboardInterrupt where a signal came."""
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, *_: object) -> None:
        self._asked = True
        raise KeyboardInterrupt
