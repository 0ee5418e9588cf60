"""The worker's HTTP: `/metrics`, `/health/live`, `/health/ready`. Loopback unless the settings say otherwise.

`/metrics?name[]=…&name[]=…` gives these metrics alone, as Prometheus's own clients do.

Knows HTTP; what ready means is asked of the worker. It changes nothing and shows no secret. One scrape is answered at a
time: however many ask, they take no more threads than one. A connection is closed with its answer, so that one which is
left waits for an answer, and gets it before the server stops.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from streams.errors import UserError

__all__ = ["HealthServer"]

STOP_S: Final = 2.0
ANSWERS_S: Final = 1.0
"""Whoever was let in is given this long to ask and be answered, when the server stops."""
ROUND_S: Final = 0.01
Problems = Callable[[], dict[str, str]]
Page = Callable[[Collection[str]], Awaitable[bytes]]
"""The metrics of these names, or where there are none all of them."""


class HealthServer:
    """Serves metrics, `page`, and health. `problems` names what keeps the worker from being ready; empty when it is."""

    def __init__(self, page: Page, problems: Problems) -> None:
        self._page, self._problems = page, problems
        self._scraped = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._listening: list[asyncio.Server] = []
        self.port = 0

    async def start(self, host: str, port: int, inherited: Sequence[int] = ()) -> None:
        """Listen; port 0 takes a free one, told in `port`. `inherited`: sockets, by number, on which this process
        listened before it was replaced. Raises UserError where the port is taken."""
        app = web.Application()
        app.on_response_prepare.append(_last)
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/health/live", self._live),
                web.get("/health/ready", self._ready),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
        await self._runner.setup()
        serve, loop = self._runner.server, asyncio.get_running_loop()
        assert serve is not None, "it is set up"
        try:
            if inherited:
                for number in inherited:
                    os.set_inheritable(number, False)
                    self._listening.append(await loop.create_server(serve, sock=socket.socket(fileno=number)))
            else:
                self._listening.append(await loop.create_server(serve, host, port))
        except OSError as error:
            raise UserError(
                f"the HTTP port must be free; got {host}:{port}: {error.strerror}; choose one with --http-port, or 0"
            ) from None
        self.port = int(self._listening[0].sockets[0].getsockname()[1])

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
        async with self._scraped:
            page = await self._page(request.query.getall("name[]", ()))
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"live": True}), content_type="application/json")

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = self._problems()
        body = json.dumps({"ready": not problems, "problems": problems})
        return web.Response(text=body, status=503 if problems else 200, content_type="application/json")


async def _last(_request: web.Request, response: web.StreamResponse) -> None:
    response.force_close()
