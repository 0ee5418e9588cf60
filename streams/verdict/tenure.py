"""One tenure of the Judge in this worker: from a replica that stood by, or the snapshot, to record after record.

Beginning fences whoever judged before. Knows in which order a tenure begins; what the Judge finds is its own, how it is
put together is the replica's, how what it finds is written is the outbox's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from detector.contracts.policy import Policy
from detector.contracts.scope import Scope
from detector.counting.tally import Source
from detector.judging.judge import Judge
from detector.judging.outage import Change, Outage
from detector.judging.sources import State
from streams.settings import Settings
from streams.verdict.outbox import Outbox
from streams.verdict.replica import Replica, restored
from streams.verdict.snapshot import Snapshot, newest
from streams.verdict.standby import Ready, Standby
from streams.verdict.tallyreader import Logged, Mark, TallyReader, open_tally_reader

__all__ = ["Facts", "Tenure", "begin_tenure"]

log = logging.getLogger(__name__)

HEALTH_MS = 5_000
FACTS_S = 0.2
CHANGES_MAX = 1_000
"""Outage events of one transaction."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What metrics tell of a Judge; see its methods of the same names. `maintained`: scopes in a maintenance now;
    `frozen`: those of which nothing was learned for 24 hours; `is_full`: no more leaves are told apart."""

    time_ms: int = -1
    rates: Sequence[tuple[Scope, dict[int, list[int]]]] = ()
    open_outages: Sequence[Outage] = ()
    blocked: Mapping[str, int] = field(default_factory=dict)
    maintained: Sequence[Scope] = ()
    frozen: Sequence[Scope] = ()
    is_full: bool = False


class Tenure:
    """A replica of the Judge at work. `epoch` numbers the owners."""

    def __init__(self, replica: Replica, outbox: Outbox, epoch: int, wall_ms: Callable[[], int]) -> None:
        self.judge = replica.judge
        self.epoch = epoch
        self._replica = replica
        self._outbox = outbox
        self._wall_ms = wall_ms
        self._health_ms = 0
        self._facts = Facts()

    @property
    def mark(self) -> Mark:
        """How far it has taken the tallies log."""
        return self._replica.mark

    @property
    def told(self) -> int:
        """The offset behind the newest outage event that it knows."""
        return self._outbox.end

    @property
    def next(self) -> int:
        """The offset of the tallies log that it takes next."""
        return self._replica.next

    @property
    def time_ms(self) -> int:
        """Kafka's time of the record that it took last."""
        return self._replica.time_ms

    @property
    def judged_s(self) -> float:
        """The CPU seconds that judging took."""
        return self._replica.judged_s

    async def take(self, batch: Sequence[Logged]) -> list[Change]:
        """Judge records and write what follows; what was written. Records taken before are passed over.

        Beside the event loop: the last of eight sources to catch up can let hours be judged by one record. Who is to be
        woken is said first: how a thousand scopes are takes longer to say. Raises Fenced.
        """
        changes = [change for _, change in await asyncio.to_thread(self._replica.take, batch)]
        written = await self.tell(changes)
        # A clock that is set back must not keep health back until it is where it was.
        if changes or not 0 <= self._wall_ms() - self._health_ms < HEALTH_MS:
            self._health_ms = self._wall_ms()
            await self._outbox.write_health(await asyncio.to_thread(self.judge.health))
        return written

    async def tell(self, changes: Sequence[Change]) -> list[Change]:
        """Write what of these changes is not on the topic yet; which those were. Raises Fenced."""
        written: list[Change] = []
        for start in range(0, len(changes), CHANGES_MAX):
            written += await self._outbox.write(changes[start : start + CHANGES_MAX])
        return written

    async def tell_again(self, told: Container[str]) -> None:
        """Write that the outages began which are open and not among these: what told so is lost. Before what is found
        since, which goes on from there."""
        if untold := self.judge.untold(told):
            log.warning("verdict: %d open outages are not on the outages topic, which was made again, lost its end or "
                        "was deleted from: they are told as started, with the numbers that follow",
                        len(untold))  # fmt: skip
            await self.tell(untold)

    def facts(self, *, rates: bool) -> Facts:
        """What the Judge says now, or, while it is busy, what it said last; of the rates so unless they are wanted.
        From any thread."""
        if self._replica.guard.acquire(timeout=FACTS_S):
            try:
                judge = self.judge
                of_scopes = judge.rates() if rates else self._facts.rates
                self._facts = Facts(
                    judge.time_ms, of_scopes, judge.open_outages(), judge.blocked(), judge.maintenances.running(),
                    judge.long_frozen(), judge.board.nodes.is_full,
                )  # fmt: skip
            finally:
                self._replica.guard.release()
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


async def begin_tenure(
    settings: Settings, policy: Policy, table: Mapping[bytes, bytes], wall_ms: Callable[[], int], standby: Standby
) -> Tenure:
    """A Judge that has taken every record that the tallies log has now. Raises Fenced, KafkaError."""
    outbox = Outbox(settings, wall_ms)
    try:
        await outbox.start()
        async with open_tally_reader(settings) as reader:
            kept = newest(table)
            ready = None if kept is None else await standby.hand_over(kept)
            return await _begun(reader, policy, kept, ready, outbox, wall_ms)
    except BaseException:
        await outbox.stop()
        raise


async def _begun(
    reader: TallyReader, policy: Policy, kept: Snapshot | None, ready: Ready | None, outbox: Outbox,
    wall_ms: Callable[[], int],
) -> Tenure:  # fmt: skip
    """With the replica that stood by; else with that of the snapshot; else with one that takes all of the log."""
    replica = None if ready is None else ready.replica
    if replica is None and kept is not None:
        replica = await restored(reader, kept)
        if replica is None:
            log.warning("verdict: all of the tallies log is judged anew, which takes minutes")
    if replica is None:
        first = await reader.beginning()
        replica = Replica(Judge(policy, is_told_all=first == 0), first)
    # Also after a snapshot that is left the epoch goes on, or what is written next would be taken for older.
    tenure = Tenure(replica, outbox, 1 if kept is None else kept.epoch + 1, wall_ms)
    begins = tenure.next
    tenure.judge.adopt(outbox.written.newest.values())
    found = [] if ready is None else ready.found
    await tenure.tell_again(outbox.written.newest.keys() | {change.data.outage_id for change in found})
    await tenure.tell(found)
    async for batch in reader.between(begins, await reader.end()):
        await tenure.take(batch)
    log.info("verdict: judging from offset %d, epoch %d, log read from %d", tenure.next, tenure.epoch,
             replica.first if ready is None else begins)  # fmt: skip
    return tenure
