"""Tables as compiled loops hold them: one address for a group of them, however many they are.

A tuple of fifty tables would be handed over table by table at every call: minutes of compiling, and slower calls. A
structure of numba's own counts references at each look at a table, which takes more time than the look. So a hand is
the address of a block that says of each table where it is; whoever made the hand keeps the tables alive.
Knows how numba lays out an array, and nothing of what the tables hold.
"""

from __future__ import annotations

import hashlib
from operator import is_
from typing import Any, ClassVar, TypeVar, cast

import numba
import numpy as np
from numba import extending
from numba.core import types
from numba.core.typing.templates import AttributeTemplate

from detector.arrays import Int64s

_numba: Any = numba  # its functions have no types
_extending: Any = extending

T = TypeVar("T", bound=tuple[Any, ...])
"""A NamedTuple of arrays, each in one piece; or of groups of them, each in hand."""

_HEAD = 5
"""Words of an array before its shape and strides: owner, parent, entries, bytes an entry, address."""


class Hand:
    """The address of a block of words, and all that must live as long; of no use but to compiled loops.

    Tables of other types are another class: by its `_numba_type_` numba knows it at once, without a question in Python.
    Of a NamedTuple it would read its name and those of its fields at each call, which takes as long as many a loop.
    """

    __slots__ = ("address", "block", "tables")
    _numba_type_: ClassVar[_HandType]

    def __init__(self, tables: tuple[Any, ...], block: Int64s | None = None) -> None:
        if block is None:
            block = np.concatenate([table.block if isinstance(table, Hand) else _words(table) for table in tables])
        self.address: int = block.ctypes.data
        self.block: Int64s = block
        self.tables = tables

    def again(self, tables: tuple[Any, ...]) -> Hand | None:
        """A hand of the same tables but for a few, which is quicker to make; None where one is of another type."""
        block = self.block.copy()
        for (_, at), table, before in zip(self._numba_type_.tables.values(), tables, self.tables, strict=True):
            if table is before:
                continue
            if isinstance(table, Hand) or _kind(table) != _kind(before):
                return None
            words = _words(table)
            block[at : at + len(words)] = words
        return type(self)(tables, block)


class Hands:
    """The hand of each group of tables, by the group's class: made anew where a table was replaced."""

    def __init__(self) -> None:
        self._known: dict[type, tuple[Any, Any]] = {}
        self._wholes: dict[type, tuple[tuple[Any, ...], Any]] = {}

    def __call__(self, tables: T) -> T:
        """What to pass to loops that take these tables, as long as this is the group's newest."""
        known = self._known.get(type(tables))
        if known is None or known[0] is not tables:
            known = self._known[type(tables)] = tables, in_hand(tables)
        return cast(T, known[1])

    def whole(self, group: type[T], *parts: tuple[Any, ...]) -> T:
        """The same for a group of groups: one hand of all these."""
        known = self._wholes.get(group)
        if known is None or not all(map(is_, known[0], parts)):
            known = self._wholes[group] = parts, in_hand(group(*map(self, parts)))
        return cast(T, known[1])


def in_hand(tables: T, before: Any = None) -> T:
    """What to pass to loops that take these tables; make it anew whenever one was replaced.

    `before`: what was in hand of such tables last, most of which are the same still.
    """
    if getattr(numba.config, "DISABLE_JIT", 0):
        return tables
    if isinstance(before, Hand) and (again := before.again(tables)) is not None:
        return cast(T, again)
    kinds = type(tables), tuple(map(_kind, tables))
    found = _classes.get(kinds)
    if found is None:
        kind = _HandType(tables)
        found = _classes[kinds] = type(kind.name, (Hand,), {"_numba_type_": kind, "__slots__": ()})
    return cast(T, found(tables))


_classes: dict[tuple[type, tuple[Any, ...]], type[Hand]] = {}


def _kind(table: Any) -> Any:
    return type(table) if isinstance(table, Hand) else (table.dtype, table.ndim, table.flags.writeable)


def _words(table: np.ndarray[Any, Any]) -> list[int]:
    assert table.flags.c_contiguous, "tables are in one piece"
    return [0, 0, table.size, table.itemsize, table.ctypes.data, *table.shape, *table.strides]


class _HandType(types.Type):
    """The type of a hand in compiled code; `tables[name]` = the type of an array, or of a group in hand, and where in
    the block it begins; `words` is the block's length.

    Its name says all of it, so that a kept loop is not used again when a table has changed.
    """

    def __init__(self, group: Any) -> None:
        self.tables: dict[str, tuple[Any, int]] = {}
        self.words = 0
        for name, table in group._asdict().items():
            self.tables[name] = _numba.typeof(table), self.words
            self.words += table._numba_type_.words if isinstance(table, Hand) else _HEAD + 2 * table.ndim
        said = hashlib.sha256(repr(self.tables).encode()).hexdigest()
        super().__init__(name=f"{type(group).__name__} {said}")


def _table_type(_template: Any, hand: _HandType, name: str) -> Any:
    return hand.tables[name][0] if name in hand.tables else None


def _read_table(context: Any, builder: Any, hand: _HandType, address: Any, name: str) -> Any:
    """Read the array's words. While a loop runs no table moves, so the compiler may read them once. A group's are
    where they are."""
    kind, at = hand.tables[name]
    place = builder.gep(address, [context.get_constant(types.intp, at * 8)])
    if isinstance(kind, _HandType):
        return place
    found = builder.load(builder.bitcast(place, context.get_value_type(kind).as_pointer()))
    found.set_metadata("invariant.load", builder.module.add_metadata([]))
    return found


def _unboxed(_type: _HandType, hand: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(hand, "address")
    found = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return _extending.NativeValue(found)


_extending.register_model(_HandType)(_extending.models.OpaqueModel)
_extending.infer_getattr(
    type("_Tables", (AttributeTemplate,), {"key": _HandType, "generic_resolve": _table_type, "__module__": __name__})
)
_extending.lower_getattr_generic(_HandType)(_read_table)
_extending.unbox(_HandType)(_unboxed)
