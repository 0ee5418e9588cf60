"""The events of a batch that are refused: which ones and why, as numbers, so that a flood of them costs little.

An event's fault is one number: its reason and the field it is about. Knows the words of reasons; not how a fault is
found, nor what becomes of an event that has one.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, overload

import numpy as np

from detector.arrays import Bools, Int32s, Int64s
from detector.counting.fields import FIELDS

__all__ = ["FAULT_FIELDS", "REASONS", "Reason", "Reject", "Rejects", "fault_number"]


class Reason(StrEnum):
    """Why an event is refused, in one word for dead letters and metrics."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_DEEP = "too_deep"
    DUPLICATE_KEY = "duplicate_key"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    CONTROL_CHARACTER = "control_character"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIME = "bad_time"
    BAD_CURRENCY = "bad_currency"
    UNKNOWN_STATUS = "unknown_status"
    CLOCK_AHEAD = "clock_ahead"  # found by the Counter, which knows the log time


REASONS = tuple(Reason)
FAULT_FIELDS = (*FIELDS, "")
"""What a fault may be about, the last one nothing. A fault is the reason's place in REASONS × their count + the field's
place."""

_FAULTS = [(reason, field) for reason in REASONS for field in FAULT_FIELDS]
_NUMBERS = {fault: number for number, fault in enumerate(_FAULTS)}


def fault_number(reason: Reason, field: str) -> int:
    """The fault as a number."""
    return _NUMBERS[reason, field]


@dataclass(frozen=True, slots=True)
class Reject:
    """The event at `index` of the batch is refused, for its first fault; `words_of` says it in words."""

    index: int
    reason: Reason
    field: str


class Rejects(Sequence[Reject]):
    """In order: the event at `places[n]` of the batch has the fault of number `faults[n]`."""

    __slots__ = ("faults", "places")

    def __init__(self, index: Int64s, fault: Int32s) -> None:
        self.places, self.faults = index, fault

    @classmethod
    def of(cls, faults: Iterable[tuple[int, Reason, str]]) -> Self:
        """From (index, reason, field)."""
        rows = [(index, fault_number(reason, field)) for index, reason, field in faults]
        table = np.array(rows, np.int64).reshape(-1, 2)
        return cls(table[:, 0].copy(), table[:, 1].astype(np.int32))

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Reject: ...
    @overload
    def __getitem__(self, place: slice) -> Rejects: ...
    def __getitem__(self, place: int | slice) -> Reject | Rejects:
        if isinstance(place, slice):
            return Rejects(self.places[place], self.faults[place])
        return Reject(int(self.places[place]), *_FAULTS[self.faults[place]])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def pick(self, kept: Bools) -> Rejects:
        """Those that are kept."""
        return Rejects(self.places[kept], self.faults[kept])

    def reasons(self) -> Count[str]:
        """How many there are of each reason."""
        counts = np.bincount(self.faults // len(FAULT_FIELDS), minlength=len(REASONS)).tolist()
        return Count({reason: count for reason, count in zip(REASONS, counts, strict=True) if count})
