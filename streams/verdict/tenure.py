"""One tenure of the Judge in this worker: from the snapshot, over the log since, to record after record.

Beginning fences whoever judged before. Knows the order in which a Judge is put together again; what it finds is the
Judge's, how it is written is the outbox's.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from detector.contracts.policy import Policy
from detector.contracts.scope import Scope
from detector.counting.tally import Marker, Source, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change, Outage
from detector.judging.sources import State
from detector.judging.state import OtherVersion
from streams.settings import Settings
from streams.verdict.outbox import Outbox
from streams.verdict.snapshot import Snapshot, newest
from streams.verdict.tallyreader import Logged, TallyReader, open_tally_reader

__all__ = ["LAG_MS", "Facts", "Tenure", "begin_tenure"]

log = logging.getLogger(__name__)

LAG_MS = 15 * 60_000
"""How much more than the ring's length of the log before a snapshot fills the ring again: what a source may lag."""
HEALTH_MS = 5_000
FACTS_S = 0.2
CHANGES_MAX = 1_000
"""Outage events of one transaction."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What metrics tell of a Judge; see its methods of the same names. `maintained`: scopes in a maintenance now;
    `frozen`: those of which nothing was learned for 24 hours."""

    time_ms: int = -1
    rates: Sequence[tuple[Scope, dict[int, list[int]]]] = ()
    open_outages: Sequence[Outage] = ()
    blocked: Mapping[str, int] = field(default_factory=dict)
    maintained: Sequence[Scope] = ()
    frozen: Sequence[Scope] = ()


class Tenure:
    """A Judge at work. `next` is the offset of the tallies log it takes next; `epoch` numbers the owners; `judged_s` is
    the CPU seconds that judging took; `unkept_ms` is how much of the log it judged to begin, since the last snapshot.
    """

    def __init__(self, judge: Judge, outbox: Outbox, epoch: int, next_: int, wall_ms: Callable[[], int]) -> None:
        self.judge = judge
        self.epoch = epoch
        self.next = next_
        self.time_ms = 0
        self.judged_s = 0.0
        self.unkept_ms = 0
        self._outbox = outbox
        self._wall_ms = wall_ms
        self._health_ms = 0
        self._guard = threading.Lock()
        self._facts = Facts()

    async def take(self, batch: Sequence[Logged]) -> list[Change]:
        """Judge records and write what follows; what was written. Records taken before are passed over.

        Beside the event loop: the last of eight sources to catch up can let hours be judged by one record. Who is to be
        woken is said first: how a thousand scopes are takes longer to say. Raises Fenced.
        """
        changes = await asyncio.to_thread(self._judge, batch)
        written = await self._write(changes)
        # A clock that is set back must not keep health back until it is where it was.
        if changes or not 0 <= self._wall_ms() - self._health_ms < HEALTH_MS:
            self._health_ms = self._wall_ms()
            await self._outbox.write_health(await asyncio.to_thread(self.judge.health))
        return written

    def facts(self, *, rates: bool) -> Facts:
        """What the Judge says now, or, while it is busy, what it said last; of the rates so unless they are wanted.
        From any thread."""
        if self._guard.acquire(timeout=FACTS_S):
            try:
                judge = self.judge
                of_scopes = judge.rates() if rates else self._facts.rates
                self._facts = Facts(
                    judge.time_ms, of_scopes, judge.open_outages(), judge.blocked(), judge.maintenances.running(),
                    judge.long_frozen(),
                )  # fmt: skip
            finally:
                self._guard.release()
        return self._facts

    def waiting(self) -> int:
        """Tallies that are taken and wait for their boundary."""
        return sum(len(mine.waiting) for mine in list(self.judge.sources.by_source.values()))

    def live(self) -> list[Source]:
        """The sources that hold Judge's time back."""
        return [source for source, mine in list(self.judge.sources.by_source.items()) if mine.state is State.LIVE]

    def snapshot(self) -> Snapshot:
        """The Judge as it is now."""
        state = msgspec.msgpack.encode(self.judge.export())
        return Snapshot(self.epoch, self.next, self.time_ms, self.judge.time_ms, state)

    async def is_ours(self) -> bool:
        """Whether no tenure has begun since, here or elsewhere. Raises KafkaError."""
        return await self._outbox.is_ours()

    @property
    def writing_since_s(self) -> float | None:
        """When the transaction began that Kafka has not answered yet; None where there is none."""
        return self._outbox.writing_since_s

    async def stop(self) -> None:
        """Leave the judging to others."""
        await self._outbox.stop()

    def _judge(self, batch: Iterable[Logged]) -> list[Change]:
        began_s = time.thread_time()
        try:
            return self._judged(batch)
        finally:
            self.judged_s += time.thread_time() - began_s

    def _judged(self, batch: Iterable[Logged]) -> list[Change]:
        changes: list[Change] = []
        for logged in batch:
            if logged.offset < self.next:
                continue
            for record in logged.records:
                with self._guard:
                    changes += self.judge.take(record)
            self.next, self.time_ms = logged.offset + 1, logged.time_ms
        return changes

    async def _write(self, changes: Sequence[Change]) -> list[Change]:
        written: list[Change] = []
        for start in range(0, len(changes), CHANGES_MAX):
            written += await self._outbox.write(changes[start : start + CHANGES_MAX])
        return written


