"""The consumer of the feeds: membership in the group, positions, commits that carry a note.

All that is asked of aiokafka's consumer is asked here, its private names too (each has a contract test). Does not know
what a record says, nor when a commit is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    CorruptRecordException,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IllegalGenerationError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NoOffsetForPartitionError,
    NotCoordinatorForGroupError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    RequestTimedOutError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata

from streams.intake.assignor import SourceAssignor
from streams.intake.raw import take_bytes, tell_broken, unexpected
from streams.intake.recovery import Committed, Note, parse_note
from streams.intake.wire import receive_in_place
from streams.loopclock import loop_s
from streams.patience import HEARTBEAT_S, IDLE_MS, SESSION_S
from streams.settings import Settings
from streams.stopping import stop_consumer

__all__ = ["Reader", "TopicPartition"]

log = logging.getLogger(__name__)

NOT_PLACED = -1
FETCH_BYTES = 1 << 25
"""What a broker may send at once. Of a partition it is what the settings say: every one holds one fetch more than is
counted. A larger record batch comes alone."""
FETCH_BYTES_MIN, GATHER_MS = 1 << 13, 100
"""A broker answers once it has so much, or after so long with what it has: of some hundred events a second each
would else be an answer of its own, and what an answer costs is most of the work."""
CONFIRMED_S = 5.0
"""An end that no broker has confirmed for so long is not known any more: what came since may wait unseen."""
UNCOMMITTED_S_MAX = 30.0
"""So long a commit may be missed: less is a coordinator that moves from one broker to another."""
_STALE = (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)
_AWAY = (
    GroupCoordinatorNotAvailableError, GroupLoadInProgressError, KafkaConnectionError, NodeNotReadyError,
    NotCoordinatorForGroupError, RequestTimedOutError,
)  # fmt: skip


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """A member of the counters' group, with an assignor of our own: one member holds an index of both topics.

    `round` numbers the assignments of this member; it is NOT_PLACED from a revocation until the next assignment.
    `takes_bytes`: a fetch comes as bytes, not as records of the client.
    """

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self._topics = list(topics)
        self._wants_bytes = settings.fetch_as == "bytes"
        self._rounds = 0
        self._generation = NOT_PLACED
        self._uncommitted_s: float | None = None
        self._answered: dict[TopicPartition, tuple[int | None, float]] = {}
        self._placing = asyncio.Event()
        self.round = NOT_PLACED
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.takes_bytes = False
        self._consumer = AIOKafkaConsumer(
            **settings.aiokafka(),
            group_id=settings.counter_group,
            partition_assignment_strategy=(SourceAssignor(),),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=int(SESSION_S * 1000),
            heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
            max_poll_interval_ms=IDLE_MS,
            max_partition_fetch_bytes=settings.fetch_bytes,
            fetch_max_bytes=FETCH_BYTES,
            fetch_min_bytes=FETCH_BYTES_MIN,
            fetch_max_wait_ms=GATHER_MS,
        )

    async def start(self) -> None:
        """Connect and ask to join; the assignment comes while `fetch` is called."""
        problem = unexpected() if self._wants_bytes else "PASTILLE_FETCH_AS asks for it"
        copied = problem or receive_in_place(self._consumer)
        await self._consumer.start()
        problem = problem or take_bytes(self._consumer)
        self.takes_bytes = problem is None
        if problem is not None:
            tell_broken(self._consumer)
            log.warning("intake: the Kafka client makes a record at a time, which is slow: %s", problem)
        elif copied is not None:
            log.warning("intake: the Kafka client copies what it receives, which takes time: %s", copied)
        self._consumer.subscribe(self._topics, listener=self)

    async def stop(self) -> None:
        """Leave the group and disconnect."""
        await stop_consumer(self._consumer)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """The group is placing anew: nothing is this member's until it says so."""
        self._placing.set()
        self.round = NOT_PLACED
        self.assigned = frozenset()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """These partitions are this member's now."""
        self._placing.set()
        self._answered.clear()
        self._uncommitted_s = None
        self._rounds += 1
        self.round = self._rounds
        self.assigned = frozenset(assigned)
        self._generation = self._consumer._coordinator.generation

    async def placing(self, within_s: float) -> None:
        """Wait until the group places anew, or has done so; so long at most. Raises KafkaError where the group refuses
        this member: who fetches nothing would hear it nowhere else, and aiokafka tries again when it was heard."""
        self._placing.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._placing.wait(), within_s)
        self._consumer._coordinator.check_errors()

    async def fetch(self, wanted: Iterable[TopicPartition], timeout_ms: int) -> dict[TopicPartition, Sequence[Any]]:
        """What the wanted partitions (at least one) have next, for `fetched`; empty after `timeout_ms` without
        anything. Raises OffsetOutOfRangeError where a partition lacks the offset to read on from; KafkaError also where
        the client makes records of bytes and fails in its own way."""
        found: dict[TopicPartition, Sequence[Any]]
        round_ = self.round
        try:
            found = await self._consumer.getmany(*wanted, timeout_ms=timeout_ms)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            if self.round == round_:
                raise
            return {}  # said of a new assignment, where nothing was sought yet
        except (KafkaError, OSError):
            raise
        except Exception as error:
            why = f"the Kafka client cannot read what it fetched: {type(error).__name__}: {error}"
            raise CorruptRecordException(why) from error
        return found

    async def committed(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, Committed]:
        """What the group committed last, where it did."""
        offsets = await self._consumer._coordinator.fetch_committed_offsets(list(at))
        return {tp: Committed(found.offset, parse_note(found.metadata)) for tp, found in offsets.items()}

    async def commit(self, commits: Mapping[TopicPartition, tuple[int, Note]], round_: int) -> bool:
        """Commit offsets with their notes in one request; False where the assignment `round_` is over, or the group's
        coordinator is away for now. Raises KafkaError where it stays away.

        A commit that is missed costs no more than reading from the one before; a session that ends for it costs reading
        all of it, and the group a member. aiokafka's own `commit` sends again after an error, perhaps with a newer
        generation, and so may undo what the next owner committed; one try with the generation checked in the same step
        cannot.
        """
        coordinator = self._consumer._coordinator
        if self.round != round_ or coordinator.generation != self._generation:
            return False
        offsets = {tp: OffsetAndMetadata(offset, note.text()) for tp, (offset, note) in commits.items()}
        try:
            await coordinator._do_commit_offsets(None, offsets)
        except _STALE:
            self._uncommitted_s = None
            return False
        except _AWAY:  # or none is known: the client looks for it by itself
            now_s = loop_s()
            self._uncommitted_s = now_s if self._uncommitted_s is None else self._uncommitted_s
            if now_s - self._uncommitted_s >= UNCOMMITTED_S_MAX:
                raise
            return False
        self._uncommitted_s = None
        return True

    async def beginnings(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that each partition still has."""
        found: dict[TopicPartition, int] = await self._consumer.beginning_offsets(list(at))
        return found

    async def extents(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset that each partition still has, and its end."""
        tps = list(at)
        first, ends = await self._consumer.beginning_offsets(tps), await self._consumer.end_offsets(tps)
        return {tp: (first[tp], ends[tp]) for tp in tps}

    async def since(self, at: Iterable[TopicPartition], time_ms: int) -> dict[TopicPartition, int]:
        """The first offset written at or after a time; the end where there is none."""
        tps = list(at)
        ends = await self._consumer.end_offsets(tps)  # before: what is written between the two is read
        found = await self._consumer.offsets_for_times(dict.fromkeys(tps, time_ms))
        return {tp: ends[tp] if found.get(tp) is None else found[tp].offset for tp in tps}

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from an offset; what was fetched ahead is dropped."""
        self._consumer.seek(at, offset)

    def end(self, at: TopicPartition) -> int | None:
        """The end of a partition by the last fetch of it; None where none was answered since the assignment."""
        state = self._state(at)
        return None if state is None or state.highwater is None else int(state.highwater)

    def lag(self, at: TopicPartition) -> int | None:
        """Records not read yet, also behind an open transaction; None while no broker says where the end is, or has not
        said so lately of one that is read to its end. While it is not fetched, as it waits for the other topic of its
        source, there are at least so many."""
        state = self._state(at)
        if state is None or not state.has_valid_position or state.highwater is None:
            return None
        is_fresh, lag = self._is_fresh(at, state.timestamp), max(0, int(state.highwater) - int(state.position))
        return lag if lag or is_fresh else None

    def held_back(self) -> dict[TopicPartition, int]:
        """The offset from which on an open transaction keeps records from being read, of the partitions where it does.

        There may be any number behind it, of other writers, too: what was read up to there is not the end.
        """
        stable = {tp: self._stable_end(tp) for tp in self.assigned if self.lag(tp)}
        return {tp: end for tp, end in stable.items() if end is not None}

    def _state(self, at: TopicPartition) -> Any | None:
        """What the client knows of an assigned partition."""
        assignment = self._consumer._subscription.subscription.assignment
        return None if assignment is None or at not in assignment.tps else assignment.state_value(at)

    def _stable_end(self, at: TopicPartition) -> int | None:
        """Where the oldest open transaction begins, if all before it is read."""
        state = self._state(at)
        is_there = state is not None and state.lso is not None and 0 <= state.lso <= state.position
        return int(state.lso) if state is not None and is_there else None

    def _is_fresh(self, at: TopicPartition, answered_ms: int | None) -> bool:
        """Whether a fetch was answered lately. The client notes when by the wall clock, which may jump: what counts is
        that it changes."""
        now_s = loop_s()
        known_ms, since_s = self._answered.get(at, (None, 0.0))
        if known_ms != answered_ms:
            self._answered[at] = (answered_ms, now_s)
            return True
        return now_s - since_s < CONFIRMED_S
