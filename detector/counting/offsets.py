"""Where to read a source from again: offsets by log time.

Knows nothing of what is committed, or when.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class OffsetIndex:
    """The first offset of each pane of log time, for one topic of a source."""

    def __init__(self, pane_ms: int, keep_ms: int) -> None:
        self._pane_ms = pane_ms
        self._keep_ms = keep_ms
        self._times: list[int] = []
        self._offsets: list[int] = []

    def note(self, log_time_ms: int, offset: int) -> None:
        """Say that log time stood at `log_time_ms` when the record at `offset` was about to be read."""
        pane_start = log_time_ms - log_time_ms % self._pane_ms
        if self._times and pane_start <= self._times[-1] - self._times[-1] % self._pane_ms:
            return
        self._times.append(log_time_ms)
        self._offsets.append(offset)
        forgotten = bisect_right(self._times, log_time_ms - self._keep_ms) - 1
        if forgotten > 64:
            del self._times[:forgotten], self._offsets[:forgotten]

    def log_time(self, offset: int) -> int | None:
        """Log time when the record at an offset was about to be read, or somewhat later; None: not known."""
        at = bisect_left(self._offsets, offset)
        return self._times[at] if at < len(self._times) else None

    def first(self, log_time_ms: int) -> int | None:
        """An offset from which every record of `log_time_ms` and later is read; None: not known, begin at the start."""
        at = bisect_right(self._times, log_time_ms - 1) - 1
        return self._offsets[at] if at >= 0 else None
