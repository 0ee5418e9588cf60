"""The clients of the simulated broker, by the names and with the behaviour that the product asks of aiokafka.

    streams ──▶ Consumer, Producer (here) ──▶ Broker, Group

Each belongs to the process in which it is made. Does not know what records say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaConnectionError,
    NoOffsetForPartitionError,
    NotEnoughReplicasError,
    OffsetOutOfRangeError,
)

from tests.simulation.broker import Broker, Record
from tests.simulation.process import CURRENT

if TYPE_CHECKING:
    from tests.simulation.group import Group

FETCH_S = (0.3, 2.7)
"""How long a fetch with records takes: long enough that several come at once."""
RECORDS_MAX = 500
LANDS = 0.4
"""Of the records of a write that is answered by an error."""
BREAKS = 0.5
"""Of such writes: nothing more is taken of the producer."""


class Cluster:
    """What clients reach: the broker and its groups."""

    def __init__(
        self, broker: Broker, groups: Mapping[str, Group], committed: Callable[[Mapping[TopicPartition, Any]], None]
    ) -> None:
        self.broker, self.groups, self.committed = broker, groups, committed


CLUSTER: ContextVar[Cluster] = ContextVar("cluster")


class _State:
    """Of one assigned partition; `highwater` and `lso` are as the last fetch said."""

    def __init__(self) -> None:
        self.position = 0
        self.has_valid_position = False
        self.highwater: int | None = None
        self.lso: int | None = None
        self.timestamp: int | None = None


class Consumer:
    """As `AIOKafkaConsumer`; with a `group_id` a member of a group. Its coordinator is itself."""

    def __init__(
        self,
        *,
        group_id: str | None = None,
        isolation_level: str = "read_uncommitted",
        auto_offset_reset: str = "latest",
        **_: Any,
    ) -> None:
        self.process, self._cluster = CURRENT.get(), CLUSTER.get()
        self.generation = -1
        self._group_id, self._committed_only = group_id, isolation_level == "read_committed"
        self._resets = auto_offset_reset != "none"
        self._states: dict[TopicPartition, _State] = {}
        self._listener: Any = None
        self._coordinator = self
        self._client = SimpleNamespace(close=self._disconnect)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=self))

    # Life

    async def start(self) -> None:
        """Connect."""
        await self.process.gate("connect")

    async def stop(self) -> None:
        """Leave the group; a dead process does not say goodbye."""
        if self._listener is not None and not self.process.is_dead:
            await self.process.gate("leave")
            self._cluster.groups[str(self._group_id)].leave(self)

    async def _disconnect(self) -> None:
        """Who is gone without a word is missed after a session."""

    def check_errors(self) -> None:
        """The group refuses nobody."""

    def subscribe(self, _topics: Iterable[str], listener: Any) -> None:
        """Join the group."""
        self._listener = listener
        self._cluster.groups[str(self._group_id)].join(self)

    def assign(self, at: Iterable[TopicPartition]) -> None:
        """Read these, without a group."""
        self._states = {tp: _State() for tp in at}

    # The group's word

    def revoked(self) -> None:
        """All is given back."""
        self._listener.on_partitions_revoked(set(self._states))

    def assigned(self, at: frozenset[TopicPartition], generation: int) -> None:
        """These are ours; where to read on from is the product's to say."""
        self.generation = generation
        self._states = {tp: _State() for tp in at}
        self._listener.on_partitions_assigned(set(at))

    async def ensure_coordinator_known(self) -> None:
        """It is."""

    async def fetch_committed_offsets(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, Any]:
        """What the group committed last."""
        await self.process.gate("committed")
        return self._cluster.broker.fetch_committed(str(self._group_id), at)

    async def _do_commit_offsets(self, _assignment: None, offsets: Mapping[TopicPartition, Any]) -> None:
        generation = self.generation
        await self.process.gate("commit")
        if self.process.is_dead:
            return
        group = self._cluster.groups[str(self._group_id)]
        if not group.may_commit(self, generation):
            raise IllegalGenerationError
        self._cluster.broker.commit(group.name, offsets)
        self._cluster.committed(offsets)
        await self.process.gate("committed")

    # Offsets

    async def beginning_offsets(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Nothing is ever deleted."""
        await self.process.gate("offsets")
        return dict.fromkeys(at, 0)

    async def end_offsets(self, at: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The end as this reader may see it."""
        await self.process.gate("offsets")
        return {tp: self._end(tp) for tp in at}

    async def offsets_for_times(self, at: Mapping[TopicPartition, int]) -> dict[TopicPartition, Record | None]:
        """The first record at or after a time."""
        await self.process.gate("offsets")
        return {tp: self._cluster.broker.partition(tp).first_since(time_ms) for tp, time_ms in at.items()}

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from an offset."""
        self._states[at].position, self._states[at].has_valid_position = offset, True

    async def seek_to_beginning(self, *at: TopicPartition) -> None:
        """Read on from the beginning."""
        for tp in at:
            self.seek(tp, 0)

    async def position(self, at: TopicPartition) -> int:
        """Where it reads on."""
        return self._states[at].position

    def _end(self, at: TopicPartition) -> int:
        log = self._cluster.broker.partition(at)
        return log.stable_end if self._committed_only else log.end

    # What `assignment` is asked

    @property
    def tps(self) -> Iterable[TopicPartition]:
        """The assigned partitions."""
        return self._states.keys()

    def state_value(self, at: TopicPartition) -> _State:
        """What is known of one."""
        return self._states[at]

    # Records

    async def getmany(
        self, *at: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Record]]:
        """The records of these partitions, after a while; nothing after `timeout_ms`."""
        wanted = at or tuple(self._states)
        states = {tp: self._states[tp] for tp in wanted}
        if timeout_ms and self._listener is not None:
            has_some = any(self._end(tp) > state.position for tp, state in states.items())
            within = FETCH_S if has_some else (timeout_ms / 1000, timeout_ms / 1000)
            await self.process.gate("fetch", within)
        elif timeout_ms:
            await self.process.gate("fetch")
        found = {tp: self._take(tp, state, max_records) for tp, state in states.items()
                 if self._states.get(tp) is state}  # fmt: skip
        return {tp: records for tp, records in found.items() if records}

    def _take(self, at: TopicPartition, state: _State, max_records: int | None) -> list[Record]:
        log = self._cluster.broker.partition(at)
        if log.is_held or self.process.is_dead:
            return []
        if not self._resets and not state.has_valid_position:
            raise NoOffsetForPartitionError(at)
        if not self._resets and state.position > log.end:
            raise OffsetOutOfRangeError({at: state.position})
        limit = 1 if self.process.slow else self.process.random.choice((1, 3, 20, RECORDS_MAX))
        found, after = log.read(state.position, self._committed_only, max_records or limit)
        state.position = after
        state.highwater, state.lso = log.end, log.stable_end
        state.timestamp = self._cluster.broker.wall_ms()
        return found


class Producer:
    """As `AIOKafkaProducer`: what is sent lands in order, all that waits at once; with a `transactional_id` as a whole.

    After a refusal nothing more lands of an idempotent one: its numbers have a gap.
    """

    def __init__(
        self, *, transactional_id: str | None = None, enable_idempotence: bool = False, **_: Any
    ) -> None:
        self._process, self._cluster = CURRENT.get(), CLUSTER.get()
        self._id = transactional_id
        self._epoch = 0
        self._is_broken, self._is_numbered = False, enable_idempotence
        self._waiting: deque[tuple[TopicPartition, bytes | None, bytes, asyncio.Future[Any]]] = deque()
        self._buffer: list[tuple[TopicPartition, bytes | None, bytes]] = []
        self._sender = self.client = SimpleNamespace(close=self._give_up)
        self._process.on_death.append(self._die)

    async def start(self) -> None:
        """Connect; a transactional producer fences whoever had its id."""
        await self._process.gate("connect")
        if self._id is not None and not self._process.is_dead:
            self._epoch = self._cluster.broker.init_producer(self._id)
            await self._process.gate("fenced others")

    async def stop(self) -> None:
        """Deliver what waits."""
        while self._waiting and not self._process.is_dead:
            await self._process.gate("flush")

    async def _give_up(self) -> None:
        self._waiting.clear()

    async def send(
        self, topic: str, value: bytes, key: bytes | None = None, partition: int = 0
    ) -> asyncio.Future[Any]:
        """Queue a record; the future is done when the broker has it."""
        return self.enqueue(TopicPartition(topic, partition), key, value)

    def enqueue(self, at: TopicPartition, key: bytes | None, value: bytes) -> asyncio.Future[Any]:
        """As `send`, without waiting for room."""
        future = asyncio.get_running_loop().create_future()
        if self._id is not None:
            offset = self._cluster.broker.partition(at).end + sum(other == at for other, *_ in self._buffer)
            self._buffer.append((at, key, value))
            future.set_result(SimpleNamespace(topic=at.topic, offset=offset))
        elif self._is_broken:
            future.set_exception(KafkaConnectionError())
        elif not self._process.is_dead:
            self._waiting.append((at, key, value, future))
            if len(self._waiting) == 1:
                self._depart()
        return future

    def _depart(self) -> None:
        after_s = self._process.random.uniform(0.002, 0.05)
        asyncio.get_running_loop().call_later(after_s, lambda: self._process.when_running(self._land))

    def _land(self) -> None:
        if self._process.dies_at == "tallies" and self._waiting:
            self._process.kill()
        if self._process.is_dead:
            return
        if self._process.refuses:
            self._refuse()
            return
        landed, self._waiting = self._waiting, deque()
        answers = [(future, self._cluster.broker.append(at, key, value)) for at, key, value, future in landed]
        late_s = self._process.acks_late_s or self._process.random.uniform(0.0, 0.05)
        asyncio.get_running_loop().call_later(late_s, lambda: self._process.when_running(lambda: _acknowledge(answers)))

    def _refuse(self) -> None:
        """The answer is an error; whether some of the records landed, nobody here will know. Where they were given up
        before they were ever sent, what comes behind them is taken; else nothing more is."""
        self._process.refuses = False
        self._is_broken = self._process.random.random() < BREAKS and self._is_numbered
        failed, self._waiting = self._waiting, deque()
        for at, key, value, future in failed:
            if self._process.random.random() < LANDS:
                self._cluster.broker.append(at, key, value)
            if not future.done():
                future.set_exception(NotEnoughReplicasError())

    def _die(self) -> None:
        """Of what was on its way some landed, the first ones."""
        for at, key, value, _ in list(self._waiting)[: self._process.random.randrange(len(self._waiting) + 1)]:
            self._cluster.broker.append(at, key, value)
        self._waiting.clear()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing. Raises ProducerFenced; KafkaError where nobody knows how it ended."""
        self._buffer.clear()
        yield
        process, broker, name = self._process, self._cluster.broker, str(self._id)
        await process.gate("transaction begins")
        if process.is_dead:
            return
        broker.begin(name, self._epoch)
        for at, key, value in self._buffer:
            broker.add(name, self._epoch, at, key, value)
            await process.breathe("outage" if at.topic.endswith("outages") else "health")
        await process.gate("transaction ends")
        if process.is_dead:
            return
        broker.end(name, self._epoch, "committed")
        if process.refuses:
            process.refuses = False
            raise NotEnoughReplicasError
        await process.gate("transaction ended")


def _acknowledge(answers: Iterable[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, record in answers:
        if not future.done():
            future.set_result(SimpleNamespace(offset=record.offset, log_start_offset=0))
