"""The header of a record batch (format 2): where its numbers stand, and a look over all headers of a fetch.

A fetch ends where a batch is cut off: the broker cuts where the client's room ends. Knows nothing of what is in a
batch.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import UInt8s
from detector.compiled import compiled, inlined

LENGTH_AT, MAGIC_AT, SUM_AT, ATTRIBUTES_AT, LAST_DELTA_AT = 8, 16, 17, 21, 23
FIRST_TIME_AT, NEWEST_TIME_AT, PRODUCER_AT, COUNT_AT = 27, 35, 43, 57
LENGTH_END = 12
"""Bytes before those that a batch's length counts."""
HEADER_BYTES = 61
OLD_BYTES = 26
"""The shortest batch of an older format, which has its length and its format where this one has them."""
FORMAT = 2

CODEC, APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
"""Bits of the attributes: how records are compressed, that the broker set the times, a transaction's, Kafka's own."""

FOREIGN = -(1 << 63)
"""No offset: a fetch begins with a batch of an older format."""


@inlined
def number_at(text: UInt8s, at: int, size: int) -> int:
    """The signed number of so many bytes, the big end first."""
    number = np.int64(text[at])
    if number >= 128:
        number -= 256
    for place in range(at + 1, at + size):
        number = (number << 8) | np.int64(text[place])
    return int(number)


@compiled
def skim(text: UInt8s, position: int) -> int:
    """The offset after the last whole batch of a fetch, or before one that is of another format or lies about its
    length; `position` where there is none; FOREIGN where the first is of an older format."""
    at = 0
    while at + LENGTH_END <= len(text):
        stop = at + LENGTH_END + number_at(text, at + LENGTH_AT, 4)
        if stop > len(text):
            break
        if at == 0 and stop >= OLD_BYTES and text[MAGIC_AT] < FORMAT:
            return FOREIGN
        if stop < at + HEADER_BYTES or text[at + MAGIC_AT] != FORMAT:
            break
        position = number_at(text, at, 8) + number_at(text, at + LAST_DELTA_AT, 4) + 1
        at = stop
    return position
