"""A book in hand is what compiled loops read, wherever its tables lie and whatever they look like."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from detector.compiled import compiled
from detector.contracts.policy import DEFAULT
from detector.counting.book import Book, new_book, roomier
from detector.counting.hand import Hands, in_hand
from detector.counting.names import Names

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled: a hand is the book")


@compiled
def _look(book: Book, row: int) -> int:
    book.totals[row, 2] += 1
    return book.rows[row].start * 10 + len(book.rows) + book.totals[row, 2]


def fresh() -> Book:
    return new_book(DEFAULT, Names(DEFAULT))


def test_loops_read_and_write_the_tables() -> None:
    """Records, shapes and two-dimensional tables are where the block says, also after a table was replaced."""
    book = fresh()
    book.rows["start"][3] = 7
    assert _look(in_hand(book), 3) == 70 + 1024 + 1
    assert book.totals[3, 2] == 1
    book = book._replace(rows=roomier(book.rows, len(book.rows)), totals=np.zeros((32, 5), np.int64))
    assert _look(in_hand(book), 3) == 70 + len(book.rows) + 1


def test_a_hand_is_made_anew_where_a_table_was_replaced() -> None:
    """The same tables are in the same hand; others of the same class are not looked for in it."""
    hands, book = Hands(), fresh()
    held = hands(book)
    assert hands(book) is held
    other = book._replace(totals=np.full((32, 5), 7, np.int64))
    assert _look(hands(other), 3) == len(book.rows) + 8
    assert _look(held, 3) == len(book.rows) + 1


def test_a_hand_after_another_is_as_one_of_its_own() -> None:
    """Where a few tables are other ones since, also where one is of another type."""
    book = fresh()
    before: Any = in_hand(book)
    book = book._replace(rows=roomier(book.rows, len(book.rows)), totals=np.zeros((32, 5), np.int64))
    again, own = before.again(book), in_hand(book)
    assert type(again) is type(own)
    assert again.block.tolist() == own.block.tolist()
    assert again.tables == book
    other = book._replace(picked=book.picked.astype(np.int64))
    assert before.again(other) is None
    assert type(in_hand(other, own)) is type(in_hand(other))


class _Pair(NamedTuple):
    one: Book
    other: Book


@compiled
def _compare(pair: _Pair, row: int) -> int:
    return pair.other.rows[row].start - pair.one.rows[row].start


def test_a_group_of_groups_is_one_hand() -> None:
    """A loop finds the tables of each group in it, also after one of them was replaced."""
    hands, one, other = Hands(), fresh(), fresh()
    one.rows["start"][3], other.rows["start"][3] = 7, 12
    held = hands.whole(_Pair, one, other)
    assert _compare(held, 3) == 5
    assert hands.whole(_Pair, one, other) is held
    other = other._replace(rows=roomier(other.rows, len(other.rows)))
    other.rows["start"][3] = 20
    assert _compare(hands.whole(_Pair, one, other), 3) == 13


def test_numba_knows_a_hand_without_a_question_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked what a hand is, Python would take longer than most loops; also of a hand that is made anew."""
    _look(in_hand(fresh()), 3)
    monkeypatch.setattr(type(_look), "typeof_pyval", None)
    assert _look(in_hand(fresh()), 3) > 0


def test_another_table_is_another_type() -> None:
    """A loop that was kept for one shape of tables is not used for another."""
    book = fresh()
    other = book._replace(picked=book.picked.astype(np.int64))
    types = [numba.typeof(in_hand(one)) for one in (book, other, fresh())]
    assert types[0] != types[1]
    assert types[0] == types[2]
    assert types[0].name == type(types[0])(book).name


def test_tables_lie_in_one_piece() -> None:
    """A loop that reads a table by its address does not read past it."""
    book = fresh()
    with pytest.raises(AssertionError, match="in one piece"):
        in_hand(book._replace(totals=np.zeros((5, 32), np.int64).T))
