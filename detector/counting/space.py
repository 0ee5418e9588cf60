"""Tables that grow where they are, and take memory only where something was written.

numpy's own `resize` writes zeros to all that it adds, so a table could only grow by little at a time, or would hold
memory for nothing. Here a table is a view of address space, which the system fills with zeros where it is first looked
at: to grow is to take a longer view. There is so much of it at first as is asked for, and four times as much when that
is used up: in large pages then, for what is read at random all over so much memory would wait for page tables, too.
Knows nothing of what a table holds.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.arrays import UInt8s

_LEAST_BYTES, _FACTOR = 1 << 20, 4
_MOVED_BYTES = 1 << 22
POPULATED_BYTES_MAX = 1 << 22
_UNNAMED = {"MADV_POPULATE_WRITE": 23} if hasattr(mmap, "MADV_HUGEPAGE") else {}
"""Hints of Linux, and of no other system, that Python has no name for yet."""
LARGE_BYTES = 1 << 26
"""From so much address space on a table that outgrew its first takes memory by large pages, of 2 MiB mostly."""


def new_table(
    length: int, dtype: npt.DTypeLike, width: tuple[int, ...] = (), room: int = _LEAST_BYTES
) -> npt.NDArray[Any]:
    """Zeros of the shape `(length, *width)`, with so many bytes of address space at least. Raises MemoryError where the
    system gives no more of it."""
    kind, size = np.dtype(dtype), room
    while size < _bytes(length, kind, width):
        size *= _FACTOR
    try:
        space = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:  # which others take for a network's
        raise MemoryError(f"a table needs {size} bytes of address space; got: {error}; allow more") from None
    _advise(space, "MADV_NOHUGEPAGE", 0, size)  # or each table of each source would take 2 MiB at its first byte
    return _view(np.frombuffer(space, np.uint8), length, kind, width)


def lengthened(table: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """A table of `new_table` with its first axis made longer by zeros; the one passed must not be used again.

    Where its space is too small, what it held is moved piece by piece, so that no memory holds it twice.
    """
    kind, width, whole = table.dtype, table.shape[1:], _whole(table)
    if _bytes(length, kind, width) <= len(whole):
        return _view(whole, length, kind, width)
    longer = new_table(length, kind, width, _FACTOR * len(whole))
    there, space = _whole(longer), _space(whole)
    if len(there) >= LARGE_BYTES:
        _advise(_space(there), "MADV_HUGEPAGE", 0, len(there))
    for at in range(0, table.nbytes, _MOVED_BYTES):
        piece = slice(at, min(at + _MOVED_BYTES, table.nbytes))
        there[piece] = whole[piece]
        _advise(space, "MADV_DONTNEED", at, min(_MOVED_BYTES, len(whole) - at))
    return longer


def populate(table: npt.NDArray[Any], first: int, count: int) -> None:
    """Take the memory of the `count` entries from `first` on at once, as far as there is space for them: page by page,
    as each is written, the system takes half as long again. Of more than POPULATED_BYTES_MAX only so many, for no other
    thread runs meanwhile."""
    size = table.itemsize * math.prod(table.shape[1:])
    whole, start = _whole(table), first * size // mmap.PAGESIZE * mmap.PAGESIZE
    stop = min((first + count) * size, start + POPULATED_BYTES_MAX, len(whole))
    if start < stop:
        _advise(_space(whole), "MADV_POPULATE_WRITE", start, stop - start)


def _advise(space: mmap.mmap, what: str, start: int, size: int) -> None:
    """A hint: not every system knows it."""
    with contextlib.suppress(AttributeError, OSError):
        space.madvise(_UNNAMED.get(what) or getattr(mmap, what), start, size)


def _bytes(length: int, kind: np.dtype[Any], width: tuple[int, ...]) -> int:
    return length * kind.itemsize * math.prod(width)


def _view(whole: UInt8s, length: int, kind: np.dtype[Any], width: tuple[int, ...]) -> npt.NDArray[Any]:
    return whole[: _bytes(length, kind, width)].view(kind).reshape(length, *width)


def _whole(table: npt.NDArray[Any]) -> UInt8s:
    """All bytes of the table's space."""
    while isinstance(table.base, np.ndarray):
        table = table.base
    return table


def _space(whole: UInt8s) -> mmap.mmap:
    held: Any = whole.base
    space: mmap.mmap = held.obj
    return space