async def begin_tenure(
    settings: Settings, policy: Policy, table: Mapping[bytes, bytes], wall_ms: Callable[[], int]
) -> Tenure:
    """A Judge that has taken every record that the tallies log has now. Raises Fenced, KafkaError."""
    outbox = Outbox(settings, wall_ms)
    await outbox.start()
    try:
        async with open_tally_reader(settings) as reader:
            return await _rebuilt(reader, policy, newest(table), outbox, wall_ms)
    except BaseException:
        await outbox.stop()
        raise


def _restored(snapshot: Snapshot | None) -> Judge | None:
    """The snapshot's Judge; None where there is none that this version of Pastille understands."""
    if snapshot is None:
        return None
    try:
        return Judge.restore(msgspec.msgpack.decode(snapshot.state))
    except OtherVersion as error:
        log.warning("verdict: %s; it is left, and all of the tallies log is judged anew, which takes minutes", error)
        return None


async def _rebuilt(
    reader: TallyReader, policy: Policy, kept: Snapshot | None, outbox: Outbox, wall_ms: Callable[[], int]
) -> Tenure:
    # Also after a snapshot that is left the epoch goes on, or what is written next would be taken for older.
    epoch, judge = (1 if kept is None else kept.epoch + 1), _restored(kept)
    if kept is None or judge is None:
        first = await reader.beginning()
        tenure = Tenure(Judge(policy), outbox, epoch, first, wall_ms)
        tenure.judge.adopt(outbox.written.newest.values())
    else:
        first = min(kept.offset, await reader.first_since(_needed_from_ms(kept, judge.policy)))
        tenure = Tenure(judge, outbox, epoch, kept.offset, wall_ms)
        await _refill(reader, judge, first, kept.offset)
        judge.adopt(outbox.written.newest.values())
    kept_ms = 0 if kept is None or judge is None else kept.time_ms
    async for batch in reader.between(tenure.next, await reader.end()):
        await tenure.take(batch)
    tenure.unkept_ms = max(0, tenure.time_ms - kept_ms)
    log.info("verdict: judging from offset %d, epoch %d, log read from %d", tenure.next, tenure.epoch, first)
    return tenure


def _needed_from_ms(kept: Snapshot, policy: Policy) -> int:
    """When the first record was written that the ring hangs on, which holds its length before every open pane. A Judge
    that catches up may have reached a time long past: what tells of the panes before was written then, not lately."""
    return min(kept.time_ms, kept.boundary_ms) - policy.ring_ms - policy.open_ms - LAG_MS


async def _refill(reader: TallyReader, judge: Judge, start: int, stop: int) -> None:
    async for batch in reader.between(start, stop):
        await asyncio.to_thread(_refill_all, judge, [record for logged in batch for record in logged.records])


def _refill_all(judge: Judge, records: Iterable[Tally | Marker]) -> None:
    for record in records:
        judge.refill(record)
