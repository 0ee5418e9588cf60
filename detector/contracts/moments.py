"""Moments: integer epoch ms inside, and in events also RFC 3339 text with a zone. Does not know what happens at one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH_MS_MAX: Final = 253_402_300_799_999
"""The last ms of the year 9999, which is as far as RFC 3339 goes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)


def epoch_ms(value: object) -> int:
    """A time as integer epoch ms: from itself, or from RFC 3339 text with a zone (what is below a ms is cut off).

    Raises ValueError for anything else.
    """
    if isinstance(value, str):
        value = _text_ms(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= EPOCH_MS_MAX:
        raise ValueError("a time is integer epoch milliseconds from 1970 to 9999, or RFC 3339 text with a zone")
    return value


def rfc3339(time_ms: int) -> str:
    """Epoch ms as RFC 3339 text in UTC."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text_ms(text: str) -> int | None:
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, clock, second, fraction, sign, hours, minutes = found.groups()
    try:
        minute = datetime.fromisoformat(f"{day}T{clock}00+00:00")
    except ValueError:
        return None
    if int(second) > 60:  # 60 is a leap second
        return None
    zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    whole = (minute - _EPOCH - zone) // timedelta(milliseconds=1) + int(second) * 1000
    return whole + int((fraction or "0").ljust(3, "0")[:3])
