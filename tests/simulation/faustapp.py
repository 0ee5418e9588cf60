"""What the product sees of Faust, on the simulated broker: an app with one agent, one table, and signals.

As Faust does it: the agent's stream ends and begins with the partition, what was taken is committed after it was
handled, a table is a dictionary whose writes go to a changelog (unfenced), a new owner's table is read from it before
the stream begins, and one member that owns nothing reads along. Does not know what the agent does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from faust.types import TP

from tests.simulation.client import CLUSTER, Producer
from tests.simulation.process import CURRENT

PREFETCHED_MAX = 40
READ_ALONG_S = (0.2, 3.0)


class Signal:
    """Who wants to know."""

    def __init__(self) -> None:
        self.receivers: list[Callable[..., Any]] = []

    def connect(self, receiver: Callable[..., Any]) -> None:
        """Call it, too."""
        self.receivers.append(receiver)


class Table(Mapping[bytes, bytes]):
    """A dictionary in memory, and its changelog."""

    def __init__(self, changelog: TopicPartition) -> None:
        self._changelog = changelog
        self._held: dict[bytes, bytes] = {}
        self._producer = Producer()
        self.process = CURRENT.get()
        self.changelog_topic = SimpleNamespace(get_topic_name=lambda: changelog.topic)

    def __getitem__(self, key: bytes) -> bytes:
        return self._held[key]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._held[key] = value
        if not self.process.is_dead:
            self._producer.enqueue(self._changelog, key, value)
            if self.process.dies_at == "table":
                self.process.kill()

    def recover(self) -> None:
        """What the changelog says, and nothing else."""
        log = CLUSTER.get().broker.partition(self._changelog)
        self._held = {record.key: record.value for record in log.records if record.key and record.value is not None}


class App:
    """As `faust.App`, as far as the product asks; a member of its group."""

    def __init__(self, app_id: str, at: TopicPartition) -> None:
        self.process = CURRENT.get()
        self.on_partitions_revoked, self.on_partitions_assigned = Signal(), Signal()
        self.tables = SimpleNamespace(actives_ready=False, recovery=SimpleNamespace(buffer_sizes={}))
        self.assignor = SimpleNamespace(is_standby=self._is_standby)
        self.rebalancing = self.crashed = False
        self.generation = -1
        self._cluster, self._app_id, self._at = CLUSTER.get(), app_id, at
        self._agent: Any = None
        self._table: Table
        self._owned: frozenset[TopicPartition] = frozenset()
        self._round = self._sought = 0
        self._position = 0
        self.consumer = SimpleNamespace(seek_wait=self._seek)

    def topic(self, _name: str, **_: Any) -> str:
        """The one topic."""
        return _name

    def Table(self, name: str, **_: Any) -> Table:  # noqa: N802  # Faust's name
        """The one table."""
        self._table = Table(TopicPartition(f"{self._app_id}-{name}-changelog", 0))
        return self._table

    def agent(self, _topic: Any, name: str) -> Callable[[Any], None]:
        """The one agent."""

        def keep(function: Any) -> None:
            self._agent = function

        return keep

    async def start(self) -> None:
        """Join the group and let the agent wait for records."""
        await self.process.gate("connect")
        self._group.join(self)
        self.process.start(self._agent(SimpleNamespace(events=self._events)))

    async def stop(self) -> None:
        """Leave the group."""
        if not self.process.is_dead:
            self._group.leave(self)

    @property
    def _group(self) -> Any:
        return self._cluster.groups[self._app_id]

    # The group's word

    def revoked(self) -> None:
        """Records that wait are forgotten; the one in hand goes on."""
        owned, self._owned = self._owned, frozenset()
        self.rebalancing = True
        self.tables.actives_ready = False
        self._round += 1
        self.process.start(self._signal(self.on_partitions_revoked, owned))

    def assigned(self, at: frozenset[TopicPartition], generation: int) -> None:
        """Recover the table, then read on from what was committed."""
        self.generation = generation
        self._round += 1
        self.process.start(self._take_up(at, self._round))

    async def _take_up(self, at: frozenset[TopicPartition], round_: int) -> None:
        await self._signal(self.on_partitions_assigned, at)
        await self.process.gate("table", (0.05, 0.5))
        if round_ != self._round:
            return
        self._table.recover()
        committed = self._cluster.broker.fetch_committed(self._app_id, at)
        self._position = committed.get(self._at, 0)
        self._owned = at
        self.rebalancing, self.tables.actives_ready = False, True
        while self._is_standby() and round_ == self._round and not self.process.is_dead:
            await self.process.gate("read along", READ_ALONG_S)
            self._table.recover()

    def _is_standby(self, *_: Any) -> bool:
        return bool(self._owned) and self._at not in self._owned

    async def _signal(self, signal: Signal, at: frozenset[TopicPartition]) -> None:
        for receiver in signal.receivers:
            await receiver(self, {TP(tp.topic, tp.partition) for tp in at})

    # Records

    async def _seek(self, places: Mapping[TP, int]) -> None:
        """Read on from there; what was read ahead is let go."""
        (self._position,) = places.values()
        self._sought += 1

    async def _events(self) -> AsyncIterator[Any]:
        """The records of the partition while it is ours; what was handled is committed."""
        while not self.process.is_dead:
            round_, sought = self._round, self._sought
            await self.process.gate("records", (0.2, 0.8) if self._owned else (0.8, 1.2))
            if self._at not in self._owned or (round_, sought) != (self._round, self._sought):
                continue
            log = self._cluster.broker.partition(self._at)
            for record in log.read(self._position, False, PREFETCHED_MAX)[0]:
                if (round_, sought) != (self._round, self._sought) or self.process.is_dead:
                    break
                message = SimpleNamespace(offset=record.offset, timestamp=record.timestamp / 1000, value=record.value)
                yield SimpleNamespace(message=message)
                if (round_, sought) == (self._round, self._sought):
                    self._position = record.offset + 1
            if self._group.may_commit(self, self.generation) and not self.process.is_dead:
                self._cluster.broker.commit(self._app_id, {self._at: self._position})
