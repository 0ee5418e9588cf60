"""Who reaches the worker's HTTP port takes neither its files nor Prometheus's place, whatever he asks or does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from streams import connections
from streams.connections import PATIENCE_S, Standing
from streams.health import HealthServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
ASK = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = b"x" * (8 << 20)
"""More than the system takes of an answer before anybody reads it."""
HALF_ASKED = {
    "nothing": b"",
    "half a line": b"GET /met",
    "half a head": b"GET /metrics HTTP/1.1\r\nHost: h\r\n",
}


@asynccontextmanager
async def serving(page: Callable[[Collection[str]], Awaitable[bytes]]) -> AsyncIterator[HealthServer]:
    server = HealthServer(page, dict)
    await server.start(HOST, 0)
    try:
        yield server
    finally:
        await server.stop()


async def small(_names: Collection[str]) -> bytes:
    return b"page"


async def large(_names: Collection[str]) -> bytes:
    return LARGE


async def come(server: HealthServer, words: bytes = b"") -> socket.socket:
    """A client that has said these words, and reads nothing by itself."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (HOST, server.port))
    await loop.sock_sendall(client, words)
    return client


async def stand(server: HealthServer, *wanted: Standing) -> None:
    """Wait until the server's connections stand so, the oldest first."""
    known = server._connections
    while [known._standing(one) for one in known._server.connections] != [*wanted]:
        await asyncio.sleep(0)


async def told(client: socket.socket) -> bytes:
    """All that the client is told until the connection is closed."""
    heard = b""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    with client, suppress(ConnectionResetError):
        while more := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            heard += more
    return heard


def wait_out(server: HealthServer, standing: Standing) -> None:
    """The time of this standing goes by, as the server sees it."""
    now_s = asyncio.get_running_loop().time()
    server._connections.look(now_s)
    server._connections.look(now_s + PATIENCE_S[standing])


def run(test: Awaitable[None]) -> None:
    async def in_time() -> None:
        await asyncio.wait_for(test, 30)

    asyncio.run(in_time())


@pytest.mark.parametrize("words", HALF_ASKED.values(), ids=HALF_ASKED)
def test_who_does_not_ask_to_the_end_is_closed(words: bytes) -> None:
    """After its time, and it is counted."""

    async def waits() -> None:
        async with serving(small) as server:
            client = await come(server, words)
            await stand(server, Standing.SILENT)
            wait_out(server, Standing.SILENT)
            assert await told(client) == b""
            assert server.closed == {"silent": 1, "slow": 0, "crowded": 0}

    run(waits())


@pytest.mark.parametrize(("asks", "status"), [("GET", b"200"), ("POST", b"405")])
def test_nobody_waits_for_a_body(asks: str, status: bytes) -> None:
    """What is sent with a question is not asked for: the answer is given, and the connection closed."""

    async def sends() -> None:
        async with serving(small) as server:
            head = f"{asks} /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n"
            client = await come(server, head.encode() + b"{")
            assert (await told(client)).startswith(b"HTTP/1.1 " + status)
            assert server.closed == {"silent": 0, "slow": 0, "crowded": 0}

    run(sends())


def test_who_does_not_take_his_answer_is_closed() -> None:
    """After its time; until then it may still read it all."""

    async def waits() -> None:
        async with serving(large) as server:
            slow = await come(server, ASK)
            await stand(server, Standing.SLOW)
            wait_out(server, Standing.SILENT)
            assert server.closed["slow"] == 0
            wait_out(server, Standing.SLOW)
            assert len(await told(slow)) < len(LARGE)
            assert server.closed == {"silent": 0, "slow": 1, "crowded": 0}

    run(waits())


