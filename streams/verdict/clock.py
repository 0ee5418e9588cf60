"""What only a wall clock can see: a source that has gone silent, a Judge that is behind. Each becomes a marker.

Pure: times are arguments, markers are values; obeyed only when they are read back from the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from detector.counting.tally import Marker, Source
from streams.tallylog import BEHIND_MS

__all__ = ["Watch"]

SILENT_S = 30.0
REPEAT_S = 5.0
"""A marker that was written and not read back yet is not written again so soon."""


class Watch:
    """Watches the log as it is read; `taken` is told who speaks, `silent` and `behind` are asked now and then."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._heard_s: dict[Source, float] = {}
        self._said_s: dict[tuple[str, Source | None], float] = {}

    def taken(self, sources: Iterable[Source], now_s: float) -> None:
        """These said something new."""
        self._heard_s.update(dict.fromkeys(sources, now_s))

    def silent(self, live: Iterable[Source], now_s: float) -> Iterator[Marker]:
        """Of the sources that hold Judge's time back, those that said nothing for 30 s."""
        for source in live:
            heard_s = self._heard_s.get(source, self._started_s)
            if now_s - heard_s >= SILENT_S and self._may_say("stuck", source, now_s):
                yield Marker("stuck", source)

    def behind(self, judge_ms: int, is_catching_up: bool, wall_ms: int, now_s: float) -> Iterator[Marker]:
        """Whether the Judge fell behind the clock, or is no longer."""
        is_behind = wall_ms - judge_ms > BEHIND_MS
        kind = "catching_up" if is_behind else "caught_up"
        if is_behind != is_catching_up and self._may_say(kind, None, now_s):
            yield Marker("catching_up" if is_behind else "caught_up")

    def _may_say(self, kind: str, source: Source | None, now_s: float) -> bool:
        said_s = self._said_s.get((kind, source))
        if said_s is not None and now_s - said_s < REPEAT_S:
            return False
        self._said_s[kind, source] = now_s
        return True
