"""Fetched bytes, opened by our loops, against the Kafka client's own records: the same topics on a real broker, read
both ways, record by record."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from detector.records.unpack import Unpacker
from streams.embedded import EmbeddedKafka
from streams.intake import raw
from streams.intake.codec import inflate
from streams.intake.fetch import fetched
from streams.intake.raw import Raw, take_bytes
from streams.intake.reader import NOT_PLACED, Reader
from streams.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

Row = tuple[int, int, bytes | None, bytes, tuple[tuple[str, bytes | None], ...]]
STALE = (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def rows(found: Sequence[Any], unpacker: Unpacker) -> list[Row]:
    """Offset, time, key, value and headers of what `getmany` gave of a partition."""
    return [
        (int(part.offsets[at]), int(part.times[at]), part.key(at), part.values[at], tuple(part.headers(at)))
        for part in fetched(found, unpacker) for at in range(len(part))
    ]  # fmt: skip


def consumer_of(settings: Settings, **others: Any) -> AIOKafkaConsumer:
    """A consumer as the worker's."""
    return AIOKafkaConsumer(
        **settings.aiokafka(), auto_offset_reset="earliest", isolation_level="read_committed", enable_auto_commit=False,
        **others,
    )  # fmt: skip


async def read(
    settings: Settings, at: TopicPartition, takes_bytes: bool, position: int | None = None, **others: Any
) -> tuple[list[Row], list[int]]:
    """All rows of a partition from a position on, and each position that the client told meanwhile."""
    found: list[Row] = []
    positions: list[int] = []
    unpacker = Unpacker(inflate)
    async with consumer_of(settings, **others) as consumer:
        assert not takes_bytes or take_bytes(consumer) is None
        consumer.assign([at])
        if position is not None:
            consumer.seek(at, position)
        end = (await consumer.end_offsets([at]))[at]
        while await consumer.position(at) < end:
            for got in (await consumer.getmany(at, timeout_ms=200)).values():
                assert isinstance(got[0], Raw) == takes_bytes
                found += rows(got, unpacker)
                positions.append(await consumer.position(at))
    return found, positions


async def same(settings: Settings, at: TopicPartition, position: int | None = None, **others: Any) -> list[Row]:
    """The rows, which are the same by both ways, and both end at the same position."""
    theirs, their_positions = await read(settings, at, False, position, **others)
    ours, our_positions = await read(settings, at, True, position, **others)
    assert ours == theirs
    assert our_positions[-1:] == their_positions[-1:] or not theirs
    return ours


async def send(settings: Settings, topic: str, sizes: Sequence[int], seed: int, **others: Any) -> None:
    """Records of these sizes, some without key or value, some with headers."""
    chance = random.Random(seed)
    async with AIOKafkaProducer(**settings.aiokafka(), max_request_size=1 << 23, **others) as producer:
        for number, size in enumerate(sizes):
            value = bytes(chance.choices(b'{"a":1}', k=size)) if size >= 0 else None
            key = None if value is not None and chance.random() < 0.2 else b"key-%d" % number
            headers = [("h", b"1"), ("none", None)] if chance.random() < 0.2 else []
            await producer.send(topic, value, key=key, headers=headers, partition=0, timestamp_ms=1_000 + number)
        await producer.flush()


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec(kafka: EmbeddedKafka, codec: str | None) -> None:
    """Thousands of records in batches large and small, tombstones and empty values among them: both ways agree."""
    topic, settings = kafka.new_topic("codec"), kafka.settings()
    chance = random.Random(5)
    sizes = [chance.choice((-1, 0, 1, 63, 64, 220, 220, 220, 9_000)) for _ in range(3_000)]

    async def run() -> None:
        await send(settings, topic, sizes, 5, compression_type=codec, linger_ms=20)
        assert len(await same(settings, TopicPartition(topic, 0))) == len(sizes)

    asyncio.run(run())


