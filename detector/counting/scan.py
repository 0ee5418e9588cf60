"""The scanner: one compiled loop from the bytes of a batch of events to rows of columns, no object an event.

It is strict and never rejects: an event it does not understand fully (a wrong one, an escape in a field that counts,
a name that is new) it leaves to the reference. What it takes, the reference takes with the same result; a
differential test holds the two together. Knows no names, only their hashes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.compiled import compiled
from detector.contracts.models import AMOUNT_MAX, EPOCH_MS_MAX
from detector.counting.columns import NONE, PAYMENT, Int32s, Int64s, UInt8s, UInt64s
from detector.counting.fields import (
    AMOUNT,
    BANK,
    CODE,
    CURRENCY,
    FIELDS,
    MERCHANT_ID,
    METHOD,
    OCCURRED_AT,
    ORDER_ID,
    ORDER_REQUIRED,
    ORDER_TEXTS,
    PAYMENT_ID,
    PAYMENT_REQUIRED,
    PAYMENT_TEXTS,
    SHOPPER_ID,
    STARTED_AT,
    STATUS,
    UNKNOWN_FIELD,
    field_of,
    looks_like_card,
    read_time,
)  # fmt: skip
from detector.counting.guard import (
    CLOSE_OBJECT,
    COLON,
    COMMA,
    DEPTH_MAX,
    INTEGER_DIGITS_MAX,
    OPEN_OBJECT,
    QUOTE,
    WRONG,
    ZERO,
    digit_at,
    digits_end,
    is_null,
    literal_end,
    plain_end,
    space_end,
    value_end,
)  # fmt: skip
from detector.counting.hashing import hash_text, hash_words, mix
from detector.counting.names import ABSENT, ASK, LEAF_SEED, UNKNOWN, look_up

PAYMENTS_TOPIC, ORDERS_TOPIC, MIXED = range(3)
"""What a batch holds: payment events, order events, or (a file) both."""

TAKEN, ASKED, IGNORED = range(3)
"""What became of an event: its row is whole; the reference must read it; the policy says to ignore its status."""

IGNORE = 9
"""The number of a status that the policy ignores."""

TEXT_MAX = 128
"""Characters of a text in the contracts, as `models.Word` has it."""

_OTHERS_MAX = 32
"""Keys of an event that are not in its contract; with more, the reference reads it."""

_ABSENT, _UNKNOWN, _LEAF_SEED = np.uint64(hash_text(ABSENT)), np.uint64(hash_text(UNKNOWN)), np.uint64(LEAF_SEED)
_0 = np.uint64(0)
_UPPER_A, _UPPER_Z = ord("A"), ord("Z")
_NOT_UNDERSTOOD = (-1, -1, -1)


class Tables(NamedTuple):
    """What the loop looks up: Indexes of `Names`, statuses by hash of the word, and the dimensions as fields."""

    leaf_keys: UInt64s
    leaf_numbers: Int32s
    leaf_otherwise: int
    code_keys: UInt64s
    code_numbers: Int32s
    code_otherwise: int
    merchant_keys: UInt64s
    merchant_numbers: Int32s
    merchant_otherwise: int
    status_keys: UInt64s
    status_numbers: Int32s  # a status of columns, or IGNORE
    order_keys: UInt64s
    order_numbers: Int32s  # a kind of columns
    dimensions: Int64s


class Rows(NamedTuple):
    """The columns to fill, one entry an event; `fate` is TAKEN, ASKED or IGNORED, and only TAKEN rows are filled."""

    kind: UInt8s
    status: UInt8s
    leaf: Int32s
    code: Int32s
    payment: UInt64s
    order: UInt64s
    shopper: UInt64s
    merchant: UInt64s
    occurred_at: Int64s
    started_at: Int64s
    fate: UInt8s


class Scratch(NamedTuple):
    """Room for one event: where each field's text is, the integers, hashes of other keys, and what closes nesting."""

    starts: Int64s
    stops: Int64s
    integers: Int64s
    others: UInt64s
    closers: UInt8s


def new_scratch() -> Scratch:
    """Room for one event at a time."""
    fields = len(FIELDS)
    return Scratch(
        np.zeros(fields, np.int64), np.zeros(fields, np.int64), np.zeros(fields, np.int64),
        np.zeros(_OTHERS_MAX, np.uint64), np.zeros(DEPTH_MAX, np.uint8),
    )  # fmt: skip


@compiled
def _is_new(others: UInt64s, count: int, key: np.uint64) -> bool:
    """Note a key that is not in the contract; False where it was there before, or there is no room."""
    if count == _OTHERS_MAX:
        return False
    for other in others[:count]:
        if other == key:
            return False
    others[count] = key
    return True


