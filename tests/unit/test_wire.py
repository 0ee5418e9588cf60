"""Answers received in place: the private names that it hangs on, and that what is read is what was sent."""

from __future__ import annotations

import asyncio
import inspect
import io
import random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import client as clients
from aiokafka import conn as client
from aiokafka.protocol.types import Bytes, Int32, String
from aiokafka.record.memory_records import MemoryRecords

from streams.intake import wire
from streams.intake.raw import Raw, _Bytes
from streams.intake.wire import LARGE_BYTES, Answer, _Frames, receive_in_place, unexpected
from tests.property.batches import Batch


def test_the_names_are_there() -> None:
    """A connection makes its protocol, reads answers in `_read` and takes each apart from an `io.BytesIO`."""
    assert unexpected() is None
    connect = inspect.getsource(client.AIOKafkaConnection.connect)
    assert "protocol = AIOKafkaProtocol(self._closed_fut, reader, loop=loop)" in connect
    assert "self._protocol = reader, writer, protocol" in connect
    assert "create_task(self._read(self_ref))" in inspect.getsource(client.AIOKafkaConnection._create_reader_task)
    assert "self._handle_frame(resp)" in inspect.getsource(client.AIOKafkaConnection._read)
    assert inspect.getsource(client.AIOKafkaConnection._handle_frame).count("io.") == 1
    assert "= await create_conn(" in inspect.getsource(clients.AIOKafkaClient._get_conn)
    assert "(correlation_id, request_struct, fut)" in inspect.getsource(client.AIOKafkaConnection.send)
    assert "self._client = AIOKafkaClient(" in inspect.getsource(AIOKafkaConsumer.__init__)
    assert "conn = await self._get_conn(" in inspect.getsource(clients.AIOKafkaClient.ready)


def test_create_conn_only_makes_and_connects() -> None:
    """Ours does the same with a connection of its own kind."""
    lines = [line.strip() for line in inspect.getsource(client.create_conn).splitlines()]
    assert lines[-3:] == [")", "await conn.connect()", "return conn"]


@pytest.mark.parametrize(("owner", "method", "name"), wire.USES)
def test_another_method_is_noticed(monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, name: str) -> None:
    """A client that is made otherwise is left alone, and the reason is said."""
    monkeypatch.setattr(owner, method, lambda: None)
    assert unexpected() == f"{owner.__name__}.{method} does not use {name}"
    monkeypatch.delattr(owner, method)
    assert unexpected() == f"{owner.__name__}.{method} does not use {name}"


def test_what_is_no_consumer_is_left_alone() -> None:
    """Without a client there are no connections."""
    assert receive_in_place(object()) == "the consumer has no client"  # type: ignore[arg-type]


def received(data: bytes, pieces: random.Random) -> _Frames:
    """A connection that got these bytes, in pieces of any size."""
    loop = asyncio.get_running_loop()
    frames, at = _Frames(loop.create_future(), asyncio.StreamReader(loop=loop), loop=loop), 0
    while at < len(data):
        room = frames.get_buffer(-1)
        count = min(pieces.choice((1, 3, 100, 1 << 20)), len(room), len(data) - at)
        room[:count] = data[at : at + count]
        frames.buffer_updated(count)
        at += count
    return frames


@pytest.mark.parametrize("seed", range(20))
def test_answers_come_whole_and_in_order(seed: int) -> None:
    """However the bytes come: small answers as bytes, large ones as views that nobody can write to."""

    async def read() -> None:
        chance = random.Random(seed)
        sizes = [chance.choice((0, 1, 5, LARGE_BYTES - 1, LARGE_BYTES, 2 * LARGE_BYTES)) for _ in range(6)]
        answers = [chance.randbytes(size) for size in sizes]
        frames = received(b"".join(len(one).to_bytes(4, "big") + one for one in answers) + b"\0\0", chance)
        frames.eof_received()
        for answer in answers:
            frame = await frames.frame()
            assert frame == answer
            assert memoryview(frame).readonly
            assert isinstance(frame, bytes) == (len(answer) < LARGE_BYTES)
        with pytest.raises(EOFError, match="the broker closed the connection"):
            await frames.frame()

    asyncio.run(read())


def test_who_waits_is_woken() -> None:
    """By the answer, and by the end of the connection, whose reason is raised."""

    async def read() -> None:
        frames = received(b"", random.Random(0))
        waits = asyncio.create_task(frames.frame())
        await asyncio.sleep(0)
        for part in (b"\0\0\0\2", b"ab"):
            frames.get_buffer(-1)[:] = part
            frames.buffer_updated(len(part))
        assert await waits == b"ab"
        waits = asyncio.create_task(frames.frame())
        await asyncio.sleep(0)
        frames.connection_lost(OSError("the cable"))
        with pytest.raises(OSError, match="the cable"):
            await waits

    asyncio.run(read())


@pytest.mark.parametrize("size", [-1, -(1 << 31)])
def test_a_size_that_is_none_ends_the_connection(size: int) -> None:
    """It is said, nothing is read past it, and no memory is asked for."""

    async def read() -> None:
        frames = received(size.to_bytes(4, "big", signed=True) + b"more", random.Random(0))
        with pytest.raises(ConnectionError, match=f"an answer of {size} bytes"):
            await frames.frame()

    asyncio.run(read())


def test_what_is_read_of_an_answer() -> None:
    """Small pieces are bytes, so that the client can read texts; a piece that is most of it is a view of it."""
    large = bytes(LARGE_BYTES)
    frame = memoryview(Int32.encode(7) + String("utf-8").encode("topic") + Bytes.encode(large)).toreadonly()
    for answer in (Answer(frame), io.BytesIO(frame)):
        assert (Int32.decode(answer), String("utf-8").decode(answer), Bytes.decode(answer)) == (7, "topic", large)
        assert answer.read(1) == b""
    answer = Answer(frame)
    assert type(answer.read(4)) is bytes
    assert type(answer.read(len(frame))) is memoryview


def test_a_small_piece_of_an_answer_does_not_keep_all_of_it() -> None:
    """Of many partitions in one answer each has bytes of its own."""
    assert type(Answer(memoryview(bytes(100))).read(49)) is bytes


ONE = Batch(7, [(1, b"k", b"v", []), (2, None, None, [])]).data()


@pytest.mark.parametrize("data", [ONE, ONE[:-1], ONE + ONE, ONE[:11], ONE[:12], b"", ONE + ONE[:5]])
def test_whole_batches_are_seen_as_the_client_sees_them(data: bytes) -> None:
    """What stands in for `MemoryRecords`, for bytes and for a view; where these are no whole batch, it has them all the
    same, and they say so."""
    theirs = MemoryRecords(data)
    for ours in (_Bytes(data), _Bytes(memoryview(data))):
        assert (ours.has_next(), ours.size_in_bytes()) == (bool(data), theirs.size_in_bytes())
        assert theirs.has_next() == (not Raw(ours.data, 7, ()).is_cut_at_once)