@pytest.mark.parametrize("codec", [None, "zstd"])
def test_batches_of_ten_and_records_of_megabytes(kafka: EmbeddedKafka, codec: str | None) -> None:
    """Batches of ten events, then records far larger than what is asked for at once."""
    topic, settings = kafka.new_topic("sizes", 1, {"max.message.bytes": str(8 << 20)}), kafka.settings()

    async def run() -> None:
        async with AIOKafkaProducer(**settings.aiokafka(), compression_type=codec) as producer:
            for first in range(0, 500, 10):
                batch = producer.create_batch()
                for number in range(first, first + 10):
                    batch.append(key=b"k%d" % number, value=b"v" * 200, timestamp=number)
                await (await producer.send_batch(batch, topic, partition=0))
        await send(settings, topic, [3_000_000, 10, 5_000_000, 20], 6, compression_type=codec)
        assert len(await same(settings, TopicPartition(topic, 0))) == 504
        assert len(await same(settings, TopicPartition(topic, 0), max_partition_fetch_bytes=1_000)) == 504

    asyncio.run(run())


def test_transactions(kafka: EmbeddedKafka) -> None:
    """Committed and aborted transactions of three producers in turns, records of none among them: only what committed,
    by both ways, from every position."""
    topic, settings = kafka.new_topic("transactions"), kafka.settings()
    chance = random.Random(7)

    async def run() -> None:
        producers = [
            AIOKafkaProducer(**settings.aiokafka(), transactional_id=f"{topic}-{number}", compression_type=codec)
            for number, codec in enumerate((None, "lz4", "zstd"))
        ]  # fmt: skip
        plain = AIOKafkaProducer(**settings.aiokafka())
        for producer in (*producers, plain):
            await producer.start()
        committed, opened = 0, dict.fromkeys(range(3), 0)
        for step in range(120):
            number = chance.randrange(4)
            if number == 3:
                await plain.send_and_wait(topic, b"plain %d" % step, partition=0)
                committed += 1
                continue
            producer = producers[number]
            if opened[number] == 0:
                await producer.begin_transaction()
            await producer.send_and_wait(topic, b"%d in %d" % (step, number), partition=0)
            opened[number] += 1
            if chance.random() < 0.4:
                if chance.random() < 0.5:
                    await producer.commit_transaction()
                    committed += opened[number]
                else:
                    await producer.abort_transaction()
                opened[number] = 0
        for number, producer in enumerate(producers):
            if opened[number]:
                await producer.abort_transaction()
        for producer in (*producers, plain):
            await producer.stop()
        at = TopicPartition(topic, 0)
        assert len(await same(settings, at)) == committed
        async with consumer_of(settings) as consumer:
            end = (await consumer.end_offsets([at]))[at]  # a position beyond it is out of range, which begins anew
        for position in range(0, end + 1, 13):
            await same(settings, at, position)

    asyncio.run(run())


def test_an_open_transaction_holds_back(kafka: EmbeddedKafka) -> None:
    """What lies behind an open transaction is not given before that ends, and then in order."""
    topic, settings = kafka.new_topic("open"), kafka.settings()
    at = TopicPartition(topic, 0)

    async def run() -> None:
        writer = AIOKafkaProducer(**settings.aiokafka(), transactional_id=topic)
        await writer.start()
        async with AIOKafkaProducer(**settings.aiokafka()) as plain, consumer_of(settings) as consumer:
            assert take_bytes(consumer) is None
            consumer.assign([at])
            unpacker = Unpacker(inflate)
            await plain.send_and_wait(topic, b"before", partition=0)
            await writer.begin_transaction()
            await writer.send_and_wait(topic, b"within", partition=0)
            await plain.send_and_wait(topic, b"behind", partition=0)
            seen = await _values(consumer, at, unpacker, lambda seen: len(seen) >= 1)
            assert seen == [b"before"]
            assert await consumer.getmany(at, timeout_ms=500) == {}
            await writer.commit_transaction()
            assert await _values(consumer, at, unpacker, lambda seen: len(seen) >= 2) == [b"within", b"behind"]
            assert consumer.last_stable_offset(at) == consumer.highwater(at) == 4
        await writer.stop()

    asyncio.run(run())


