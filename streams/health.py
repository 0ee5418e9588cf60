"""The worker's HTTP: `/metrics`, `/health/live`, `/health/ready`. Loopback unless the settings say otherwise.

`/metrics?name[]=…&name[]=…` gives these metrics alone, as Prometheus's own clients do.

Knows HTTP; what ready means is asked of the worker. It changes nothing and shows no secret. One page is made at a time,
and is the answer to all who wait for the same metrics: however many ask, they take no more threads than one, and nobody
waits for the pages of many. A connection is closed with its answer, so that one which is left waits for an answer, and
gets it before the server stops.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from streams.connections import Connections
from streams.errors import UserError

__all__ = ["HealthServer", "address"]

STOP_S: Final = 2.0
ANSWERS_S: Final = 1.0
"""Whoever was let in is given this long to ask and be answered, when the server stops."""
ROUND_S: Final = 0.01
PIECE_BYTES: Final = 1 << 16
HEADERS_MAX: Final = 50
"""Of a question; each of them may have 8 kB. Prometheus sends seven."""
Problems = Callable[[], dict[str, str]]
Page = Callable[[Collection[str]], Awaitable[bytes]]
"""The metrics of these names, or where there are none all of them."""


class HealthServer:
    """Serves metrics, `page`, and health. `problems` names what keeps the worker from being ready; empty when it is."""

    def __init__(self, page: Page, problems: Problems) -> None:
        self._page, self._problems = page, problems
        self._scraped = asyncio.Lock()
        self._next: dict[tuple[str, ...], asyncio.Task[bytes]] = {}
        self._connections = Connections()
        self._runner: web.AppRunner | None = None
        self._listening: list[asyncio.Server] = []
        self.port = 0

    async def start(self, host: str, port: int, inherited: Sequence[int] = ()) -> None:
        """Listen; port 0 takes a free one, told in `port`. `inherited`: sockets, by number, on which this process
        listened before it was replaced. Raises UserError where the port is taken, or the host is not this machine."""
        app = web.Application(middlewares=[self._connections.noted])
        app.on_response_prepare.append(self._connections.last)
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/health/live", self._live),
                web.get("/health/ready", self._ready),
            ]
        )
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=STOP_S,
            max_headers=HEADERS_MAX,
            lingering_time=0.0,  # for a body
        )
        await self._runner.setup()
        self._connections.watch(self._runner.server)
        serve, loop = self._connections.let_in, asyncio.get_running_loop()
        try:
            if inherited:
                for number in inherited:
                    os.set_inheritable(number, False)
                    self._listening.append(await loop.create_server(serve, sock=socket.socket(fileno=number)))
            else:
                self._listening.append(await loop.create_server(serve, host, port))
        except (OSError, UnicodeError) as error:  # UnicodeError: no name at all, as of a part of 64 letters
            raise _worded(host, port, error) from None
        self.port = int(self._listening[0].sockets[0].getsockname()[1])

    @property
    def closed(self) -> Mapping[str, int]:
        """How many connections the server closed by itself, by reason."""
        return self._connections.closed

    def bequeathed(self) -> list[int]:
        """The numbers under which whoever replaces this process finds its sockets: who asks meanwhile, waits."""
        numbers = [os.dup(one.fileno()) for one in self._sockets()]
        for number in numbers:
            os.set_inheritable(number, True)
        return numbers

    async def stop(self) -> None:
        """Let nobody in, answer those who are, and stop listening."""
        if self._runner is None:
            return
        loop = asyncio.get_running_loop()
        for one in self._sockets():
            loop.remove_reader(one.fileno())  # a closed server would reset those that it has just let in
        await self._answered(self._runner, loop.time() + ANSWERS_S)
        self._connections.end()
        for server in self._listening:
            server.close()
        await self._runner.cleanup()

    def _sockets(self) -> list[socket.socket]:
        return [one for server in self._listening for one in server.sockets]

    async def _answered(self, runner: web.AppRunner, until_s: float) -> None:
        """Returns when nobody waits for an answer, or then."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(ROUND_S)  # who was let in is known a moment later
        while runner.server is not None and runner.server.connections and loop.time() < until_s:
            await asyncio.sleep(ROUND_S)

    async def _metrics(self, request: web.Request) -> web.Response:
        names = tuple(request.query.getall("name[]", ()))
        if names not in self._next:
            self._next[names] = asyncio.create_task(self._made(names))
        page = await asyncio.shield(self._next[names])  # it is others' as well
        headers = {"Content-Type": CONTENT_TYPE_LATEST, "Content-Length": str(len(page))}
        return web.Response(body=_pieces(page), headers=headers)

    async def _made(self, names: tuple[str, ...]) -> bytes:
        async with self._scraped:
            del self._next[names]  # who asks from now on wants a newer one
            return await self._page(names)

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"live": True}), content_type="application/json")

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = self._problems()
        body = json.dumps({"ready": not problems, "problems": problems})
        return web.Response(text=body, status=503 if problems else 200, content_type="application/json")


async def _pieces(page: bytes) -> AsyncIterator[memoryview]:
    """The page as it is taken: whole, it would be copied for each who does not take it."""
    whole = memoryview(page)
    for at in range(0, len(page), PIECE_BYTES):
        yield whole[at : at + PIECE_BYTES]


def address(host: str, port: int) -> str:
    """Both as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _worded(host: str, port: int, error: OSError | UnicodeError) -> UserError:
    """Why nobody can listen there, in words."""
    said = getattr(error, "strerror", None) or error
    if isinstance(error, UnicodeError | socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
        return UserError(
            f"PASTILLE_HTTP_HOST must be an address or a name of this machine; got {host}: {said}; "
            "set it to 127.0.0.1, or to 0.0.0.0 for all its addresses"
        )
    return UserError(
        f"the HTTP port must be free; got {address(host, port)}: {said}; choose one with --http-port, or 0"
    )
