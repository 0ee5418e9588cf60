"""Many short texts in one buffer: what the scanner reads, without an object a text.

Knows bytes; not what they say, nor where they were read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, overload

import numpy as np

from detector.arrays import Int64s, UInt8s
from detector.compiled import compiled
from detector.wide import SPARE_BYTES, WIDE, line_feeds_at, lowest


class Packed(Sequence[bytes]):
    """`buffer[starts[i]:stops[i]]` is text i; SPARE_BYTES line feeds or more follow the last, so that many bytes may be
    read there at once; where texts lie in a fetch or a work area, so many bytes of any kind. `buffer` may be a view
    that cannot be written."""

    __slots__ = ("buffer", "starts", "stops")

    def __init__(self, buffer: bytes | memoryview, starts: Int64s, stops: Int64s) -> None:
        self.buffer, self.starts, self.stops = buffer, starts, stops

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Self:
        """Texts put together."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        stops = np.cumsum(lengths + 1) - 1
        return cls(b"\n".join(texts) + b"\n" * SPARE_BYTES, stops - lengths, stops)

    @classmethod
    def lines(cls, block: bytes) -> Self:
        """The lines of a block, without their ends; a last line need not have one."""
        if block and not block.endswith(b"\n"):
            block += b"\n"
        buffer = block + b"\n" * SPARE_BYTES
        room = np.empty(len(block), np.int64)  # as if every line were empty; what is not written to costs nothing
        stops = room[: _find_ends(np.frombuffer(buffer, np.uint8), len(block), room)].copy()
        starts = np.zeros(len(stops), np.int64)
        starts[1:] = stops[:-1] + 1
        return cls(buffer, starts, stops)

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return bytes(self.buffer[self.starts[index] : self.stops[index]])


@compiled
def _find_ends(text: UInt8s, length: int, stops: Int64s) -> int:
    """Where the lines of a block end that is so long and ends one; how many there are."""
    found = at = 0
    while at < length:
        marks = line_feeds_at(text, at)
        if marks:
            at += lowest(marks)
            stops[found] = at
            found += 1
            at += 1
        else:
            at += WIDE
    return found
