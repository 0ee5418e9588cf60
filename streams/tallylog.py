"""The tallies log: the one topic through which intake and verdict speak to each other, as bytes in Kafka.

Live, a Kafka record is one tally. Who catches up has thousands to tell at once: then one Kafka record carries many, in
order, so that catching up costs the reader little. Does not know what a tally says or who will read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from detector.counting.tally import Marker, Tally, decode, encode
from streams.settings import Settings

__all__ = ["BEHIND_MS", "RECORD_BYTES_MAX", "TallyLog", "pack", "unpack"]

BEHIND_MS = 120_000
"""So far behind the clock is catching up: what is found then is no news to page anybody with."""

RECORD_BYTES_MAX = 64 * 1024 * 1024
"""Of a record before compression; the largest is the snapshot of a source with thousands of leaves."""
PACK_BYTES = 256 * 1024
PACK_MAX = 1_000
LINGER_MS = 5

_MANY = b"\xc1"
"""A byte with which no MessagePack begins: what follows is a list of encoded tallies."""
_list = msgspec.msgpack.Decoder(list[bytes])


def pack(records: Sequence[Tally | Marker]) -> Iterator[bytes]:
    """The values of as few Kafka records as the limits allow, in order."""
    held: list[bytes] = []
    size = 0
    for record in records:
        data = encode(record)
        if held and (size + len(data) > PACK_BYTES or len(held) >= PACK_MAX):
            yield _value(held)
            held, size = [], 0
        held.append(data)
        size += len(data)
    if held:
        yield _value(held)


def unpack(value: bytes) -> list[Tally | Marker]:
    """What a Kafka record of the log says, in order. Raises msgspec.MsgspecError or ValueError for anything else."""
    if not value.startswith(_MANY):
        return [decode(value)]
    return [decode(data) for data in _list.decode(value[1:])]


def _value(held: list[bytes]) -> bytes:
    return held[0] if len(held) == 1 else _MANY + msgspec.msgpack.encode(held)


class TallyLog:
    """An idempotent producer that keeps the order of each source's records (the topic has one partition)."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.tallies
        self._producer = AIOKafkaProducer(
            **settings.aiokafka(),
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",  # what every client reads without a library more
            linger_ms=LINGER_MS,
            max_request_size=RECORD_BYTES_MAX,
        )

    async def start(self) -> None:
        """Connect; raises aiokafka's KafkaError where no broker answers."""
        await self._producer.start()

    async def stop(self) -> None:
        """Deliver what is queued and disconnect."""
        await self._producer.stop()

    async def send(self, records: Sequence[Tally | Marker]) -> list[asyncio.Future[Any]]:
        """Queue records of one source, in order; each future is done when the broker has its part.

        Blocks while the queue is full.
        """
        if not records:
            return []
        first = records[0]
        key = (str(first.source) if first.source is not None else first.kind).encode()
        return [await self._producer.send(self._topic, value, key=key, partition=0) for value in pack(records)]
