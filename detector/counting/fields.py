"""The fields of the two contracts as numbers, and loops that read one field: its name, an integer, a time, what
a card looks like.

Knows nothing of JSON around a field, nor of what is done with it. `models.py` and `card.py` say the same in words;
tests hold them together.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import UInt8s
from detector.compiled import compiled, inlined
from detector.contracts.card import DIGITS_MAX, DIGITS_MIN
from detector.counting.guard import MINUS, NINE, POINT, WRONG, ZERO, digit_at, digits_end
from detector.wide import WIDE, lowest, no_digits_at, word_at

FIELDS = (
    "payment_id", "order_id", "bank", "method", "status", "occurred_at", "started_at", "merchant_id", "shopper_id",
    "instrument_id", "amount", "currency", "code", "network", "psp", "country", "channel",
)  # fmt: skip
(
    PAYMENT_ID, ORDER_ID, BANK, METHOD, STATUS, OCCURRED_AT, STARTED_AT, MERCHANT_ID, SHOPPER_ID,
    INSTRUMENT_ID, AMOUNT, CURRENCY, CODE, NETWORK, PSP, COUNTRY, CHANNEL,
) = range(len(FIELDS))  # fmt: skip
UNKNOWN_FIELD = len(FIELDS)


_ZEROS, _PAIRS = np.uint64(0x3030303030303030), np.uint64(0x000000FF000000FF)
_FIRST_FOUR, _LAST_FOUR = np.uint64(100 + (1_000_000 << 32)), np.uint64(1 + (10_000 << 32))
_MANY = np.uint64(1 << WIDE)


def _bits(*fields: int) -> int:
    return sum(1 << field for field in fields)


PAYMENT_REQUIRED = _bits(PAYMENT_ID, ORDER_ID, BANK, METHOD, STATUS)
"""Texts that a payment event must have, a bit each; `occurred_at` comes on top."""
PAYMENT_TEXTS = PAYMENT_REQUIRED | _bits(
    MERCHANT_ID, SHOPPER_ID, INSTRUMENT_ID, CURRENCY, CODE, NETWORK, PSP, COUNTRY, CHANNEL
)
ORDER_REQUIRED = _bits(ORDER_ID, STATUS)
ORDER_TEXTS = ORDER_REQUIRED | _bits(BANK, METHOD, MERCHANT_ID, SHOPPER_ID, CURRENCY, CHANNEL)
ALL_FIELDS, ORDER_FIELDS = _bits(*range(len(FIELDS))), ORDER_TEXTS | _bits(OCCURRED_AT, AMOUNT)
"""The fields of a payment event, and those of an order event."""

_NAME_BYTES = 16
_SLOTS = 64
_0, _8, _10, _16, _32, _58, _64, _128 = (np.uint64(number) for number in (0, 8, 10, 16, 32, 58, 64, 128))
_ALL = np.uint64((1 << 64) - 1)


def _halves(name: str) -> tuple[int, int]:
    data = name.encode().ljust(_NAME_BYTES, b"\0")
    return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")


def _slot(low: int, high: int, factor: int) -> int:
    return (((low ^ (high * 3)) * factor) & ((1 << 64) - 1)) >> 58


def _factor() -> int:
    """The first odd number that sends each field's name to a slot of its own."""
    names = [_halves(name) for name in FIELDS]
    start = 0x9E3779B97F4A7C15
    return next(
        factor for factor in range(start, start + 100_000, 2)
        if len({_slot(low, high, factor) for low, high in names}) == len(names)
    )  # fmt: skip


_LOW = np.array([_halves(name)[0] for name in FIELDS], np.uint64)
_HIGH = np.array([_halves(name)[1] for name in FIELDS], np.uint64)
_FACTOR, _3 = np.uint64(_factor()), np.uint64(3)
_FIELD = np.full(_SLOTS, UNKNOWN_FIELD, np.int64)
for _name in FIELDS:
    _FIELD[_slot(*_halves(_name), int(_FACTOR))] = FIELDS.index(_name)


@inlined
def field_of(text: UInt8s, start: int, stop: int) -> int:
    """The field whose name stands at `start` to `stop`; there is no NUL in it."""
    length = stop - start
    if length <= 0 or length > _NAME_BYTES:
        return UNKNOWN_FIELD
    low, high = word_at(text, start), _0
    if length < 8:
        low &= _ALL >> (_64 - _8 * np.uint64(length))
    elif length > 8:
        high = word_at(text, start + 8) & (_ALL >> (_64 - _8 * np.uint64(length - 8)))
    field = _FIELD[np.int64(((low ^ (high * _3)) * _FACTOR) >> _58)]
    if field != UNKNOWN_FIELD and _LOW[field] == low and _HIGH[field] == high:
        return int(field)
    return UNKNOWN_FIELD


