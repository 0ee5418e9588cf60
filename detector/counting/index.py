"""Two small open-addressing tables for compiled loops: from a hash to a row, and of records that hold their own key.

A *slot* is 31 bits of the hash beside the row's number, so that looking up, moving and removing touch no other row;
a removed slot leaves no gap (what follows moves back). Knows nothing of what the rows are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detector.compiled import compiled, inlined
from detector.counting.columns import Int64s, UInt64s

EMPTY = -1
_LOW, _TAG = 0xFFFFFFFF, 0x7FFFFFFF


def new_slots(rows: int) -> Int64s:
    """An empty index with room for so many rows; its length is a power of two."""
    return np.full(1 << (2 * rows - 1).bit_length(), EMPTY, np.int64)


@inlined
def tag_of(key: np.uint64) -> int:
    """The 31 bits of a hash that a slot keeps: it stays a positive number."""
    return int(np.int64(key & np.uint64(_TAG)))


@inlined
def find(slots: Int64s, keys: UInt64s, key: np.uint64) -> int:
    """The row whose entry of `keys` is the key, or EMPTY."""
    mask, tag = len(slots) - 1, tag_of(key)
    place = tag & mask
    while slots[place] != EMPTY:
        row = slots[place] & _LOW
        if (slots[place] >> 32) & _LOW == tag and keys[row] == key:
            return int(row)
        place = (place + 1) & mask
    return EMPTY


@inlined
def put(slots: Int64s, tag: int, row: int) -> None:
    """Enter a row that is not there; there must be room."""
    mask = len(slots) - 1
    place = tag & mask
    while slots[place] != EMPTY:
        place = (place + 1) & mask
    slots[place] = (tag << 32) | np.int64(row)


@compiled
def remove(slots: Int64s, key: np.uint64, row: int) -> None:
    """Take out a row that is there."""
    mask, tag = len(slots) - 1, tag_of(key)
    hole, slot = tag & mask, (tag << 32) | np.int64(row)
    while slots[hole] != slot:
        hole = (hole + 1) & mask
    place = (hole + 1) & mask
    while slots[place] != EMPTY:
        home = (slots[place] >> 32) & mask
        if (place - home) & mask >= (place - hole) & mask:
            slots[hole] = slots[place]
            hole = place
        place = (place + 1) & mask
    slots[hole] = EMPTY


@compiled
def rehash(slots: Int64s, wider: Int64s) -> None:
    """Enter every row of an index in an empty one."""
    for slot in slots:
        if slot != EMPTY:
            put(wider, (slot >> 32) & _LOW, slot & _LOW)


@inlined
def place_of(keys: UInt64s, key: np.uint64) -> int:
    """Where the record with this key is, or the free place (key 0) where it belongs."""
    mask = len(keys) - 1
    place = tag_of(key) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & mask
    return place


@compiled
def refill(table: npt.NDArray[Any], wider: npt.NDArray[Any]) -> None:
    """Enter every record that holds a key in an empty table."""
    keys = wider["key"]
    for at in range(len(table)):
        if table[at].key != 0:
            wider[place_of(keys, table[at].key)] = table[at]
