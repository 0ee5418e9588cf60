"""Many bytes at once, by instructions that numba has no name for: a word of eight, marks on sixteen.

Without compiled loops, and where every index is held against its table, the same byte by byte. Knows no table and
nothing of what bytes say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba
import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types

from detector.arrays import UInt8s
from detector.compiled import inlined

__all__ = ["SPARE_BYTES", "WIDE", "line_feeds_at", "lowest", "no_digits_at", "specials_at", "word_at"]

WIDE = SPARE_BYTES = 16
"""So many bytes are marked at once: from where they are looked at on, there must be so many. A buffer of texts has
therefore so many more after the last one."""

Read: TypeAlias = Callable[[UInt8s, int], np.uint64]

_numba: Any = numba  # its functions have no types
_extending: Any = extending

_QUOTE, _BACKSLASH, _BLANK, _DELETE, _LINE_FEED, _ZERO = (ord(character) for character in '"\\ \x7f\n0')
_WORD, _BYTE, _BIT = ir.IntType(64), ir.IntType(8), ir.IntType(1)
_0, _1, _8 = np.uint64(0), np.uint64(1), np.uint64(8)


def word_by_bytes(text: UInt8s, at: int) -> np.uint64:
    """`word_at`, a byte at a time."""
    word = _0
    for place in range(at + 7, at - 1, -1):
        word = (word << _8) | np.uint64(text[place])
    return word


def _by_bytes(is_marked: Callable[[int], bool]) -> Read:
    """Marks on bytes, a byte at a time."""
    table = np.array([is_marked(byte) for byte in range(256)], np.uint64)

    def marks_by_bytes(text: UInt8s, at: int) -> np.uint64:
        marks = _0
        for place in range(at + WIDE - 1, at - 1, -1):
            marks = (marks << _1) | table[text[place]]
        return marks

    return marks_by_bytes


specials_by_bytes = _by_bytes(lambda byte: byte in (_QUOTE, _BACKSLASH) or not _BLANK <= byte < _DELETE)
no_digits_by_bytes = _by_bytes(lambda byte: not _ZERO <= byte < _ZERO + 10)
line_feeds_by_bytes = _by_bytes(lambda byte: byte == _LINE_FEED)


def lowest_by_bits(marks: np.uint64) -> int:
    """`lowest`, a bit at a time."""
    place = 0
    while marks >> np.uint64(place) & _1 == _0:
        place += 1
    return place


def _at(context: Any, builder: Any, signature: Any, arguments: Any, kind: Any) -> Any:
    """What is there in a text at a place, as `kind`: it may lie anywhere."""
    text = context.make_array(signature.args[0])(context, builder, arguments[0])
    place = builder.bitcast(builder.gep(text.data, [arguments[1]]), kind.as_pointer())
    return builder.load(place, align=1)


def _loaded() -> Read:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _at(context, builder, signature, arguments, _WORD)

    def read(typing: Any, text: Any, at: Any) -> Any:
        return types.uint64(text, types.int64), generate

    made: Read = _extending.intrinsic(read)
    return made


def _marked(is_marked: Callable[[Any, Any, Callable[[int], Any]], Any]) -> Read:
    """Marks on bytes; `is_marked` says of many bytes at once which have one."""
    many = ir.VectorType(_BYTE, WIDE)

    def each(byte: int) -> Any:
        return ir.Constant(many, [byte] * WIDE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = is_marked(builder, _at(context, builder, signature, arguments, many), each)
        return builder.zext(builder.bitcast(found, ir.IntType(WIDE)), _WORD)

    def read(typing: Any, text: Any, at: Any) -> Any:
        return types.uint64(text, types.int64), generate

    made: Read = _extending.intrinsic(read)
    return made


def _are_special(builder: Any, some: Any, each: Callable[[int], Any]) -> Any:
    # What is below a blank is far above it, less a blank.
    found = builder.icmp_unsigned(">=", builder.sub(some, each(_BLANK)), each(_DELETE - _BLANK))
    for byte in (_QUOTE, _BACKSLASH):
        found = builder.or_(found, builder.icmp_unsigned("==", some, each(byte)))
    return found


def _are_no_digits(builder: Any, some: Any, each: Callable[[int], Any]) -> Any:
    return builder.icmp_unsigned(">=", builder.sub(some, each(_ZERO)), each(10))


def _are_line_feeds(builder: Any, some: Any, each: Callable[[int], Any]) -> Any:
    return builder.icmp_unsigned("==", some, each(_LINE_FEED))


def _counted() -> Callable[[np.uint64], int]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(_BIT, 1))

    def count(typing: Any, marks: Any) -> Any:
        return types.int64(types.uint64), generate

    made: Callable[[np.uint64], int] = _extending.intrinsic(count)
    return made


_is_plain = bool(getattr(_numba.config, "DISABLE_JIT", 0) or getattr(_numba.config, "BOUNDSCHECK", 0))


def _chosen(plain: Callable[..., Any], by_instruction: Any) -> Any:
    return inlined(plain) if _is_plain else by_instruction


word_at: Read = _chosen(word_by_bytes, _loaded())
"""`word_at(text, at)`: the eight bytes from `at` on, the first one lowest."""

specials_at: Read = _chosen(specials_by_bytes, _marked(_are_special))
"""`specials_at(text, at)`: a bit for each of the WIDE bytes from `at` on, the first one lowest, that is more than a
character of a JSON text: a quote, a backslash, a control character (127 is one) or what is not ASCII."""

no_digits_at: Read = _chosen(no_digits_by_bytes, _marked(_are_no_digits))
"""`no_digits_at(text, at)`: so of what is no digit."""

line_feeds_at: Read = _chosen(line_feeds_by_bytes, _marked(_are_line_feeds))
"""`line_feeds_at(text, at)`: so of line feeds."""

lowest: Callable[[np.uint64], int] = _chosen(lowest_by_bits, _counted())
"""`lowest(marks)`: the place of the lowest bit that is set; one is."""
