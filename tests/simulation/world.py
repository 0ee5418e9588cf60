"""One run: real workers on a simulated Kafka, with everything done to them that a history says.

    Intake, Session, Lane, Counter ─┐                          ┌─ Consumer, Producer, App (client.py, faustapp.py)
    Verdict, Tenure, Judge, Outbox ─┴─ the product, unchanged ─┴─ Broker, Group (broker.py, group.py)

A worker here is what `streams.app.Worker` starts, less HTTP and signals. What was seen is kept for `checks`; nothing is
judged here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from detector.contracts.policy import Policy
from detector.counting.tally import Marker, Source, Tally
from streams import tallylog
from streams.intake import deadletters, ingest, reader, session
from streams.intake.lane import Lane
from streams.intake.placing import place
from streams.intake.recovery import Note, parse_note
from streams.settings import Feed, Settings
from streams.topics import changelog_topic
from streams.verdict import agent, announcements, clock, outbox, replica, snapshot, standby, tallyreader, tenure
from tests.simulation.broker import Broker, Record
from tests.simulation.client import CLUSTER, Cluster, Consumer, Producer
from tests.simulation.faustapp import App
from tests.simulation.group import SESSION_S, Group, by_range, to_one
from tests.simulation.history import JUDGE, Fault, History
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import Process
from tests.simulation.shops import START_MS, VOTE_BLOCK_MS, Sent, policy

RESTART_S = 3.0
CALM_MS = 40_000
"""So long before the traffic ends everything is as it should be again."""
QUIET_MS = 25_000
"""So long after the traffic a run ends."""
LOOK_S = 0.1

said_by = lru_cache(1_024)(tallylog.unpack)
"""What a record of the tallies log says: the same to all who read it, so it is decoded once."""

EDGE: tuple[tuple[Any, str, Any], ...] = (
    (reader, "AIOKafkaConsumer", Consumer), (tallyreader, "AIOKafkaConsumer", Consumer),
    (outbox, "AIOKafkaConsumer", Consumer), (announcements, "AIOKafkaConsumer", Consumer),
    (tallylog, "AIOKafkaProducer", Producer), (outbox, "AIOKafkaProducer", Producer),
    (deadletters, "AIOKafkaProducer", Producer), (agent, "begin_tenure", agent.begin_tenure),
    (tallyreader, "unpack", said_by),
)  # fmt: skip
SHORT: tuple[tuple[Any, str, Any], ...] = (
    (Policy, "vote_block_ms", VOTE_BLOCK_MS), (session, "FETCH_MS", 2_000), (session, "COMMIT_S", 4.0),
    (session, "END_S", 3.0), (session, "IDLE_STEP_S", 2.0), (session, "BEHIND_MS", 40_000),
    (clock, "BEHIND_MS", 40_000), (clock, "SILENT_S", 9.0), (agent, "SNAPSHOT_S", 5.0),
    (replica, "LAG_MS", 20_000), (standby, "TOLD_KEPT", 3), (standby, "FOUND_MAX", 12),
)  # fmt: skip
"""Times of the product that no policy sets, made as short as those that one sets."""


@dataclass(slots=True)
class Seen:
    """What a run left behind. `tallies[n]`: when (s), at which offset, what; `commits`: when, where, offset, note."""

    broker: Broker
    tallies: list[tuple[float, int, Tally | Marker]] = field(default_factory=list)
    commits: list[tuple[float, TopicPartition, int, Note]] = field(default_factory=list)
    tenures: list[tuple[int, int]] = field(default_factory=list)
    """(epoch, the highest epoch of a whole snapshot in the table at its beginning)."""
    appended: list[tuple[float, TopicPartition, int, Sent]] = field(default_factory=list)
    sessions: list[session.Session] = field(default_factory=list)
    lanes: dict[Source, Lane] = field(default_factory=dict)
    tenure: tenure.Tenure | None = None
    """These three as they are at the end."""
    wrong: list[str] = field(default_factory=list)
    """What was seen to be wrong meanwhile."""
    workers: list[Worker] = field(default_factory=list)
    told: dict[tuple[Source, int], int] = field(default_factory=lambda: defaultdict(lambda: -1))
    """The newest boundary in the log of a source and term."""


@dataclass(slots=True)
class Worker:
    """A worker, whichever process it is now; None while it is down."""

    number: int
    process: Process | None = None
    lives: int = 0
    down_for_s: float = RESTART_S
    intake: ingest.Intake | None = None
    verdict: agent.Verdict | None = None


class World:
    """A history at play."""

    def __init__(self, history: History, loop: SimulatedLoop) -> None:
        self.history, self.loop = history, loop
        self.random = Random(history.seed + 1)
        self.policy = policy(history.evidence)
        feed = Feed(orders="orders" if history.shops.has_orders else None)
        self.settings = Settings(feeds=(feed,))
        sizes = dict.fromkeys(feed.topics, history.partitions)
        self.placing = place((feed,), sizes)
        self.broker = Broker(self.wall_ms, dict(enumerate(history.broker_skew_ms)))
        self.broker.watchers.append(self._written)
        self.tallies_at = TopicPartition(self.settings.topics.tallies, 0)
        changelog = TopicPartition(changelog_topic(self.settings), 0)
        self.groups = {
            "pastille-counter": Group("pastille-counter", by_range(sizes), self.random),
            "pastille-judge": Group("pastille-judge", to_one(self.tallies_at, changelog), self.random),
        }
        self.cluster = Cluster(self.broker, self.groups, self._committed)
        self.seen = Seen(self.broker)
        self.seen.workers = [Worker(number) for number in range(history.workers)]
        self._held: dict[int, list[Sent]] = defaultdict(list)
        self._is_calm = False

    def wall_ms(self, skew_ms: int = 0) -> int:
        """What o'clock it is."""
        return START_MS + int(self.loop.time() * 1000) + skew_ms

    # The run

    async def play(self) -> None:
        """From the first event to a while after the last."""
        CLUSTER.set(self.cluster)
        begin_tenure = agent.begin_tenure

        async def begin(settings: Settings, rules: Policy, table: Any, *more: Any) -> tenure.Tenure:
            whole = [found for slot in range(snapshot.SLOTS) if (found := snapshot._read(table, slot)) is not None]
            begun = await begin_tenure(settings, rules, table, *more)
            self.seen.tenures.append((begun.epoch, max((found.epoch for found in whole), default=0)))
            return begun

        agent.begin_tenure = begin
        tasks = [self.loop.create_task(work) for work in (
            *(group.run() for group in self.groups.values()), self._send_all(), self._do_all())]  # fmt: skip
        for worker in self.seen.workers:
            self._boot(worker)
        await self._until(self.history.shops.span_ms - CALM_MS)
        self._calm_down()
        await self._until(self.history.shops.span_ms + QUIET_MS)
        while self._writes() and self.loop.time() * 1000 < self.history.shops.span_ms + 2 * QUIET_MS:
            await asyncio.sleep(LOOK_S)
        self._take_stock()
        for task in tasks:
            task.cancel()

    def _writes(self) -> bool:
        """Whether a Judge waits for what it writes: it has judged more than it has said."""
        return any(worker.verdict is not None and worker.verdict.waiting_since_s for worker in self.seen.workers)

    def _take_stock(self) -> None:
        """What is at work at the end."""
        for worker in self.seen.workers:
            if worker.intake is not None and worker.intake._session is not None:
                self.seen.sessions.append(worker.intake._session)
                self.seen.lanes |= worker.intake._session.lanes
            if worker.verdict is not None and worker.verdict.holds_seat and worker.verdict.tenure is not None:
                self.seen.tenure = worker.verdict.tenure

    async def _until(self, at_ms: int) -> None:
        await asyncio.sleep(max(0.0, at_ms / 1000 - self.loop.time()))

    async def _send_all(self) -> None:
        for sent in self.history.sent:
            await self._until(sent.at_ms)
            self._send(sent)

    def _send(self, sent: Sent) -> None:
        at = TopicPartition(sent.topic, sent.partition(self.history.partitions))
        if at.topic not in self.placing.topics:
            return
        if self.broker.partition(at).is_held:
            self._held[at.partition].append(sent)
            return
        record = self.broker.append(at, sent.event.order.encode(), sent.value())
        self.seen.appended.append((self.loop.time(), at, record.timestamp, sent))

    # Workers

    def _boot(self, worker: Worker) -> None:
        """A new process of a worker that is down."""
        if worker.process is not None:
            return
        worker.lives += 1
        process = Process(worker.number, worker.lives, self.random, self.history.skew_ms[worker.number])
        process.on_death.append(lambda: self._died(worker, process))
        worker.process, worker.down_for_s = process, RESTART_S
        process.start(self._work(worker, process))

    async def _work(self, worker: Worker, process: Process) -> None:
        """What `streams.app.Worker` does: intake and verdict side by side, until one of them cannot go on."""
        def wall_ms() -> int:
            return self.wall_ms(process.skew_ms)

        app: Any = App(f"{self.settings.app_id}-judge", self.tallies_at)
        worker.intake = intake = ingest.Intake(self.settings, self.policy, self.placing, wall_ms)
        worker.verdict = agent.Verdict(app, self.settings, self.policy, wall_ms, is_busy=lambda: intake.is_rebuilding)
        begun = [process.start(worker.intake._sessions()), process.start(worker.verdict.start()),
                 process.start(worker.verdict.watch())]  # fmt: skip
        waits: set[asyncio.Future[Any]] = {*begun, worker.verdict.failed}
        while True:
            done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in done - {begun[1]}:
                error = one.result() if one is worker.verdict.failed else one.exception()
                self._failed(process, error)
            if done == {begun[1]} and begun[1].exception() is None:
                continue
            process.kill()

    def _failed(self, process: Process, error: Any) -> None:
        """A worker may end because Kafka refuses something; for no other reason, and a newer Judge is none."""
        is_refused = isinstance(error, KafkaError | OSError) and not isinstance(error, outbox.Fenced)
        if not process.is_dead and not is_refused:
            self.seen.wrong.append(f"a worker failed: {error!r}")

    def _died(self, worker: Worker, process: Process) -> None:
        worker.process, worker.intake, worker.verdict = None, None, None
        self._expire_later(process)
        self.loop.call_later(RESTART_S if self._is_calm else worker.down_for_s, self._boot, worker)

    def _expire_later(self, process: Process) -> None:
        for group in self.groups.values():
            self.loop.call_later(SESSION_S, group.expire, process)

    # Faults

    async def _do_all(self) -> None:
        for fault in self.history.faults:
            await self._until(fault.at_ms)
            self._do(fault)

    def _do(self, fault: Fault) -> None:
        if fault.kind == "rebalance":
            for group in self.groups.values():
                group.rebalance()
        elif fault.kind == "hold":
            self._hold(fault.target, True)
            self.loop.call_later(fault.for_ms / 1000, self._hold, fault.target, False)
        elif fault.kind == "all down":
            for worker in self.seen.workers:
                self._do_to(worker, Fault(fault.at_ms, "kill", worker.number, fault.for_ms))
        elif (worker := self._worker(fault.target)) is not None:
            self._do_to(worker, fault)

    def _worker(self, target: int) -> Worker | None:
        """The worker of that number, or the one that judges."""
        if target != JUDGE:
            return self.seen.workers[target]
        return next((worker for worker in self.seen.workers
                     if worker.verdict is not None and worker.verdict.holds_seat), None)  # fmt: skip

    def _do_to(self, worker: Worker, fault: Fault) -> None:
        process, for_s = worker.process, fault.for_ms / 1000
        if process is None:
            return
        if fault.kind in ("kill", "kill at"):
            worker.down_for_s = for_s
            process.dies_at = fault.on or None
            if not fault.on:
                process.kill()
        elif fault.kind == "stop":
            process.start(self._stop(worker, process))
        elif fault.kind in ("pause", "unaware"):
            if fault.kind == "pause":
                process.pause()
            process.unaware = True
            self._expire_later(process)
            self.loop.call_later(for_s, self._heal, process)
        else:
            process.refuses = process.refuses or fault.kind == "refuse"
            process.slow = process.slow or fault.kind == "slow"
            if fault.kind == "acks late":
                process.acks_late_s = for_s / 3
            self.loop.call_later(for_s, self._ease, process)

    async def _stop(self, worker: Worker, process: Process) -> None:
        """An orderly end, as far as a worker has one: the groups are left, what was not committed is left so."""
        if worker.verdict is not None:
            await worker.verdict.stop()
        for group in self.groups.values():
            for member in [one for one in group.members if one.process is process]:
                group.leave(member)
        process.kill()

    def _heal(self, process: Process) -> None:
        """The coordinators hear of a process again."""
        if process.is_dead or not process.unaware:
            return
        process.unaware = False
        process.resume()
        for group in self.groups.values():
            self.loop.call_later(self.random.uniform(0.0, 3.0), self._come_back, group, process)

    def _come_back(self, group: Group, process: Process) -> None:
        if process.answers:
            group.come_back(process)

    def _ease(self, process: Process) -> None:
        process.slow, process.acks_late_s, process.refuses = False, 0.0, False

    def _hold(self, partition: int, held: bool) -> None:
        for topic in self.placing.topics:
            self.broker.partition(TopicPartition(topic, partition)).is_held = held
        if not held:
            waiting = self._held.pop(partition, [])
            for sent in waiting:
                self._send(sent)

    def _calm_down(self) -> None:
        """Whatever is still done to anybody ends."""
        self._is_calm = True
        for partition in range(self.history.partitions):
            self._hold(partition, False)
        for worker in self.seen.workers:
            if worker.process is None:
                self._boot(worker)
            else:
                worker.process.dies_at = None
                self._ease(worker.process)
                self._heal(worker.process)

    # What is seen

    def _written(self, at: TopicPartition, record: Record) -> None:
        if at != self.tallies_at:
            return
        for said in said_by(record.value or b""):
            self.seen.tallies.append((self.loop.time(), record.offset, said))
            if isinstance(said, Tally):
                key = said.source, said.term
                self.seen.told[key] = max(self.seen.told[key], said.boundary_ms)

    def _committed(self, offsets: dict[TopicPartition, Any]) -> None:
        for at, committed in offsets.items():
            note = parse_note(committed.metadata)
            assert note is not None, "what is committed has a note"
            self.seen.commits.append((self.loop.time(), at, committed.offset, note))
            source = Source(self.placing.topics[at.topic].feed, at.partition)
            told_ms = max((ms for (other, term), ms in self.seen.told.items()
                           if other == source and term <= note.term), default=-1)  # fmt: skip
            if note.boundary_ms > told_ms:
                noted = f"{source} is noted at {_s(note.boundary_ms)}, the log has {_s(told_ms)}"
                self.seen.wrong.append(f"committed: {noted}")


def _s(at_ms: int) -> str:
    return f"{(at_ms - START_MS) / 1000:.0f} s" if at_ms >= 0 else "nothing"


@contextmanager
def put(patches: tuple[tuple[Any, str, Any], ...]) -> Iterator[None]:
    """Other values under these names, for a while."""
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def play(history: History, faulty: tuple[tuple[Any, str, Any], ...] = ()) -> World:
    """Run a history to its end, with these parts of the product replaced."""
    loop = SimulatedLoop()
    logging.disable(logging.CRITICAL)
    try:
        with put(EDGE + SHORT + faulty):
            world = World(history, loop)
            loop.run_until_complete(world.play())
            return world
    finally:
        logging.disable(logging.NOTSET)
        _close(loop)


def _close(loop: SimulatedLoop) -> None:
    """Let everything that still runs unwind, without effect."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:  # to gather nothing would need a loop of one's own
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
