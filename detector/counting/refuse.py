"""Loops that refuse: of an event that the scanner does not take, why the reference would refuse it, if that is sure.

So that a flood of bad events costs little more than good ones. Where anything is not sure (numbers past all measure,
surrogates, escapes in what is compared, odd times) nothing is said, and the reference reads the event. A differential
test holds the two together. Takes no event, and makes no words of a fault.
"""

from __future__ import annotations

import numpy as np

from detector.compiled import allocating, compiled, inlined
from detector.contracts.moments import EPOCH_MS_MAX
from detector.contracts.words import AMOUNT_MAX
from detector.counting.columns import Int32s, Int64s, UInt8s, UInt64s
from detector.counting.fields import (
    AMOUNT,
    BANK,
    CHANNEL,
    CURRENCY,
    FIELDS,
    MERCHANT_ID,
    METHOD,
    OCCURRED_AT,
    ORDER_ID,
    PAYMENT_ID,
    SHOPPER_ID,
    STARTED_AT,
    STATUS,
    UNKNOWN_FIELD,
    field_of,
    read_time,
)  # fmt: skip
from detector.counting.guard import (
    BACKSLASH,
    CLOSE_ARRAY,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    DEPTH_MAX,
    INTEGER_DIGITS_MAX,
    MINUS,
    OPEN_ARRAY,
    OPEN_OBJECT,
    QUOTE,
    WRONG,
    ZERO,
    beyond_ascii_end,
    digit_at,
    digits_end,
    plain_end,
    space_end,
    string_end,
    value_end,
)  # fmt: skip
from detector.counting.hashing import hash_words
from detector.counting.names import ASK, look_up
from detector.counting.reference import Reason
from detector.counting.scan import ASKED, MIXED, PAYMENTS_TOPIC, TEXT_MAX

REASONS = tuple(Reason)
NO_FIELD = UNKNOWN_FIELD
NOTHING_SAID = -1

_NUMBER_OF = {reason: number for number, reason in enumerate(REASONS)}
NOT_UTF8, NOT_JSON, TOO_DEEP = (_NUMBER_OF[reason] for reason in (Reason.NOT_UTF8, Reason.NOT_JSON, Reason.TOO_DEEP))
NOT_AN_OBJECT, DUPLICATE_KEY = _NUMBER_OF[Reason.NOT_AN_OBJECT], _NUMBER_OF[Reason.DUPLICATE_KEY]
MISSING_FIELD, WRONG_TYPE = _NUMBER_OF[Reason.MISSING_FIELD], _NUMBER_OF[Reason.WRONG_TYPE]
EMPTY, TOO_LONG, CONTROL_CHARACTER = (
    _NUMBER_OF[reason] for reason in (Reason.EMPTY, Reason.TOO_LONG, Reason.CONTROL_CHARACTER)
)
OUT_OF_RANGE, BAD_TIME = _NUMBER_OF[Reason.OUT_OF_RANGE], _NUMBER_OF[Reason.BAD_TIME]
BAD_CURRENCY, UNKNOWN_STATUS = _NUMBER_OF[Reason.BAD_CURRENCY], _NUMBER_OF[Reason.UNKNOWN_STATUS]
SOUND, UNSURE = -1, -2
"""Of one field: nothing is wrong with it, or only the reference can say."""

_ORDER_FIELDS = np.array(
    (ORDER_ID, STATUS, OCCURRED_AT, MERCHANT_ID, BANK, METHOD, AMOUNT, CURRENCY, CHANNEL, SHOPPER_ID), np.int64
)
_PAYMENT_FIELDS = np.arange(len(FIELDS), dtype=np.int64)
"""In the order in which the contracts, and so the reference, complain."""

