"""The 64-bit hash that stands for every id: eight bytes a step, then the finaliser of Appleby's MurmurHash3.

Not a defence against someone who makes collisions on purpose: who can write to the topics can do worse.
Does not know what is hashed. 0 is no hash: it means "absent" in columns and "free" in tables.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import UInt8s
from detector.compiled import compiled, inlined
from detector.wide import word_at

_MASK = (1 << 64) - 1
_SEED = 0x9E3779B97F4A7C15
_STEP = 0xBF58476D1CE4E5B9
_AVALANCHE = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)

# Compiled loops compute in uint64 throughout: one signed operand would make numba go over to floats.
_SEED_64, _STEP_64 = np.uint64(_SEED), np.uint64(_STEP)
_AVALANCHE_64 = (np.uint64(_AVALANCHE[0]), np.uint64(_AVALANCHE[1]))
_0, _1, _8, _29, _33, _64 = (np.uint64(number) for number in (0, 1, 8, 29, 33, 64))
_ALL = np.uint64(_MASK)


@inlined
def finish(state: np.uint64) -> np.uint64:
    """Every bit of the state changes half of the bits of the result, which is never 0."""
    state = (state ^ (state >> _33)) * _AVALANCHE_64[0]
    state = (state ^ (state >> _33)) * _AVALANCHE_64[1]
    state = state ^ (state >> _33)
    return state if state != _0 else _1


@compiled
def hash_bytes(buffer: UInt8s, start: int, stop: int) -> np.uint64:
    """The hash of `buffer[start:stop]`."""
    state = _SEED_64 ^ np.uint64(stop - start)
    for at in range(start, stop, 8):
        word = _0
        for byte in range(min(at + 8, stop) - 1, at - 1, -1):
            word = (word << _8) | np.uint64(buffer[byte])
        state = (state ^ word) * _STEP_64
        state ^= state >> _29
    return finish(state)


@inlined
def hash_words(text: UInt8s, start: int, stop: int) -> np.uint64:
    """The same hash, read eight bytes at once; seven more must follow."""
    state = _SEED_64 ^ np.uint64(stop - start)
    at = start
    while stop - at > 8:
        state = (state ^ word_at(text, at)) * _STEP_64
        state ^= state >> _29
        at += 8
    if at < stop:
        state = (state ^ (word_at(text, at) & (_ALL >> (_64 - _8 * np.uint64(stop - at))))) * _STEP_64
        state ^= state >> _29
    return finish(state)


@inlined
def mix(a: np.uint64, b: np.uint64) -> np.uint64:
    """The hash of two hashes, in this order."""
    state = np.uint64(a) * _STEP_64
    return finish((state ^ (state >> _29)) + np.uint64(b) + _SEED_64)


@inlined
def pair(a: np.uint64, b: np.uint64) -> np.uint64:
    """A hash of two that are never of one text, such as a shop's and a leaf's: quicker than `mix`, and enough to look
    something up by."""
    return a ^ b


@compiled
def order_payment(order: np.uint64, placed_ms: int) -> np.uint64:
    """The payment hash of a placed order that has no payment yet."""
    return mix(mix(_SEED_64, order), np.uint64(placed_ms))


def hash_text(text: str) -> int:
    """The hash of the text's UTF-8 bytes, in plain Python: for few texts, and to check the loops against.

    Raises UnicodeEncodeError on a lone surrogate.
    """
    data = text.encode()
    state = _SEED ^ len(data)
    for at in range(0, len(data), 8):
        state = ((state ^ int.from_bytes(data[at : at + 8], "little")) * _STEP) & _MASK
        state ^= state >> 29
    return _finish(state)


def mix_hashes(a: int, b: int) -> int:
    """`mix` in plain Python."""
    state = (a * _STEP) & _MASK
    return _finish(((state ^ (state >> 29)) + b + _SEED) & _MASK)


def _finish(state: int) -> int:
    for factor in _AVALANCHE:
        state = ((state ^ (state >> 33)) * factor) & _MASK
    return (state ^ (state >> 33)) or 1
