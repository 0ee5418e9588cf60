"""Whether a text looks like a card number: such a value is counted like any other and kept nowhere.

One in ten plain numeric ids passes, so nothing may be refused for it. Knows one whole value, not where in a record
a number may hide.
"""

from __future__ import annotations

from typing import Final

DIGITS_MIN: Final = 13
DIGITS_MAX: Final = 19
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_SPACES_AND_HYPHENS: Final = dict.fromkeys(map(ord, " \t\u00a0\u2007\u2009\u202f-\u2010\u2011\u2012\u2013\u2212"))


def card_like(text: str) -> bool:
    """Whether a text is 13 to 19 digits (spaces and hyphens aside), begins like an issuer (2 to 6), and passes Luhn.

    Digits of other scripts count as digits.
    """
    if len(text) < DIGITS_MIN or text[0].isalpha() or text[0] in "01789":  # most ids end here
        return False
    digits = text.translate(_SPACES_AND_HYPHENS)
    if not DIGITS_MIN <= len(digits) <= DIGITS_MAX or not digits.isdecimal():
        return False
    numbers = [int(digit) for digit in digits]
    return 2 <= numbers[0] <= 6 and _passes_luhn(numbers)


def _passes_luhn(numbers: list[int]) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B): every second digit from the right but one is doubled, digits summed."""
    return (sum(numbers[-1::-2]) + sum(_DOUBLED[number] for number in numbers[-2::-2])) % 10 == 0
