"""Two small open-addressing tables for compiled loops: from a hash to a row, and of records that hold their own key.

A *slot* is 31 bits of the hash above the row's number, so that looking up, moving and removing touch no other row, and
the sign, so that a free one, which is 0, is more than any that is taken: the system need not give memory to where
nothing is. Where a slot belongs grows with its hash, and slots lie in the order of their hashes (Amble and Knuth 1974),
so what is not there is known to be missing at the first that is more; a removed slot leaves no gap; and a longer index
is the same row of slots with wider gaps. What is pushed past the last home has the places behind it. Knows nothing of
what the rows are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detector.arrays import Int64s, UInt64s
from detector.compiled import compiled, inlined
from detector.counting.columns import NONE, SPARE
from detector.counting.space import lengthened, new_table, populate

EMPTY = 0
_LOW, _TAG, _TAG_BITS = 0xFFFFFFFF, 0x7FFFFFFF, 31
_TAKEN = -(1 << 63)
_ROOM = 1 << 24
NEAR = 4
"""How many places from a home on are looked at without a question: nearly all slots are there, and how far from home
nobody can foretell."""


def new_slots(rows: int) -> Int64s:
    """An empty index with room for so many rows."""
    return new_table(rows * 3 // 2 + 2 * SPARE, np.int64, room=_ROOM)


def widen(slots: Int64s) -> Int64s:
    """An index half as long again, or more where keys want one place, perhaps on purpose; the one passed must not be
    looked at again."""
    while True:
        before = len(slots)
        slots = lengthened(slots, before * 3 // 2)
        populate(slots, before, len(slots) - before)
        if spread(slots, before):
            return slots


@compiled
def is_full(slots: Int64s, used: int) -> bool:
    """Whether an index that holds so many rows must grow: too many are taken, or those pushed past the last home come
    near to its end."""
    return _is_used_up(slots, used) or slots[len(slots) - SPARE] != EMPTY


@inlined
def _is_used_up(slots: Int64s, used: int) -> bool:
    """Past three quarters, what is looked for lies far away."""
    return used * 4 >= len(slots) * 3


@inlined
def tag_of(key: np.uint64) -> int:
    """The 31 bits of a hash that a slot keeps: it stays a positive number."""
    return int(np.int64(key & np.uint64(_TAG)))


@inlined
def home_of(slots: Int64s, tag: int) -> int:
    """The place before which no slot with this tag is (Lemire 2019: a product instead of a remainder). A sixteenth of
    the places is nobody's home."""
    return (tag * (len(slots) - (len(slots) >> 4) - SPARE)) >> _TAG_BITS


@inlined
def tag_at(slots: Int64s, place: int) -> int:
    """The tag of a slot that is taken."""
    return int((slots[place] >> 32) & _TAG)


@inlined
def row_at(slots: Int64s, place: int) -> int:
    """The row of a slot that is taken."""
    return int(slots[place] & _LOW)


@inlined
def first_at(slots: Int64s, tag: int) -> int:
    """The place of the first slot with this tag; one that is free, or has a greater tag, where there is none."""
    home, least = home_of(slots, tag), _slot(tag, 0)
    place = home
    for ahead in range(NEAR):
        place += int(slots[home + ahead] < least)
    while slots[place] < least:
        place += 1
    return place


@inlined
def has_tag(slots: Int64s, place: int, tag: int) -> bool:
    """Whether a place at or behind `first_at` still has this tag."""
    return bool(slots[place] <= _slot(tag, _LOW))


@inlined
def find(slots: Int64s, keys: UInt64s, key: np.uint64) -> int:
    """The row whose entry of `keys` is the key, or NONE."""
    tag = tag_of(key)
    place = first_at(slots, tag)
    while has_tag(slots, place, tag):
        row = row_at(slots, place)
        if keys[row] == key:
            return row
        place += 1
    return NONE


@inlined
def _slot(tag: int, row: int) -> int:
    return int(np.int64(_TAKEN) | (np.int64(tag) << 32) | np.int64(row))


@inlined
def set_slot(slots: Int64s, place: int, tag: int, row: int) -> None:
    """Let a place that has this tag say this row."""
    slots[place] = _slot(tag, row)


@inlined
def put(slots: Int64s, tag: int, row: int, used: int) -> bool:
    """Enter a row that is not there, as `enter` does."""
    return enter(slots, first_at(slots, tag), tag, row, used)


@inlined
def enter(slots: Int64s, place: int, tag: int, row: int, used: int) -> bool:
    """Put a row at a place of `first_at`, and what is there and follows one place on; there must be room. Whether the
    index, which holds so many rows then, `is_full`."""
    slot = _slot(tag, row)
    while slot != EMPTY:
        here = slots[place]
        slots[place] = slot
        slot = here
        place += 1
    return _is_used_up(slots, used) or place > len(slots) - SPARE


@inlined
def place_with(slots: Int64s, tag: int, row: int) -> int:
    """The place of a row, or NONE where it is not there."""
    place = first_at(slots, tag)
    while has_tag(slots, place, tag):
        if row_at(slots, place) == row:
            return place
        place += 1
    return NONE


@inlined
def row_near(slots: Int64s, tag: int) -> int:
    """The first row with this tag, or NONE."""
    place = first_at(slots, tag)
    return row_at(slots, place) if has_tag(slots, place, tag) else NONE


@compiled
def remove(slots: Int64s, key: np.uint64, row: int) -> None:
    """Take out a row that is there."""
    remove_at(slots, place_with(slots, tag_of(key), row))


@compiled
def remove_at(slots: Int64s, place: int) -> None:
    """Free a place that is taken."""
    while slots[place + 1] != EMPTY and home_of(slots, tag_at(slots, place + 1)) <= place:
        slots[place] = slots[place + 1]
        place += 1
    slots[place] = EMPTY


@compiled
def remove_tagged(slots: Int64s, mask: int, number: int) -> int:
    """Take out every row whose tag says the number in the bits of the mask; how many they were."""
    removed = free = 0
    for place in range(len(slots)):
        if slots[place] == EMPTY:
            continue
        slot, tag = slots[place], tag_at(slots, place)
        slots[place] = EMPTY
        if tag & mask == number:
            removed += 1
        else:
            free = max(free, home_of(slots, tag))
            slots[free] = slot
            free += 1
    return removed


@compiled
def spread(slots: Int64s, before: int) -> bool:
    """Move the rows of an index that was `before` places long, and is longer now, to where they belong: all to its end,
    and from there each to its place. False where too many want one place: then it must be made longer yet."""
    taken = len(slots)
    for place in range(before - 1, -1, -1):  # without a question, as nobody can foretell which places are free
        slot = slots[place]
        slots[taken - 1] = slot
        taken -= slot != EMPTY
    slots[: min(before, taken)] = EMPTY
    free = 0
    for place in range(taken, len(slots)):
        slot, free = slots[place], max(free, home_of(slots, tag_at(slots, place)))
        if free > place:
            return False
        slots[place] = EMPTY
        slots[free] = slot
        free += 1
    return free <= len(slots) - SPARE


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
