"""Who asks a worker that is being replaced gets an answer, from the one that goes or from the one that comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection

import pytest

from streams.health import HealthServer

HOST = "127.0.0.1"


async def _page(_names: Collection[str]) -> bytes:
    await asyncio.sleep(0.02)  # as the worker's own, which is made in another thread
    return b"page"


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _replaced(before: int, after: int) -> bytes:
    """The whole answer to somebody who comes some turns of the loop before the server stops, and asks some after."""
    loop = asyncio.get_running_loop()
    old, new = HealthServer(_page, dict), HealthServer(_page, dict)
    await old.start(HOST, 0)
    with socket.create_connection((HOST, old.port)) as client:
        client.setblocking(False)
        await _turns(before)
        heirlooms = old.bequeathed()
        stopping = asyncio.create_task(old.stop())
        await _turns(after)
        await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        await stopping
        await new.start(HOST, 0, heirlooms)
        answer = b""
        while more := await loop.sock_recv(client, 65_536):
            answer += more
    await new.stop()
    return answer


@pytest.mark.parametrize("before", range(8))
@pytest.mark.parametrize("after", range(8))
def test_whoever_asks_is_answered(before: int, after: int) -> None:
    """Whether it was let in, was half let in, or still stood at the door when the server stopped."""
    answer = asyncio.run(asyncio.wait_for(_replaced(before, after), 30))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"page")


def test_who_asks_nothing_is_not_waited_for_long() -> None:
    """It is left behind, and the server stops."""

    async def stops() -> bytes:
        server = HealthServer(_page, dict)
        await server.start(HOST, 0)
        reader, writer = await asyncio.open_connection(HOST, server.port)
        await server.stop()
        try:
            return await reader.read()
        finally:
            writer.close()

    assert asyncio.run(stops()) == b""
