"""Where fields stand in the events of a producer: mostly in the same order, written in the same way, event after event.

So what stands before the n-th value of an event is held against the same of the one before, sixteen bytes at once,
before it is read byte by byte. What matches is the same text, blanks before it, quotes and colon among it, hence the
same field; else it is read as ever.
Knows no values.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import UInt8s, UInt64s
from detector.compiled import allocating, inlined
from detector.counting.fields import UNKNOWN_FIELD
from detector.wide import word_at

_LOW, _LOW_MASK, _HIGH, _HIGH_MASK, _BYTES, _FIELD = range(6)
_FIELDS_MAX, _KEY_MAX = 32, 16
BLANK = ord(" ")
_0, _1, _8, _64, _ALL = (np.uint64(number) for number in (0, 1, 8, 64, (1 << 64) - 1))


@allocating
def no_layout() -> UInt64s:
    """A layout that expects nothing."""
    layout = np.zeros((_FIELDS_MAX, 6), np.uint64)
    layout[:, _LOW] = _1  # which no word is under a mask of 0
    return layout


@inlined
def expected(text: UInt8s, at: int, stop: int, layout: UInt64s, nth: int) -> tuple[int, int]:
    """The field whose key stands from `at` on, and where its value begins, if as expected; else UNKNOWN_FIELD."""
    if nth >= _FIELDS_MAX:
        return UNKNOWN_FIELD, at
    key = layout[nth]
    if word_at(text, at) & key[_LOW_MASK] != key[_LOW] or word_at(text, at + 8) & key[_HIGH_MASK] != key[_HIGH]:
        return UNKNOWN_FIELD, at
    value = at + np.int64(key[_BYTES])
    if value >= stop or text[value] <= BLANK:
        return UNKNOWN_FIELD, at
    return int(np.int64(key[_FIELD])), int(value)


@inlined
def expect(text: UInt8s, at: int, value: int, layout: UInt64s, nth: int, field: int) -> None:
    """From now on expect this field there: its key, with blanks, quotes and colon, is all from `at` to `value`."""
    size = value - at
    if nth >= _FIELDS_MAX or size > _KEY_MAX or field == UNKNOWN_FIELD:
        return
    low, high = _ALL, _0
    if size < 8:
        low = _ALL >> (_64 - _8 * np.uint64(size))
    elif size > 8:
        high = _ALL >> (_64 - _8 * np.uint64(size - 8))
    key = layout[nth]
    key[_LOW], key[_LOW_MASK] = word_at(text, at) & low, low
    key[_HIGH], key[_HIGH_MASK] = word_at(text, at + 8) & high, high
    key[_BYTES], key[_FIELD] = np.uint64(size), np.uint64(field)
