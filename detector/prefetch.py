"""Asking for memory before it is needed: a random place of a large table takes as long as a hundred instructions.

A hint, no more: it changes no value, and without compiled loops it does nothing. Knows no table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types

__all__ = ["prefetch"]

_numba: Any = numba  # its functions have no types
_extending: Any = extending
_cgutils: Any = cgutils
_READ, _KEEP, _DATA = 0, 3, 1


def _instruction() -> Callable[[Any, int], None]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, word = signature.args[0], ir.IntType(32)
        array = context.make_array(kind)(context, builder, arguments[0])
        place = context.cast(builder, arguments[1], signature.args[1], types.intp)
        at = _cgutils.get_item_pointer(context, builder, kind, array, [place])
        at = builder.bitcast(at, ir.IntType(8).as_pointer())
        call = ir.FunctionType(ir.VoidType(), [at.type, word, word, word])
        hint = _cgutils.get_or_insert_function(builder.module, call, "llvm.prefetch.p0i8")
        builder.call(hint, [at, word(_READ), word(_KEEP), word(_DATA)])
        return context.get_dummy_value()

    def hint(typing: Any, table: Any, place: Any) -> Any:
        return types.none(table, place), generate

    made: Callable[[Any, int], None] = _extending.intrinsic(hint)
    return made


def _nothing(table: Any, place: int) -> None:
    """Without compiled loops."""


prefetch = _nothing if getattr(_numba.config, "DISABLE_JIT", 0) else _instruction()
"""`prefetch(table, place)`: an element of an array of one dimension will be read soon."""
