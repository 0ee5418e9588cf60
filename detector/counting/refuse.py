"""Loops that refuse: of an event that the scanner does not take, why the reference would refuse it, if that is sure.

So that a flood of bad events costs little more than good ones. Where anything is not sure (numbers past all measure,
surrogates, escapes in what is compared, odd times) nothing is said, and the reference reads the event. A differential
test holds the two together. Takes no event, and makes no words of a fault.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.compiled import allocating, compiled, inlined
from detector.counting.fault import (
    ABSENT,
    KIND,
    SOUND,
    START,
    STOP,
    TEXT,
    UNSURE,
    has_escape,
    note_value,
    value_fault,
)  # fmt: skip
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
    ORDER_REQUIRED,
    PAYMENT_ID,
    PAYMENT_REQUIRED,
    SHOPPER_ID,
    STATUS,
    UNKNOWN_FIELD,
    field_of,
)  # fmt: skip
from detector.counting.guard import (
    BACKSLASH,
    CLOSE_ARRAY,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    DEPTH_MAX,
    OPEN_ARRAY,
    OPEN_OBJECT,
    QUOTE,
    WRONG,
    beyond_ascii_end,
    plain_end,
    space_end,
    string_end,
    value_end,
)  # fmt: skip
from detector.counting.hashing import hash_words
from detector.counting.names import ASK, look_up
from detector.counting.rejects import REASONS, Reason
from detector.counting.scan import ASKED, MIXED, PAYMENTS_TOPIC

NO_FIELD = UNKNOWN_FIELD
NOTHING_SAID = -1

_NUMBER_OF = {reason: number for number, reason in enumerate(REASONS)}
_NOT_UTF8, _NOT_JSON, _TOO_DEEP = (_NUMBER_OF[reason] for reason in (Reason.NOT_UTF8, Reason.NOT_JSON, Reason.TOO_DEEP))
_NOT_AN_OBJECT, _DUPLICATE_KEY = _NUMBER_OF[Reason.NOT_AN_OBJECT], _NUMBER_OF[Reason.DUPLICATE_KEY]
_UNKNOWN_STATUS = _NUMBER_OF[Reason.UNKNOWN_STATUS]

_ORDER_FIELDS = np.array(
    (ORDER_ID, STATUS, OCCURRED_AT, MERCHANT_ID, BANK, METHOD, AMOUNT, CURRENCY, CHANNEL, SHOPPER_ID), np.int64
)
_PAYMENT_FIELDS = np.arange(len(FIELDS), dtype=np.int64)
"""In the order in which the contracts, and so the reference, complain."""

_KEYS_MAX = 288
"""Keys of an event; with more, the reference reads it."""


@compiled
def _before_json(text: UInt8s, at: int, stop: int) -> int:
    """_NOT_UTF8 or _TOO_DEEP where the bytes are, before they are looked at as JSON; SOUND otherwise."""
    depth = deepest = 0
    in_text = False
    while at < stop:
        if in_text:
            at = plain_end(text, at, stop)
            if at >= stop:
                break
        byte = text[at]
        if byte >= 0x80:
            at = beyond_ascii_end(text, at, stop)
            if at == WRONG:
                return _NOT_UTF8
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
    return _TOO_DEEP if deepest > DEPTH_MAX else SOUND


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
def _read_keys(text: UInt8s, at: int, stop: int, found: Int64s, keys: Int64s, closers: UInt8s) -> int:
    """Note the fields of the object whose brace is at `at`: a fault (with its field), or SOUND, or UNSURE."""
    count, fault = 0, SOUND
    at = space_end(text, at + 1, stop)
    if at < stop and text[at] == CLOSE_OBJECT:
        return SOUND if space_end(text, at + 1, stop) == stop else _fault(_NOT_JSON, NO_FIELD)
    while True:
        if at >= stop or text[at] != QUOTE:
            return _fault(_NOT_JSON, NO_FIELD)
        end = string_end(text, at + 1, stop)
        if end < 0:
            return UNSURE if end != WRONG else _fault(_NOT_JSON, NO_FIELD)
        start, key_stop = at + 1, end - 1
        colon = space_end(text, end, stop)
        value = space_end(text, colon + 1, stop)
        if value >= stop or text[colon] != COLON:
            return _fault(_NOT_JSON, NO_FIELD)
        end = value_end(text, value, stop, closers)
        if end < 0:
            return UNSURE if end != WRONG else _fault(_NOT_JSON, NO_FIELD)
        if count == _KEYS_MAX or has_escape(text, start, key_stop):
            return UNSURE
        field = field_of(text, start, key_stop)
        if fault == SOUND and _is_there(text, keys, count, start, key_stop):
            fault = _fault(_DUPLICATE_KEY, field)
        keys[0, count], keys[1, count] = start, key_stop
        count += 1
        if field != UNKNOWN_FIELD:
            note_value(text, field, value, end, found)
        at = space_end(text, end, stop)
        if at < stop and text[at] == COMMA:
            at = space_end(text, at + 1, stop)
            continue
        if at < stop and text[at] == CLOSE_OBJECT and space_end(text, at + 1, stop) == stop:
            return fault
        return _fault(_NOT_JSON, NO_FIELD)


@inlined
def _fault(reason: int, field: int) -> int:
    return reason * (UNKNOWN_FIELD + 1) + field


@compiled
def _status_fault(text: UInt8s, is_payment: bool, keys: UInt64s, numbers: Int32s, found: Int64s) -> int:
    """What is wrong with the status; an order's is one of three words, whatever else may be said of it."""
    kind, start, stop = found[KIND, STATUS], found[START, STATUS], found[STOP, STATUS]
    if is_payment or kind != TEXT:
        fault = value_fault(text, STATUS, True, found)
        if fault != SOUND:
            return fault
    if has_escape(text, start, stop):
        return UNSURE
    is_known = look_up(keys, numbers, ASK, hash_words(text, start, stop)) != ASK
    return SOUND if is_known else _UNKNOWN_STATUS