async def _values(
    consumer: AIOKafkaConsumer, at: TopicPartition, unpacker: Unpacker, enough: Callable[[list[bytes]], bool]
) -> list[bytes]:
    """Values from now on, until there are enough."""
    seen: list[bytes] = []
    while not enough(seen):
        for got in (await consumer.getmany(at, timeout_ms=1_000)).values():
            seen += [row[3] for row in rows(got, unpacker)]
    return seen


async def same_while_cleaned(settings: Settings, at: TopicPartition, position: int) -> list[Row]:
    """As `same`, where the broker may take records out meanwhile: ours, between two readings that agree."""
    while True:
        before, _ = await read(settings, at, False, position)
        ours, _ = await read(settings, at, True, position)
        after, _ = await read(settings, at, False, position)
        if before == after:
            assert ours == before
            return ours


def has_holes(found: list[Row]) -> bool:
    return any(later[0] - sooner[0] > 1 for sooner, later in pairwise(found))


def test_holes_that_compaction_left(kafka: EmbeddedKafka) -> None:
    """A compacted topic has offsets that are no more, and batches without records: both ways pass over them alike."""
    quick = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "200"}
    topic = kafka.new_topic("holes", 1, {"cleanup.policy": "compact", "delete.retention.ms": "100", **quick})
    settings = kafka.settings()

    async def run() -> None:
        async with AIOKafkaProducer(**settings.aiokafka(), linger_ms=10) as producer:
            for number in range(2_000):
                value = None if number % 7 == 0 else b"v%d" % number
                await producer.send(topic, value, key=b"k%d" % (number % 30), partition=0)
            await producer.flush()
        deadline_s = time.monotonic() + 90
        found: list[Row] = []
        while time.monotonic() < deadline_s:
            async with AIOKafkaProducer(**settings.aiokafka()) as producer:
                # A segment is cleaned once another one has begun.
                await producer.send_and_wait(topic, b"later", key=b"later", partition=0)
            found = await same_while_cleaned(settings, TopicPartition(topic, 0), 0)
            if len(found) < 1_000 and has_holes(found):  # the first cleaning leaves tombstones, and so perhaps none
                break
            await asyncio.sleep(1)
        assert len(found) < 1_000, "the broker's cleaner has not run"
        assert has_holes(found)
        for position in range(0, 2_000, 333):
            await same_while_cleaned(settings, TopicPartition(topic, 0), position)

    asyncio.run(run())


def test_seeking_and_pausing(kafka: EmbeddedKafka) -> None:
    """After any seek, also into a batch and while bytes wait to be taken, the next records are those of the new
    position; what was paused is given later."""
    topic, settings = kafka.new_topic("seek"), kafka.settings()
    at, chance = TopicPartition(topic, 0), random.Random(9)

    async def run() -> None:
        await send(settings, topic, [200] * 5_000, 9, linger_ms=20)
        unpacker = Unpacker(inflate)
        async with consumer_of(settings, max_partition_fetch_bytes=50_000) as consumer:
            assert take_bytes(consumer) is None
            consumer.assign([at])
            for _ in range(40):
                position = chance.randrange(5_000)
                consumer.seek(at, position)
                if chance.random() < 0.5:
                    await asyncio.sleep(0.01)  # let a fetch arrive
                    consumer.seek(at, position := chance.randrange(5_000))
                if chance.random() < 0.3:
                    consumer.pause(at)
                    assert await consumer.getmany(at, timeout_ms=20) == {}
                    consumer.resume(at)
                found: list[Row] = []
                while not found:
                    for got in (await consumer.getmany(at, timeout_ms=1_000)).values():
                        found += rows(got, unpacker)
                offsets = [row[0] for row in found]
                assert offsets == list(range(position, position + len(found)))
                assert await consumer.position(at) == position + len(found)
            await consumer.seek_to_beginning(at)
            assert (await _values(consumer, at, unpacker, bool))[:1] != []

    asyncio.run(run())


