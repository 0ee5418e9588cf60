"""A worker's process as the outside sees it: it runs, stands still, or is killed; then nothing of it acts any more.

Every step that leaves the process passes `gate`: there time goes by, a pause is felt, and a kill that waits for such a
step happens. What a killed process still does while it unwinds has no effect (`is_dead`). Does not know what it runs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from random import Random
from typing import Any

CURRENT: ContextVar[Process] = ContextVar("process")
LATENCY_S = (0.001, 0.02)


class Process:
    """One process. `number` is the worker's, `life` counts its processes; `unaware` is one that the coordinators of
    its groups believe dead, while it goes on."""

    def __init__(self, number: int, life: int, random: Random, skew_ms: int) -> None:
        self.number, self.life, self.skew_ms = number, life, skew_ms
        self.random = random
        self.is_dead = False
        self.is_paused = False
        self.unaware = False
        self.dies_at: str | None = None
        self.refuses = False
        self.acks_late_s = 0.0
        self.slow = False
        self.on_death: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._running = asyncio.Event()
        self._running.set()
        self._later: deque[Callable[[], None]] = deque()

    @property
    def answers(self) -> bool:
        """Whether its heartbeats reach the coordinator."""
        return not (self.is_dead or self.is_paused or self.unaware)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in this process."""
        token = CURRENT.set(self)
        task = asyncio.get_running_loop().create_task(work)
        CURRENT.reset(token)
        self._tasks.append(task)
        if self.is_dead:
            task.cancel()
        return task

    async def gate(self, step: str, within_s: tuple[float, float] = LATENCY_S) -> None:
        """Time goes by on the way to or from the broker."""
        if self.is_dead:
            return
        await asyncio.sleep(self.random.uniform(*within_s))
        await self.breathe(step)

    async def breathe(self, step: str) -> None:
        """Stand still while paused; die where that is planned for such a step."""
        while self.is_paused:
            await self._running.wait()
        if self.dies_at == step:
            self.kill()
            await asyncio.sleep(0)  # a kill is felt here

    def when_running(self, call: Callable[[], None]) -> None:
        """Do it now, or when the process goes on; never where it is dead."""
        if self.is_dead:
            return
        if self.is_paused:
            self._later.append(call)
        else:
            call()

    def pause(self) -> None:
        """Stand still."""
        self.is_paused = True
        self._running.clear()

    def resume(self) -> None:
        """Go on."""
        self.is_paused = False
        self._running.set()
        while self._later and not self.is_paused:
            self.when_running(self._later.popleft())

    def kill(self) -> None:
        """SIGKILL: all that is in memory is lost."""
        if self.is_dead:
            return
        self.is_dead = True
        for task in self._tasks:
            task.cancel()
        self._running.set()
        for call in self.on_death:
            call()