_ABSENT, _NULL, _TEXT, _NUMBER, _OTHER = range(5)
_KIND, _START, _STOP = range(3)
"""`found[what, field]`: of which kind the field's value is, and where it lies (a text without its quotes)."""
_KEYS_MAX = 160
_LOWER_U, _POINT, _LOWER_N, _NINE = (ord(character) for character in "u.n9")
_HIGHS, _LOWS = 0xD800, 0xDC00
_CONTROL_ESCAPES = tuple(ord(character) for character in "bfnrt")
_A, _Z, _DELETE, _LAST_OF_C1 = ord("A"), ord("Z"), 0x7F, 0x9F
_TIME_BYTES_MIN = 20
_TIME_FORM = np.frombuffer(b"0000-00-00T00:00:00", np.uint8).copy()
_LOWER_T, _UPPER_T, _BLANK, _DASH = (ord(character) for character in "tT -")
_LOWER_Z, _UPPER_Z, _PLUS = (ord(character) for character in "zZ+")


@compiled
def _before_json(text: UInt8s, words: UInt64s, at: int, stop: int) -> int:
    """NOT_UTF8 or TOO_DEEP where the bytes are, before they are looked at as JSON; SOUND otherwise."""
    depth = deepest = 0
    in_text = False
    while at < stop:
        if in_text:
            at = plain_end(words, at, stop)
            if at >= stop:
                break
        byte = text[at]
        if byte >= 0x80:
            at = beyond_ascii_end(text, at, stop)
            if at == WRONG:
                return NOT_UTF8
            continue
        at += 1
        if byte == QUOTE:
            in_text = not in_text
        elif in_text:
            at += 1 if byte == BACKSLASH and at < stop and text[at] < 0x80 else 0
        elif byte in (OPEN_OBJECT, OPEN_ARRAY):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (CLOSE_OBJECT, CLOSE_ARRAY):
            depth -= 1
    return TOO_DEEP if deepest > DEPTH_MAX else SOUND


@compiled
def _is_same(text: UInt8s, one: int, other: int, length: int) -> bool:
    for place in range(length):
        if text[one + place] != text[other + place]:
            return False
    return True


@compiled
def _is_there(text: UInt8s, keys: Int64s, count: int, start: int, stop: int) -> bool:
    """Whether a key is among those before it; `keys[start | stop, place]`."""
    for place in range(count):
        if keys[1, place] - keys[0, place] == stop - start and _is_same(text, keys[0, place], start, stop - start):
            return True
    return False


@compiled
def _has_escape(text: UInt8s, start: int, stop: int) -> bool:
    for place in range(start, stop):
        if text[place] == BACKSLASH:
            return True
    return False


@inlined
def _note(text: UInt8s, field: int, value: int, end: int, found: Int64s) -> None:
    """Note of which kind a field's value is."""
    first, kind = text[value], _OTHER
    if first == QUOTE:
        kind, value, end = _TEXT, value + 1, end - 1
    elif first == _LOWER_N:
        kind = _NULL
    elif first == MINUS or ZERO <= first <= _NINE:
        digits = value + 1 if first == MINUS else value
        kind = _NUMBER if digits_end(text, digits, end) == end else _OTHER
    found[_KIND, field], found[_START, field], found[_STOP, field] = kind, value, end


@compiled
def _read_keys(text: UInt8s, words: UInt64s, at: int, stop: int, found: Int64s, keys: Int64s, closers: UInt8s) -> int:
    """Note the fields of the object whose brace is at `at`: a fault (with its field), or SOUND, or UNSURE."""
    count, fault = 0, SOUND
    at = space_end(text, at + 1, stop)
    if at < stop and text[at] == CLOSE_OBJECT:
        return SOUND if space_end(text, at + 1, stop) == stop else _fault(NOT_JSON, NO_FIELD)
    while True:
        if at >= stop or text[at] != QUOTE:
            return _fault(NOT_JSON, NO_FIELD)
        end = string_end(text, words, at + 1, stop)
        if end < 0:
            return UNSURE if end != WRONG else _fault(NOT_JSON, NO_FIELD)
        start, key_stop = at + 1, end - 1
        colon = space_end(text, end, stop)
        value = space_end(text, colon + 1, stop)
        if value >= stop or text[colon] != COLON:
            return _fault(NOT_JSON, NO_FIELD)
        end = value_end(text, words, value, stop, closers)
        if end < 0:
            return UNSURE if end != WRONG else _fault(NOT_JSON, NO_FIELD)
        if count == _KEYS_MAX or _has_escape(text, start, key_stop):
            return UNSURE
        field = field_of(words, start, key_stop)
        if fault == SOUND and _is_there(text, keys, count, start, key_stop):
            fault = _fault(DUPLICATE_KEY, field)
        keys[0, count], keys[1, count] = start, key_stop
        count += 1
        if field != UNKNOWN_FIELD:
            _note(text, field, value, end, found)
        at = space_end(text, end, stop)
        if at < stop and text[at] == COMMA:
            at = space_end(text, at + 1, stop)
            continue
        if at < stop and text[at] == CLOSE_OBJECT and space_end(text, at + 1, stop) == stop:
            return fault
        return _fault(NOT_JSON, NO_FIELD)


