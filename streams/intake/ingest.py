"""The intake service: fetches the sources the group gave us, counts them in a thread, writes their tallies, commits.

One cycle: settle (after a new assignment), fetch, count, write, note ends, let idle time pass, commit. Whatever Kafka
refuses ends the session; a new session begins with everything taken from the committed notes again. Does not know what
a tally says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter as Count
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka.errors import KafkaError
from mode import Service

from detector.contracts.policy import Policy
from detector.counting.columns import STATUSES
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Marker, Source, Tally
from detector.warm import warm
from streams.intake.deadletters import DeadLetters
from streams.intake.fetch import Fetched
from streams.intake.lane import Counted, Lane, Totals
from streams.intake.placing import Placing
from streams.intake.reader import NOT_PLACED, Reader, TopicPartition
from streams.intake.recovery import Begin, Note, begin_from
from streams.settings import Settings
from streams.tallylog import TallyLog

__all__ = ["Intake"]

log = logging.getLogger(__name__)
T = TypeVar("T")

FETCH_MS = 200
COMMIT_S = 2.0
END_S = 5.0
IDLE_STEP_S = 0.5
HORIZONS_KEPT = 3
PAUSE_S = 0.5
PAUSE_S_MAX = 10.0
STOP_S = 4.0
IN_FLIGHT_MAX = 5_000


class Intake(Service):
    """Counts the sources that the group places here. `lanes` are those at work; `problem` says why it is not ready."""

    def __init__(self, settings: Settings, policy: Policy, placing: Placing, wall_ms: Callable[[], int]) -> None:
        super().__init__()
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.lanes: dict[Source, Lane] = {}
        self.problem: str | None = "starting"
        self.placing = placing
        self.bad: Count[str] = Count()
        self._settings, self._policy, self._wall_ms = settings, policy, wall_ms
        self._names = Names(policy)
        self._decoder = Decoder(policy, self._names)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="counting")
        self._retired = Totals()
        self._done = asyncio.Event()
        self._letters = DeadLetters(settings, policy, self.bad)
        self._reader = Reader(settings, placing.topics)
        self._log = TallyLog(settings)
        self._round = NOT_PLACED
        self._in_flight: list[asyncio.Future[Any]] = []
        self._end_s: dict[Source, float] = {}
        self._idle_s: dict[Source, float] = {}
        self._ended: set[Source] = set()
        self._committed_s = 0.0

    # Life

    @Service.task
    async def _run(self) -> None:
        try:
            await self._sessions()
        except Exception as error:
            if not self.failed.done():
                self.failed.set_result(error)
        finally:
            self._done.set()

    async def _sessions(self) -> None:
        """Sessions, one after another, until the service stops."""
        # Compiling in the middle of a session would cost the membership: first compile, then join.
        await self._in_thread(warm)
        pause_s = PAUSE_S
        while not self.should_stop:
            started_s = time.monotonic()
            try:
                await self._session()
            except (KafkaError, OSError) as error:
                self.problem = f"no session with Kafka: {type(error).__name__}"
                pause_s = PAUSE_S if time.monotonic() - started_s > 60 else min(2 * pause_s, PAUSE_S_MAX)
                log.warning("intake: %s: %s; trying again in %.1f s", self.problem, error, pause_s)
                await self.sleep(pause_s)

    async def _session(self) -> None:
        self._reader, self._log = Reader(self._settings, self.placing.topics), TallyLog(self._settings)
        self._letters = DeadLetters(self._settings, self._policy, self.bad)
        self._forget(list(self.lanes))
        self._in_flight.clear()
        self._round = NOT_PLACED
        clients = (self._log, self._letters, self._reader)
        try:
            for client in clients:
                await client.start()
            while not self.should_stop:
                await self._cycle()
        finally:
            for client in reversed(clients):
                await _quietly(client.stop())

    async def on_stop(self) -> None:
        """Nothing is committed on the way out: what was not, is counted again by the next owner."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), STOP_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    # The cycle

    async def _cycle(self) -> None:
        if self._reader.round == NOT_PLACED:
            self.problem = "waiting for the group to place sources here"
            await self.sleep(0.05)
            return
        if self._round != self._reader.round and not await self._settle(self._reader.round):
            return
        lanes = self.lanes.values()
        wanted = [TopicPartition(topic, lane.source.partition) for lane in lanes for topic in lane.wanted()]
        if not wanted:
            await self.sleep(0.1)
            return
        batches = await self._reader.fetch(wanted, FETCH_MS)
        if self._round != self._reader.round:
            return  # read at positions of another assignment
        for at, batch in batches.items():
            await self._count(at, batch)
        await self._note_ends()
        await self._pass_time()
        await self._commit()

    async def _count(self, at: TopicPartition, batch: Fetched) -> None:
        source = Source(self.placing.topics[at.topic].feed, at.partition)
        lane = self.lanes[source]
        self._end_s.pop(source, None)
        self._ended.discard(source)
        self._idle_s.pop(source, None)
        await self._tell(await self._in_thread(lane.count, at.topic, batch))

    async def _tell(self, counted: Counted) -> None:
        await self._write(counted.tallies)
        if counted.bad:
            await self._letters.put(counted.bad, time.monotonic())

    async def _write(self, records: Iterable[Tally | Marker]) -> None:
        for record in records:
            self._in_flight.append(await self._log.send(record))
            if len(self._in_flight) >= IN_FLIGHT_MAX:
                await self._acknowledged()

    async def _acknowledged(self) -> None:
        """Wait until the broker has every tally written so far. Raises KafkaError where it refuses one."""
        in_flight, self._in_flight = self._in_flight, []
        await asyncio.gather(*in_flight)

    # Ends and idle time

    async def _note_ends(self) -> None:
        now_s = time.monotonic()
        for source, lane in self.lanes.items():
            ends = {topic: self._reader.lag(TopicPartition(topic, source.partition)) == 0 for topic in lane.halves}
            if lane.has_news(ends):
                await self._tell(await self._in_thread(lane.end, ends))
            if lane.is_at_end:
                self._end_s.setdefault(source, now_s)
            else:
                self._end_s.pop(source, None)
        self.problem = self._say()

    async def _pass_time(self) -> None:
        for source, since_s in list(self._end_s.items()):
            if time.monotonic() - since_s < END_S:
                continue
            if self._settings.clock == "events":
                await self._say_ended(source)
            else:
                await self._let_idle(source, since_s)

    async def _say_ended(self, source: Source) -> None:
        if source not in self._ended:
            self._ended.add(source)
            await self._tell(await self._in_thread(self.lanes[source].finish))
            await self._write([Marker("ended", source)])

    async def _let_idle(self, source: Source, since_s: float) -> None:
        now_s = time.monotonic()
        elapsed_s = now_s - max(since_s, self._idle_s.get(source, since_s))
        if elapsed_s >= IDLE_STEP_S:
            self._idle_s[source] = now_s
            await self._tell(await self._in_thread(self.lanes[source].idle, int(elapsed_s * 1000)))

    # Owning

    async def _settle(self, round_: int) -> bool:
        """Take up what this assignment gives us; False where it is over already."""
        committed = await self._reader.committed(self._reader.assigned)
        first = await self._first_offsets(self._reader.assigned - committed.keys())
        lanes: dict[Source, Lane] = {}
        begins: dict[TopicPartition, tuple[int, Note]] = {}
        for source, topics in self._placed(self._reader.assigned).items():
            at = {topic: TopicPartition(topic, source.partition) for topic in topics}
            kept = self.lanes.get(source)
            found = {topic: committed[tp] for topic, tp in at.items() if tp in committed}
            if kept and all(topic in found and (note := found[topic].note) and note.term == kept.term for topic in at):
                lanes[source] = kept
                continue
            begin = begin_from(found, {topic: first.get(tp, -1) for topic, tp in at.items()}, self._wall_ms())
            lanes[source] = self._new_lane(source, begin)
            begins |= {tp: (begin.offsets[topic], begin.note(topic)) for topic, tp in at.items()}
        if not await self._reader.commit(begins, round_):
            return False
        self._forget(source for source in self.lanes if lanes.get(source) is not self.lanes[source])
        self.lanes = lanes
        for source, lane in lanes.items():
            for topic, half in lane.halves.items():
                self._reader.seek(TopicPartition(topic, source.partition), half.next)
        self._round = round_
        log.info("intake: %d sources, %d taken up anew", len(lanes), len({tp.partition for tp in begins}))
        return True

    def _forget(self, sources: Iterable[Source]) -> None:
        for source in list(sources):
            self._retired.add(self.lanes.pop(source).totals())
            self._end_s.pop(source, None)
            self._idle_s.pop(source, None)
            self._ended.discard(source)

    def _placed(self, assigned: Iterable[TopicPartition]) -> dict[Source, list[str]]:
        """The sources of the assignment and their topics; every source has all its topics here."""
        placed: dict[Source, list[str]] = {}
        for tp in sorted(assigned):
            placed.setdefault(Source(self.placing.topics[tp.topic].feed, tp.partition), []).append(tp.topic)
        for source, topics in placed.items():
            assert len(topics) == len(self.placing.kinds(source.feed)), f"one worker holds both topics of {source}"
        return placed

    async def _first_offsets(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        tps = list(at)
        if not tps:
            return {}
        if self._settings.from_ == "earliest":
            return await self._reader.beginnings(tps)
        return await self._reader.since(tps, self._wall_ms() - HORIZONS_KEPT * self._policy.horizon_ms)

    def _new_lane(self, source: Source, begin: Begin) -> Lane:
        counter = Counter(
            self._policy, self._names, source, self.placing.layout, term=begin.term, noted_ms=begin.noted_ms
        )
        return Lane(counter, self._decoder, begin, self.placing.kinds(source.feed))

    async def _commit(self) -> None:
        if time.monotonic() - self._committed_s < COMMIT_S:
            return
        self._committed_s = time.monotonic()
        await self._acknowledged()
        await self._letters.flush()
        commits = {
            TopicPartition(topic, lane.source.partition): noted
            for lane in self.lanes.values()
            for topic, noted in lane.commits().items()
        }
        if commits:
            await self._reader.commit(commits, self._round)

    # What others ask

    def totals(self) -> Totals:
        """What this worker counted since it started, sources that moved on since included."""
        total = Totals()
        total.add(self._retired)
        for lane in list(self.lanes.values()):
            total.add(lane.totals())
        return total

    def payments(self) -> dict[tuple[str, ...], int]:
        """Payments that reached a status, each once, by (bank, method, status)."""
        counts = self.totals().payments
        dimensions = self._policy.dimensions
        found: Count[tuple[str, ...]] = Count()
        for leaf, row in zip(self._names.leaves, counts.tolist(), strict=False):
            values = dict(zip(dimensions, leaf, strict=True))
            for status, count in zip(STATUSES, row, strict=True):
                found[values.get("bank", ""), values.get("method", ""), status] += count
        return {labels: count for labels, count in found.items() if count}

    def lag(self, source: Source) -> int | None:
        """Events not read yet, of both topics; None while that is not known."""
        lane = self.lanes.get(source)
        if lane is None:
            return None
        lags = [self._reader.lag(TopicPartition(topic, source.partition)) for topic in lane.halves]
        return None if None in lags else sum(lag for lag in lags if lag is not None)

    def _say(self) -> str | None:
        """Why this worker is not ready; None when it is."""
        if any(self.lag(source) is None for source in self.lanes):
            return "the lag of a source is not known yet"
        rebuilding = [str(source) for source, lane in self.lanes.items() if lane.counter.rebuilding]
        if rebuilding:
            return f"rebuilding {', '.join(rebuilding[:8])}"
        if any(lane.keys.is_wrong for lane in self.lanes.values()):
            return "more than 1 % of payments are not keyed by order_id with the murmur2 partitioner"
        return None


async def _quietly(stopping: Awaitable[None]) -> None:
    """Stopping a client must not hide why the session ended."""
    try:
        await stopping
    except (KafkaError, OSError) as error:
        log.warning("intake: a client did not stop cleanly: %s", type(error).__name__)
