"""Who is connected to an HTTP server: at most so many at once, and nobody for long who asks nothing or takes no answer.

Whoever reaches the port could else take every file that the process may open, memory for answers, and Prometheus's
place. A connection is closed with its answer. Knows aiohttp's connections; not what is asked.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import Final, cast

from aiohttp import web

__all__ = ["CONNECTIONS_MAX", "Connections"]

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 100
ROUND_S: Final = 1.0
SAY_EVERY_S: Final = 60.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Standing(IntEnum):
    """How far a connection is. Where there is no room, those of the first standing go first, the oldest of them."""

    GONE = 0
    SILENT = 1
    """It has not asked, or not to the end."""
    SLOW = 2
    """It is given its answer, and has not taken it all."""
    ASKED = 3
    """Its answer is being made; also where it has left meanwhile. It keeps its place."""


PATIENCE_S: Final[Mapping[Standing, float]] = {Standing.SILENT: 5.0, Standing.SLOW: 10.0}
"""Prometheus asks at once, and by default gives up after 10 s itself."""
REASONS: Final[Mapping[str, str]] = {
    "silent": f"it asked nothing for {PATIENCE_S[Standing.SILENT]:.0f} s",
    "slow": f"it did not take its answer in {PATIENCE_S[Standing.SLOW]:.0f} s",
    "crowded": f"more than {CONNECTIONS_MAX} were open",
}


class Connections:
    """Lets connections in and sees them out; `closed` counts those that it closed, by reason."""

    def __init__(self) -> None:
        self.closed = dict.fromkeys(REASONS, 0)
        self._asks: dict[web.RequestHandler, bool] = {}
        """Of those that have asked, whether the answer is still being made."""
        self._since_s: dict[tuple[web.RequestHandler, Standing], float] = {}
        self._server: web.Server
        self._looking: asyncio.Task[None] | None = None
        self._quiet_until_s = -math.inf

    def watch(self, server: web.Server | None) -> None:
        """Look at this server's connections from now on, until `end`."""
        assert server is not None, "it is set up"
        self._server = server
        self._looking = asyncio.create_task(self._look_on())

    def let_in(self) -> asyncio.Protocol:
        """A connection, as `create_server` asks for it. Where there is no room another goes; or it does itself, where
        the answers of all are being made."""
        there = [(standing, one) for one in self._server.connections if (standing := self._standing(one))]
        if len(there) >= CONNECTIONS_MAX:
            standing, oldest = min(there, key=lambda at: at[0])
            self._say("crowded")
            if standing is Standing.ASKED:
                return _Refused()
            _abort(oldest)
        return self._server()

    def look(self, now_s: float) -> None:
        """Close whoever has stood where it is for too long; `now_s` is on the loop's clock."""
        found = [(one, self._standing(one)) for one in self._server.connections]
        self._since_s = {at: self._since_s.get(at, now_s) for at in found}
        self._asks = {one: self._asks[one] for one, _ in found if one in self._asks}
        for (one, standing), since_s in self._since_s.items():
            if now_s - since_s >= PATIENCE_S.get(standing, math.inf):
                _abort(one)
                self._say(standing.name.lower())

    def end(self) -> None:
        """Look no more, and close all but those whose answer is being made."""
        if self._looking is not None:
            self._looking.cancel()
            for one in self._server.connections:
                if self._standing(one) is not Standing.ASKED:
                    _abort(one)

    @web.middleware
    async def noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The application's first middleware: knows who has asked."""
        self._asks[request.protocol] = True
        try:
            return await handler(request)
        finally:
            self._asks[request.protocol] = False

    async def last(self, _request: web.Request, response: web.StreamResponse) -> None:
        """For the application's `on_response_prepare`: a connection is closed with its answer."""
        response.force_close()

    async def _look_on(self) -> None:
        while True:
            self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(ROUND_S)

    def _standing(self, one: web.RequestHandler) -> Standing:
        waits, transport = self._asks.get(one), one.transport
        if waits:
            return Standing.ASKED
        if transport is None or (transport.is_closing() and not transport.get_write_buffer_size()):
            return Standing.GONE
        return Standing.SILENT if waits is None else Standing.SLOW

    def _say(self, reason: str) -> None:
        self.closed[reason] += 1
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + SAY_EVERY_S
            counts = ", ".join(f"{count} {word}" for word, count in self.closed.items())
            log.warning("http: a connection was closed: %s; closed since the start: %s; let nobody but Prometheus and "
                        "health checks reach this port", REASONS[reason], counts)  # fmt: skip


class _Refused(asyncio.Protocol):
    """A connection for which there is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        cast(asyncio.Transport, transport).abort()


def _abort(one: web.RequestHandler) -> None:
    """Close it at once, also where an answer is not taken."""
    if one.transport is not None:
        one.transport.abort()
