"""The records of a fetch, a part at a time: their bytes, there or in a work area, and arrays that say where each lies.

A part is bounded in bytes and in records whatever a fetch inflates to, and holds until the next one is asked for.
Knows no compression, only whom to ask; knows no client and nothing of what a value says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from detector.arrays import Int64s
from detector.packed import Packed
from detector.records.header import FOREIGN, LENGTH_END, skim
from detector.records.loop import (
    BAD_LENGTH,
    BAD_MARKER,
    BAD_OFFSET,
    BAD_RECORD,
    BAD_SUM,
    BASE,
    BEGIN,
    COMPRESSED,
    COMPRESSION,
    CURSOR,
    ENDED,
    FROM,
    IN_PLACE,
    LARGE,
    MOMENT,
    OFFSET,
    POSITION,
    RECORDS,
    ROOM,
    ROWS,
    ROWS_FULL,
    STAGE,
    START,
    STATE_SIZE,
    STOP,
    TO,
    USED,
    WRONG,
    unpack,
    varint,
)
from detector.wide import SPARE_BYTES

__all__ = ["PART_BYTES", "PART_RECORDS", "RECORDS_BYTES_MAX", "CorruptBatch", "Inflate", "Records", "Unpacker", "span"]

PART_BYTES = 1 << 22
"""Bytes of records that are brought together to a part; a batch that holds more is a part of its own."""
PART_RECORDS = 1 << 15
IN_PLACE_BYTES = 1 << 20
"""What is not compressed in a fetch of so many bytes is read there, but for a batch that nothing follows. Of a smaller
one, all is brought to one place: a part more costs more than to copy it."""
KEPT_BYTES = 8 * PART_BYTES
"""A larger work area is given back after use."""
RECORDS_BYTES_MAX = 1 << 26
"""Bytes that a compressed batch may become; one that would be more is refused. What is not compressed is in memory
already."""

Header: TypeAlias = tuple[str, bytes | None]
Inflate: TypeAlias = Callable[[int, memoryview, memoryview], int]
"""Decompress by the codec of a batch's attributes into the room given: how many bytes. Raises ValueError where that is
not possible, for want of room or since the bytes are wrong."""

_WRONG = {
    BAD_LENGTH: "its length or format is wrong",
    BAD_SUM: "its checksum is wrong",
    BAD_OFFSET: "its offset is not what follows",
    BAD_RECORD: "its records do not add up",
    BAD_MARKER: "its marker of a transaction's end cannot be read",
}


class CorruptBatch(ValueError):
    """A record batch that cannot be read; `offset` is that of its first record, as far as it says so."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"the record batch at offset {offset} cannot be read: {why}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Records:
    """Records in order: `values[i]` stands at `offsets[i]`, written at `times[i]` (epoch ms). A tombstone has no bytes.

    Keys and headers stay in `values.buffer`, where `begins[i]` says, until they are asked for. Offsets and times
    outlast the part, and nothing else does.
    """

    values: Packed
    offsets: Int64s
    times: Int64s
    begins: Int64s

    def __len__(self) -> int:
        return len(self.offsets)

    def key(self, index: int) -> bytes | None:
        """The record's key."""
        return self._parts(index)[0]

    def headers(self, index: int, most: int = 1 << 31) -> Sequence[Header]:
        """The record's headers, or so many of them; a name that is no UTF-8 has marks in place of what is not."""
        at = int(self.values.stops[index])
        if self.values.starts[index] == at:  # an empty value and none look the same, so go there from the key
            at = self._parts(index)[1]
        buffer, found = self.values.buffer, []
        count, at = varint(_bytes(buffer), at, len(buffer))
        for _ in range(min(count, most)):
            name, at = _text(buffer, at)
            value, at = _text(buffer, at)
            found.append(((name or b"").decode("utf-8", "replace"), value))
        return found

    def _parts(self, index: int) -> tuple[bytes | None, int]:
        """The key, and where the headers begin."""
        buffer = self.values.buffer
        text, at, stop = _bytes(buffer), int(self.begins[index]), len(buffer)
        _, at = varint(text, at, stop)
        _, at = varint(text, at + 1, stop)
        _, at = varint(text, at, stop)
        key, at = _text(buffer, at)
        size, at = varint(text, at, stop)
        return key, at + max(size, 0)