def test_a_rebalance_loses_no_record(kafka: EmbeddedKafka) -> None:
    """A second member joins and leaves while records are written: with positions committed on the way, all are read by
    one or the other."""
    topic, settings = kafka.new_topic("rebalance", 4), kafka.settings()

    async def member(seen: list[tuple[int, int]], done: Callable[[], bool], started: asyncio.Event) -> None:
        unpacker = Unpacker(inflate)
        async with consumer_of(
            settings, group_id=topic, session_timeout_ms=6_000, heartbeat_interval_ms=200,
            max_partition_fetch_bytes=2_000,
        ) as consumer:  # fmt: skip
            assert take_bytes(consumer) is None
            consumer.subscribe([topic])
            while not done():
                for at, got in (await consumer.getmany(timeout_ms=100)).items():
                    seen += [(at.partition, row[0]) for row in rows(got, unpacker)]
                    started.set()
                if consumer.assignment():
                    await _quietly(consumer.commit())

    async def run() -> None:
        one: list[tuple[int, int]] = []
        other: list[tuple[int, int]] = []
        began, joined, written = asyncio.Event(), asyncio.Event(), [0]

        async def write() -> None:
            """Go on until both members have read something."""
            async with AIOKafkaProducer(**settings.aiokafka(), linger_ms=5) as producer:
                while not joined.is_set() or written[0] < 4_000:
                    for number in range(400):
                        await producer.send(topic, b"v" * 100, partition=number % 4)
                    await producer.flush()
                    written[0] += 400

        writer = asyncio.create_task(write())
        first = asyncio.create_task(
            member(one, lambda: writer.done() and len({*one, *other}) == written[0], began)
        )  # fmt: skip
        await asyncio.wait_for(began.wait(), 60)
        second = asyncio.create_task(member(other, lambda: len(other) > 100, joined))
        await asyncio.wait_for(asyncio.gather(writer, first, second), 120)
        assert {*one, *other} == {(partition, offset) for partition in range(4) for offset in range(written[0] // 4)}
        assert len(other) > 100

    asyncio.run(run())


@pytest.mark.parametrize("reason", [None, "a name is gone", "setting"])
def test_the_way_out(kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, reason: str | None) -> None:
    """Where a private name is not as expected, or a setting asks for it, the client makes records, and nothing else is
    different: offsets, values, and how far there is to go."""
    topic = kafka.new_topic("out")
    settings = kafka.settings(app_id=topic, fetch_as="records" if reason == "setting" else "bytes")
    if reason == "a name is gone":
        monkeypatch.setattr(raw, "unexpected", lambda: reason)

    async def run() -> None:
        await send(settings, topic, [100] * 50, 3)
        reader, unpacker = Reader(settings, [topic]), Unpacker(inflate)
        at = TopicPartition(topic, 0)
        await reader.start()
        try:
            while reader.round == NOT_PLACED:
                await asyncio.sleep(0.05)
            reader.seek(at, 0)
            found: list[Row] = []
            while len(found) < 50:
                for got in (await reader.fetch([at], 200)).values():
                    assert isinstance(got[0], Raw) == reader.takes_bytes == (reason is None)
                    found += rows(got, unpacker)
            assert [row[0] for row in found] == list(range(50))
            assert reader.lag(at) == 0
        finally:
            await reader.stop()

    asyncio.run(run())


async def _quietly(committing: Awaitable[None]) -> None:
    """A commit in the middle of a rebalance may be refused: the records are then read again."""
    with contextlib.suppress(CommitFailedError, IllegalStateError, *STALE):
        await committing
