"""Loops that say what is wrong with the value of one field, in the numbers of reasons, or that they cannot say.

`found[what, field]` tells of each field of an event which kind of value it has (KIND) and where that lies (START, STOP;
a text without its quotes). The contracts say the same in words. Knows no event as a whole, and no status.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Int64s, UInt8s
from detector.compiled import compiled, inlined
from detector.contracts.moments import EPOCH_MS_MAX
from detector.contracts.words import AMOUNT_MAX, TEXT_CHARACTERS_MAX
from detector.counting.fields import AMOUNT, CURRENCY, OCCURRED_AT, STARTED_AT, read_time
from detector.counting.guard import (
    BACKSLASH,
    INTEGER_DIGITS_MAX,
    MINUS,
    NINE,
    POINT,
    QUOTE,
    WRONG,
    ZERO,
    digit_at,
    digits_end,
)  # fmt: skip
from detector.counting.rejects import REASONS, Reason
from detector.counting.scan import is_currency

SOUND, UNSURE = -1, -2
"""Nothing is wrong, and only the reference can say."""

ABSENT, NULL, TEXT, INTEGER, OTHER = range(5)
KIND, START, STOP = range(3)

_NUMBER_OF = {reason: number for number, reason in enumerate(REASONS)}
_MISSING_FIELD, _WRONG_TYPE = _NUMBER_OF[Reason.MISSING_FIELD], _NUMBER_OF[Reason.WRONG_TYPE]
_EMPTY, _TOO_LONG = _NUMBER_OF[Reason.EMPTY], _NUMBER_OF[Reason.TOO_LONG]
_CONTROL_CHARACTER, _OUT_OF_RANGE = _NUMBER_OF[Reason.CONTROL_CHARACTER], _NUMBER_OF[Reason.OUT_OF_RANGE]
_BAD_TIME, _BAD_CURRENCY = _NUMBER_OF[Reason.BAD_TIME], _NUMBER_OF[Reason.BAD_CURRENCY]

_LOWER_U, _LOWER_N = ord("u"), ord("n")
_HIGHS, _LOWS = 0xD800, 0xDC00
_CONTROL_ESCAPES = tuple(ord(character) for character in "bfnrt")
_DELETE, _LAST_OF_C1 = 0x7F, 0x9F
_TIME_FORM = np.frombuffer(b"0000-00-00T00:00:00", np.uint8).copy()
_LOWER_T, _UPPER_T, _BLANK, _PLUS = (ord(character) for character in "tT +")
_LOWER_Z, _UPPER_Z = ord("z"), ord("Z")


@compiled
def has_escape(text: UInt8s, start: int, stop: int) -> bool:
    """Whether a text has any."""
    for place in range(start, stop):
        if text[place] == BACKSLASH:
            return True
    return False


@inlined
def note_value(text: UInt8s, field: int, value: int, end: int, found: Int64s) -> None:
    """Note of which kind a field's value is."""
    first, kind = text[value], OTHER
    if first == QUOTE:
        kind, value, end = TEXT, value + 1, end - 1
    elif first == _LOWER_N:
        kind = NULL
    elif first == MINUS or ZERO <= first <= NINE:
        digits = value + 1 if first == MINUS else value
        kind = INTEGER if digits_end(text, digits, end) == end else OTHER
    found[KIND, field], found[START, field], found[STOP, field] = kind, value, end


@inlined
def _hex(text: UInt8s, at: int) -> int:
    """The value of four hexadecimal digits."""
    number = 0
    for place in range(at, at + 4):
        digit = digit_at(text, place)
        number = number * 16 + (digit if digit <= 9 else int(np.int64(text[place]) | 32) - 87)
    return number