@compiled
def _read_value(text: UInt8s, words: UInt64s, at: int, stop: int, field: int, room: Scratch) -> tuple[int, int]:
    """Note the value of a field of the contract: (its end, 0 text | 1 integer | 2 null), WRONG if not understood."""
    byte = text[at]
    if byte == QUOTE:
        end = plain_end(words, at + 1)
        room.starts[field], room.stops[field] = at + 1, end
        if end >= stop or text[end] != QUOTE or end == at + 1 or end - at - 1 > TEXT_MAX:
            return WRONG, 0
        return end + 1, 0
    end = digits_end(text, at, stop)
    if end == WRONG:
        return (literal_end(words, at, stop), 2) if is_null(words, at) else (WRONG, 2)
    if end - at > INTEGER_DIGITS_MAX or (byte == ZERO and end > at + 1):
        return WRONG, 1
    number = 0
    for place in range(at, end):
        number = number * 10 + digit_at(text, place)
    room.integers[field] = number
    return end, 1


@compiled
def _read_object(text: UInt8s, words: UInt64s, at: int, stop: int, room: Scratch) -> tuple[int, int, int]:
    """Which fields of the contract are texts, integers and nulls, a bit each; -1 where something is not understood."""
    texts = integers = nulls = others = 0
    at = space_end(text, at, stop)
    if at >= stop or text[at] != OPEN_OBJECT:
        return _NOT_UNDERSTOOD
    while True:
        at = space_end(text, at + 1, stop)  # past the brace or the comma
        end = plain_end(words, at + 1)
        if end >= stop or text[at] != QUOTE or text[end] != QUOTE:
            return _NOT_UNDERSTOOD
        field = field_of(words, at + 1, end)
        colon = space_end(text, end + 1, stop)
        if colon >= stop or text[colon] != COLON:
            return _NOT_UNDERSTOOD
        value = space_end(text, colon + 1, stop)
        if value >= stop:
            return _NOT_UNDERSTOOD
        if field == UNKNOWN_FIELD:
            if not _is_new(room.others, others, hash_words(words, at + 1, end)):
                return _NOT_UNDERSTOOD
            others += 1
            at = value_end(text, words, value, stop, room.closers)
        else:
            bit = 1 << field
            if (texts | integers | nulls) & bit:
                return _NOT_UNDERSTOOD
            at, form = _read_value(text, words, value, stop, field, room)
            texts |= bit if form == 0 else 0
            integers |= bit if form == 1 else 0
            nulls |= bit if form == 2 else 0
        if at == WRONG:
            return _NOT_UNDERSTOOD
        at = space_end(text, at, stop)
        if at < stop and text[at] == COMMA:
            continue
        if at < stop and text[at] == CLOSE_OBJECT and space_end(text, at + 1, stop) == stop:
            return texts, integers, nulls
        return _NOT_UNDERSTOOD


@compiled
def _time(text: UInt8s, field: int, texts: int, integers: int, room: Scratch) -> int:
    """The field's time, NONE where it is absent or null, WRONG - 1 where it is not one."""
    time = NONE
    if integers >> field & 1:
        time = room.integers[field]
    elif texts >> field & 1:
        time = read_time(text, room.starts[field], room.stops[field])
    else:
        return NONE
    return time if 0 <= time <= EPOCH_MS_MAX else WRONG - 1


@compiled
def _is_sound(text: UInt8s, texts: int, integers: int, room: Scratch) -> bool:
    """Whether amount and currency, where present, are in their bounds."""
    if texts >> AMOUNT & 1 or (integers >> AMOUNT & 1 and room.integers[AMOUNT] > AMOUNT_MAX):
        return False
    if texts >> CURRENCY & 1:
        start = room.starts[CURRENCY]
        if room.stops[CURRENCY] - start != 3:
            return False
        for letter in text[start : start + 3]:
            if letter < _UPPER_A or letter > _UPPER_Z:
                return False
    return True


@compiled
def _hash(words: UInt64s, field: int, texts: int, absent: np.uint64, room: Scratch) -> np.uint64:
    """The hash of a field's text, or what stands for its absence."""
    if texts >> field & 1:
        return hash_words(words, room.starts[field], room.stops[field])
    return absent


@compiled
def _leaf(words: UInt64s, texts: int, tables: Tables, room: Scratch) -> int:
    """The leaf's number, ASK where it is new."""
    key = _LEAF_SEED
    for field in tables.dimensions:
        key = mix(key, _hash(words, field, texts, _ABSENT, room))
    return look_up(tables.leaf_keys, tables.leaf_numbers, tables.leaf_otherwise, key)


