"""Looks around, again and again, and says what it sees on the board.

Knows how often to look and how long is too long; what is wrong is found by those it asks. It touches no state of
counting or judging.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

from aiokafka import TopicPartition

from streams.cancelled import lost_is_an_error
from streams.degraded.board import Board, Reason
from streams.degraded.heldback import HeldBack
from streams.degraded.pulse import Pulse
from streams.degraded.readers import OutageReaders
from streams.logs import Log
from streams.loopclock import loop_s
from streams.refused import Refused
from streams.settings import Settings

__all__ = ["Lookout"]

log = logging.getLogger(__name__)

FEEL_S: Final = 2.0
LOOK_S: Final = 1.0
READERS_S: Final = 10.0
TRY_S: Final = 5.0
"""How often it is tried whether the log can be written again."""
WRITES_S: Final = 15.0
"""A write that waits longer than this is refused, or nobody is there to take it."""


class Looked(Protocol):
    """What the lookout asks the worker."""

    @property
    def judges(self) -> bool:
        """Whether it judges."""

    @property
    def waiting_since_s(self) -> float | None:
        """Since when its oldest write waits for the broker's answer, on the loop's clock; None where none does."""

    @property
    def letters_refused(self) -> Refused | None:
        """That no dead letter is taken; None where they are."""

    @property
    def clock_problem(self) -> str | None:
        """What is wrong with the machine's clock; None where it goes as time does."""

    @property
    def held_back(self) -> Mapping[TopicPartition, int]:
        """The offset from which on an open transaction keeps records from being read, by partition."""

    def wall_ms(self) -> int:
        """Epoch ms now."""


class Lookout:
    """What a worker depends on; `board` says what is wrong with it now."""

    def __init__(self, settings: Settings, topics: Iterable[str], worker: Looked, output: Log) -> None:
        self.board = Board()
        self.readers = OutageReaders(settings, worker.wall_ms)
        self._worker = worker
        self._log = output
        self._pulse = Pulse(settings, topics)
        self._held = HeldBack()
        self._away_s = 0.0
        self._tried_s = 0.0
        output.leave_out(lambda: self.board.has(Reason.BROKER) or self.board.has(Reason.WRITES))

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._again(self._feel, FEEL_S))
                group.create_task(self._again(self._look, LOOK_S))
                group.create_task(self._again(self._ask_readers, READERS_S))
        finally:
            await self._pulse.close()

    def problems(self) -> dict[str, str]:
        """What keeps the worker from being ready."""
        return self.board.problems(loop_s())

    @property
    def is_deaf(self) -> bool:
        """Whether Kafka is away, so that a source's silence says nothing of the source."""
        return self._pulse.is_deaf

    @property
    def partitions(self) -> Mapping[str, int]:
        """How many each topic has that is there."""
        return self._pulse.partitions

    async def _again(self, look: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Look, again and again. What is wrong with looking is told once, and is no reason to end the work."""
        told: set[str] = set()
        while True:
            try:
                with lost_is_an_error():
                    await look()
            except Exception as error:
                if type(error).__name__ not in told:
                    told.add(type(error).__name__)
                    log.warning("degraded: looking around failed: %s", error, exc_info=error)
            await asyncio.sleep(every_s)

    async def _feel(self) -> None:
        await self._pulse.feel()
        self.board.say(Reason.BROKER, self._pulse.problem, loop_s())

    async def _look(self) -> None:
        self.board.say(Reason.WRITES, self._writes(), loop_s())
        self.board.say(Reason.LETTERS, self._letters(), loop_s())
        self.board.say(Reason.DISK, self._disk(), loop_s())
        self.board.say(Reason.CLOCK, self._worker.clock_problem, loop_s())
        self.board.say(Reason.TRANSACTIONS, self._held.problem(self._worker.held_back, loop_s()), loop_s())

    async def _ask_readers(self) -> None:
        await self.readers.look(self._worker.judges)
        self.board.say(Reason.READERS, self.readers.problem, loop_s())

    def _disk(self) -> str | None:
        """The log is all that a worker must write on its machine; its tables are in memory."""
        lost, now_s = self._log.lost, loop_s()
        if lost and now_s - self._tried_s >= TRY_S:
            self._tried_s = now_s
            log.warning("degraded: %d lines of this log could not be written when they were said: %s", lost,
                        self._log.why)  # fmt: skip
        if not self._log.lost:
            return None
        return (
            f"the log must be written; got {self._log.why} for {self._log.lost} lines; counting and judging go on: "
            "make room on the disk behind the worker's standard error, or start who reads it"
        )

    def _letters(self) -> str | None:
        """At once where somebody must do something about it; a leader that moves is nobody's business."""
        refused = self._worker.letters_refused
        if refused is None or self._pulse.is_deaf:
            return None
        waits = loop_s() - max(refused.since_s, self._away_s) < WRITES_S
        return None if waits and not refused.is_lasting else refused.sentence

    def _writes(self) -> str | None:
        now_s, since_s = loop_s(), self._worker.waiting_since_s
        if self._pulse.is_deaf:
            self._away_s = now_s
        if since_s is None or now_s - max(since_s, self._away_s) < WRITES_S:
            return None
        return (
            f"what is written must be taken; got {self._log.overheard.error or 'no answer'} from Kafka for "
            f"{now_s - since_s:.0f} s; counting and judging wait: look for a full disk and for replicas that are not "
            "in sync on the brokers, and at the rights of this user"
        )
