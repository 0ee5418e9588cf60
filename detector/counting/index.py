"""Two small open-addressing tables for compiled loops: from a hash to a row, and of records that hold their own key.

A *slot* is 31 bits of the hash beside the row's number and one, so that looking up, moving and removing touch no other
row; a removed slot leaves no gap (what follows moves back). A free one is 0: the system need not give memory to where
nothing is. Where a slot belongs grows with its hash, whatever the length of the index, so that one grows where it is,
from its end. Knows nothing of what the rows are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detector.compiled import compiled, inlined
from detector.counting.columns import NONE, Int64s, UInt64s
from detector.counting.space import lengthened, new_table

EMPTY = 0
_LOW, _TAG, _TAG_BITS = 0xFFFFFFFF, 0x7FFFFFFF, 31
_ASIDE = 1024
_ROOM = 1 << 24


def new_slots(rows: int) -> Int64s:
    """An empty index with room for so many rows."""
    return new_table(rows * 3 // 2 + 8, np.int64, room=_ROOM)


def widen(slots: Int64s) -> Int64s:
    """An index half as long again; the one passed must not be looked at again."""
    before, aside = len(slots), np.zeros(_ASIDE, np.int64)
    slots = lengthened(slots, before * 3 // 2)
    rest = aside[: spread(slots, before, aside)]
    if len(rest) == _ASIDE:  # keys that want one place: perhaps on purpose
        rest = np.concatenate((slots[slots != EMPTY], rest))
        slots[:] = EMPTY
    enter(rest, slots)
    return slots


@inlined
def is_full(slots: Int64s, used: int) -> bool:
    """Whether an index that holds so many rows must grow: past three quarters, what is looked for lies far away."""
    return used * 4 >= len(slots) * 3


@inlined
def tag_of(key: np.uint64) -> int:
    """The 31 bits of a hash that a slot keeps: it stays a positive number."""
    return int(np.int64(key & np.uint64(_TAG)))


@inlined
def home_of(slots: Int64s, tag: int) -> int:
    """The place where a slot with this tag is looked for first (Lemire 2019: a product instead of a remainder)."""
    return (tag * len(slots)) >> _TAG_BITS


@inlined
def tag_at(slots: Int64s, place: int) -> int:
    """The tag of a slot that is taken."""
    return int((slots[place] >> 32) & _LOW)


@inlined
def row_at(slots: Int64s, place: int) -> int:
    """The row of a slot that is taken."""
    return int(slots[place] & _LOW) - 1


@inlined
def after(slots: Int64s, place: int) -> int:
    """The place that follows."""
    return place + 1 if place + 1 < len(slots) else 0


@inlined
def find(slots: Int64s, keys: UInt64s, key: np.uint64) -> int:
    """The row whose entry of `keys` is the key, or NONE."""
    tag = tag_of(key)
    place = home_of(slots, tag)
    while slots[place] != EMPTY:
        row = row_at(slots, place)
        if tag_at(slots, place) == tag and keys[row] == key:
            return row
        place = after(slots, place)
    return NONE


@inlined
def _slot(tag: int, row: int) -> int:
    return int((np.int64(tag) << 32) | (np.int64(row) + 1))


@inlined
def set_slot(slots: Int64s, place: int, tag: int, row: int) -> None:
    """Let a place that is free, or has this tag, say this row."""
    slots[place] = _slot(tag, row)


@inlined
def put(slots: Int64s, tag: int, row: int) -> None:
    """Enter a row that is not there; there must be room."""
    place = home_of(slots, tag)
    while slots[place] != EMPTY:
        place = after(slots, place)
    set_slot(slots, place, tag, row)


@inlined
def place_with(slots: Int64s, tag: int, row: int) -> int:
    """The place of a row, or NONE where it is not there."""
    place, slot = home_of(slots, tag), _slot(tag, row)
    while slots[place] != slot:
        if slots[place] == EMPTY:
            return NONE
        place = after(slots, place)
    return place


@inlined
def place_near(slots: Int64s, tag: int) -> int:
    """The first row with this tag, or NONE."""
    place = home_of(slots, tag)
    while slots[place] != EMPTY:
        if tag_at(slots, place) == tag:
            return row_at(slots, place)
        place = after(slots, place)
    return NONE


@compiled
def remove(slots: Int64s, key: np.uint64, row: int) -> None:
    """Take out a row that is there."""
    remove_at(slots, place_with(slots, tag_of(key), row))


@compiled
def remove_at(slots: Int64s, hole: int) -> None:
    """Free a place that is taken."""
    place = after(slots, hole)
    while slots[place] != EMPTY:
        away = place - home_of(slots, tag_at(slots, place))
        gap = place - hole
        if away + (len(slots) if away < 0 else 0) >= gap + (len(slots) if gap < 0 else 0):
            slots[hole] = slots[place]
            hole = place
        place = after(slots, place)
    slots[hole] = EMPTY


@compiled
def remove_tagged(slots: Int64s, mask: int, number: int) -> int:
    """Take out every row whose tag says the number in the bits of the mask; how many they were."""
    removed = 0
    for place in range(len(slots)):
        while slots[place] != EMPTY and tag_at(slots, place) & mask == number:
            remove_at(slots, place)
            removed += 1
    return removed


@compiled
def enter(taken: Int64s, slots: Int64s) -> None:
    """Enter the rows of slots that are taken, whatever the length of the index they are from."""
    for place in range(len(taken)):
        put(slots, tag_at(taken, place), row_at(taken, place))


@compiled
def spread(slots: Int64s, before: int, aside: Int64s) -> int:
    """Move the rows of an index that was `before` places long, and is longer now, to where they belong: from its end,
    so that nearly all go to a place behind those that wait. The others are set aside; how many they are. It stops where
    there is no room for more of them.
    """
    taken = count = 0
    for place in range(before):  # without a question, as nobody can foretell which places are free
        slots[taken] = slots[place]
        taken += slots[place] != EMPTY
    slots[taken:before] = EMPTY
    for place in range(taken - 1, -1, -1):
        slot, there = slots[place], home_of(slots, tag_at(slots, place))
        if there > place:
            while there < len(slots) and slots[there] != EMPTY:
                there += 1
        if place < there < len(slots):
            slots[there] = slot
        elif count < len(aside):
            aside[count] = slot
            count += 1
        else:
            break
        slots[place] = EMPTY
    return count


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
