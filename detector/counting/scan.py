"""The scanner: compiled loops from the bytes of a batch of events to columns, no object an event.

It is strict and never rejects: an event it does not understand fully (a wrong one, an escape in a field that counts,
a name that is new) it leaves to the reference. What it takes, the reference takes with the same result; a
differential test holds the two together. Knows no names, only their hashes.

First `scan_objects` finds fields, then one short loop each settles status, leaf, code and merchant.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.compiled import allocating, compiled, inlined
from detector.contracts.moments import EPOCH_MS_MAX
from detector.contracts.words import AMOUNT_MAX, EVENT_BYTES_MAX, TEXT_CHARACTERS_MAX
from detector.counting.columns import NONE, PAYMENT, PENDING
from detector.counting.fields import (
    ALL_FIELDS,
    AMOUNT,
    CODE,
    CURRENCY,
    MERCHANT_ID,
    OCCURRED_AT,
    ORDER_FIELDS,
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
    read_integer,
    read_time,
)  # fmt: skip
from detector.counting.guard import (
    CLOSE_OBJECT,
    COLON,
    COMMA,
    DEPTH_MAX,
    OPEN_OBJECT,
    QUOTE,
    WRONG,
    beyond_ascii_end,
    is_null,
    literal_end,
    plain_end,
    space_end,
    value_end,
)  # fmt: skip
from detector.counting.hashing import hash_text, hash_words, mix
from detector.counting.layout import expect, expected, no_layout
from detector.counting.names import ABSENT, ASK, LEAF_SEED, UNKNOWN, look_up

PAYMENTS_TOPIC, ORDERS_TOPIC, MIXED = range(3)
"""What a batch holds: payment events, order events, or (a file) both."""

ASKED, TAKEN, IGNORED = range(3)
"""What becomes of an event: the reference must read it; its columns are whole; the policy ignores its status."""

IGNORE = 9
"""The number of a status that the policy ignores."""

SEEN, TEXTS, CARDS = range(3)
"""What `masks[which, event]` tells of the fields, a bit each: there at all, a text, a text that looks like a card."""

_OTHERS_MAX = 256
"""Keys of an event that are not in its contract; with more, the reference reads it."""

_ABSENT, _UNKNOWN, _LEAF_SEED = np.uint64(hash_text(ABSENT)), np.uint64(hash_text(UNKNOWN)), np.uint64(LEAF_SEED)
_0 = np.uint64(0)
_NOT_ANY_TEXT = 1 << OCCURRED_AT | 1 << STARTED_AT | 1 << AMOUNT | 1 << CURRENCY
_UPPER_A, _UPPER_Z = ord("A"), ord("Z")
_UPPER = 0xDF  # takes the bit off that makes an ASCII letter small
_FIRST_OF_C1, _LAST_OF_C1 = 0xC2, 0x9F


@inlined
def _is_new(others: UInt64s, count: int, key: np.uint64) -> bool:
    """Note a key that is not in the contract; False where it was there before, or there is no room."""
    if count == _OTHERS_MAX:
        return False
    for place in range(count):
        if others[place] == key:
            return False
    others[count] = key
    return True


@inlined
def is_currency(text: UInt8s, start: int, stop: int) -> bool:
    """Whether a text is three capital letters."""
    capitals = 0
    for place in range(start, stop):
        capitals += 1 if _UPPER_A <= text[place] <= _UPPER_Z else 0
    return capitals == 3 and stop - start == 3


@inlined
def _keep_number(field: int, number: int, row: int, times: Int64s) -> bool:
    """Whether a field may be this number; a time is noted."""
    if field in (OCCURRED_AT, STARTED_AT):
        times[field - OCCURRED_AT, row] = number
        return 0 <= number <= EPOCH_MS_MAX
    return field == AMOUNT and 0 <= number <= AMOUNT_MAX


@compiled
def _wider_end(text: UInt8s, start: int, end: int, stop: int) -> int:
    """The closing quote of a text that is plain up to `end` only, or WRONG where it has more than TEXT_CHARACTERS_MAX
    characters, an escape or a control character. It must hold an ASCII letter: one that does not could be a card
    number in digits of any script."""
    following = letters = 0
    while end < stop and text[end] != QUOTE:
        after = beyond_ascii_end(text, end, stop)
        if after == WRONG or (text[end] == _FIRST_OF_C1 and text[end + 1] <= _LAST_OF_C1):
            return WRONG
        following += after - end - 1
        end = plain_end(text, after, stop)
    if end >= stop or end - start - following > TEXT_CHARACTERS_MAX:
        return WRONG
    for place in range(start, end):
        letters += 1 if _UPPER_A <= text[place] & _UPPER <= _UPPER_Z else 0
    return end if letters > 0 else WRONG


@inlined
def _read_text(text: UInt8s, start: int, stop: int, field: int, row: int, hashes: UInt64s, times: Int64s) -> int:
    """Note the text that begins at `start`: where its quote ends, WRONG where the field may not be this text."""
    end = plain_end(text, start, stop)
    if end >= stop or text[end] != QUOTE:
        end = _wider_end(text, start, end, stop)
        if end == WRONG:
            return WRONG
    elif not 0 < end - start <= TEXT_CHARACTERS_MAX:
        return WRONG
    if _NOT_ANY_TEXT >> field & 1:
        if field in (OCCURRED_AT, STARTED_AT):
            return end + 1 if _keep_number(field, read_time(text, start, end), row, times) else WRONG
        return end + 1 if field == CURRENCY and is_currency(text, start, end) else WRONG
    hashes[field, row] = hash_words(text, start, end)
    return end + 1


@inlined
def _read_number(text: UInt8s, at: int, stop: int, field: int, row: int, times: Int64s) -> int:
    """Note the number at `at`, or that there is null: the end, WRONG where the field may not be this number."""
    number, end = read_integer(text, at, stop)
    if end == WRONG:
        return literal_end(text, at, stop) if is_null(text, at) else WRONG
    return end if _keep_number(field, number, row, times) else WRONG


@inlined
def _read_object(
    text: UInt8s, at: int, stop: int, row: int, masks: Int64s, hashes: UInt64s, times: Int64s, others: UInt64s,
    closers: UInt8s, layout: UInt64s, read: int,
) -> bool:  # fmt: skip
    """Note every field of the object from `at` to `stop`, of those that have a bit in `read` also the value; False
    where something is not understood."""
    seen = texts = cards = count = nth = 0
    at = space_end(text, at, stop)
    if at >= stop or text[at] != OPEN_OBJECT:
        return False
    while True:
        after = at + 1  # the brace or the comma
        field, value = expected(text, after, stop, layout, nth)
        if field == UNKNOWN_FIELD:
            at = space_end(text, after, stop)
            end = plain_end(text, at + 1, stop)
            if end >= stop or text[at] != QUOTE or text[end] != QUOTE:
                return False
            field = field_of(text, at + 1, end)
            colon = space_end(text, end + 1, stop)
            value = space_end(text, colon + 1, stop)
            if value >= stop or text[colon] != COLON:
                return False
            expect(text, after, value, layout, nth, field)
        nth += 1
        bit = 1 << field
        if field == UNKNOWN_FIELD:
            if not _is_new(others, count, hash_words(text, at + 1, end)):
                return False
            count += 1
            at = value_end(text, value, stop, closers)
        elif seen & bit:
            return False
        elif read & bit == 0:
            at = value_end(text, value, stop, closers)
        elif text[value] == QUOTE:
            at = _read_text(text, value + 1, stop, field, row, hashes, times)
            texts |= bit
            if looks_like_card(text, value + 1, at - 1):
                cards |= bit
        else:
            at = _read_number(text, value, stop, field, row, times)
        if at < 0:
            return False
        seen |= bit
        if text[at] != COMMA:
            at = space_end(text, at, stop)
            if text[at] != COMMA:
                break
        if at >= stop:
            return False
    masks[SEEN, row], masks[TEXTS, row], masks[CARDS, row] = seen, texts, cards
    return at < stop and text[at] == CLOSE_OBJECT and space_end(text, at + 1, stop) == stop


@allocating
def scan_objects(
    topic: int, text: UInt8s, starts: Int64s, stops: Int64s, masks: Int64s, hashes: UInt64s,
    times: Int64s, fate: UInt8s,
) -> None:  # fmt: skip
    """Note the fields of every event `text[starts[event]:stops[event]]`; `fate` is TAKEN where all is understood.

    `masks[which, event]`; `hashes[field, event]` of texts; `times[0 | 1, event]`, `occurred_at` and `started_at`, NONE
    where absent or null. A text that is not there has no hash that means anything.
    """
    others, closers, layout = np.zeros(_OTHERS_MAX, np.uint64), np.zeros(DEPTH_MAX, np.uint8), no_layout()
    read = ORDER_FIELDS if topic == ORDERS_TOPIC else ALL_FIELDS
    for row in range(len(starts)):
        masks[SEEN, row] = masks[TEXTS, row] = masks[CARDS, row] = 0
        times[0, row] = times[1, row] = NONE
        understood = stops[row] - starts[row] <= EVENT_BYTES_MAX and _read_object(
            text, starts[row], stops[row], row, masks, hashes, times, others, closers, layout, read
        )  # fmt: skip
        fate[row] = TAKEN if understood else ASKED


@compiled
def settle_contracts(topic: int, masks: Int64s, times: Int64s, kind: UInt8s, fate: UInt8s) -> None:
    """Say which contract each event is of (`kind` PAYMENT or not) and that it has the fields it must have.

    From here on fields that are not of the event's contract are as if absent.
    """
    for row in range(len(fate)):
        contract, required = ORDER_TEXTS, ORDER_REQUIRED
        kind[row] = PAYMENT + 1
        if topic == PAYMENTS_TOPIC or (topic == MIXED and masks[SEEN, row] >> PAYMENT_ID & 1):
            contract, required = PAYMENT_TEXTS, PAYMENT_REQUIRED
            kind[row] = PAYMENT
        else:
            times[1, row] = NONE
        masks[TEXTS, row] &= contract
        masks[CARDS, row] &= contract
        if masks[TEXTS, row] & required != required or times[0, row] == NONE:
            fate[row] = ASKED
        # A payment cannot have begun after something happened to it.
        times[1, row] = min(times[1, row], times[0, row])


@compiled
def settle_statuses(
    keys: UInt64s, numbers: Int32s, order_keys: UInt64s, order_numbers: Int32s, hashes: UInt64s, kind: UInt8s,
    status: UInt8s, fate: UInt8s,
) -> None:  # fmt: skip
    """Number the statuses of payments; those of orders say their kind."""
    for row in range(len(fate)):
        word, status[row] = hashes[STATUS, row], PENDING
        if kind[row] == PAYMENT:
            number = look_up(keys, numbers, ASK, word)
            status[row] = number if number != ASK else PENDING
        else:
            number = look_up(order_keys, order_numbers, ASK, word)
            kind[row] = number if number != ASK else PAYMENT + 1
        if number == ASK:
            fate[row] = ASKED
        elif number == IGNORE and fate[row] == TAKEN:
            fate[row] = IGNORED


@compiled
def settle_leaves(
    keys: UInt64s, numbers: Int32s, otherwise: int, dimensions: Int64s, masks: Int64s, hashes: UInt64s, kind: UInt8s,
    leaf: Int32s, fate: UInt8s,
) -> None:  # fmt: skip
    """Number the leaves. `dimensions[place]` are fields; an order that lacks one of them does not say where it will be
    paid, and has none."""
    chosen = 0
    for place in range(len(dimensions)):
        chosen |= 1 << dimensions[place]
    for row in range(len(fate)):
        leaf[row] = NONE
        if fate[row] != TAKEN or (kind[row] != PAYMENT and masks[TEXTS, row] & chosen != chosen):
            continue
        key = _LEAF_SEED
        for place in range(len(dimensions)):
            field = dimensions[place]
            key = mix(key, hashes[field, row] if masks[TEXTS, row] >> field & 1 else _ABSENT)
        leaf[row] = look_up(keys, numbers, otherwise, key)
        if leaf[row] == ASK:
            fate[row] = ASKED


@compiled
def settle_codes(
    keys: UInt64s, numbers: Int32s, otherwise: int, masks: Int64s, hashes: UInt64s, code: Int32s, fate: UInt8s
) -> None:
    """Number the response codes."""
    for row in range(len(fate)):
        code[row] = NONE
        if fate[row] == TAKEN and masks[TEXTS, row] >> CODE & 1:
            code[row] = look_up(keys, numbers, otherwise, hashes[CODE, row])
            if code[row] == ASK:
                fate[row] = ASKED


@compiled
def settle_ids(
    keys: UInt64s, numbers: Int32s, otherwise: int, masks: Int64s, hashes: UInt64s, kind: UInt8s, fate: UInt8s
) -> None:
    """Give payments without a merchant the unknown one, events without a shopper none, orders no payment; and ask for
    the names of new merchants."""
    for row in range(len(fate)):
        if kind[row] != PAYMENT:
            hashes[PAYMENT_ID, row] = _0
        if masks[TEXTS, row] >> SHOPPER_ID & 1 == 0:
            hashes[SHOPPER_ID, row] = _0
        if masks[TEXTS, row] >> MERCHANT_ID & 1 == 0:
            hashes[MERCHANT_ID, row] = _UNKNOWN
        elif fate[row] == TAKEN and look_up(keys, numbers, otherwise, hashes[MERCHANT_ID, row]) == ASK:
            fate[row] = ASKED


@compiled
def count_cards(masks: Int64s, fate: UInt8s, cards: Int64s) -> None:
    """Count, by field, what looks like a card number in events that the reference does not read."""
    for row in range(len(fate)):
        if masks[CARDS, row] and fate[row] != ASKED:
            for field in range(len(cards)):
                cards[field] += masks[CARDS, row] >> field & 1
