"""Which partition Kafka's default partitioner sends a key to: murmur2 (Austin Appleby's MurmurHash2 as Kafka has it).

Knows keys as bytes; not what they are, nor how many sources a rehearsal has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.arrays import Int32s, Int64s, UInt8s
from detector.compiled import allocating, compiled

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_MASK = 0xFFFFFFFF


def partitions(keys: Sequence[bytes], count: int) -> Int32s:
    """The partition of each key, of `count` that the topic has."""
    ends = np.cumsum([len(key) for key in keys], dtype=np.int64)
    return _partitions(np.frombuffer(b"".join(keys) or b"\0", np.uint8), ends, count)


@allocating
def _partitions(buffer: UInt8s, ends: Int64s, count: int) -> Int32s:
    found = np.empty(len(ends), np.int32)
    start = 0
    for key in range(len(ends)):
        found[key] = (murmur2(buffer, start, ends[key]) & 0x7FFFFFFF) % count
        start = ends[key]
    return found


@compiled
def murmur2(buffer: UInt8s, start: int, stop: int) -> int:
    """The 32-bit hash of `buffer[start:stop]`, as an unsigned number."""
    state = (_SEED ^ (stop - start)) & _MASK
    at = start
    while at + 4 <= stop:
        word = int(
            np.int64(buffer[at])
            | (np.int64(buffer[at + 1]) << 8)
            | (np.int64(buffer[at + 2]) << 16)
            | (np.int64(buffer[at + 3]) << 24)
        )
        word = (word * _FACTOR) & _MASK
        word ^= word >> 24
        state = ((state * _FACTOR) & _MASK) ^ ((word * _FACTOR) & _MASK)
        at += 4
    if at < stop:
        for byte in range(stop - 1, at - 1, -1):
            state ^= int(buffer[byte]) << (8 * (byte - at))
        state = (state * _FACTOR) & _MASK
    state ^= state >> 13
    state = (state * _FACTOR) & _MASK
    return state ^ (state >> 15)