@inlined
def looks_like_card(text: UInt8s, start: int, stop: int) -> bool:
    """`card_like` of ASCII text. Most texts are seen to be none by their first character."""
    return text[start] <= NINE and stop - start >= DIGITS_MIN and _looks_like_card(text, start, stop)


@compiled
def _looks_like_card(text: UInt8s, start: int, stop: int) -> bool:
    count, first, total, total_shifted = 0, 0, 0, 0
    for place in range(start, stop):
        digit = digit_at(text, place)
        if digit < 0 or digit > 9:
            if text[place] != MINUS and text[place] != 32:
                return False
            continue
        first = digit if count == 0 else first
        count += 1
        # Which digits are doubled depends on how many follow: both sums are kept, and change places at each digit.
        doubled = digit * 2 if digit < 5 else digit * 2 - 9
        total, total_shifted = total_shifted + digit, total + doubled
    return DIGITS_MIN <= count <= DIGITS_MAX and 2 <= first <= 6 and total % 10 == 0


@inlined
def _eight_digits(digits: np.uint64) -> int:
    """The number of eight digits, the first one in the lowest byte, each less the character 0: pairs of them, of which
    fours, of which the eight are put together side by side."""
    pairs = digits * _10 + (digits >> _8)
    return int(np.int64(((pairs & _PAIRS) * _FIRST_FOUR + ((pairs >> _16) & _PAIRS) * _LAST_FOUR) >> _32))


@inlined
def read_integer(text: UInt8s, at: int, stop: int) -> tuple[int, int]:
    """The integer at `at` and where it ends. The end is WRONG where there is none, a zero leads it, or it has more than
    WIDE digits, which is beyond what any field may be."""
    count = lowest(no_digits_at(text, at) | _MANY)
    end = at + count
    if count == 0 or end > stop or (text[at] == ZERO and count > 1):
        return 0, WRONG
    if count == WIDE and 0 <= digit_at(text, end) <= 9:
        return 0, WRONG
    first = word_at(text, at) - _ZEROS
    if count <= 8:
        return _eight_digits(first << (_64 - _8 * np.uint64(count))), end
    last = _eight_digits(word_at(text, end - 8) - _ZEROS)
    return _eight_digits(first << (_128 - _8 * np.uint64(count))) * 100_000_000 + last, end


@inlined
def _number(text: UInt8s, start: int, stop: int) -> int:
    """The whole number of digits, or a very negative one where there is something else."""
    number = 0
    for place in range(start, stop):
        digit = digit_at(text, place)
        if digit < 0 or digit > 9:
            return -1_000_000
        number = number * 10 + digit
    return number


@compiled
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar, or a very negative number where there is no such day."""
    leap = 1 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 0
    length = 28 + leap if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    if year < 1970 or month < 1 or month > 12 or day < 1 or day > length:
        return -1_000_000
    # Years begin in March here, so that the day that comes and goes is a year's last.
    shifted = year - 1 if month <= 2 else year
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468


@compiled
def _zone_minutes(text: UInt8s, at: int, stop: int) -> int:
    """Minutes east of UTC; a very large number where `Z` or `+hh:mm` is not all there is."""
    if stop - at == 1 and text[at] == 90:
        return 0
    if stop - at != 6 or text[at + 3] != 58 or (text[at] != 43 and text[at] != MINUS):
        return 1_000_000
    hours, minutes = _number(text, at + 1, at + 3), _number(text, at + 4, at + 6)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return 1_000_000
    return (hours * 60 + minutes) * (-1 if text[at] == MINUS else 1)


@compiled
def read_time(text: UInt8s, start: int, stop: int) -> int:
    """Epoch ms of `2026-03-01T02:30:00.123Z` or with `+02:00`; -1 for any other way to write it, and before 1970."""
    if stop - start < 20 or text[start + 10] != 84 or text[start + 4] != MINUS or text[start + 7] != MINUS:
        return -1
    if text[start + 13] != 58 or text[start + 16] != 58:
        return -1
    year, month = _number(text, start, start + 4), _number(text, start + 5, start + 7)
    days = _days(year, month, _number(text, start + 8, start + 10))
    hour, minute = _number(text, start + 11, start + 13), _number(text, start + 14, start + 16)
    second = _number(text, start + 17, start + 19)
    if days < 0 or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1
    at, fraction = start + 19, 0
    if text[at] == POINT:
        end = digits_end(text, at + 1, stop)
        for place in range(at + 1, at + 4):
            fraction = fraction * 10 + (digit_at(text, place) if place < end else 0)
        at = end
    zone = _zone_minutes(text, at, stop) if at > 0 else 1_000_000
    if zone == 1_000_000:
        return -1
    return max(((days * 24 + hour) * 60 + minute - zone) * 60_000 + second * 1000 + fraction, -1)