class Unpacker:
    """Opens fetches one after another, in memory of its own; for one thread at a time."""

    def __init__(self, inflate: Inflate) -> None:
        self._inflate = inflate
        self._rows = np.empty((MOMENT + 1, PART_RECORDS), np.int64)
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._usual_bytes = 0
        self._make_room(PART_BYTES)

    def parts(
        self, raw: bytes | memoryview, position: int, aborted: Sequence[tuple[int, int]] = ()
    ) -> Iterator[Records]:
        """The records from `position` on that committed, in parts.

        `aborted` are producer and first offset of the aborted transactions in the fetch. Raises CorruptBatch at a
        batch that is broken, after what lies before it.
        """
        state = self._state
        state[:] = 0
        state[POSITION], state[LARGE] = position, IN_PLACE_BYTES
        ended = np.array(sorted(aborted, key=lambda one: one[1]), np.int64).reshape(-1, 2)
        active = np.zeros(max(len(ended), 1), np.int64)
        if len(raw) < LENGTH_END:
            return
        text = np.frombuffer(raw, np.uint8)
        verdict = COMPRESSED
        while verdict != ENDED:
            verdict = unpack(text, state, ended, active, self._work, self._rows)
            if verdict in _WRONG and not state[ROWS]:
                raise CorruptBatch(int(state[BASE]), _WRONG[verdict])
            if verdict == COMPRESSED and self._decompressed(raw):
                continue
            if state[ROWS]:
                yield self._part(raw)
            if verdict in _WRONG:
                raise CorruptBatch(int(state[BASE]), _WRONG[verdict])
            state[ROWS] = 0
            if verdict != ROWS_FULL:
                self._clear(int(state[TO] - state[FROM]) if verdict == ROOM else 0)

    def _clear(self, wanted: int) -> None:
        """Make the work area empty, and as large as it must be."""
        self._state[USED] = 0
        size = len(self._work) - SPARE_BYTES
        if size < wanted or size > KEPT_BYTES:
            self._make_room(max(wanted, PART_BYTES))

    def _make_room(self, size: int) -> None:
        self._work = np.empty(size + SPARE_BYTES, np.uint8)

    def _decompressed(self, raw: bytes | memoryview) -> bool:
        """Bring the batch's records to the work area; False where what is there must go first."""
        state = self._state
        used, packed = int(state[USED]), memoryview(raw)[int(state[FROM]) : int(state[TO])]
        if used and len(self._work) - SPARE_BYTES - used < self._usual_bytes:
            return False
        while True:
            room = self._work.data[used : len(self._work) - SPARE_BYTES]
            try:
                size = self._usual_bytes = self._inflate(int(state[COMPRESSION]), packed, room)
                break
            except ValueError as error:
                if used:
                    return False
                if len(room) >= RECORDS_BYTES_MAX:
                    why = f"it does not decompress to at most {RECORDS_BYTES_MAX} bytes; got: {error}"
                    raise CorruptBatch(int(state[BASE]), why) from None
                self._make_room(min(8 * len(room), RECORDS_BYTES_MAX))
        state[STAGE], state[CURSOR], state[USED] = RECORDS, used, used + size
        return True

    def _part(self, raw: bytes | memoryview) -> Records:
        rows, buffer = self._rows[:, : self._state[ROWS]], raw if self._state[IN_PLACE] else self._work.data
        values = Packed(memoryview(buffer).toreadonly(), rows[START], rows[STOP])
        return Records(values, rows[OFFSET].copy(), rows[MOMENT].copy(), rows[BEGIN])


def span(raw: bytes | memoryview, position: int) -> int | None:
    """The offset after the last whole batch of a fetch, or before one that is of another format or lies about its
    length; `position` where there is none; None where the first is of a format older than what is read here."""
    following = skim(np.frombuffer(raw, np.uint8), position)
    return None if following == FOREIGN else int(following)


def _bytes(buffer: bytes | memoryview) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(buffer, np.uint8)


def _text(buffer: bytes | memoryview, at: int) -> tuple[bytes | None, int]:
    """Bytes with their length before them, None for a length below nothing, and where they end."""
    size, at = varint(_bytes(buffer), at, len(buffer))
    assert at != WRONG, "the loop has read this record"
    return (bytes(buffer[at : at + size]), at + size) if size >= 0 else (None, at)