@compiled
def _word_fault(text: UInt8s, start: int, stop: int) -> int:
    """What is wrong with a text that must have 1 to TEXT_CHARACTERS_MAX characters and no control character."""
    characters, controls, at = 0, False, start
    while at < stop:
        byte = int(np.int64(text[at]))
        characters += 1 if byte & 0xC0 != 0x80 else 0
        code = byte
        if byte == BACKSLASH:
            at += 1
            code = 0 if text[at] in _CONTROL_ESCAPES else ZERO
            if text[at] == _LOWER_U:
                code = _hex(text, at + 1)
                at += 4 if not _HIGHS <= code < _LOWS else 10  # a pair is one character
        elif byte == 0xC2:  # two bytes, up to U+00BF
            code = int(np.int64(text[at + 1]))
        elif byte > _DELETE:
            code = ZERO
        controls |= code < 32 or _DELETE <= code <= _LAST_OF_C1
        at += 1
        if characters > TEXT_CHARACTERS_MAX:
            return _TOO_LONG
    if characters == 0:
        return _EMPTY
    return _CONTROL_CHARACTER if controls else SOUND


@compiled
def _integer_fault(text: UInt8s, start: int, stop: int, most: int) -> int:
    """What is wrong with an integer that must lie between 0 and `most`."""
    if text[start] == MINUS:
        return UNSURE if text[start + 1] == ZERO else _OUT_OF_RANGE  # minus nothing is one thing or another
    if stop - start > INTEGER_DIGITS_MAX:
        return _OUT_OF_RANGE
    number = 0
    for place in range(start, stop):
        number = number * 10 + digit_at(text, place)
    return _OUT_OF_RANGE if number > most else SOUND


@compiled
def _has_form_of_a_time(text: UInt8s, start: int, stop: int) -> bool:
    """Whether a text has the form of RFC 3339, whatever its figures say."""
    if stop - start <= len(_TIME_FORM):
        return False
    for place in range(len(_TIME_FORM)):
        form, byte = _TIME_FORM[place], text[start + place]
        if form == ZERO:
            if digit_at(text, start + place) < 0 or digit_at(text, start + place) > 9:
                return False
        elif form == _UPPER_T:
            if byte != _UPPER_T and byte != _LOWER_T and byte != _BLANK:
                return False
        elif byte != form:
            return False
    at = start + len(_TIME_FORM)
    if text[at] == POINT:
        at = digits_end(text, at + 1, stop)
        if at in (WRONG, stop):
            return False
    if text[at] == _UPPER_Z or text[at] == _LOWER_Z:
        return at + 1 == stop
    return (text[at] == _PLUS or text[at] == MINUS) and at + 6 == stop


@compiled
def _text_fault(text: UInt8s, field: int, start: int, stop: int) -> int:
    """What is wrong with a text as the value of a field other than a status."""
    if field == AMOUNT:
        return _WRONG_TYPE
    if field in (CURRENCY, OCCURRED_AT, STARTED_AT):
        if has_escape(text, start, stop):
            return UNSURE
        if field == CURRENCY:
            return SOUND if is_currency(text, start, stop) else _BAD_CURRENCY
        if not _has_form_of_a_time(text, start, stop):
            return _BAD_TIME
        return SOUND if read_time(text, start, stop) >= 0 else UNSURE
    return _word_fault(text, start, stop)


@compiled
def value_fault(text: UInt8s, field: int, is_required: bool, found: Int64s) -> int:
    """What is wrong with the value of a field other than a status, as far as it does not say which status it is."""
    kind, start, stop = found[KIND, field], found[START, field], found[STOP, field]
    if kind == ABSENT:
        return _MISSING_FIELD if is_required else SOUND
    if kind == NULL:
        return _WRONG_TYPE if is_required else SOUND
    if kind == TEXT:
        return _text_fault(text, field, start, stop)
    if kind == INTEGER and field == AMOUNT:
        return _integer_fault(text, start, stop, AMOUNT_MAX)
    if kind == INTEGER and field in (OCCURRED_AT, STARTED_AT):
        return _integer_fault(text, start, stop, EPOCH_MS_MAX)
    return _WRONG_TYPE
