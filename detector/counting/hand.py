"""The book as compiled loops hold it: one address, however many tables it has.

A tuple of fifty tables would be handed over table by table at every call: minutes of compiling, and slower calls. A
structure of numba's own counts references at each look at a table, which takes more time than the look. So a hand is
the address of a block that says of each table where it is; whoever made the hand keeps the tables alive.
Knows how numba lays out an array and the names of the tables, nothing of what they hold.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numba
import numpy as np
from numba import extending
from numba.core import types
from numba.core.typing.templates import AttributeTemplate

from detector.counting.book import Book

_numba: Any = numba  # its functions have no types
_extending: Any = extending

_HEAD = 5
"""Words of an array before its shape and strides: owner, parent, entries, bytes an entry, address."""


class Hand:
    """A book's tables, kept alive, and the block that says where they are; of no use but to compiled loops."""

    __slots__ = ("address", "block", "book")

    def __init__(self, book: Book) -> None:
        self.book = book
        self.block = np.array([word for table in book for word in _words(table)], np.int64)
        self.address = self.block.ctypes.data


def in_hand(book: Book) -> Book:
    """What to pass to loops that take a Book; make it anew whenever a table was replaced."""
    return book if getattr(numba.config, "DISABLE_JIT", 0) else cast(Book, Hand(book))


def _words(table: np.ndarray[Any, Any]) -> list[int]:
    assert table.flags.c_contiguous, "tables are in one piece"
    return [0, 0, table.size, table.itemsize, table.ctypes.data, *table.shape, *table.strides]


class _HandType(types.Type):
    """The type of a hand in compiled code; `tables[name]` = the array's type and where in the block it begins.

    Its name says all of it, so that a kept loop is not used again when a table has changed.
    """

    def __init__(self, book: Book) -> None:
        self.tables: dict[str, tuple[Any, int]] = {}
        at = 0
        for name, table in book._asdict().items():
            self.tables[name] = _numba.typeof(table), at
            at += _HEAD + 2 * table.ndim
        super().__init__(name=f"Book {hashlib.sha256(repr(self.tables).encode()).hexdigest()}")


_types: list[_HandType] = []


def _type_of(hand: Hand, _context: Any) -> _HandType:
    """All books have tables of the same types, so the first one serves for all."""
    if not _types:
        _types.append(_HandType(hand.book))
    return _types[0]


def _table_type(_template: Any, hand: _HandType, name: str) -> Any:
    return hand.tables[name][0] if name in hand.tables else None


def _read_table(context: Any, builder: Any, hand: _HandType, address: Any, name: str) -> Any:
    """Read the array's words. While a loop runs no table moves, so the compiler may read them once."""
    array, at = hand.tables[name]
    words = context.get_value_type(array).as_pointer()
    place = builder.gep(address, [context.get_constant(types.intp, at * 8)])
    found = builder.load(builder.bitcast(place, words))
    found.set_metadata("invariant.load", builder.module.add_metadata([]))
    return found


def _unboxed(_type: _HandType, hand: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(hand, "address")
    address = c.pyapi.long_as_voidptr(number)
    c.pyapi.decref(number)
    return _extending.NativeValue(address)


_extending.typeof_impl.register(Hand)(_type_of)
_extending.register_model(_HandType)(_extending.models.OpaqueModel)
_extending.infer_getattr(
    type("_Tables", (AttributeTemplate,), {"key": _HandType, "generic_resolve": _table_type, "__module__": __name__})
)
_extending.lower_getattr_generic(_HandType)(_read_table)
_extending.unbox(_HandType)(_unboxed)
