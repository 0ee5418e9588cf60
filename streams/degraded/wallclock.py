"""What o'clock it is, from a machine whose clock may jump: the events tell which of two times to believe.

A clock that jumps (a mended NTP, a machine that was resumed) differs of a sudden from the time it showed before plus
what went by. Where the events' newest time agrees with the latter, the jump is not believed and time goes on evenly;
where it does not, or there are no events, the clock is believed at once. So a wrong clock makes no outage a late one,
and a machine that slept for hours calls nobody for what it missed.
Knows clocks and events' times; not what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.tallylog import BEHIND_MS

__all__ = ["SHOWN_MS", "WallClock"]

JUMP_MS: Final = 10_000
"""Less is followed without a word: clocks are slewed by less than a millisecond a second."""
SHOWN_MS: Final = 300_000


class WallClock:
    """Epoch ms by `now_ms`. `newest_ms` gives the newest event time that this worker knows, None without any.

    May be asked from any thread.
    """

    def __init__(
        self, wall_ms: Callable[[], int], steady_ms: Callable[[], int], newest_ms: Callable[[], int | None]
    ) -> None:
        self._wall_ms, self._steady_ms, self._newest_ms = wall_ms, steady_ms, newest_ms
        self._ahead_ms = wall_ms() - steady_ms()
        self._jump: tuple[int, int, bool] | None = None

    def now_ms(self) -> int:
        """Epoch ms now."""
        wall_ms, steady_ms = self._wall_ms(), self._steady_ms()
        even_ms = steady_ms + self._ahead_ms
        drift_ms = wall_ms - even_ms
        if abs(drift_ms) >= JUMP_MS:
            newest_ms = self._newest_ms()
            is_believed = newest_ms is None or abs(even_ms - newest_ms) > BEHIND_MS
            self._jump = (drift_ms, steady_ms, is_believed)
            if not is_believed:
                return even_ms
        self._ahead_ms = wall_ms - steady_ms
        return wall_ms

    @property
    def problem(self) -> str | None:
        """The newest jump, for some minutes after it; None without one."""
        self.now_ms()
        if self._jump is None:
            return None
        drift_ms, at_ms, is_believed = self._jump
        if self._steady_ms() - at_ms >= SHOWN_MS:
            self._jump = None
            return None
        fate = "believed, since no event says otherwise" if is_believed else "not believed, since the events go on"
        return (
            f"this machine's clock must go as time does; got a jump of {drift_ms / 1000:+.0f} s, {fate}; outages are "
            "found as ever: look at its NTP service"
        )
