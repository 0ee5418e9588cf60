"""The plain page: one HTML file and one JSON address, on the loopback interface.

Shows a `Board` it is given; does not know who fills it. Nothing on the page comes from elsewhere.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from streams.console.board import Board
from streams.errors import UserError

__all__ = ["serving"]

LOOPBACK: Final = "127.0.0.1"
PORTS_TRIED_MAX: Final = 50
END_S: Final = 1.0
IDLE_S: Final = 10.0
"""A connection that asks nothing for so long is closed; the page asks every two seconds."""
_NAMES: Final = ("localhost", LOOPBACK)
_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(board: Board, port: int) -> AsyncIterator[int]:
    """Serve the board's page while inside, on `port` or the next free one; gives the port taken."""
    html = files("streams.console").joinpath("page.html").read_text(encoding="utf-8")

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    async def state(_: web.Request) -> web.Response:
        return web.json_response(board.plain())

    app = web.Application(middlewares=[_careful(_policy(html))])
    app.add_routes([web.get("/", page), web.get("/api/board", state)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_S, keepalive_timeout=IDLE_S)
    await runner.setup()
    try:
        yield await _listen(runner, port)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> int:
    for tried in range(port, min(port + PORTS_TRIED_MAX, 65536)):
        try:
            await web.TCPSite(runner, LOOPBACK, tried).start()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            return tried
    raise UserError(f"no free port for the page from {port} on; got {PORTS_TRIED_MAX} taken; choose --http-port")


def _policy(html: str) -> str:
    """A Content-Security-Policy that allows what stands in the page itself, and requests to where it came from."""
    allowed = {kind: _digest(text) for kind, text in _INLINE.findall(html)}
    return (f"default-src 'none'; connect-src 'self'; img-src data:; script-src '{allowed['script']}'; "
            f"style-src '{allowed['style']}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")  # fmt: skip


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _careful(policy: str) -> Middleware:
    @web.middleware
    async def careful(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Another site's name that was made to point here must not read the page in the visitor's browser.
        try:
            host = request.url.host
        except ValueError:  # it is none, as with a port of 99999
            host = None
        if host not in _NAMES:
            raise web.HTTPForbidden(text="ask for localhost")
        response = await handler(request)
        response.headers.update({"Content-Security-Policy": policy, "Cache-Control": "no-store",
                             "X-Content-Type-Options": "nosniff"})  # fmt: skip
        return response

    return careful
