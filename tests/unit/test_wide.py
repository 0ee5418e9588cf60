"""Many bytes at once are what the bytes are one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wide
from detector.arrays import UInt8s
from detector.compiled import compiled
from detector.counting.fields import read_integer
from detector.counting.guard import WRONG
from detector.wide import SPARE_BYTES

BYTES = st.one_of(st.binary(max_size=200), st.text('0123456789 "\\\x1f\x7f\x80é\nabc', max_size=200).map(str.encode))


@compiled
def at_once(text: UInt8s, at: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    return wide.word_at(text, at), wide.specials_at(text, at), wide.no_digits_at(text, at), wide.line_feeds_at(text, at)


def one_by_one(text: UInt8s, at: int) -> tuple[np.uint64, ...]:
    reads = wide.word_by_bytes, wide.specials_by_bytes, wide.no_digits_by_bytes, wide.line_feeds_by_bytes
    return tuple(read(text, at) for read in reads)


@compiled
def lowest(marks: np.uint64) -> int:
    return wide.lowest(marks)


@compiled
def integer(text: UInt8s, at: int, stop: int) -> tuple[int, int]:
    return read_integer(text, at, stop)


@settings(deadline=None)  # the first call compiles
@given(BYTES, st.integers(0, 200))
def test_wherever_it_is_read(data: bytes, at: int) -> None:
    """At every place, whatever is there: a word lies anywhere, and every byte has its bit."""
    text = np.frombuffer(data + b"\0" * wide.WIDE, np.uint8)
    place = min(at, len(data))
    assert at_once(text, place) == one_by_one(text, place)


@pytest.mark.parametrize("byte", range(256))
def test_each_byte(byte: int) -> None:
    """Every byte there is, in the first place and in the last."""
    for data in (bytes([byte]) + b"a" * 15, b"7" * 15 + bytes([byte])):
        text = np.frombuffer(data, np.uint8)
        assert at_once(text, 0) == one_by_one(text, 0)
        is_special = byte in b'"\\' or not 32 <= byte < 127
        assert bool(int(wide.specials_by_bytes(text, 0)) & (1 | 1 << 15)) == is_special
        assert int(wide.line_feeds_by_bytes(text, 0)).bit_count() == (byte == 10)
        assert bytes([byte]).isdigit() == (int(wide.no_digits_by_bytes(text, 0)).bit_count() in (0, 15))


@pytest.mark.parametrize("place", range(64))
def test_the_lowest_bit(place: int) -> None:
    """Whatever is set above it."""
    for above in (0, 1, 0x55, (1 << 64) - 1):
        marks = np.uint64(((above << place) | (1 << place)) & ((1 << 64) - 1))
        assert lowest(marks) == wide.lowest_by_bits(marks) == place


@settings(deadline=None)
@given(st.integers(0, 10**18), st.text("x,} \n", max_size=3), st.integers(0, 3))
def test_an_integer(number: int, after: str, cut: int) -> None:
    """What Python reads, and where it ends; one too long for a field, or that goes on after its event, is none."""
    digits = str(number)
    text = np.frombuffer(f"{digits}{after}".encode() + b"9" * (SPARE_BYTES + 1), np.uint8)
    stop = len(digits) - cut if cut else len(digits) + len(after)
    found, end = integer(text, 0, stop)
    is_whole = cut == 0 and len(digits) <= wide.WIDE and after != ""
    assert (end, found) == (len(digits), number) if is_whole else end == WRONG


@pytest.mark.parametrize("text", ["", "-1", "a", "00", "01", "+1", "12345678901234567"])
def test_no_integer(text: str) -> None:
    """A sign, a letter, a zero before digits, nothing at all, or too many digits."""
    assert integer(np.frombuffer(text.encode() + b"," + b" " * SPARE_BYTES, np.uint8), 0, len(text) + 1)[1] == WRONG