@allocating
def refuse(
    topic: int, status_keys: UInt64s, status_numbers: Int32s, order_keys: UInt64s, order_numbers: Int32s,
    text: UInt8s, starts: Int64s, stops: Int64s, fate: UInt8s, said: Int32s,
) -> None:  # fmt: skip
    """Say of every event that is ASKED why it is refused: `said[event]` is the number of its fault, or NOTHING_SAID."""
    found, keys = np.zeros((3, UNKNOWN_FIELD), np.int64), np.zeros((2, _KEYS_MAX), np.int64)
    closers = np.zeros(DEPTH_MAX, np.uint8)
    for row in range(len(fate)):
        if fate[row] != ASKED:
            continue
        fault = _object_fault(text, starts[row], stops[row], found, keys, closers)
        if fault == SOUND:
            is_payment = topic == PAYMENTS_TOPIC or (topic == MIXED and found[KIND, PAYMENT_ID] != ABSENT)
            known, numbers = (status_keys, status_numbers) if is_payment else (order_keys, order_numbers)
            fault = _contract_fault(text, is_payment, known, numbers, found)
        said[row] = max(fault, NOTHING_SAID)


@compiled
def _object_fault(text: UInt8s, at: int, stop: int, found: Int64s, keys: Int64s, closers: UInt8s) -> int:
    """What is wrong with an event before its fields are looked at; what is found of these."""
    fault = _before_json(text, at, stop)
    if fault != SOUND:
        return _fault(fault, NO_FIELD)
    found[KIND, :] = ABSENT
    at = space_end(text, at, stop)
    if at < stop and text[at] == OPEN_OBJECT:
        return _read_keys(text, at, stop, found, keys, closers)
    end = value_end(text, at, stop, closers)
    if end < 0:
        return UNSURE if end != WRONG else _fault(_NOT_JSON, NO_FIELD)
    return _fault(_NOT_AN_OBJECT if space_end(text, end, stop) == stop else _NOT_JSON, NO_FIELD)


@compiled
def _contract_fault(text: UInt8s, is_payment: bool, keys: UInt64s, numbers: Int32s, found: Int64s) -> int:
    """The first fault by the contract's fields; UNSURE where one before it is, or there is none."""
    fields = _PAYMENT_FIELDS if is_payment else _ORDER_FIELDS
    required = PAYMENT_REQUIRED if is_payment else ORDER_REQUIRED
    for place in range(len(fields)):
        field = fields[place]
        if field == STATUS:
            fault = _status_fault(text, is_payment, keys, numbers, found)
        else:
            is_required = field == OCCURRED_AT or required >> field & 1 > 0
            fault = value_fault(text, field, is_required, found)
        if fault != SOUND:
            return fault if fault == UNSURE else _fault(fault, field)
    return UNSURE
