"""Decompressing the records of a batch into room that is given, by the library that the Kafka client uses, too.

Knows the four codecs as Kafka frames them; never writes more than there is room for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import cramjam

__all__ = ["inflate"]

_XERIAL: Final = b"\x82SNAPPY\x00" + b"\x00\x00\x00\x01" * 2
"""How snappy records begin that Java clients write, up to the versions: blocks, each with its length before it."""


def inflate(codec: int, packed: memoryview, room: memoryview) -> int:
    """Decompress into `room`: how many bytes. Raises ValueError where they are more, or wrong, or the codec is none."""
    known = _CODECS.get(codec)
    if known is None:
        raise ValueError(f"a codec must be gzip, snappy, lz4 or zstd, 1 to 4; got {codec}")
    try:
        return known(packed, room)
    except (cramjam.DecompressionError, struct.error) as error:
        raise ValueError(str(error)) from None


def _snappy(packed: memoryview, room: memoryview) -> int:
    if bytes(packed[: len(_XERIAL)]) != _XERIAL:
        return _block(packed, room)
    at, used = len(_XERIAL), 0
    while at < len(packed):
        (size,) = struct.unpack_from(">i", packed, at)
        at += 4
        if size <= 0:
            raise ValueError(f"snappy: a block of {size} bytes")
        # Of a length past the end the client takes what there is: a block says itself where it ends.
        used += _block(packed[at : at + size], room[used:])
        at += size
    return used


def _block(packed: memoryview, room: memoryview) -> int:
    # Without this look the library would make room of its own for a length that may be a lie.
    size: int = cramjam.snappy.decompress_raw_len(packed)
    if size > len(room):
        raise ValueError(f"snappy: {size} bytes where {len(room)} fit")
    written: int = cramjam.snappy.decompress_raw_into(packed, room)
    return written


_CODECS: Final[dict[int, Callable[[memoryview, memoryview], int]]] = {
    1: cramjam.gzip.decompress_into,
    2: _snappy,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
