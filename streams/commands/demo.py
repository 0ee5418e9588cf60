"""`pastille demo`: everything on one machine; a bank dies, watch it be found.

Puts the demo's parts together and decides when it is over; what happens in it is `streams.demo.scene`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from streams.console.board import Board
from streams.console.page import serving
from streams.demo.scene import POLICY_NOTE
from streams.demo.screen import draw, line_text
from streams.demo.seeing import first_event_ms, follow_health, follow_outages, poll_metrics
from streams.demo.stage import Stage
from streams.ending import Ending
from streams.errors import UserError

__all__ = ["register"]

LOOK_S = 0.25
BEHIND_S_MAX = 5.0
LATE_S_MAX = 60.0
TITLE = "Pastille demo: 20 banks, 5 methods, 200 shops on a real Kafka"

_EXAMPLE = "Example: pastille demo --seconds 150 --json"


def register(app: typer.Typer) -> None:
    """Add `demo` to the command line."""
    app.command("demo", epilog=_EXAMPLE)(_demo)


def _demo(
    seconds: Annotated[float, typer.Option(min=0, help="Stop so long after the first event; 0: at Ctrl-C.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Outage events as JSON lines on stdout, no view.")] = False,
    broker: Annotated[str | None, typer.Option(help="Play on your Kafka; its topics and groups are deleted.")] = None,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is, or the next free port.")] = 8080,
) -> None:
    """Simulated shops, a real Kafka, the worker: banks go down, and you watch them being found.

    One bank is all red from 15 s to 65 s, another all pending from 30 s to 90 s; later something breaks every 3 min.
    Everything runs on this machine, in a temporary folder, and is gone at the end.
    """
    for name in ("aiohttp", "aiokafka", "kafka"):
        # What goes wrong is said by us, in a sentence; their warnings would tear the view.
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    shows = sys.stdout.isatty() and not as_json
    console = Console(stderr=True, highlight=False)
    ending = Ending()

    def say(text: str) -> None:
        console.print(text, style="dim", markup=False)

    def check_and_say(text: str) -> None:
        ending.check()
        say(text)

    with suppress(KeyboardInterrupt), ending, Stage(broker, check_and_say, ending) as stage:
        _run(_Show(stage, say, shows, seconds, http_port), ending)


def _run(show: _Show, ending: Ending) -> None:
    try:
        ending.run(show.run())
    except BaseExceptionGroup as several:
        # Tasks end as a group; a sentence for a person is one.
        worded: BaseException | None = several.subgroup(UserError)
        while isinstance(worded, BaseExceptionGroup):
            worded = worded.exceptions[0]
        raise worded or several from None


class _Show:
    """The running demo: its board, and the tasks that fill and show it."""

    def __init__(self, stage: Stage, say: Callable[[str], None], shows: bool, seconds: float, http_port: int) -> None:
        self._stage, self._say, self._shows = stage, say, shows
        self._seconds, self._http_port = seconds, http_port
        self._board = Board()
        self._first_ms: int | None = None
        self._page = ""

    async def run(self) -> None:
        """Until the time is up, it is cancelled, or something fails."""
        try:
            await self._play()
        finally:
            if self._shows:
                for line in self._board.lines:
                    typer.echo(line_text(line))

    async def _play(self) -> None:
        settings = self._stage.settings
        async with serving(self._board, self._http_port) as port, asyncio.TaskGroup() as group:
            self._page = f"http://localhost:{port}"
            self._say(f"page at {self._page}" + ("" if port == self._http_port else f" ({self._http_port} is taken)"))
            tasks = [
                group.create_task(follow_outages(settings, self._board, self._told)),
                group.create_task(follow_health(settings, self._board)),
                group.create_task(poll_metrics(self._stage.metrics_url, self._board)),
                group.create_task(self._note_first()),
            ]
            with self._view() as view:
                while not self._is_over():
                    self._stage.check()
                    if view is not None:
                        view.update(draw(self._board, TITLE, POLICY_NOTE, self._now()), refresh=True)
                    await asyncio.sleep(LOOK_S)
            for task in tasks:
                task.cancel()

    async def _note_first(self) -> None:
        self._first_ms = await first_event_ms(self._stage.settings)
        self._say("first event; a bank goes all red in 15 s")

    def _told(self, text: str, line: Any) -> None:
        if not self._shows:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            self._say(line_text(line))

    def _elapsed_s(self) -> float:
        return 0.0 if self._first_ms is None else time.time() - self._first_ms / 1000

    def _is_over(self) -> bool:
        """Whether the time is up, and the worker has seen all of it; on a busy machine it may lag a while."""
        late_s = self._elapsed_s() - self._seconds
        if self._seconds == 0 or late_s < 0:
            return False
        behind_s = self._board.behind_s
        return late_s > LATE_S_MAX or (behind_s is not None and behind_s < BEHIND_S_MAX)

    def _now(self) -> str:
        if self._first_ms is None:
            return f"waiting for the first event   {self._page}"
        elapsed_s = self._elapsed_s()
        return f"{elapsed_s:4.0f} s   {self._board.payments:,.0f} payments counted   {self._page}   Ctrl-C ends it"

    @contextmanager
    def _view(self) -> Iterator[Live | None]:
        if not self._shows:
            yield None
            return
        with Live(console=Console(), screen=True, auto_refresh=False) as live:
            yield live
