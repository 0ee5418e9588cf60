"""Loops that read JSON text strictly (RFC 8259), byte by byte: where a value ends, or why it does not.

Nothing is built and nothing is decoded. Every function gets the end of its record and never reads a value across it,
so that a record cannot swallow its neighbour or pass for two. Knows nothing of payments.
`text` is a buffer of records, with `SPARE_BYTES` bytes more after the last one.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import UInt8s
from detector.compiled import compiled, inlined
from detector.wide import WIDE, lowest, specials_at, word_at

DEPTH_MAX = 16
"""Objects and arrays inside each other, the event itself included."""

NUMBER_MAX, EXPONENT_MAX = 100, 2
"""Characters of a number that is skipped, and digits of its exponent: so every reader has room for it."""

INTEGER_DIGITS_MAX = 18
"""Digits of an integer that is sure to fit in 64 bits."""

WRONG, LEFT = -1, -2
"""The end of a value that is no JSON for any reader, and of one that only a more patient reader can judge."""

QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT, ZERO, NINE = (ord(character) for character in '"\\,:-.09')
OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY = (ord(character) for character in "{}[]")
_SPACES = (32, 9, 10, 13)
_UPPER_E, _LOWER_E, _PLUS, _LOWER_U, _DELETE = (ord(character) for character in "Ee+u\x7f")
_HIGHS, _LOWS, _LOWS_END = 0xD800, 0xDC00, 0xE000
"""Where the two halves of a surrogate pair lie."""
_ESCAPES = tuple(ord(character) for character in '"\\/bfnrt')
_TRUE, _FALSE, _NULL = (np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false", b"null"))
_FOUR, _FIVE = np.uint64((1 << 32) - 1), np.uint64((1 << 40) - 1)


@inlined
def plain_end(text: UInt8s, at: int, stop: int) -> int:
    """The first place from `at` on that is a quote, a backslash, a control character or not ASCII; where there is none
    before `stop`, some place from there on, and not far."""
    while at < stop:
        marks = specials_at(text, at)
        if marks:
            return at + lowest(marks)
        at += WIDE
    return at


@inlined
def space_end(text: UInt8s, at: int, stop: int) -> int:
    """Where the blanks from `at` on end."""
    while at < stop and text[at] <= 32 and text[at] in _SPACES:
        at += 1
    return at


@inlined
def literal_end(text: UInt8s, at: int, stop: int) -> int:
    """The end of `true`, `false` or `null`."""
    word = word_at(text, at)
    if word & _FOUR == _TRUE or word & _FOUR == _NULL:
        end = at + 4
    elif word & _FIVE == _FALSE:
        end = at + 5
    else:
        return WRONG
    return end if end <= stop else WRONG


@inlined
def is_null(text: UInt8s, at: int) -> bool:
    """Whether the literal at `at` is `null`."""
    return bool(word_at(text, at) & _FOUR == _NULL)


@inlined
def digit_at(text: UInt8s, place: int) -> int:
    """The value of the digit at `place`; below 0 or above 9 where there is none."""
    return int(np.int64(text[place])) - ZERO


@inlined
def digits_end(text: UInt8s, at: int, stop: int) -> int:
    """Where the digits from `at` on end; WRONG where there is none."""
    start = at
    while at < stop and ZERO <= text[at] <= NINE:
        at += 1
    return at if at > start else WRONG


@compiled
def number_end(text: UInt8s, at: int, stop: int) -> int:
    """The end of a number, of any kind that JSON has; a huge one is LEFT."""
    start = at
    if at < stop and text[at] == MINUS:
        at += 1
    first = at
    at = digits_end(text, at, stop)
    if at == WRONG or (text[first] == ZERO and at > first + 1):
        return WRONG
    if at < stop and text[at] == POINT:
        at = digits_end(text, at + 1, stop)
    if at != WRONG and at < stop and (text[at] == _UPPER_E or text[at] == _LOWER_E):
        at += 1
        if at < stop and (text[at] == _PLUS or text[at] == MINUS):
            at += 1
        exponent = at
        at = digits_end(text, at, stop)
        if at - exponent > EXPONENT_MAX:
            return LEFT
    return at if at - start <= NUMBER_MAX else LEFT


@compiled
def _code_at(text: UInt8s, at: int, stop: int) -> int:
    """The number of an escape whose `u` is at `at`, WRONG where there is none."""
    if at + 5 > stop or text[at] != _LOWER_U:
        return WRONG
    code = 0
    for place in range(at + 1, at + 5):
        digit, letter = digit_at(text, place), int(np.int64(text[place]) | 32) - 97
        if 0 <= digit <= 9:
            code = code * 16 + digit
        elif 0 <= letter <= 5:
            code = code * 16 + letter + 10
        else:
            return WRONG
    return code


@compiled
def escape_end(text: UInt8s, at: int, stop: int) -> int:
    """The end of an escape, from the character after its backslash on; half of a surrogate pair is WRONG."""
    if at >= stop:
        return WRONG
    if text[at] in _ESCAPES:
        return at + 1
    code, end = _code_at(text, at, stop), at + 5
    if code == WRONG or _LOWS <= code < _LOWS_END:
        return WRONG
    if not _HIGHS <= code < _LOWS:
        return end
    low = _code_at(text, end + 1, stop) if end < stop and text[end] == BACKSLASH else WRONG
    return end + 6 if _LOWS <= low < _LOWS_END else WRONG


@compiled
def beyond_ascii_end(text: UInt8s, at: int, stop: int) -> int:
    """The end of a character of two to four bytes in UTF-8: no overlong form, no surrogate, none past U+10FFFF."""
    first = text[at]
    if first < 0xC2 or first > 0xF4:
        return WRONG
    end = at + (4 if first >= 0xF0 else 3 if first >= 0xE0 else 2)
    if end > stop:
        return WRONG
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    if text[at + 1] < low or text[at + 1] > high:
        return WRONG
    for following in text[at + 2 : end]:
        if following & 0xC0 != 0x80:
            return WRONG
    return end


@compiled
def string_end(text: UInt8s, at: int, stop: int) -> int:
    """The end of a string whose opening quote is before `at`: after its closing quote."""
    while True:
        at = plain_end(text, at, stop)
        if at >= stop:
            return WRONG
        byte = text[at]
        if byte == QUOTE:
            return at + 1
        if byte == BACKSLASH:
            at = escape_end(text, at + 1, stop)
        elif byte == _DELETE:
            at += 1
        else:
            at = beyond_ascii_end(text, at, stop)
        if at < 0:
            return at


@compiled
def scalar_end(text: UInt8s, at: int, stop: int) -> int:
    """The end of a string, number or literal."""
    if at >= stop:
        return WRONG
    byte = text[at]
    if byte == QUOTE:
        return string_end(text, at + 1, stop)
    if byte == MINUS or ZERO <= byte <= NINE:
        return number_end(text, at, stop)
    return literal_end(text, at, stop)


@compiled
def key_end(text: UInt8s, at: int, stop: int) -> int:
    """Where the value of the key at `at` begins."""
    if at >= stop or text[at] != QUOTE:
        return WRONG
    at = string_end(text, at + 1, stop)
    if at < 0:
        return at
    at = space_end(text, at, stop)
    if at >= stop or text[at] != COLON:
        return WRONG
    return space_end(text, at + 1, stop)


@compiled
def value_end(text: UInt8s, at: int, stop: int, closers: UInt8s) -> int:
    """The end of any value; `closers[DEPTH_MAX]` is room to note what closes the objects and arrays that are open.

    LEFT where the value, one level below the event, is deeper than DEPTH_MAX allows.
    """
    depth = 0
    while True:
        # Here a value begins.
        if at < stop and (text[at] == OPEN_OBJECT or text[at] == OPEN_ARRAY):
            if depth == DEPTH_MAX - 1:
                return LEFT
            closer = text[at] + 2  # in ASCII, } is { + 2 and ] is [ + 2
            at = space_end(text, at + 1, stop)
            if at < stop and text[at] == closer:
                at += 1
            else:
                closers[depth] = closer
                depth += 1
                if closer == CLOSE_OBJECT:
                    at = key_end(text, at, stop)
                    if at < 0:
                        return at
                continue
        else:
            at = scalar_end(text, at, stop)
        if at < 0:
            return at
        # Here a value ended: close what closes here.
        while depth > 0:
            at = space_end(text, at, stop)
            if at < stop and text[at] == COMMA:
                break
            if at >= stop or text[at] != closers[depth - 1]:
                return WRONG
            at += 1
            depth -= 1
        if depth == 0:
            return at
        at = space_end(text, at + 1, stop)
        if closers[depth - 1] == CLOSE_OBJECT:
            at = key_end(text, at, stop)
            if at < 0:
                return at
