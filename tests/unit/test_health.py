"""Where a worker's HTTP is, and that who asks one that is being replaced gets an answer, from this one or the next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection

import pytest

from streams.errors import UserError
from streams.health import HealthServer, address

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


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no-such-host", "no-such-host: not known"),
        ("a" * 64, "aaaa"),
        ("192.0.2.1", "192.0.2.1: "),
    ],
)
def test_a_host_that_is_not_this_machine_is_told_as_that(monkeypatch: pytest.MonkeyPatch, host: str, said: str) -> None:
    """A name that nobody knows, or that is none, or another machine's address is no port that is taken."""
    resolve = socket.getaddrinfo

    def unknown(name: str | bytes | None, *rest: int, **more: int) -> list[object]:
        if name == "no-such-host":
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [*resolve(name, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UserError) as refused:
        asyncio.run(HealthServer(_page, dict).start(host, 0))
    must = "PASTILLE_HTTP_HOST must be an address or a name of this machine; got"
    assert str(refused.value).startswith(f"{must} {said}")
    assert str(refused.value).endswith("; set it to 127.0.0.1, or to 0.0.0.0 for all its addresses")


def test_a_taken_port_is_told_as_that() -> None:
    """With the address that is taken."""
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"^the HTTP port must be free; got {HOST}:{port}: "):
            asyncio.run(HealthServer(_page, dict).start(HOST, port))


def test_an_address_stands_in_a_url() -> None:
    """An IPv6 address in brackets."""
    assert (address("localhost", 80), address("::1", 8_090)) == ("localhost:80", "[::1]:8090")
