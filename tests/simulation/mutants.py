"""Planted faults: each a small patch of one part, with what it breaks. The simulation must find every one of them.

A patch replaces one attribute while runs last. Does not know what the checks look at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from detector.counting.counter import Counter
from detector.counting.tally import Tally
from detector.judging import judge, lifecycle, sources
from detector.judging.judge import Judge
from detector.judging.report import Report
from detector.judging.sources import Sources, State
from streams.intake import half, lane, recovery, session
from streams.verdict import agent, outbox, snapshot, standby, tenure
from streams.verdict.standby import Ready, Standby
from tests.simulation.client import CLUSTER, Consumer, Producer

Patch = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault. `breaks` is the sentence that is no longer true; `patches` makes what is put in place anew each time."""

    breaks: str
    patches: Callable[[], tuple[Patch, ...]]


# Counting


def difference() -> tuple[Patch, ...]:
    """Of what a cell holds only what came since it was last told."""
    plain = Counter._tally

    def told(self: Counter) -> Tally:
        tally = plain(self)
        before: dict[Any, Any] = self.__dict__.setdefault("_before", {})
        counts = tally.cells.counts.copy()
        for row, (leaf, pane) in enumerate(zip(tally.cells.leaf.tolist(), tally.cells.pane.tolist(), strict=True)):
            key = tally.cells.leaves[leaf], pane
            counts[row] -= before.get(key, 0)
            before[key] = tally.cells.counts[row].copy()
        return replace(tally, cells=replace(tally.cells, counts=counts))

    return ((Counter, "_tally", told),)


def newest_offset() -> tuple[Patch, ...]:
    """The committed offset is that of the next record."""
    return ((half.Half, "needed_from", lambda self, _log_time_ms: self.next),)


def two_horizons() -> tuple[Patch, ...]:
    """A rebuilding begins 2 H back, whatever a vote hangs on."""

    def commit_from(self: Counter, log_time_ms: int) -> int:
        pane_ms = self.policy.pane_ms
        return (log_time_ms - 2 * self.policy.horizon_ms) // pane_ms * pane_ms

    return ((Counter, "commit_from", commit_from),)


def told_while_rebuilding() -> tuple[Patch, ...]:
    """Nothing is noted, so nothing is rebuilt in silence."""
    plain = Counter.__init__

    def begin(self: Counter, *arguments: Any, noted_ms: int | None = None, **more: Any) -> None:
        plain(self, *arguments, **more)

    return ((Counter, "__init__", begin),)


def tally_before_snapshot() -> tuple[Patch, ...]:
    """A new owner goes on before it tells what it rebuilt."""
    plain = lane.Lane._published

    def published(self: lane.Lane, tallies: list[Tally]) -> list[Tally]:
        late: list[Tally] = self.__dict__.setdefault("_late", [])
        held, late[:] = list(late), [tally for tally in tallies if tally.first_pane >= 0]
        rest = [tally for tally in tallies if tally.first_pane < 0]
        return plain(self, rest + held)

    return ((lane.Lane, "_published", published),)


def no_snapshot() -> tuple[Patch, ...]:
    """What a new owner rebuilt does not replace what was said before."""
    plain = Counter._tally
    return ((Counter, "_tally", lambda self: replace(plain(self), first_pane=-1)),)


def no_terms() -> tuple[Patch, ...]:
    """A new owner goes on with the term of the one before."""
    plain = recovery.begin_from

    def begin(*arguments: Any) -> recovery.Begin:
        begun = plain(*arguments)
        return begun if begun.term == arguments[2] else replace(begun, term=begun.term - 1)

    return ((session, "begin_from", begin),)


def unacknowledged() -> tuple[Patch, ...]:
    """A commit does not wait for the tallies it speaks of."""

    async def acknowledged(self: session.Session) -> None:
        self._in_flight = []

    return ((session.Session, "_acknowledged", acknowledged),)


def always_kept() -> tuple[Patch, ...]:
    """Whoever gets a source back goes on, though another had it meanwhile."""
    return ((session.Session, "_kept", lambda self, source, _found: self.lanes.get(source)),)


# Judging


def any_record() -> tuple[Patch, ...]:
    """A record is taken whatever its term and boundary."""

    def accept(self: Sources, tally: Tally, time_ms: int) -> bool:
        mine = self._progress(tally.source)
        mine.term = mine.boundary_ms = -1
        return plain(self, tally, time_ms)

    plain = Sources.accept
    return ((Sources, "accept", accept),)


def highest_offset() -> tuple[Patch, ...]:
    """Of two snapshots the one of the higher offset counts, whoever wrote it."""

    def newest(table: Any) -> Any:
        whole = [found for slot in range(snapshot.SLOTS) if (found := snapshot._read(table, slot)) is not None]
        return max(whole, key=lambda one: one.offset, default=None)

    return ((tenure, "newest", newest), (standby, "newest", newest), (snapshot, "newest", newest))


def no_refill() -> tuple[Patch, ...]:
    """A restored Judge goes on without its ring."""
    return ((Judge, "refill", lambda _self, _record: None),)


def obeyed_at_once() -> tuple[Patch, ...]:
    """A source that has gone silent leaves before the log says so."""
    plain = agent.Verdict._say

    async def say(self: agent.Verdict, at_work: tenure.Tenure) -> None:
        await plain(self, at_work)
        for source in at_work.live():
            if ("stuck", source) in self._watch._said_s:
                at_work.judge.sources.leave(source, State.STUCK)

    return ((agent.Verdict, "_say", say),)


