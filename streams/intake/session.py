"""One session with Kafka: fetch the sources that the group places here, count them, write their tallies, commit.

One cycle: settle (after a new assignment), fetch, count, write, note ends, let idle time pass, commit. What Kafka
refuses ends the session, but for three: a dead letter (nothing is committed until it is written), a commit while its
coordinator moves, an offset that is gone (all is settled anew). Knows neither what a tally says nor what comes next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Count
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from aiokafka.errors import OffsetOutOfRangeError

from detector.contracts.policy import Policy
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Marker, Source, Tally
from detector.records.unpack import Unpacker
from streams.intake.codec import inflate
from streams.intake.deadletters import DeadLetters
from streams.intake.half import Counted
from streams.intake.lane import Lane, Totals
from streams.intake.placing import Placing
from streams.intake.reader import NOT_PLACED, Reader, TopicPartition
from streams.intake.recovery import Begin, Committed, Note, begin_from, of_another_log, short_of
from streams.intake.strays import Stray, Strays
from streams.intake.turn import count_parts, note_ends, parts_of
from streams.loopclock import loop_s
from streams.refused import Refused
from streams.settings import Settings
from streams.tallylog import BEHIND_MS, TallyLog

__all__ = ["Counting", "Session", "open_session"]

log = logging.getLogger(__name__)
T = TypeVar("T")

FETCH_MS = 200
COMMIT_S = 2.0
END_S = 5.0
IDLE_STEP_S = 0.5
BEHIND_REPEAT_S = 5.0
HORIZONS_KEPT = 3
IN_FLIGHT_MAX = 1_000
WAIT_S = 1.0
"""So often a member without sources looks whether it is to end."""


@dataclass(frozen=True)
class Counting:
    """What all sessions of a worker share: its rules, names, decoder, thread, and what was counted before."""

    settings: Settings
    policy: Policy
    placing: Placing
    wall_ms: Callable[[], int]
    thread: Executor
    names: Names
    decoder: Decoder
    unpacker: Unpacker = field(default_factory=lambda: Unpacker(inflate))
    retired: Totals = field(default_factory=Totals)
    bad: Count[str] = field(default_factory=Count)
    corrupt: Count[str] = field(default_factory=Count)
    deleted: Count[str] = field(default_factory=Count)


class Session:
    """`lanes` are the sources at work; `problem` says why they are not ready, None when they are."""

    def __init__(self, counting: Counting, reader: Reader, tally_log: TallyLog, letters: DeadLetters) -> None:
        self.lanes: dict[Source, Lane] = {}
        self.problem: str | None = "joining the group"
        self.held_back = reader.held_back
        self._all, self._settings, self._placing = counting, counting.settings, counting.placing
        self._reader, self._log, self._letters = reader, tally_log, letters
        self._strays = Strays(reader)
        self._round = NOT_PLACED
        self._in_flight: list[asyncio.Future[Any]] = []
        self._end_s, self._idle_s = dict[Source, float](), dict[Source, float]()
        self._ended, self._torn = set[Source](), list[Source]()
        self._committed_s, self._behind_s = 0.0, -BEHIND_REPEAT_S

    # The cycle

    async def cycle(self) -> None:
        """One round of work, or a short wait where there is none. Raises KafkaError."""
        if self._reader.round == NOT_PLACED:
            self.problem = "waiting for the group to place sources here"
            await self._reader.placing(WAIT_S)
            return
        if self._round != self._reader.round and not await self._settle(self._reader.round):
            return
        wanted = [_partition(lane, topic) for lane in self.lanes.values() for topic in lane.wanted()]
        if not wanted:
            self.problem = self._say()  # None with more workers than partitions: this one stands by
            await self._reader.placing(WAIT_S)
            return
        fetches = await self._fetch(wanted)
        if fetches is None or self._round != self._reader.round:
            return  # nothing, or read at positions of another assignment
        self._doubt_ends(fetches)
        await self._count(fetches)
        await self._note_ends()
        await self._pass_time()
        await self._commit()

    async def _fetch(self, wanted: Sequence[TopicPartition]) -> Mapping[TopicPartition, Sequence[Any]] | None:
        """What there is next; None where a partition has strayed, and all is to be settled anew."""
        try:
            fetches = await self._reader.fetch(wanted, FETCH_MS)
            if await self._strays.prove():
                return fetches
        except OffsetOutOfRangeError as error:
            self._strays.refused(error)
        self._round = NOT_PLACED
        self.problem = "a topic lacks an offset that it had"
        return None

    async def _count(self, fetches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        lanes = {at: self._lane(at) for at in fetches}
        before = {at: lane.halves[at.topic].next for at, lane in lanes.items()}
        parts, more = parts_of(fetches, self._lane, self._all.unpacker, self._all.corrupt), True
        while more:
            counted, more = await self._in_thread(count_parts, parts, self._letters.room(loop_s()), self._clock_ms)
            await self._tell(counted)
        for at, lane in lanes.items():
            if lane.halves[at.topic].next != before[at]:  # markers of transactions alone are no news
                self._end_s.pop(lane.source, None)
                self._idle_s.pop(lane.source, None)
                self._ended.discard(lane.source)

    def _lane(self, at: TopicPartition) -> Lane:
        return self.lanes[self._placing.source(*at)]

    async def _tell(self, counted: Counted) -> None:
        await self._write(counted.tallies)
        if counted.bad or counted.floods:
            await self._letters.put(counted.bad, counted.floods, loop_s())

    async def _write(self, records: Sequence[Tally | Marker]) -> None:
        if self._is_behind(records):
            # Before the tallies, so that the Judge knows when it judges them.
            self._in_flight += await self._log.send([Marker("catching_up")])
        self._in_flight += await self._log.send(records)
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            await self._acknowledged()

    def _is_behind(self, records: Sequence[Tally | Marker]) -> bool:
        """Whether these are the first tallies for a while that lie far behind the clock."""
        now_s = loop_s()
        oldest_ms = self._all.wall_ms() - BEHIND_MS
        behind = any(isinstance(record, Tally) and record.boundary_ms < oldest_ms for record in records)
        if not behind or self._settings.clock == "events" or now_s - self._behind_s < BEHIND_REPEAT_S:
            return False
        self._behind_s = now_s
        return True

    async def _acknowledged(self) -> None:
        """Wait until the broker has every tally written so far. Raises KafkaError as `TallyLog.acknowledged`."""
        in_flight, self._in_flight = self._in_flight, []
        await self._log.acknowledged(in_flight)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._all.thread, work, *arguments)

    # Ends and idle time

    def _doubt_ends(self, fetches: Mapping[TopicPartition, Any]) -> None:
        """What was fetched of a topic is still to be counted, and what nobody confirmed lately may be its end no more
        (this process may have stood still): until then it holds back the time of its source."""
        for source in {self._placing.source(*at) for at in fetches}:
            lane = self.lanes[source]
            for topic in lane.halves if len(lane.halves) > 1 else ():
                at = _partition(lane, topic)
                if at in fetches or self._reader.lag(at) != 0:
                    lane.unread(topic)

    async def _note_ends(self) -> None:
        news = []
        for lane in self.lanes.values():
            ends = {topic: self._reader.lag(_partition(lane, topic)) == 0 for topic in lane.halves}
            for topic in filter(ends.__getitem__, ends):
                lane.halves[topic].note_end(self._reader.end(_partition(lane, topic)))
            if lane.has_news(ends):
                news.append((lane, ends))
        if news:
            await self._tell(await self._in_thread(note_ends, news, self._clock_ms))
        now_s = loop_s()
        for source, lane in self.lanes.items():
            if lane.is_at_end:
                self._end_s.setdefault(source, now_s)
            else:
                self._end_s.pop(source, None)
        self.problem = self._say()

    async def _pass_time(self) -> None:
        for source, since_s in list(self._end_s.items()):
            if loop_s() - since_s < END_S:
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

    @property
    def _clock_ms(self) -> int | None:
        """What o'clock it is; None where the events alone say."""
        return self._all.wall_ms() if self._settings.clock == "wall" else None

    async def _let_idle(self, source: Source, since_s: float) -> None:
        now_s = loop_s()
        elapsed_s = now_s - self._idle_s.get(source, since_s)
        if elapsed_s >= IDLE_STEP_S:
            self._idle_s[source] = now_s
            await self._tell(await self._in_thread(self.lanes[source].idle, int(elapsed_s * 1000), self._clock_ms))

    # Owning

    async def _settle(self, round_: int) -> bool:
        """Take up what this assignment gives us; False where it is over already."""
        assigned = self._reader.assigned
        committed = await self._reader.committed(assigned)
        strays = await self._strays.look(assigned)
        lost = {tp for tp, stray in strays.items() if stray.is_lost}
        first = await self._first_offsets(assigned - committed.keys() | lost)
        committed |= {tp: of_another_log(committed[tp], first[tp]) for tp in lost & committed.keys()}
        committed |= await self._further_back(committed)
        lanes: dict[Source, Lane] = {}
        begins: dict[TopicPartition, tuple[int, Note]] = {}
        for source, tps in self._placed(assigned).items():
            found = {tp.topic: committed[tp] for tp in tps if tp in committed}
            kept = None if lost.intersection(tps) else self._kept(source, found)
            if kept is None:
                begin = begin_from(found, {tp.topic: first.get(tp, 0) for tp in tps}, self._all.wall_ms())
                begins |= {tp: (begin.offsets[tp.topic], begin.note(tp.topic, self._all.policy.reach_ms)) for tp in tps}
            lanes[source] = kept or self._new_lane(source, begin)
        if self._reader.round != round_ or (begins and not await self._reader.commit(begins, round_)):
            return False
        self._exchange(lanes, strays)
        self._round = round_
        log.info("intake: %d sources, %d partitions taken up anew", len(lanes), len(begins))
        return True

    def _kept(self, source: Source, found: dict[str, Committed]) -> Lane | None:
        """The lane that goes on, since nobody else had the source: the committed term is still ours."""
        lane = self.lanes.get(source)
        if lane is None or found.keys() != lane.halves.keys():
            return None
        terms = {at.note.term if at.note is not None else None for at in found.values()}
        return lane if terms == {lane.term} else None

    def _exchange(self, lanes: dict[Source, Lane], strays: Mapping[TopicPartition, Stray]) -> None:
        """Go on with these lanes; the first offset of a stray is perhaps beyond where its lane stands."""
        for source, lane in self.lanes.items():
            if lanes.get(source) is not lane:
                self._all.retired.add(lane.totals())
                self._ended.discard(source)
        for known in (self._end_s, self._idle_s):
            known.clear()
        self.lanes = lanes
        halves = {_partition(lane, topic): half for lane in lanes.values() for topic, half in lane.halves.items()}
        for tp, half in halves.items():
            deleted = self._lane(tp).pass_over(half, strays[tp].first) if tp in strays else 0
            if deleted:
                self._all.deleted[tp.topic] += deleted
                log.warning("intake: %s partition %d begins at offset %d: what was to be read from %d on is deleted",
                            tp.topic, tp.partition, half.next, half.next - deleted)  # fmt: skip
            self._reader.seek(tp, half.next)
        self._strays.settled({tp: half.read for tp, half in halves.items() if half.read > half.next})

    def _placed(self, assigned: Iterable[TopicPartition]) -> dict[Source, list[TopicPartition]]:
        """The sources of the assignment and their partitions.

        The assignor keeps both topics of a source together, and recovery rests upon that. Where whoever placed them
        knew nothing of one of the topics for a moment, the source waits until the group places it again. So does one
        of partitions that were added since this worker began: it is about to begin anew.
        """
        placed: dict[Source, list[TopicPartition]] = {}
        for tp in sorted(assigned):
            placed.setdefault(self._placing.source(*tp), []).append(tp)
        self._torn = [source for source, tps in placed.items() if not self._placing.is_whole(source, len(tps))]
        for source in self._torn:
            log.warning("intake: %s is not read: one of its topics is placed alone, or newer than this worker", source)
            del placed[source]
        return placed

    async def _first_offsets(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        if not tps:
            return {}
        if self._settings.from_ == "earliest":
            return await self._reader.beginnings(tps)
        return await self._reader.since(tps, self._all.wall_ms() - HORIZONS_KEPT * self._all.policy.horizon_ms)

    async def _further_back(self, committed: Mapping[TopicPartition, Committed]) -> dict[TopicPartition, Committed]:
        """The commits of a policy that needed less than ours, as far back as ours does."""
        since = short_of(committed, self._all.policy.reach_ms)
        found = await self._reader.since(since, min(since.values())) if since else {}
        return {tp: replace(committed[tp], offset=min(committed[tp].offset, at)) for tp, at in found.items()}

    def _new_lane(self, source: Source, begin: Begin) -> Lane:
        counter = Counter(self._all.policy, self._all.names, source, self._placing.layout, term=begin.term,
                          noted_ms=begin.noted_ms, again=begin.again)  # fmt: skip
        return Lane(counter, self._all.decoder, begin, self._placing.kinds(source.feed))

    async def _commit(self) -> None:
        if loop_s() - self._committed_s < COMMIT_S:
            return
        await self._acknowledged()
        are_written = await self._letters.flush()
        self._committed_s = loop_s()
        limits = [f"{lane.source}: {limit}" for lane in self.lanes.values() for limit in lane.new_limits()]
        for limit in limits + self._all.names.new_limits():
            log.warning("intake: %s", limit)
        commits = {_partition(lane, at): noted for lane in self.lanes.values() for at, noted in lane.commits().items()}
        if commits and are_written:
            await self._reader.commit(commits, self._round)

    # Questions

    @property
    def waiting_since_s(self) -> float | None:
        """Since when the oldest tally waits for the broker, on the loop's clock; None where none does."""
        return self._log.unanswered.since_s

    @property
    def letters_refused(self) -> Refused | None:
        """That no dead letter is taken; None where they are."""
        return self._letters.refused

    @property
    def takes_bytes(self) -> bool:
        """Whether our loops read what is fetched, and not the Kafka client."""
        return self._reader.takes_bytes

    def queued(self) -> dict[str, int]:
        """What waits for the broker's word, and the events that wait for their time."""
        held = sum(lane.counter.stats.held for lane in self.lanes.values())
        return {"tallies": len(self._in_flight), "letters": self._letters.queued, "held": held}

    @property
    def is_rebuilding(self) -> bool:
        """Whether sources are read again, or it is not known yet which."""
        return self._round == NOT_PLACED or any(lane.counter.rebuilding for lane in self.lanes.values())

    def lag(self, source: Source) -> int | None:
        """Records not read yet, of both topics; None while that is not known."""
        lane = self.lanes[source]
        lags = [self._reader.lag(_partition(lane, topic)) for topic in lane.halves]
        return sum(lag for lag in lags if lag is not None) if None not in lags else None

    def _say(self) -> str | None:
        if self._torn:
            return f"placed with one topic alone, or newer than this worker: {', '.join(map(str, self._torn[:8]))}"
        if any(self.lag(source) is None for source in self.lanes):
            return "the lag of a source is not known yet"
        rebuilding = [str(source) for source, lane in self.lanes.items() if lane.counter.rebuilding]
        if rebuilding:
            return f"rebuilding {', '.join(rebuilding[:8])}"
        if any(lane.keys.is_wrong for lane in self.lanes.values()):
            return "more than 1 % of payments are not keyed by order_id with the murmur2 partitioner"
        return None


@asynccontextmanager
async def open_session(counting: Counting) -> AsyncIterator[Session]:
    """Connect and join the group. Raises KafkaError where no broker answers."""
    settings = counting.settings
    reader, tally_log = Reader(settings, counting.placing.topics), TallyLog(settings)
    letters = DeadLetters(settings, counting.policy, counting.bad)
    session = Session(counting, reader, tally_log, letters)
    try:
        for client in (tally_log, letters, reader):
            await client.start()
        yield session
    finally:
        for client in (reader, letters, tally_log):
            await client.stop()
        for lane in session.lanes.values():
            counting.retired.add(lane.totals())


def _partition(lane: Lane, topic: str) -> TopicPartition:
    return TopicPartition(topic, lane.source.partition)
