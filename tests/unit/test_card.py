"""What looks like a card number, and what does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.contracts.card import card_like


def with_check_digit(digits: str) -> str:
    """The digits and the one more that makes Luhn's sum a multiple of ten, written as a table a person can follow."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += value // 10 + value % 10
    return digits + str(-total % 10)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "378282246310005",
        "3782 822463 10005", "6011111111111117", "2223003122003222", "30569309025904", "4222222222222",
        "4111\u00a01111\u00a01111\u00a01111", "٤١١١١١١١١١١١١١١١",
    ],
)  # fmt: skip
def test_card_numbers_are_seen(text: str) -> None:
    """Public test numbers of every network look like card numbers, grouped or not, in any script's digits."""
    assert card_like(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "4", "4111111111111112", "411111111111", "41111111111111111113", "1111111111111117", "7111111111111111",
        "9111111111111119", "4111.1111.1111.1111", "4111111111111111x", "order-4111111111111111", "1767225600000",
        "a" * 16, "-" * 16, " " * 100, "²²²²²²²²²²²²²²²²",
    ],
)  # fmt: skip
def test_other_values_are_not(text: str) -> None:
    """Wrong length, wrong prefix, wrong check digit, or anything but digits: not a card number."""
    assert not card_like(text)


@given(st.from_regex(r"\A[2-6][0-9]{11,17}\Z"), st.data())
@settings(max_examples=200, deadline=None, print_blob=True)
def test_the_check_digit_decides(digits: str, data: st.DataObject) -> None:
    """Of the ten last digits exactly one passes, with hyphens and spaces anywhere."""
    number = with_check_digit(digits)
    at = data.draw(st.integers(0, len(number)))
    assert card_like(f"{number[:at]}{data.draw(st.sampled_from([' ', '-', '  ', '']))}{number[at:]}")
    assert [card_like(digits + last) for last in "0123456789"].count(True) == 1