def wall_clock() -> tuple[Patch, ...]:
    """The Judge asks what o'clock it is."""
    plain = Report.data

    def data(self: Report, *arguments: Any, **more: Any) -> Any:
        return plain(self, *arguments, **more).model_copy(update={"updated_at": _now_ms()})

    return ((Report, "data", data),)


def random_ids() -> tuple[Patch, ...]:
    """An outage's id is drawn when it starts."""
    numbers = count()
    return ((lifecycle, "outage_id", lambda _scope, _ordinal: f"{next(numbers):020x}"),)


# Writing


def unfenced() -> tuple[Patch, ...]:
    """Every Judge writes under a transactional id of its own."""
    plain, numbers = Producer.__init__, count()

    def begin(self: Producer, *, transactional_id: str | None = None, **more: Any) -> None:
        plain(self, transactional_id=transactional_id and f"{transactional_id}-{next(numbers)}", **more)

    return ((Producer, "__init__", begin),)


def written_blindly() -> tuple[Patch, ...]:
    """What is on the topic already is written again."""
    return ((outbox.Written, "lacks", lambda _self, _change: True),)


def no_transaction() -> tuple[Patch, ...]:
    """What belongs together is written piece by piece."""
    plain = Producer.transaction

    @asynccontextmanager
    async def transaction(self: Producer) -> AsyncIterator[None]:
        yield
        whole, self._buffer = self._buffer, []
        for one in whole:
            async with plain(self):
                self._buffer.append(one)

    return ((Producer, "transaction", transaction),)


def uncommitted_is_read() -> tuple[Patch, ...]:
    """A new Judge takes what was aborted for written."""

    class Uncommitted(Consumer):
        def __init__(self, **more: Any) -> None:
            super().__init__(**more | {"isolation_level": "read_uncommitted"})

    return ((outbox, "AIOKafkaConsumer", Uncommitted),)


def snapshot_before_events() -> tuple[Patch, ...]:
    """The snapshot says that an event was told before it is."""
    tell, take = tenure.Tenure.tell, agent.Verdict._take

    async def told(self: tenure.Tenure, changes: Any) -> Any:
        if changes and "keep" in self.__dict__:
            self.__dict__["keep"]()
        return await tell(self, changes)

    async def taken(self: agent.Verdict, event: Any) -> None:
        at_work = self.tenure
        if at_work is not None:
            at_work.__dict__["keep"] = lambda: self._write_snapshot(at_work)
        await take(self, event)

    return ((tenure.Tenure, "tell", told), (agent.Verdict, "_take", taken))


def torn_snapshot() -> tuple[Patch, ...]:
    """The manifest comes first, and nobody looks whether what it speaks of is there."""
    plain = snapshot.pack

    def pack(kept: snapshot.Snapshot, _slot: int) -> list[tuple[bytes, bytes]]:
        *chunks, manifest = plain(kept, 0)
        return [manifest, *chunks]

    def read(table: Any, slot: int) -> snapshot.Snapshot | None:
        kept, chunk = table.get(snapshot._manifest_key(slot)), table.get(snapshot._chunk_key(slot, 0))
        if kept is None or chunk is None:
            return None
        said = snapshot._manifest.decode(kept)
        state = snapshot._chunk.decode(chunk).data
        return snapshot.Snapshot(said.epoch, said.offset, said.time_ms, said.boundary_ms, state)

    return ((agent, "pack", pack), (snapshot, "_read", read))


def standby_finds_nothing() -> tuple[Patch, ...]:
    """Who stood by does not tell what the lost Judge found last."""
    plain = Standby.hand_over

    async def hand_over(self: Standby, kept: snapshot.Snapshot) -> Ready | None:
        ready = await plain(self, kept)
        return None if ready is None else replace(ready, found=[])

    return ((Standby, "hand_over", hand_over),)


def gap_taken() -> tuple[Patch, ...]:
    """What stands behind a lost tally is taken as if nothing had been there."""
    return ((sources, "follows", lambda *_: True), (judge, "follows", lambda *_: True))


def _now_ms() -> int:
    cluster = CLUSTER.get(None)
    return 0 if cluster is None else cluster.broker.wall_ms()


MUTANTS: dict[str, Mutant] = {
    name: Mutant(str(patches.__doc__), patches)
    for name, patches in {
        "difference": difference, "newest-offset": newest_offset, "two-horizons": two_horizons,
        "told-while-rebuilding": told_while_rebuilding, "tally-before-snapshot": tally_before_snapshot,
        "no-snapshot": no_snapshot, "no-terms": no_terms, "unacknowledged": unacknowledged,
        "always-kept": always_kept, "any-record": any_record,
        "highest-offset": highest_offset, "no-refill": no_refill, "obeyed-at-once": obeyed_at_once,
        "wall-clock": wall_clock, "random-ids": random_ids, "unfenced": unfenced,
        "written-blindly": written_blindly, "no-transaction": no_transaction,
        "uncommitted-is-read": uncommitted_is_read, "snapshot-before-events": snapshot_before_events,
        "torn-snapshot": torn_snapshot, "gap-taken": gap_taken,
        "standby-finds-nothing": standby_finds_nothing,
    }.items()
}  # fmt: skip
