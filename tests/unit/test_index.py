"""The index of rows against a dictionary: what is entered is found until it is taken out, wherever it had to go."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from detector.arrays import Int64s, UInt64s
from detector.counting.columns import NONE
from detector.counting.index import (
    EMPTY,
    find,
    home_of,
    is_full,
    new_slots,
    place_with,
    put,
    remove,
    remove_tagged,
    row_at,
    tag_at,
    tag_of,
    widen,
)

KEYS = np.zeros(4_096, np.uint64)


def hashes(random: Random, count: int, narrow: bool) -> list[np.uint64]:
    """Distinct keys; narrow ones want the first and the last homes, so that many lie past these."""
    tags = [random.choice((0, 0x7FFFFFFF)) if narrow else random.getrandbits(31) for _ in range(count)]
    return [np.uint64((n + 1) << 32 | tag) for n, tag in enumerate(tags)]


def filled(keys: UInt64s, rows: int) -> Int64s:
    """An index of the first keys, longer wherever it is full, as a book's is."""
    slots = new_slots(0)
    for row in range(rows):
        crowded = put(slots, tag_of(keys[row]), row, row + 1)
        assert crowded == is_full(slots, row + 1)
        if crowded:
            slots = widen(slots)
            assert not is_full(slots, row + 1)
    return slots


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_rows_are_found_until_they_are_removed(seed: int, narrow: bool) -> None:
    """After any entering and removing, an index finds exactly the rows that are in it."""
    random = Random(seed)
    slots, keys, held = new_slots(40), KEYS.copy(), {}
    fresh = hashes(random, 400, narrow)
    for step in range(400):
        if len(held) < 45 and random.random() < 0.6:
            row = step
            keys[row] = fresh[step]
            put(slots, tag_of(keys[row]), row, len(held))
            held[row] = keys[row]
        elif held:
            row = random.choice(list(held))
            remove(slots, held.pop(row), row)
            assert place_with(slots, tag_of(keys[row]), row) == NONE
        assert all(find(slots, keys, key) == row for row, key in held.items())
        assert np.count_nonzero(slots != EMPTY) == len(held)
        assert find(slots, keys, np.uint64(7)) == NONE


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 100, 3_000])
def test_a_longer_index_holds_the_same_rows(rows: int, narrow: bool) -> None:
    """Nothing is lost or entered twice when an index grows, though half of the keys want one place."""
    keys = KEYS.copy()
    keys[:rows] = hashes(Random(rows), rows, narrow)
    slots = filled(keys, rows)
    before = len(slots)
    slots = widen(slots)
    assert before * 3 // 2 <= len(slots) < 100 * (rows + 10)
    assert np.count_nonzero(slots != EMPTY) == rows
    assert all(find(slots, keys, keys[row]) == row for row in range(rows))
    for row in range(rows):
        remove(slots, keys[row], row)
    assert not slots.any()


@pytest.mark.parametrize("seed", range(10))
def test_slots_lie_in_the_order_of_their_hashes(seed: int) -> None:
    """Each at its home or right behind the one before it, whatever was entered, removed and widened."""
    random, keys = Random(seed), KEYS.copy()
    keys[:300] = hashes(random, 300, narrow=False)
    slots = filled(keys, 300)
    for row in random.sample(range(300), 100):
        remove(slots, keys[row], row)
    remove_tagged(slots, 3, 1)
    for is_longer in (False, True):
        index = widen(slots) if is_longer else slots
        free = 0
        for place in np.flatnonzero(index != EMPTY).tolist():
            free = max(free, home_of(index, tag_at(index, place)))
            assert place == free
            free += 1
        taken = index[index != EMPTY] >> 32
        assert (np.diff(taken) >= 0).all()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_rows_go_by_the_number_in_their_tags(seed: int, narrow: bool) -> None:
    """Those with the number go, all others are found, though they lay in one chain."""
    random = Random(seed)
    keys = KEYS.copy()
    keys[:60] = [key & ~np.uint64(3) | np.uint64(random.randrange(4)) for key in hashes(random, 60, narrow)]
    slots = filled(keys, 60)
    gone = [row for row in range(60) if int(keys[row]) & 3 == 2]
    assert remove_tagged(slots, 3, 2) == len(gone)
    left = [place for place in range(len(slots)) if slots[place] != EMPTY]
    assert sorted(row_at(slots, place) for place in left) == sorted(set(range(60)) - set(gone))
    assert all(tag_at(slots, place) & 3 != 2 for place in left)
    assert all(find(slots, keys, keys[row]) == (NONE if row in gone else row) for row in range(60))