@inlined
def _fault(reason: int, field: int) -> int:
    return reason * (UNKNOWN_FIELD + 1) + field


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
    """What is wrong with a text that must have 1 to TEXT_MAX characters and no control character."""
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
        if characters > TEXT_MAX:
            return TOO_LONG
    if characters == 0:
        return EMPTY
    return CONTROL_CHARACTER if controls else SOUND


@compiled
def _integer_fault(text: UInt8s, start: int, stop: int, most: int) -> int:
    """What is wrong with an integer that must lie between 0 and `most`."""
    if text[start] == MINUS:
        return UNSURE if text[start + 1] == ZERO else OUT_OF_RANGE  # minus nothing is one thing or another
    if stop - start > INTEGER_DIGITS_MAX:
        return OUT_OF_RANGE
    number = 0
    for place in range(start, stop):
        number = number * 10 + digit_at(text, place)
    return OUT_OF_RANGE if number > most else SOUND


@compiled
def _has_form_of_a_time(text: UInt8s, start: int, stop: int) -> bool:
    """Whether a text has the form of RFC 3339, whatever its figures say."""
    if stop - start < _TIME_BYTES_MIN:
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
    if text[at] == _POINT:
        at = digits_end(text, at + 1, stop)
        if at in (WRONG, stop):
            return False
    if text[at] == _UPPER_Z or text[at] == _LOWER_Z:
        return at + 1 == stop
    return (text[at] == _PLUS or text[at] == _DASH) and at + 6 == stop


@compiled
def _text_fault(text: UInt8s, words: UInt64s, field: int, start: int, stop: int) -> int:
    """What is wrong with a text as the value of a field other than a status."""
    if field == AMOUNT:
        return WRONG_TYPE
    if field in (CURRENCY, OCCURRED_AT, STARTED_AT):
        if _has_escape(text, start, stop):
            return UNSURE
        if field == CURRENCY:
            return SOUND if stop - start == 3 and _are_capitals(text, start, stop) else BAD_CURRENCY
        if not _has_form_of_a_time(text, start, stop):
            return BAD_TIME
        return SOUND if read_time(text, start, stop) >= 0 else UNSURE
    return _word_fault(text, start, stop)


@compiled
def _are_capitals(text: UInt8s, start: int, stop: int) -> bool:
    for place in range(start, stop):
        if text[place] < _A or text[place] > _Z:
            return False
    return True


@compiled
def _value_fault(text: UInt8s, words: UInt64s, field: int, is_required: bool, found: Int64s) -> int:
    """What is wrong with the value of a field other than a status, as far as it does not say which status it is."""
    kind, start, stop = found[_KIND, field], found[_START, field], found[_STOP, field]
    if kind == _ABSENT:
        return MISSING_FIELD if is_required else SOUND
    if kind == _NULL:
        return WRONG_TYPE if is_required else SOUND
    if kind == _TEXT:
        return _text_fault(text, words, field, start, stop)
    if kind == _NUMBER and field == AMOUNT:
        return _integer_fault(text, start, stop, AMOUNT_MAX)
    if kind == _NUMBER and field in (OCCURRED_AT, STARTED_AT):
        return _integer_fault(text, start, stop, EPOCH_MS_MAX)
    return WRONG_TYPE


