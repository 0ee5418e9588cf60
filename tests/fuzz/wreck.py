"""What breaks a record batch as a whole: lengths, numbers, checksums, attributes, what it is compressed with.

A batch's first offset stays: the broker writes it, and no producer has a say in it. Knows the format of batches;
nothing of what a record says.
"""

from __future__ import annotations

import struct
from random import Random

from tests.property.batches import ATTRIBUTES_AT, HEADER_BYTES, SUM_AT, mended

__all__ = ["wrecked"]

LENGTH_AT, COUNT_AT = 8, 57
LIES = (b"\xff" * 9, b"\x80" * 10 + b"\x01", b"\x01", b"\x7f", b"", b"\x00" * 5, b"\xfe\xff\xff\xff\x0f")


def wrecked(random: Random, batch: bytes) -> bytes:
    """The batch, broken in some way; its checksum is right more often than not, or nothing behind it would be tried."""
    found = bytearray(batch)
    change = random.choice((_bytes, _bytes, _lie, _lie, _attributes, _count, _length, _garbage, _cut_payload, _sum))
    change(random, found)
    if change in (_sum, _length):
        return bytes(found)
    struct.pack_into(">i", found, LENGTH_AT, len(found) - LENGTH_AT - 4)
    return mended(found) if random.random() < 0.8 else bytes(found)


def _bytes(random: Random, found: bytearray) -> None:
    for _ in range(random.choice((1, 1, 2, 20))):
        found[random.randrange(ATTRIBUTES_AT, len(found))] = random.randrange(256)


def _lie(random: Random, found: bytearray) -> None:
    """A length or a number within the records is another."""
    at = random.randrange(HEADER_BYTES, len(found))
    found[at : at + random.randrange(3)] = random.choice(LIES)


def _attributes(random: Random, found: bytearray) -> None:
    struct.pack_into(">h", found, ATTRIBUTES_AT, random.choice((1, 2, 3, 4, 5, 7, 8, 0x10, 0x20, 0x30, 0x7FFF, -1)))


def _count(random: Random, found: bytearray) -> None:
    struct.pack_into(">i", found, COUNT_AT, random.choice((0, 1, -1, 2**31 - 1, -(2**31), 7)))


def _length(random: Random, found: bytearray) -> None:
    struct.pack_into(">i", found, LENGTH_AT, random.choice((0, -1, 48, 49, 50, 2**31 - 1, -(2**31), len(found) - 13)))


def _garbage(random: Random, found: bytearray) -> None:
    """The payload is noise that says it is compressed."""
    found[HEADER_BYTES:] = random.randbytes(random.choice((1, 40, 3_000)))
    struct.pack_into(">h", found, ATTRIBUTES_AT, random.choice((0, 1, 2, 3, 4)))


def _cut_payload(random: Random, found: bytearray) -> None:
    del found[random.randrange(HEADER_BYTES, len(found)) :]


def _sum(random: Random, found: bytearray) -> None:
    found[SUM_AT + random.randrange(4)] ^= 1 << random.randrange(8)
