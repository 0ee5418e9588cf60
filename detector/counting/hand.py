"""The book as compiled loops hold it: one reference, however many tables it has.

A tuple of thirty tables would be handed over table by table at every call: minutes of compiling, and slower calls.
Knows numba's struct references and the names of the tables, nothing of what they hold.
"""

from __future__ import annotations

from typing import Any, cast

import numba
from numba.core import types
from numba.experimental import structref

from detector.compiled import allocating
from detector.counting.book import Book


@structref.register
class _HandType(types.StructRef):
    """The type of a hand in compiled code."""


class _Hand(structref.StructRefProxy):
    """A hand as Python code passes it on; nothing of it is read there."""


_numba: Any = structref  # its functions have no types
_numba.define_constructor(_Hand, _HandType, list(Book._fields))
_numba.define_attributes(_HandType)
_numba.define_boxing(_HandType, _Hand)


@allocating
def _take(tables: tuple[Any, ...]) -> Any:
    return _Hand(*tables)  # type: ignore[no-untyped-call]  # numba's own


def in_hand(book: Book) -> Book:
    """What to pass to loops that take a Book; make it anew whenever a table was replaced."""
    return book if getattr(numba.config, "DISABLE_JIT", 0) else cast(Book, _take(tuple(book)))