def test_where_there_is_no_room_who_asked_nothing_goes_first(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest of them; then who does not take an answer. Who comes is answered, and one line tells of many."""
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 3)

    async def crowd() -> None:
        async with serving(large) as server:
            slow = await come(server, ASK)
            await stand(server, Standing.SLOW)
            silent = []
            for _ in range(2):
                silent.append(await come(server))
                await stand(server, Standing.SLOW, *[Standing.SILENT] * len(silent))
            prometheus = await come(server, ASK)
            assert await told(silent[0]) == b""
            await stand(server, Standing.SLOW, Standing.SILENT, Standing.SLOW)
            second = await come(server, ASK)
            assert await told(silent[1]) == b""
            await stand(server, *[Standing.SLOW] * 3)
            third = await come(server, ASK)
            assert len(await told(slow)) < len(LARGE)
            assert [(await told(one)).endswith(LARGE) for one in (prometheus, second, third)] == [True] * 3
            assert server.closed == {"silent": 0, "slow": 0, "crowded": 3}

    run(crowd())
    assert caplog.text.count("a connection was closed") == 1


def test_where_all_wait_for_their_answer_no_one_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has asked keeps his place, also for the one who left meanwhile: he still costs what he asked for."""
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 2)

    async def crowd() -> None:
        may_answer = asyncio.Event()

        async def page(_names: Collection[str]) -> bytes:
            await may_answer.wait()
            return b"page"

        async with serving(page) as server:
            prometheus, other = await come(server, ASK), await come(server, ASK)
            await stand(server, Standing.ASKED, Standing.ASKED)
            other.close()
            assert await told(await come(server, ASK)) == b""
            may_answer.set()
            assert (await told(prometheus)).endswith(b"page")
            assert server.closed == {"silent": 0, "slow": 0, "crowded": 1}

    run(crowd())


def test_a_hundred_silent_ones_keep_no_one_out() -> None:
    """However many come, no more than the limit are open, and who asks is answered."""

    async def crowd() -> None:
        async with serving(small) as server:
            clients = [await come(server) for _ in range(connections.CONNECTIONS_MAX + 20)]
            assert (await told(await come(server, ASK))).endswith(b"page")
            await stand(server, *[Standing.SILENT] * (connections.CONNECTIONS_MAX - 1))
            for client in clients:
                client.close()

    run(crowd())


def test_a_server_that_stops_waits_for_no_slow_reader() -> None:
    """He is closed, and does not get the rest of his answer from a server that is gone."""

    async def stops() -> None:
        async with serving(large) as server:
            slow = await come(server, ASK)
            await stand(server, Standing.SLOW)
        assert len(await told(slow)) < len(LARGE)

    run(stops())


def test_one_page_is_made_at_a_time_for_all_who_wait() -> None:
    """However many ask, and whoever leaves: who asks while a page is made waits for the next, and that is the same for
    all. Other metrics are another page."""
    at_once, made = [0], 0

    async def asks() -> None:
        may_answer = asyncio.Event()

        async def page(names: Collection[str]) -> bytes:
            nonlocal made
            at_once.append(at_once[-1] + 1)
            await may_answer.wait()
            at_once.append(at_once[-1] - 1)
            made += 1
            return f"{made} {','.join(names)}".encode()

        async with serving(page) as server:
            first = await come(server, ASK)
            await stand(server, Standing.ASKED)
            clients = [await come(server, ASK) for _ in range(9)]
            one = await come(server, ASK.replace(b"metrics", b"metrics?name[]=one&name[]=two"))
            await stand(server, *[Standing.ASKED] * 11)
            clients.pop(0).close()
            may_answer.set()
            bodies = [(await told(client)).partition(b"\r\n\r\n")[2] for client in (first, *clients, one)]
            assert bodies == [b"1 "] + [b"2 "] * 8 + [b"3 one,two"]

    run(asks())
    assert max(at_once) == 1


@pytest.mark.parametrize("asks", ["GET", "HEAD"])
def test_a_page_says_how_long_it_is(asks: str) -> None:
    """It is given in pieces, and whole; who asks for the head alone gets that."""

    async def reads() -> None:
        async with serving(large) as server:
            head, _, body = (await told(await come(server, ASK.replace(b"GET", asks.encode())))).partition(b"\r\n\r\n")
            assert f"Content-Length: {len(LARGE)}".encode() in head.split(b"\r\n")
            assert b"Transfer-Encoding" not in head
            assert body == (LARGE if asks == "GET" else b"")

    run(reads())
