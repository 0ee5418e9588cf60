"""The worker, put together: intake, verdict and HTTP in one process, from start to a sure end.

Knows which parts there are and how they begin and end; what they do is theirs. Several workers share the work: Kafka
places the sources, and one of them judges.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, NoReturn

from detector.contracts.policy import Policy
from streams.admin import admin_client
from streams.coldstart import Loops, Stage, become
from streams.degraded.lookout import Lookout
from streams.degraded.wallclock import WallClock
from streams.errors import UserError
from streams.health import HealthServer, address
from streams.intake.ingest import Intake
from streams.intake.placing import Placing, place
from streams.intake.reader import TopicPartition
from streams.logs import Log
from streams.loopclock import loop_s
from streams.metrics import WorkerMetrics
from streams.refused import Refused
from streams.settings import Settings
from streams.told import ENDS
from streams.topics import needed_topics, require_topics
from streams.unanswered import oldest
from streams.verdict.agent import Verdict
from streams.verdict.membership import build_app

__all__ = ["Worker", "where_to_read"]

log = logging.getLogger(__name__)

STOP_S: Final = 6.0
"""A worker that was told to stop is given this long to say goodbye to Kafka."""
SWITCH_S: Final = 0.0005
"""Threads that judge, count and write pages share the interpreter's lock with the event loop, which hands work to and
fro many times before a tally is out: at Python's 5 ms each time it would wait for a tenth of a second."""
LOOK_S: Final = 1.0
SETTLED_S: Final = 5.0
"""So long partitions that were added wait for those of the feed's other topic."""
KILL_S: Final = 9.0
"""After this long the process ends whatever it waits for: Faust can hang in a send."""


def where_to_read(settings: Settings) -> Placing:
    """Ask the broker for the feeds' topics. Raises UserError where a needed topic is missing or no broker answers."""
    require_topics(settings)
    wanted = {topic for feed in settings.feeds for topic in feed.topics}
    with admin_client(settings) as admin:
        there = sorted(wanted.intersection(admin.list_topics()))
        partitions = {found["name"]: len(found["partitions"]) for found in admin.describe_topics(there)}
    return place(settings.feeds, partitions)


@dataclass(slots=True)
class Ending:
    """Why a worker ends: asked to (code 0), because going on was impossible (1), or by wrong settings (2). `becomes`:
    it goes on as the same process begun anew."""

    code: int
    why: str
    becomes: Stage | None = None


