"""The wire of tallies: what was written comes back, and an older record is still read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from detector.counting.tally import Cells, Details, Source, Tally, decode, encode

CELLS = Cells(
    (("bnp", "card"),), np.zeros(2, np.int32), np.array([7, 8], np.int64), np.ones((2, 6), np.int32),
    np.ones((2, 6), np.int32), np.array([[0, 2, 0, 1, 0], [0, 0, 1, 0, 4]], np.int32), np.full(2, 9, np.int64),
    np.zeros((2, 5), np.uint8), np.zeros(0, np.uint64), np.array([0, 1], np.int32),
    np.array([[0] * 4, [1] * 4], np.int32), np.array([19, 31, 20, 40], np.uint8),
)  # fmt: skip
DETAILS = Details(
    (("bnp", "card"),), ("shop",), np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones((1, 4), np.int32),
    ("91",), np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.int32), np.ones(1, np.int32),
)  # fmt: skip
TALLY = Tally(Source("main", 0), {"main": 1}, 3, 10_000, 9_999, 5, CELLS, 2, DETAILS, 9_000)
CELLS_AT, DETAILS_AT = 11, 12
"""Places in the array that a record is on the wire."""


def assert_same(found: object, expected: object, but: tuple[str, ...] = ()) -> None:
    """Array by array; those of `but` are empty."""
    for name in expected.__slots__:  # type: ignore[attr-defined]  # a slotted dataclass
        value = getattr(found, name)
        if name in but:
            assert len(value) == 0, name
        else:
            np.testing.assert_array_equal(value, getattr(expected, name), err_msg=name)


def other(cells: int, details: int) -> Tally:
    """The record with so many columns more, or fewer, than there are."""
    wire = msgspec.msgpack.decode(encode(TALLY))
    for at, change in ((CELLS_AT, cells), (DETAILS_AT, details)):
        wire[at] = wire[at][:change] if change < 0 else wire[at] + [b"\x01\x00\x00\x00"] * change
    read = decode(msgspec.msgpack.encode(wire))
    assert isinstance(read, Tally)
    return read


def test_a_tally_comes_back() -> None:
    """Every column, and every word."""
    read = other(0, 0)
    assert (read.source, read.term, read.boundary_ms, read.first_pane) == (Source("main", 0), 3, 10_000, 2)
    assert_same(read.cells, CELLS)
    assert_same(read.details, DETAILS)


def test_an_older_record_is_read() -> None:
    """What was not counted then is empty, and stands for 0."""
    read = other(-3, -1)
    assert_same(read.cells, CELLS, ("technical", "orders", "late_ages"))
    assert_same(read.details, DETAILS, ("merchant_technical",))


def test_a_newer_record_is_read() -> None:
    """What is not known yet is left out."""
    read = other(2, 1)
    assert_same(read.cells, CELLS)
    assert_same(read.details, DETAILS)


def test_too_few_columns_are_refused() -> None:
    """A record that lacks what was always there is none."""
    with pytest.raises(ValueError, match="8 columns or more; got 7"):
        other(-4, 0)


@pytest.mark.parametrize("ages", [[19, 31, 20], [19, 31, 20, 40, 1], [19, 31, 20, 41]])
def test_ages_that_fit_no_answers_are_refused(ages: list[int]) -> None:
    """One for each late answer that is approved or refused, and no bin that there is not."""
    record = replace(TALLY, cells=replace(CELLS, late_ages=np.array(ages, np.uint8)))
    with pytest.raises(ValueError, match="of 4 late answers in 41 bins"):
        decode(encode(record))


SPOILT = {
    "a pane short": {"pane": CELLS.pane[:1]},
    "counts short": {"counts": CELLS.counts[:1]},
    "orders short": {"orders": CELLS.orders[:1]},
    "a leaf that is not named": {"leaf": np.array([0, 1], np.int32)},
    "a leaf from the end": {"leaf": np.array([0, -1], np.int32)},
    "leaves of two kinds": {"leaves": (("bnp", "card"), ("bnp",))},
    "hashes that are not there": {"lengths": np.full((2, 5), 200, np.uint8)},
    "counts below 0": {"counts": np.full((2, 6), -7, np.int32)},
    "a pane before 1970": {"pane": np.array([-5, 8], np.int64)},
}
SPOILT_DETAILS = {
    "a merchant short": {"merchant_counts": DETAILS.merchant_counts[:0]},
    "a merchant that is not named": {"merchant": np.array([1], np.int32)},
    "a code from the end": {"code": np.array([-1], np.int32)},
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_cells_that_do_not_fit_together_are_refused(spoilt: str) -> None:
    """Compiled loops would read beyond a column, or count what is nowhere."""
    more: dict[str, Any] = SPOILT[spoilt]
    with pytest.raises(ValueError, match="what a tally says fits together"):
        decode(encode(replace(TALLY, cells=replace(CELLS, **more))))


@pytest.mark.parametrize("spoilt", SPOILT_DETAILS)
def test_details_that_do_not_fit_together_are_refused(spoilt: str) -> None:
    """Nor may a name be asked for that is not there."""
    more: dict[str, Any] = SPOILT_DETAILS[spoilt]
    with pytest.raises(ValueError, match="what a tally says fits together"):
        decode(encode(replace(TALLY, details=replace(DETAILS, **more))))


@pytest.mark.parametrize("boundary_ms", [-1, 2**62])
def test_a_boundary_that_never_comes_is_refused(boundary_ms: int) -> None:
    """The Judge's time would be there, and never go back."""
    with pytest.raises(ValueError, match="a boundary at"):
        decode(encode(replace(TALLY, boundary_ms=boundary_ms)))
