"""The record a worker writes to the dead-letter topic: what is kept, what never is, and reading it again."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.contracts.card import card_like
from detector.contracts.models import DeadLetter
from detector.contracts.policy_keys import LIMITS
from streams import deadletters
from streams.deadletters import Header, Letter, dead_letter, holds_card_like, read_letter

PAYLOAD_BYTES_MAX = int(LIMITS["dead_letter_bytes_max"].nearest(10**9))
CARD = "4111111111111111"
ARABIC = "".join(chr(0x0660 + int(digit)) for digit in CARD)
WIDE = "".join(chr(0xFF10 + int(digit)) for digit in CARD)


def letter_of(**changes: object) -> bytes:
    arguments: dict[str, object] = {
        "record_topic": "payments", "partition": 3, "offset": 41, "key": b"o-1", "headers": [("trace", b"abc")],
        "reason": "wrong_type", "field": "amount", "received_at_ms": 1_700_000_000_000, "value": b'{"amount": "x"}',
        "payload_bytes_max": PAYLOAD_BYTES_MAX,
    }  # fmt: skip
    return dead_letter(**(arguments | changes))  # type: ignore[arg-type]  # one table of defaults for every test


def test_record_has_exactly_the_fields_of_the_contract() -> None:
    """A dead letter is the contract's JSON, with the payload as base64."""
    expected = {
        "topic": "payments", "partition": 3, "offset": 41, "key": "o-1", "headers": {"trace": "abc"},
        "reason": "wrong_type", "field": "amount", "received_at": 1_700_000_000_000,
        "payload": base64.b64encode(b'{"amount": "x"}').decode(),
    }  # fmt: skip
    assert json.loads(letter_of()) == expected
    assert DeadLetter.model_validate_json(letter_of()).model_dump() == expected


@given(st.text(st.sampled_from("0123456789 -\u00a0\u2007\u202f\u2212\u0664\uff11"), min_size=13, max_size=24))
def test_every_card_like_value_is_found(text: str) -> None:
    """What the contract's test of one value calls a card number is always found in a record that holds it."""
    assert holds_card_like(f'{{"a": "{text}"}}'.encode()) or not card_like(text)


@given(st.none() | st.binary(max_size=40), st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=4),
       st.none() | st.binary(max_size=200))  # fmt: skip
def test_reading_gives_back_what_was_written(key: bytes | None, headers: list[Header], value: bytes | None) -> None:
    """Whatever bytes a record had, reading its letter gives them back, or None for what may not be kept."""
    read = read_letter(letter_of(key=key, headers=headers, value=value))
    assert (read.key, read.value) == tuple(
        None if data is None or holds_card_like(data) else data for data in (key, value)
    )
    assert dict(read.headers) == dict(headers)


@pytest.mark.parametrize(
    "text",
    [
        CARD, "4111 1111 1111 1111", "4111-1111-1111-1111", f'{{"order_id": "x{CARD}y"}}', f'[{CARD}',
        "4111 1111 1111 1111 1225", "".join(f"\\u00{ord(c):x}" for c in CARD), ARABIC, WIDE,
        "4111\u00a01111\u20131111\u00a01111", "5500005555555559",
    ],
)  # fmt: skip
def test_a_card_number_is_found_however_it_is_written(text: str) -> None:
    """A card number in a payload, key or header is found in every spelling, in UTF-16 too, and left out."""
    assert holds_card_like(text.encode())
    assert holds_card_like(text.encode("utf-16")) or not text.isascii()
    raw = letter_of(key=text.encode(), value=text.encode(), headers=[("a", text.encode()), (text, b"1")], field=text)
    read = read_letter(raw)
    assert read == Letter("payments", 3, 41, None, (("a", None),), "wrong_type", None, 1_700_000_000_000, None)
    assert not holds_card_like(raw.replace(b"1700000000000", b""))


@pytest.mark.parametrize(
    "text",
    [
        "", "1700000000000", "1700000000000000", "4111111111111112", "411111111111", "9111111111111111",
        '{"occurred_at": "2024-02-03T04:05:06.789Z", "amount": 4111}', "41,111,111,111,111,111",
    ],
)  # fmt: skip
def test_what_is_no_card_number_is_kept(text: str) -> None:
    """Times, short numbers, wrong check digits and numbers with commas cost no payload."""
    assert not holds_card_like(text.encode())
    assert read_letter(letter_of(value=text.encode())).value == text.encode()


def test_sizes_are_bounded() -> None:
    """However large a record is, its letter stays below Kafka's limit and says the place and the reason."""
    big = b"\xff" * (2 * PAYLOAD_BYTES_MAX)
    raw = letter_of(key=big, value=big, headers=[(f"h{n}", big) for n in range(1000)], field="f" * 9999)
    assert len(raw) < deadletters.LETTER_BYTES_MAX
    read = read_letter(raw)
    assert (read.topic, read.partition, read.offset, read.reason) == ("payments", 3, 41, "wrong_type")
    assert (read.key, read.value, len(read.headers)) == (None, None, deadletters.HEADERS_MAX)
    largest = read_letter(letter_of(value=b"\xff" * PAYLOAD_BYTES_MAX)).value
    assert largest is not None
    assert len(largest) == PAYLOAD_BYTES_MAX


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b"x" * (deadletters.LETTER_BYTES_MAX + 1),
        letter_of().replace(b"1700000000000", b"1700000000000000"), letter_of().replace(b"41", b"-41"),
    ],
)  # fmt: skip
def test_what_is_no_letter_is_said(data: bytes) -> None:
    """Reading anything but a letter raises ValueError, never another error."""
    with pytest.raises(ValueError, match=r"."):
        read_letter(data)
