"""Record batches as brokers keep them, made by the Kafka client's own builder, and that client's reading of them.

Knows how a batch is put together and how its checksum is mended after a change; asserts nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
APPEND_TIME, CONTROL = 0x08, 0x20
LENGTH_AT, LENGTH_END, MAGIC_AT, SUM_AT, ATTRIBUTES_AT = 8, 12, 16, 17, 21
OLD_BYTES, HEADER_BYTES, FORMAT = 26, 61, 2

Row = tuple[int, int, bytes | None, bytes, tuple[tuple[str, bytes | None], ...]]
"""Offset, time, key, value (none is empty), headers."""
Written = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Time, key, value, headers."""


@dataclass(frozen=True)
class Batch:
    """One batch: `records` at `base` and on, but for those at `holes`, which compaction took."""

    base: int
    records: Sequence[Written]
    codec: int = 0
    producer: int = -1
    transactional: bool = False
    attributes: int = 0
    holes: frozenset[int] = field(default_factory=frozenset)

    def data(self) -> bytes:
        """The batch's bytes."""
        builder = DefaultRecordBatchBuilder(2, self.codec, int(self.transactional), self.producer, 0, 0, 1 << 30)
        kept = [(at, record) for at, record in enumerate(self.records) if at not in self.holes]
        for at, (time_ms, key, value, headers) in kept:
            assert builder.append(at, time_ms, key, value, headers) is not None
        data = bytearray(builder.build())
        struct.pack_into(">q", data, 0, self.base)
        struct.pack_into(">i", data, 23, len(self.records) - 1)
        struct.pack_into(">h", data, ATTRIBUTES_AT, data[ATTRIBUTES_AT + 1] | self.attributes)
        struct.pack_into(">q", data, 35, max((record[0] for record in self.records), default=-1))
        return mended(data)


def marker(base: int, producer: int, commit: bool) -> Batch:
    """The control batch that ends a transaction."""
    key = struct.pack(">hh", 0, int(commit))
    return Batch(base, [(1, key, b"\0\0\0\0\0\0", [])], 0, producer, True, CONTROL)


def mended(data: bytes | bytearray) -> bytes:
    """A batch with the checksum that its bytes ask for."""
    found = bytearray(data)
    struct.pack_into(">I", found, SUM_AT, calc_crc32c(bytes(found[ATTRIBUTES_AT:])))
    return bytes(found)


def without_records(batch: Batch) -> Batch:
    """The batch as compaction leaves it when none of its records is needed."""
    return replace(batch, holes=frozenset(range(len(batch.records))))


def as_client_reads(raw: bytes, position: int, aborted: Sequence[tuple[int, int]]) -> tuple[list[Row], int, bool]:
    """The client's records, where it reads on, and whether it found something wrong after these.

    A format that nobody has written yet, which it takes for the newest, or a length below the shortest, is wrong; what
    is of an older format than the first batch is left for the next fetch, since it takes all for what the first is.
    """
    size, is_wrong = _sound_bytes(raw)
    at, sound = TopicPartition("t", 0), raw[:size]
    found = PartitionRecords(
        at, MemoryRecords(sound), list(aborted), position, None, None, True, READ_COMMITTED
    )  # fmt: skip
    rows: list[Row] = []
    try:
        rows.extend(_row(record) for record in found)
    except Exception:  # whatever a library of decompression or the client itself raises
        return rows, found.next_fetch_offset, True
    return rows, found.next_fetch_offset, is_wrong


def _sound_bytes(raw: bytes) -> tuple[int, bool]:
    """The bytes that are of the first batch's format, and whether what follows them has a header that is wrong."""
    at = 0
    while at + LENGTH_END <= len(raw):
        stop = at + LENGTH_END + int.from_bytes(raw[at + LENGTH_AT : at + LENGTH_END], "big", signed=True)
        if stop > len(raw):
            break
        if stop < at + OLD_BYTES or raw[at + MAGIC_AT] > FORMAT:
            return at, True
        if (raw[at + MAGIC_AT] < FORMAT) != (raw[MAGIC_AT] < FORMAT):
            return at, False
        if raw[at + MAGIC_AT] == FORMAT and stop < at + HEADER_BYTES:
            return at, True
        at = stop
    return len(raw), False


def goes_on(raw: bytes, position: int) -> bool:
    """Whether each batch begins after the one before it, and the first has something at the position or behind: the
    client takes a batch's word for its offset, which no checksum covers."""
    batches, first = MemoryRecords(raw[: _sound_bytes(raw)[0]]), True
    while batches.has_next():
        batch = batches.next_batch()
        if batch.base_offset < position and (not first or batch.next_offset <= position):
            return False
        position, first = batch.next_offset, False
    return True


def _row(record: Any) -> Row:
    return record.offset, record.timestamp, record.key, record.value or b"", tuple(record.headers)


def keeps_to_its_offsets(raw: bytes) -> bool:
    """Whether no record has an offset that its batch does not say to have, as far as the client can read: it gives such
    a record all the same, and brokers keep it where it is not compressed."""
    batches = MemoryRecords(raw)
    try:
        while batches.has_next():
            batch = batches.next_batch()
            if any(not batch.base_offset <= record.offset < batch.next_offset for record in batch):
                return False
    except Exception:  # as in `as_client_reads`
        return True
    return True