@compiled
def _status_fault(text: UInt8s, words: UInt64s, is_payment: bool, keys: UInt64s, numbers: Int32s, found: Int64s) -> int:
    """What is wrong with the status; an order's is one of three words, whatever else may be said of it."""
    kind, start, stop = found[_KIND, STATUS], found[_START, STATUS], found[_STOP, STATUS]
    if is_payment or kind != _TEXT:
        fault = _value_fault(text, words, STATUS, True, found)
        if fault != SOUND:
            return fault
    if _has_escape(text, start, stop):
        return UNSURE
    is_known = look_up(keys, numbers, ASK, hash_words(words, start, stop)) != ASK
    return SOUND if is_known else UNKNOWN_STATUS


@allocating
def refuse(
    topic: int, status_keys: UInt64s, status_numbers: Int32s, order_keys: UInt64s, order_numbers: Int32s,
    text: UInt8s, words: UInt64s, starts: Int64s, stops: Int64s, fate: UInt8s, said: Int32s,
) -> None:  # fmt: skip
    """Say of every event that is ASKED why it is refused: `said[event]` is NOTHING_SAID, or is read by `fault_of`."""
    found, keys = np.zeros((3, UNKNOWN_FIELD), np.int64), np.zeros((2, _KEYS_MAX), np.int64)
    closers = np.zeros(DEPTH_MAX, np.uint8)
    for row in range(len(fate)):
        if fate[row] != ASKED:
            continue
        fault = _object_fault(text, words, starts[row], stops[row], found, keys, closers)
        if fault == SOUND:
            is_payment = topic == PAYMENTS_TOPIC or (topic == MIXED and found[_KIND, PAYMENT_ID] != _ABSENT)
            known, numbers = (status_keys, status_numbers) if is_payment else (order_keys, order_numbers)
            fault = _contract_fault(text, words, is_payment, known, numbers, found)
        said[row] = max(fault, NOTHING_SAID)


@compiled
def _object_fault(
    text: UInt8s, words: UInt64s, at: int, stop: int, found: Int64s, keys: Int64s, closers: UInt8s
) -> int:
    """What is wrong with an event before its fields are looked at; what is found of these."""
    fault = _before_json(text, words, at, stop)
    if fault != SOUND:
        return _fault(fault, NO_FIELD)
    found[_KIND, :] = _ABSENT
    at = space_end(text, at, stop)
    if at < stop and text[at] == OPEN_OBJECT:
        return _read_keys(text, words, at, stop, found, keys, closers)
    end = value_end(text, words, at, stop, closers)
    if end < 0:
        return UNSURE if end != WRONG else _fault(NOT_JSON, NO_FIELD)
    return _fault(NOT_AN_OBJECT if space_end(text, end, stop) == stop else NOT_JSON, NO_FIELD)


@compiled
def _contract_fault(
    text: UInt8s, words: UInt64s, is_payment: bool, keys: UInt64s, numbers: Int32s, found: Int64s
) -> int:
    """The first fault by the contract's fields; UNSURE where one before it is, or there is none."""
    fields = _PAYMENT_FIELDS if is_payment else _ORDER_FIELDS
    for place in range(len(fields)):
        field = fields[place]
        if field == STATUS:
            fault = _status_fault(text, words, is_payment, keys, numbers, found)
        else:
            is_required = field in (ORDER_ID, OCCURRED_AT)
            is_required |= is_payment and field in (PAYMENT_ID, BANK, METHOD)
            fault = _value_fault(text, words, field, is_required, found)
        if fault != SOUND:
            return fault if fault == UNSURE else _fault(fault, field)
    return UNSURE


def fault_of(said: int) -> tuple[Reason, str]:
    """The reason and the field, empty where it is about none, of what `refuse` said."""
    reason, field = divmod(said, UNKNOWN_FIELD + 1)
    return _FAULTS[reason][field]


_FAULTS = [[(reason, field) for field in (*FIELDS, "")] for reason in REASONS]
