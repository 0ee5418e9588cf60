"""Every key of a policy file that has a fixed name: what its value may be, and in which range.

Does not know the defaults, the tables whose keys are a platform's own words, or how a finding is worded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

DIMENSIONS: Final = ("bank", "method", "psp", "channel", "country", "network")
"""Every dimension a leaf may have; the first two it always has."""

FIVE: Final = ("pending", "approved", "declined", "error", "cancelled")

VOTERS_MAX: Final = 255
"""A tally says in one byte how many hashes a cell carries."""

PANES_S: Final = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
"""A minute, and so every window and vote block, must be whole panes; a pane must be whole boundaries of a second."""


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number in a range."""

    least: int
    most: int

    def read(self, value: Any) -> int:
        """The number. Raises ValueError with what it must be."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValueError(f"must be a whole number from {self.least} to {self.most}")
        return value

    def nearest(self, value: float) -> float:
        """The allowed value that a wrong one was probably meant to be."""
        return round(_between(self.least, value, self.most))


@dataclass(frozen=True, slots=True)
class Seconds:
    """A number of seconds in a range, down to the millisecond."""

    least: int
    most: int

    def read(self, value: Any) -> int:
        """The same in ms. Raises ValueError with what it must be."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise ValueError(f"must be a number of seconds from {self.least} to {self.most}")
        if round(value * 1000, 6) % 1:
            raise ValueError("must be whole milliseconds, so at most three digits after the point")
        return round(value * 1000)

    def nearest(self, value: float) -> float:
        """The allowed value that a wrong one was probably meant to be."""
        return round(_between(self.least, value, self.most), 3)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of one."""

    def read(self, value: Any) -> float:
        """The number. Raises ValueError with what it must be."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise ValueError("must be a share above 0 and at most 1, like 0.5")
        return float(value)

    def nearest(self, value: float) -> float:
        """The allowed value that a wrong one was probably meant to be: 50 was meant as a percentage."""
        return value / 100 if 1 < value <= 100 else 0.5


@dataclass(frozen=True, slots=True)
class Number:
    """Any number in a range."""

    least: float
    most: float

    def read(self, value: Any) -> float:
        """The number. Raises ValueError with what it must be."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise ValueError(f"must be a number from {self.least:g} to {self.most:g}")
        return float(value)

    def nearest(self, value: float) -> float:
        """The allowed value that a wrong one was probably meant to be."""
        return _between(self.least, value, self.most)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One word of a few, or one number of a few seconds (`scale` makes them ms)."""

    choices: tuple[str | int, ...]
    scale: int = 0

    def read(self, value: Any) -> str | int:
        """The choice. Raises ValueError with what it must be."""
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in self.choices:
            raise ValueError(f"must be one of {', '.join(str(choice) for choice in self.choices)}")
        return value * self.scale if isinstance(value, int) else value

    def nearest(self, value: float) -> float:
        """The allowed number that a wrong one was probably meant to be."""
        return min((choice for choice in self.choices if isinstance(choice, int)), key=lambda least: abs(least - value))


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds until a pending payment is overdue, or false for never."""

    def read(self, value: Any) -> int:
        """Milliseconds, -1 for never. Raises ValueError with what it must be."""
        if value is False:
            return -1
        if value is True:
            raise ValueError("must be seconds, or false for never overdue")
        return _ANSWER_S.read(value)

    def nearest(self, value: float) -> float:
        """The allowed value that a wrong one was probably meant to be."""
        return _ANSWER_S.nearest(value)


_ANSWER_S: Final = Seconds(1, 86_400)


def _between(least: float, value: float, most: float) -> float:
    """The nearest in a range; of what is no number, the least."""
    return max(least, min(value, most))


Kind: TypeAlias = Count | Seconds | Share | Number | OneOf | Answer

RULE: Final[Mapping[str, Kind]] = {"after_s": Seconds(1, 86_400), "voters": Count(1, VOTERS_MAX)}
RING_S: Final = Seconds(3_600, 86_400)
TOP: Final[Mapping[str, Kind]] = {
    "min_merchants": Count(1, VOTERS_MAX),
    "wait_s": Seconds(0, 600),
    "horizon_s": Seconds(10, 86_400),
    "grace_s": Seconds(0, 3_600),
    "pane_s": OneOf(PANES_S, scale=1000),
    "lateness_s": Seconds(0, 60),
    "clock_ahead_s": Seconds(1, 86_400),
    "ring_s": RING_S,
    "details_s": Seconds(0, 600),
}
RESOLVE: Final[Mapping[str, Kind]] = {
    "hold_s": Seconds(0, 3_600),
    "window_s": Seconds(1, 3_600),
    "decided": Count(1, 10_000),
    "approved": Count(1, 10_000),
    "voters": Count(1, 2),  # a cell carries the two smallest voter hashes among its approved
    "rate_share": Share(),
}
EVIDENCE: Final[Mapping[str, Kind]] = {
    "mode": OneOf(("off", "shadow", "live")),
    "page_years": Number(0.001, 1_000_000),
    "ticket_years": Number(0.001, 1_000_000),
    "freeze_days": Number(0.01, 3_650),
    "page_z": Number(0, 10),
    "ticket_z": Number(0, 10),
    "votes_min": Count(1, 1_000_000),
    "recovery_hold_s": Seconds(0, 3_600),
    "reopen_min": Count(0, 1_440),
}
LIMITS: Final[Mapping[str, Kind]] = {
    "leaves_max": Count(1, 100_000),
    "codes_max": Count(1, 100_000),
    "merchants_detail_max": Count(1, 10_000),
    "merchant_names_max": Count(1, 1_000_000),
    "children_max": Count(1, 10_000),
    "dead_letters_per_s_max": Count(1, 100_000),
    "dead_letter_bytes_max": Count(1, 600_000),  # in base64 it stays under Kafka's usual 1 MiB
    "maintenances_max": Count(1, 10_000),
}
PAGE: Final[Mapping[str, Kind]] = {"mode": OneOf(("live", "shadow"))}
SCOPE: Final[Mapping[str, Kind]] = {"min_merchants": TOP["min_merchants"], "answer_s": Answer()}
