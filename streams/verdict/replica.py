"""A replica of the Judge: one Judge and how far of the tallies log it has taken, put together from snapshot and log.

The Judge is a function of the log, so replicas that have taken the same records are alike, whoever holds them: the
tenure that writes what follows, or a worker that stands by. Does not know what becomes of what is found.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable

import msgspec

from detector.contracts.policy import Policy
from detector.counting.tally import Marker, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from detector.judging.state import OtherVersion
from streams.verdict.snapshot import Snapshot
from streams.verdict.tallyreader import Logged, Mark, TallyReader

__all__ = ["LAG_MS", "Replica", "restored"]

log = logging.getLogger(__name__)

LAG_MS = 15 * 60_000
"""How much more than the ring's length of the log before a snapshot fills the ring again: what a source may lag."""
LOOKS, LOOK_S = 10, 1.0
"""How often, and how long after each other, the end of the log is asked for that a snapshot is beyond."""


class Replica:
    """A Judge. `first` is the offset of the tallies log from which it was put together, `mark` says how far it has
    taken that; `judged_s` is the CPU seconds that judging took. Whoever asks the Judge something from another thread
    holds `guard`."""

    def __init__(self, judge: Judge, next_: int, time_ms: int = 0) -> None:
        self.judge = judge
        self.first = next_
        self.mark = Mark(next_, time_ms)
        self.judged_s = 0.0
        self.guard = threading.Lock()

    @property
    def next(self) -> int:
        """The offset of the record that it takes next."""
        return self.mark.next

    @property
    def time_ms(self) -> int:
        """Kafka's time of the record before."""
        return self.mark.time_ms

    def take(self, batch: Iterable[Logged]) -> list[tuple[int, Change]]:
        """Judge records; what follows, each with the offset it follows from. Records taken before are passed over."""
        found: list[tuple[int, Change]] = []
        for logged in batch:
            if logged.offset < self.next:
                continue
            began_s = time.thread_time()
            try:
                changes = self._judged(logged)
            finally:
                self.judged_s += time.thread_time() - began_s
            self.mark = Mark(logged.offset + 1, logged.time_ms)
            found += [(logged.offset, change) for change in changes]
        return found

    def _judged(self, logged: Logged) -> list[Change]:
        changes: list[Change] = []
        for record in logged.records:
            with self.guard:
                changes += self.judge.take(record)
        return changes


async def restored(reader: TallyReader, kept: Snapshot) -> Replica | None:
    """The replica that wrote a snapshot, with its ring; None where this version of Pastille does not understand it, or
    it is of another tallies log than there is now. Raises KafkaError."""
    try:
        judge = Judge.restore(msgspec.msgpack.decode(kept.state))
    except OtherVersion as error:
        log.warning("verdict: %s; it is left", error)
        return None
    if not await _reaches(reader, kept.offset):
        log.warning("verdict: the tallies log ends before offset %d, where the snapshot stands: it was made anew or "
                    "cut off, and the snapshot is left", kept.offset)  # fmt: skip
        return None
    if not await reader.holds(Mark(kept.offset, kept.time_ms)):
        log.warning("verdict: before offset %d, where the snapshot stands, the tallies log has another record than was "
                    "taken: it was made anew or cut off, and the snapshot is left", kept.offset)  # fmt: skip
        return None
    replica = Replica(judge, kept.offset, kept.time_ms)
    replica.first = min(kept.offset, await reader.first_since(_needed_from_ms(kept, judge.policy)))
    async for batch in reader.between(replica.first, kept.offset):
        await asyncio.to_thread(_refill, judge, [record for logged in batch for record in logged.records])
    return replica


async def _reaches(reader: TallyReader, offset: int) -> bool:
    """Whether the log goes so far; a leader that is new may not know all of its end for a moment."""
    for _ in range(LOOKS):
        if await reader.end() >= offset:
            return True
        await asyncio.sleep(LOOK_S)
    return False


def _needed_from_ms(kept: Snapshot, policy: Policy) -> int:
    """When the first record was written that the ring hangs on, which holds its length before every open pane. A Judge
    that catches up may have reached a time long past: what tells of the panes before was written then, not lately."""
    return min(kept.time_ms, kept.boundary_ms) - policy.ring_ms - policy.open_ms - LAG_MS


def _refill(judge: Judge, records: Iterable[Tally | Marker]) -> None:
    for record in records:
        judge.refill(record)
