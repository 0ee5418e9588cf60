"""A worker that stands by: it keeps a replica of the Judge at the end of the tallies log, so that taking over is quick.

    snapshot ──▶ replica ──▶ the log as it grows ──▶ what was found since the newest snapshot
                    └──────────── handed over ───────────────┘

It writes nothing and fences nobody: what it finds is kept for whoever takes over, since the Judge that was lost may not
have told the last of it. What was found before a snapshot was told before that was written. A replica goes on only from
the snapshots of one owner of the Judge: the next may have taken over what no log tells. Does not know Faust.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from detector.judging.outage import Change
from streams.cancelled import lost_is_an_error
from streams.loopclock import loop_s
from streams.settings import Settings
from streams.verdict.replica import Replica, restored
from streams.verdict.snapshot import Snapshot, newest, newest_head
from streams.verdict.tallyreader import TallyReader, open_tally_reader

__all__ = ["Ready", "Roles", "Standby"]

log = logging.getLogger(__name__)

FOLLOW_S = 1.0
HEALTH_S = 5.0
"""So often the replica is asked how scopes are: since when they are so is noted when somebody asks."""
READY_S = 10.0
"""A replica that was not at the end of the log for so long is not ready."""
BEHIND_MS = 10 * 60_000
"""From a snapshot that is so much newer a Judge is sooner put together than this one catches up."""
TOLD_KEPT = 1_000
"""With more changes than this, those that were told before the newest snapshot are looked for and forgotten."""
FOUND_MAX = 10_000
"""Changes; what was found before them cannot be handed over, and a snapshot from before them not be built on."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A replica that is handed over, and what it found since the snapshot from which its taker goes on."""

    replica: Replica
    found: list[Change]


@dataclass(frozen=True, slots=True)
class Roles:
    """What a worker says of itself. `stands_by`: a replica is to be kept up. `needs_none`: nothing will come of one
    that is kept. `is_busy`: none is to be begun now."""

    stands_by: Callable[[], bool]
    needs_none: Callable[[], bool]
    is_busy: Callable[[], bool]


class Standby:
    """The replica of a worker that does not judge, and what it found."""

    def __init__(self, settings: Settings, table: Mapping[bytes, bytes], roles: Roles) -> None:
        self._settings, self._table, self._roles = settings, table, roles
        self._lock = asyncio.Lock()
        self._replica: Replica | None = None
        self._found: deque[tuple[int, Change]] = deque()
        self._epoch, self._since = 0, 0
        self._left: tuple[int, int] | None = None
        self._caught_up_s = self._health_s = 0.0
        self._said: set[str] = set()

    @property
    def is_ready(self) -> bool:
        """Whether a replica is kept, at the end of the log or nearly."""
        return self._replica is not None and loop_s() - self._caught_up_s < READY_S

    async def run(self) -> None:
        """Keep a replica while this worker stands by. Never returns, and raises nothing: to stand by is a help, and
        what it cannot do the one who takes over tries again."""
        while True:
            try:
                if self._roles.stands_by():
                    with lost_is_an_error():
                        await self._follow()
                elif self._roles.needs_none():
                    self._let_go()
            except KafkaError as error:
                self._say(f"{type(error).__name__}: {error}; it waits")
            except Exception:
                log.exception("verdict: the Judge that stands by failed; it is begun anew from the next snapshot")
                self._let_go()
                self._left = newest_head(self._table)
            await asyncio.sleep(FOLLOW_S)

    async def hand_over(self, kept: Snapshot) -> Ready | None:
        """The replica and what it found since the snapshot that is kept now; None where there is none that began with
        one of the same owner and reaches back to this one. It is no longer here then."""
        async with self._lock:  # one that is being put together is nearer to its end than one that is not begun
            replica, found, since, epoch = self._replica, self._found, self._since, self._epoch
            self._let_go()
        if replica is None or epoch != kept.epoch or since > kept.offset:
            return None
        if kept.time_ms - replica.time_ms > BEHIND_MS:
            return None
        replica.judge.sources.left_out = 0  # what its taker counts begins now
        replica.judge.passed_over.clear()
        return Ready(replica, [change for offset, change in found if offset >= kept.offset])

    def _let_go(self) -> None:
        self._replica, self._found = None, deque()

    def _say(self, what: str) -> None:
        """What is wrong, once until the replica is at the end of the log again."""
        if what not in self._said:
            log.warning("verdict: the Judge that stands by: %s", what)
        self._said.add(what)

    async def _follow(self) -> None:
        async with open_tally_reader(self._settings) as reader:
            while self._roles.stands_by():
                async with self._lock:
                    await self._begin(reader)
                    if self._replica is not None:
                        await self._catch_up(reader, self._replica)
                        self._keep_within_limits()
                await asyncio.sleep(FOLLOW_S)

    async def _begin(self, reader: TallyReader) -> None:
        """Begin with the newest snapshot, where there is no replica yet or only one of an owner before."""
        head = newest_head(self._table)
        if head is None or head == self._left or self._goes_on(head[0]):
            return
        kept = None if self._roles.is_busy() else newest(self._table)
        if kept is None or self._goes_on(kept.epoch):  # of the newest not all may be there yet
            return
        self._let_go()
        replica = await restored(reader, kept)
        if replica is None:
            self._left = head
            return
        self._replica, self._epoch, self._since = replica, kept.epoch, kept.offset
        log.info("verdict: a Judge stands by from offset %d, log read from %d", replica.next, replica.first)

    def _goes_on(self, epoch: int) -> bool:
        """Whether a snapshot of this epoch is no reason to begin."""
        return self._replica is not None and epoch <= self._epoch

    async def _catch_up(self, reader: TallyReader, replica: Replica) -> None:
        """Take what the log has by now."""
        async for batch in reader.between(replica.next, await reader.end()):
            self._found += await asyncio.to_thread(replica.take, batch)
        if loop_s() - self._health_s >= HEALTH_S:
            self._health_s = loop_s()
            await asyncio.to_thread(replica.judge.health)
        self._caught_up_s = loop_s()

    def _keep_within_limits(self) -> None:
        if len(self._found) <= TOLD_KEPT:
            self._said.clear()
            return
        head = newest_head(self._table)
        if head is not None and head[0] == self._epoch:
            self._forget(head[1])
        excess = len(self._found) - FOUND_MAX
        if excess > 0:
            self._say(f"more than {FOUND_MAX} outage events since the newest snapshot, the oldest are let go")
            self._forget(self._found[excess - 1][0] + 1)

    def _forget(self, offset: int) -> None:
        """Hand over nothing from before an offset, and nothing to whom that would be missing."""
        self._since = max(self._since, offset)
        while self._found and self._found[0][0] < offset:
            self._found.popleft()