class Worker:
    """One worker process."""

    def __init__(self, settings: Settings, policy: Policy, placing: Placing, output: Log) -> None:
        self._settings, self._policy, self._placing, self._output = settings, policy, placing, output
        self._clock = WallClock(_wall_ms, _steady_ms, self._newest_ms)
        self.lookout: Lookout
        self.intake: Intake
        self.verdict: Verdict
        self._loops = Loops(settings)
        self._is_told = False
        self._http: HealthServer
        self._tasks: list[asyncio.Task[Ending | None]] = []
        self._ends: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def wall_ms(self) -> int:
        """Epoch ms now, whatever the machine's clock jumps to while events go on."""
        return self._clock.now_ms()

    @property
    def clock_problem(self) -> str | None:
        """What is wrong with the machine's clock; None where it goes as time does."""
        return self._clock.problem

    def _newest_ms(self) -> int | None:
        """The newest event time that was told or judged here."""
        tenure = self.verdict.tenure
        known = [lane.boundary_ms for lane in list(self.intake.lanes.values())]
        newest_ms = max([*known, -1 if tenure is None else tenure.judge.time_ms])
        return None if newest_ms < 0 else newest_ms

    @property
    def judges(self) -> bool:
        """Whether the Judge is here."""
        return self.verdict.tenure is not None

    @property
    def waiting_since_s(self) -> float | None:
        """Since when the oldest write waits for the broker's answer, on the loop's clock; None where none does."""
        return oldest(self.intake.waiting_since_s, self.verdict.waiting_since_s)

    @property
    def letters_refused(self) -> Refused | None:
        """That no dead letter is taken; None where they are."""
        return self.intake.letters_refused

    @property
    def held_back(self) -> Mapping[TopicPartition, int]:
        """The offset from which on an open transaction keeps records from being read, by partition."""
        return self.intake.held_back

    @property
    def is_compiled(self) -> bool:
        """Whether the loops are machine code."""
        return self._loops.are_compiled

    @property
    def http_closed(self) -> Mapping[str, int]:
        """How many connections of its HTTP it closed by itself, by reason."""
        return self._http.closed

    def problems(self) -> dict[str, str]:
        """What keeps the worker from being ready."""
        found = self.lookout.problems()
        if self._loops.problem is not None:
            found["loops"] = self._loops.problem
        if self.intake.problem is not None:
            found["intake"] = self.intake.problem
        if not self.verdict.recovered:
            found["verdict"] = "Faust has not joined its group and recovered its table yet"
        elif self.verdict.problem is not None:
            found["verdict"] = self.verdict.problem
        return found

    async def run(self) -> NoReturn:
        """Work until told to stop, or until going on is impossible, and leave: a thread that compiles, or of a client
        that hangs, is not waited for. Raises what keeps it from beginning."""
        sys.setswitchinterval(SWITCH_S)
        stopped = asyncio.Event()
        self._hear(stopped)
        try:
            ending = await self._work(stopped)
        except BaseException:
            _end_surely(lambda: os._exit(1))
            raise
        log.log(logging.INFO if ending.code == 0 else logging.ERROR, "worker: stopping: %s", ending.why)
        leave = self._leaving(ending)
        _end_surely(leave)
        try:
            await asyncio.wait_for(self._stop(), STOP_S)
        except TimeoutError:
            log.warning("worker: not everything stopped within %.0f s; ending anyway", STOP_S)
        with suppress(OSError):  # where the disk behind them is full
            sys.stdout.flush()
            sys.stderr.flush()
        leave()

    def _leaving(self, ending: Ending) -> Callable[[], NoReturn]:
        """How the process ends, or becomes another where nobody tells it to end meanwhile."""
        sockets = [] if ending.becomes is None else self._http.bequeathed()

        def leave() -> NoReturn:
            with suppress(OSError):  # no room for another: whoever supervises this one starts it again
                if ending.becomes is not None:
                    become(ending.becomes, sockets, unless=lambda: self._is_told)
            os._exit(ending.code if ending.becomes is None or self._is_told else 1)

        return leave

    def _hear(self, stopped: asyncio.Event) -> None:
        """Be told to end from now on. That is known at once, and not when the event loop comes to it: a process that
        is replaced meanwhile would never."""
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            log.info("worker: got %s", signal.Signals(number).name)
            stopped.set()

        def told(number: int, _frame: FrameType | None) -> None:
            self._is_told = True
            with suppress(RuntimeError):  # the loop is closed: it ends already
                loop.call_soon_threadsafe(stop, number)

        for number in ENDS:
            signal.signal(number, told)

    async def _work(self, stopped: asyncio.Event) -> Ending:
        for warning in self._placing.warnings:
            log.warning("worker: %s", warning)
        topics = [topic.name for topic in needed_topics(self._settings)]
        self.lookout = Lookout(self._settings, topics, self, self._output)
        self.intake = Intake(self._settings, self._policy, self._placing, self.wall_ms)
        # Faust's folders would hold tables; ours are in memory, and a worker that is killed must leave nothing behind.
        app = build_app(self._settings, os.devnull)
        app.on_first_start = _make_no_folder  # type: ignore[method-assign]  # of this one app
        self.verdict = Verdict(app, self._settings, self._policy, self.wall_ms, is_deaf=lambda: self.lookout.is_deaf,
                               is_busy=lambda: self.intake.is_rebuilding)  # fmt: skip
        self._http = HealthServer(WorkerMetrics(self).page, self.problems)
        await self._http.start(self._settings.http_host, self._settings.http_port, self._loops.sockets)
        self._ends.append(self._http.stop)
        self._say_where()
        works = [self._begin(), self.verdict.watch(), self.lookout.run(), self._placed_anew()]
        if self._loops.stage is Stage.PLAIN:
            works.append(self._compile())
        self._tasks = [asyncio.create_task(work) for work in works]
        told = asyncio.ensure_future(stopped.wait())
        return await self._first_end([told, self.intake.failed, self.verdict.failed, *self._tasks], self._tasks[0])

    async def _begin(self) -> Ending | None:
        """Join, and return when Faust has recovered its table. What judges is loaded while the counters join."""
        if not await self._loops.load_counting():
            return Ending(0, "the loops must be compiled first; meanwhile plain Python counts", Stage.PLAIN)
        self._ends.append(self.intake.stop)
        await self.intake.start()
        await self._loops.load_judging()
        self._ends.append(self.verdict.stop)
        await self.verdict.start()
        return None

    async def _compile(self) -> Ending:
        return Ending(0, await self._loops.compiled(), Stage.COMPILED)

    async def _placed_anew(self) -> Ending:
        """Returns when the feeds' topics have got other partitions, and then none for a while: whoever adds some to
        both topics of a feed does so one after the other."""
        said: str | None = None
        since_s = 0.0
        while said is None or loop_s() - since_s < SETTLED_S:
            await asyncio.sleep(LOOK_S)
            found = self._placing.changed(self._settings.feeds, self.lookout.partitions)
            if found != said:
                said, since_s = found, loop_s()
        stage = self._loops.stage
        return Ending(0, f"{said}; it begins anew with them", Stage.COMPILED if stage is Stage.STARTED else stage)

    def _say_where(self) -> None:
        if self._loops.stage is not Stage.STARTED:
            return  # it was said, and is still there
        url = f"http://{address(self._settings.http_host, self._http.port)}"
        with suppress(OSError):  # a full disk behind it is no reason not to work
            print(json.dumps({"http": url, "pid": os.getpid()}), flush=True)

    async def _first_end(self, waits: Iterable[asyncio.Future[Any]], starting: asyncio.Task[Any]) -> Ending:
        pending = set(waits)
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                if one is starting and starting.exception() is None and starting.result() is None:
                    log.info("worker: joined")
                    continue
                return _ending(one)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        # Side by side: one that hangs must not keep the other from leaving its group.
        results = await asyncio.gather(*(end() for end in self._ends), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                log.warning("worker: while stopping: %s: %s", type(result).__name__, result)


async def _make_no_folder() -> None:
    """In place of the one thing that Faust does at its first start; a test holds on to that."""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _ending(done: asyncio.Future[Any]) -> Ending:
    if done.cancelled():
        return Ending(1, "a part of it was cancelled, which nobody asked for; start it again")
    error = done.exception()
    result = error if error is not None else done.result()
    if isinstance(result, Ending):
        return result
    if isinstance(result, UserError):
        return Ending(2, str(result))
    if isinstance(result, BaseException):
        log.error("worker: %s", type(result).__name__, exc_info=result)
        return Ending(1, f"{type(result).__name__}: {result}")
    return Ending(0, "asked to")


def _end_surely(leave: Callable[[], None]) -> None:
    """Whatever hangs, a thread or a send, the process leaves in seconds."""
    timer = threading.Timer(KILL_S, leave)
    timer.daemon = True
    timer.start()
