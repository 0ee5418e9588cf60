"""The tallies log: the one topic through which intake and verdict speak to each other, as bytes in Kafka.

Live, a Kafka record is one tally. Who catches up has thousands to tell at once: then one Kafka record carries many, in
order, so that catching up costs the reader little. Values are compressed here: left to the producer, that took
ten times as long as counting, and the event loop stood still meanwhile. Does not know what a tally says or who will
read it.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cramjam
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from detector.counting.tally import Marker, Tally, decode, encode
from streams.refused import by_topic
from streams.settings import Settings
from streams.stopping import stop_producer
from streams.topics import TALLIES_BYTES_MAX
from streams.unanswered import Unanswered

__all__ = ["BEHIND_MS", "PLAIN_BYTES_MAX", "RECORD_BYTES_MAX", "TallyLog", "encoded", "pack", "unpack"]

log = logging.getLogger(__name__)

BEHIND_MS = 120_000
"""So far behind the clock is catching up: what is found then is no news to page anybody with."""

RECORD_BYTES_MAX = TALLIES_BYTES_MAX - 64 * 1024
"""Of a record's value, so that with its key and what Kafka adds the topic takes it; the largest is the snapshot of a
source with thousands of leaves."""
PLAIN_BYTES_MAX = 1024 * 1024 * 1024
"""Of a value before it is compressed: ten times what 5,000 leaves come to that have a payment in each open pane."""
PACK_BYTES = 256 * 1024
PACK_MAX = 1_000
BATCH_BYTES = 512 * 1024
"""Several packs go out together: of a partition, the producer has one batch under way at a time."""
COMPRESSED_BYTES_MIN = 512
LEVEL = -3
"""Of zstd: three fifths of the time of level 1, for a fifteenth more room. Half of what is left of a tally are hashes,
which no level makes smaller."""
FEW = 8
"""So few records are packed at once; more of them beside the event loop."""
LINGER_MS = 5

_HEAD = struct.Struct("<BI")
_COMPRESSED = 0xC1
"""A byte with which no MessagePack begins. What follows: a length, and a compressed list of encoded tallies of it."""
_list = msgspec.msgpack.Decoder(list[bytes])


def pack(records: Sequence[Tally | Marker]) -> Iterator[bytes]:
    """The values of as few Kafka records as the limits allow, in order."""
    held: list[bytes] = []
    size = 0
    for record in records:
        data = encode(record)
        if len(data) > RECORD_BYTES_MAX // 2:
            data = _fitting(record, data)
        if held and (size + len(data) > PACK_BYTES or len(held) >= PACK_MAX):
            yield _value(held)
            held, size = [], 0
        held.append(data)
        size += len(data)
    if held:
        yield _value(held)


def _fitting(record: Tally | Marker, data: bytes) -> bytes:
    """The encoded record, or, where it is too large for Kafka, the same without what compresses least: the hashes, by
    which the Judge knows how many voters and merchants there are. It then finds fewer than there are."""
    fits = len(data) < PLAIN_BYTES_MAX and len(_value([data])) <= RECORD_BYTES_MAX
    if fits or isinstance(record, Marker):
        return data
    cells = record.cells
    log.warning("intake: %s: what is told of %d cells is larger than the %d bytes of a record of the tallies log; its "
                "voters and merchants are left out: give the feed more partitions, or the policy fewer leaves_max",
                record.source, len(cells), RECORD_BYTES_MAX)  # fmt: skip
    return encode(replace(record, cells=cells.without_hashes()))


def unpack(value: bytes) -> list[Tally | Marker]:
    """What a Kafka record of the log says, in order. Raises msgspec.MsgspecError or ValueError for anything else."""
    return [decode(data) for data in encoded(value)]


def encoded(value: bytes) -> list[bytes]:
    """The encoded tallies of a Kafka record of the log, in order. Raises as `unpack`.

    No more is decompressed than Pastille would write, whatever a value claims to hold.
    """
    if not value or value[0] != _COMPRESSED:
        return [value]
    if len(value) < _HEAD.size:
        raise ValueError(f"a compressed record of the tallies log has a length; got {len(value)} bytes")
    _, size = _HEAD.unpack_from(value)
    if size > PLAIN_BYTES_MAX:
        raise ValueError(f"a record of the tallies log decompresses to at most {PLAIN_BYTES_MAX} bytes; got {size}")
    room = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(memoryview(value)[_HEAD.size :], room)
    except cramjam.DecompressionError as error:
        raise ValueError(f"a record of the tallies log decompresses to {size} bytes; got: {error}") from None
    if written != size:
        raise ValueError(f"a record of the tallies log decompresses to {size} bytes; got {written}")
    return _list.decode(room)


def _value(held: list[bytes]) -> bytes:
    if len(held) == 1 and len(held[0]) < COMPRESSED_BYTES_MIN:
        return held[0]
    data = msgspec.msgpack.encode(held)
    return _HEAD.pack(_COMPRESSED, len(data)) + bytes(cramjam.zstd.compress(data, LEVEL))


class TallyLog:
    """An idempotent producer that keeps the order of each source's records (the topic has one partition).

    `unanswered` has the writes that the broker has not answered yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.tallies
        self._newest = -1  # the offset of the newest record that the broker has
        self.unanswered = Unanswered()
        self._producer = AIOKafkaProducer(
            **settings.aiokafka(),
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
            max_request_size=TALLIES_BYTES_MAX,
        )

    async def start(self) -> None:
        """Connect; raises aiokafka's KafkaError where no broker answers."""
        await self._producer.start()

    async def stop(self) -> None:
        """Deliver what is queued, or give it up where Kafka does not take it, and disconnect."""
        await stop_producer(self._producer)

    async def send(self, records: Sequence[Tally | Marker]) -> list[asyncio.Future[Any]]:
        """Queue records, in order; each future is done when the broker has its part.

        Blocks while the queue is full.
        """
        if not records:
            return []
        first = records[0]
        key = (str(first.source) if first.source is not None else first.kind).encode()
        if len(records) < FEW:
            values = list(pack(records))
        else:
            values = await asyncio.to_thread(lambda: list(pack(records)))
        sent = [await self._producer.send(self._topic, value, key=key, partition=0) for value in values]
        for write in sent:
            self.unanswered.add(write)
        return sent

    async def acknowledged(self, writes: Sequence[asyncio.Future[Any]]) -> None:
        """Wait until the broker has these. Raises KafkaError where it refuses one, and where it puts one where another
        stood: then that is gone, and what is told since, which is what changed, says nothing of it."""
        try:
            written = await asyncio.gather(*writes)
        except KafkaError as error:
            raise by_topic(self._topic, error) from error
        # Where a copy stands that was sent again the broker may have forgotten: it tells no start of the log then.
        for offset in [one.offset for one in written if (one.log_start_offset or 0) >= 0]:
            if offset <= self._newest:
                raise KafkaError(f"topic {self._topic} had offset {self._newest} and goes on at {offset}: it was made "
                                 "again, or its end was lost; all that is open is told anew")  # fmt: skip
            self._newest = offset
