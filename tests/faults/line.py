"""A line between one worker and its brokers that can be cut: a proxy on the loopback address, in a thread of its own.

Cut, its connections stand still: no byte comes through, no end either, and new ones are taken and hear nothing.
Mended, what was under way arrives late, as it does where a network comes back. Knows ports, not Kafka.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Iterable
from functools import partial

__all__ = ["Line"]

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16
STOP_S = 10.0

# Every connection of the process to a broker's port goes to the proxy's: brokers tell clients where the others are, and
# so the place to step in is where a client connects, not the address it is told first.
THROUGH = """
import json, socket, sys
ways = {int(port): way for port, way in json.loads(sys.argv.pop(1)).items()}
def by(connect):
    return lambda sock, to: connect(sock, (to[0], ways.get(to[1], to[1]), *to[2:]) if isinstance(to, tuple) else to)
socket.socket.connect = by(socket.socket.connect)
socket.socket.connect_ex = by(socket.socket.connect_ex)
from streams.commands import main
main()
"""


class Line:
    """Leads to `ports`. `program` is what a worker runs that goes through it; `carried` counts the bytes."""

    def __init__(self, ports: Iterable[int]) -> None:
        self.carried = 0
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        opening = asyncio.run_coroutine_threadsafe(self._open(list(ports)), self._loop)
        self._servers, ways = opening.result(STOP_S)
        self.program = [sys.executable, "-c", THROUGH, json.dumps(ways)]

    def cut(self) -> None:
        """From now on nothing comes through."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """What waits goes on its way."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        """End every connection and the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(STOP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        self._loop.close()

    async def _open(self, ports: list[int]) -> tuple[list[asyncio.Server], dict[int, int]]:
        servers = [await asyncio.start_server(partial(self._serve, port), HOST, 0) for port in ports]
        return servers, {port: server.sockets[0].getsockname()[1] for port, server in zip(ports, servers, strict=True)}

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, until either side ends it."""
        await self._whole.wait()
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(HOST, port)
            ways = [asyncio.ensure_future(self._carry(*way)) for way in ((reader, far_writer), (far_reader, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                far_writer.close()
        writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._whole.wait()  # what came while it was cut has not come through
                writer.write(data)
                self.carried += len(data)
                await writer.drain()
            await self._whole.wait()  # nor has the end