@compiled
def _count_cards(text: UInt8s, texts: int, room: Scratch, cards: Int64s) -> None:
    """Count every field whose text looks like a card number."""
    for field in range(len(cards)):
        if texts >> field & 1 and looks_like_card(text, room.starts[field], room.stops[field]):
            cards[field] += 1


@compiled
def _take_payment(
    text: UInt8s, words: UInt64s, row: int, texts: int, integers: int, tables: Tables, rows: Rows, room: Scratch
) -> int:
    """Fill the row of a payment event."""
    occurred_at = _time(text, OCCURRED_AT, texts, integers, room)
    started_at = _time(text, STARTED_AT, texts, integers, room)
    texts &= PAYMENT_TEXTS
    if texts & PAYMENT_REQUIRED != PAYMENT_REQUIRED or integers & PAYMENT_TEXTS or occurred_at < 0 or started_at < NONE:
        return ASKED
    word = hash_words(words, room.starts[STATUS], room.stops[STATUS])
    status = look_up(tables.status_keys, tables.status_numbers, ASK, word)
    if status in (ASK, IGNORE):
        return ASKED if status == ASK else IGNORED
    leaf = _leaf(words, texts, tables, room)
    code = NONE
    if texts >> CODE & 1:
        word = hash_words(words, room.starts[CODE], room.stops[CODE])
        code = look_up(tables.code_keys, tables.code_numbers, tables.code_otherwise, word)
        if code == ASK:
            return ASKED
    rows.kind[row], rows.status[row], rows.leaf[row], rows.code[row] = PAYMENT, status, leaf, code
    rows.payment[row] = hash_words(words, room.starts[PAYMENT_ID], room.stops[PAYMENT_ID])
    rows.occurred_at[row], rows.started_at[row] = occurred_at, min(started_at, occurred_at)
    return TAKEN if leaf != ASK else ASKED


@compiled
def _take_order(
    text: UInt8s, words: UInt64s, row: int, texts: int, integers: int, tables: Tables, rows: Rows, room: Scratch
) -> int:
    """Fill the row of an order event."""
    occurred_at = _time(text, OCCURRED_AT, texts, integers, room)
    texts &= ORDER_TEXTS
    if texts & ORDER_REQUIRED != ORDER_REQUIRED or integers & ORDER_TEXTS or occurred_at < 0:
        return ASKED
    word = hash_words(words, room.starts[STATUS], room.stops[STATUS])
    kind = look_up(tables.order_keys, tables.order_numbers, ASK, word)
    if kind == ASK:
        return ASKED
    leaf = NONE
    if texts >> BANK & 1 and texts >> METHOD & 1:
        leaf = _leaf(words, texts, tables, room)
        if leaf == ASK:
            return ASKED
    rows.kind[row], rows.status[row], rows.leaf[row], rows.code[row] = kind, 0, leaf, NONE
    rows.payment[row], rows.occurred_at[row], rows.started_at[row] = _0, occurred_at, NONE
    return TAKEN


@compiled
def scan(
    text: UInt8s, words: UInt64s, starts: Int64s, stops: Int64s, topic: int, tables: Tables, rows: Rows,
    cards: Int64s, room: Scratch,
) -> None:  # fmt: skip
    """Fill the row of every event `text[starts[row]:stops[row]]`; `cards[field]` counts what looks like a card."""
    for row in range(len(starts)):
        rows.fate[row] = ASKED
        texts, integers, nulls = _read_object(text, words, starts[row], stops[row], room)
        if texts < 0 or not _is_sound(text, texts, integers, room):
            continue
        is_payment = topic == PAYMENTS_TOPIC or (topic == MIXED and (texts | integers | nulls) >> PAYMENT_ID & 1)
        if is_payment:
            fate = _take_payment(text, words, row, texts, integers, tables, rows, room)
        else:
            fate = _take_order(text, words, row, texts, integers, tables, rows, room)
        texts &= PAYMENT_TEXTS if is_payment else ORDER_TEXTS
        merchant = _hash(words, MERCHANT_ID, texts, _UNKNOWN, room)
        if fate == TAKEN and texts >> MERCHANT_ID & 1:
            keys, numbers = tables.merchant_keys, tables.merchant_numbers
            fate = ASKED if look_up(keys, numbers, tables.merchant_otherwise, merchant) == ASK else TAKEN
        rows.order[row] = hash_words(words, room.starts[ORDER_ID], room.stops[ORDER_ID])
        rows.shopper[row], rows.merchant[row] = _hash(words, SHOPPER_ID, texts, _0, room), merchant
        rows.fate[row] = fate
        if fate != ASKED:
            _count_cards(text, texts, room, cards)
