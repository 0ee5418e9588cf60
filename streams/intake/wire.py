"""The bytes of a broker's answers, received where they will stay.

The Kafka client reads its sockets through asyncio's streams: what comes is copied three times, and a megabyte wakes the
loop's tasks for each piece of it. Here a large answer is received into one buffer of its own size, and what is read of
it are views. All else stays the client's: it makes the requests, takes the answers apart and closes connections. One
consumer's connections are made so, no other's; with names that are not as expected the client is left alone. Knows
nothing of records.
"""

from __future__ import annotations

import asyncio
import io
from collections import deque
from types import MethodType, SimpleNamespace
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaConsumer
from aiokafka import client as clients
from aiokafka import conn as client
from aiokafka.protocol.fetch import FetchRequest

from streams.intake.raw import with_names

__all__ = ["LARGE_BYTES", "Answer", "receive_in_place", "unexpected"]

LARGE_BYTES: Final = 1 << 16
"""Smaller answers go on as the client knows them."""
_SIZE_BYTES = 4
USES: Final = (
    (client.AIOKafkaConnection, "connect", "AIOKafkaProtocol"),
    (client.AIOKafkaConnection, "_create_reader_task", "_read"),
    (client.AIOKafkaConnection, "_handle_frame", "io"),
    (clients.AIOKafkaClient, "_get_conn", "create_conn"),
)
"""Methods of the client, and the name in each that is replaced."""


class Answer:
    """What the client reads of a large answer: small pieces as bytes, as it knows them, one that is most of the answer
    as a view. So a view keeps alive at most as much again as it shows."""

    def __init__(self, frame: memoryview) -> None:
        self._frame, self._at = frame, 0

    def read(self, count: int) -> bytes | memoryview:
        """The next `count` bytes, or what is left."""
        piece = self._frame[self._at : self._at + count]
        self._at += len(piece)
        return piece if 2 * len(piece) >= len(self._frame) else bytes(piece)


def _opened(frame: bytes | memoryview) -> io.BytesIO | Answer:
    return Answer(frame) if isinstance(frame, memoryview) else io.BytesIO(frame)


class _Frames(client.AIOKafkaProtocol, asyncio.BufferedProtocol):  # type: ignore[misc]  # aiokafka ships no types
    """A connection's answers, each with its size before it; `frame` gives the next one."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._size = self._into = memoryview(bytearray(_SIZE_BYTES))
        self._got = 0
        self._whole: deque[memoryview] = deque()
        self._waits: asyncio.Future[None] | None = None
        self._end: Exception | None = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to receive to."""
        return self._into[self._got :]

    def buffer_updated(self, nbytes: int) -> None:
        """So much was received."""
        self._got += nbytes
        if self._got < len(self._into) and self._end is None:
            return
        self._got = 0
        if self._end is not None:
            return  # what follows a size that is none means nothing
        if self._into is not self._size:
            self._whole.append(self._into)
            self._into = self._size
            self._wake()
            return
        size = int.from_bytes(self._size, "big", signed=True)
        if size > 0:
            self._into = np.empty(size, np.uint8).data
        elif size == 0:
            self._whole.append(memoryview(b""))
            self._wake()
        else:
            self._over(ConnectionError(f"an answer of {size} bytes"))

    def eof_received(self) -> bool | None:
        """The broker sends no more."""
        self._over(EOFError("the broker closed the connection"))
        more: bool | None = super().eof_received()
        return more

    def connection_lost(self, exc: Exception | None) -> None:
        """Nor does the connection carry anything."""
        super().connection_lost(exc)
        self._over(exc or EOFError("the connection is closed"))

    async def frame(self) -> bytes | memoryview:
        """The next whole answer. Raises what ended the connection, once nothing whole is left."""
        while not self._whole:
            if self._end is not None:
                raise self._end
            self._waits = asyncio.get_running_loop().create_future()
            await self._waits
        frame = self._whole.popleft()
        return frame.toreadonly() if len(frame) >= LARGE_BYTES else bytes(frame)

    def _over(self, why: Exception) -> None:
        self._end = self._end or why
        self._wake()

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)


class _Connection(client.AIOKafkaConnection):  # type: ignore[misc]  # aiokafka ships no types
    """The client's connection over `_Frames`."""

    @staticmethod
    async def _read(reference: Any) -> None:
        """As the client's: it holds the connection only while it hands over an answer, so that one may be forgotten."""
        connection = reference()
        if connection is None:
            return
        protocol = connection._protocol
        del connection
        while True:
            frame = await protocol.frame()
            connection = reference()
            if connection is None:
                return
            connection._handle_frame(frame)
            del connection, frame

    def _handle_frame(self, frame: bytes | memoryview) -> None:
        """Only what was fetched goes on as a view: of other answers the client reads large pieces as bytes."""
        request = self._requests[0][1]
        _take_apart(self, frame if getattr(request, "API_KEY", None) == FetchRequest.API_KEY else bytes(frame))


async def _connected(*arguments: Any, **named: Any) -> _Connection:
    """In place of the client's `create_conn`."""
    connection = _Connection(*arguments, **named)
    await connection.connect()
    return connection


def unexpected() -> str | None:
    """What is not as it was when this was written; None where everything is."""
    for owner, method, name in USES:
        if name not in getattr(getattr(owner, method, None), "__code__", unexpected.__code__).co_names:
            return f"{owner.__name__}.{method} does not use {name}"
    return None


def receive_in_place(consumer: AIOKafkaConsumer) -> str | None:
    """Let a consumer that is not started yet make its connections so; why not where it cannot."""
    its = getattr(consumer, "_client", None)
    if not isinstance(its, clients.AIOKafkaClient):
        return "the consumer has no client"
    problem = unexpected()
    if problem is None:
        its._get_conn = MethodType(with_names(clients.AIOKafkaClient._get_conn, create_conn=_connected), its)
    return problem


_take_apart: Any = client.AIOKafkaConnection._handle_frame
if unexpected() is None:
    _Connection.connect = with_names(client.AIOKafkaConnection.connect, AIOKafkaProtocol=_Frames)
    _take_apart = with_names(client.AIOKafkaConnection._handle_frame, io=SimpleNamespace(BytesIO=_opened))
