"""A Kafka broker in memory: partitions, offsets, append times, transactions with fencing, commits of groups.

What the product relies on is here as Kafka has it: an append is all or nothing, `read_committed` ends before an open
transaction, a newer producer of a transactional id fences the older one and aborts what it had open. Does not know
who asks, nor how long an answer takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced


@dataclass(slots=True)
class Transaction:
    """Records that become visible together, or never. `state`: open, committed, aborted."""

    state: str = "open"


@dataclass(frozen=True, slots=True)
class Record:
    """As a client gets it. `control`: the end of a transaction, which takes an offset and is never shown."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    transaction: Transaction | None = None
    control: bool = False


class Partition:
    """One log; offsets count from 0."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._unsettled: list[Record] = []
        self.is_held = False
        """Its leader is away: nothing is read, and what is written waits."""

    @property
    def end(self) -> int:
        """The next offset."""
        return len(self.records)

    @property
    def stable_end(self) -> int:
        """The offset of the first record whose transaction is open; the end where none is."""
        while self._unsettled and not _is_open(self._unsettled[0]):
            self._unsettled.pop(0)
        return self._unsettled[0].offset if self._unsettled else self.end

    def append(self, time_ms: int, key: bytes | None, value: bytes | None, transaction: Transaction | None = None,
               control: bool = False) -> Record:  # fmt: skip
        """Write a record to the end."""
        record = Record(self.end, time_ms, key, value, (), transaction, control)
        self.records.append(record)
        if transaction is not None:
            self._unsettled.append(record)
        return record

    def read(self, start: int, committed_only: bool, limit: int) -> tuple[list[Record], int]:
        """At most so many records from an offset on, and the offset to go on from."""
        stop = self.stable_end if committed_only else self.end
        found: list[Record] = []
        at = start
        while at < stop and len(found) < limit:
            record = self.records[at]
            at += 1
            is_aborted = record.transaction is not None and record.transaction.state == "aborted"
            if not record.control and not (committed_only and is_aborted):
                found.append(record)
        return found, at

    def first_since(self, time_ms: int) -> Record | None:
        """The first record written at or after a time."""
        return next((record for record in self.records if record.timestamp >= time_ms and not record.control), None)

    def visible(self) -> list[Record]:
        """What a `read_committed` reader would get of the whole log."""
        return self.read(0, True, len(self.records))[0]


def _is_open(record: Record) -> bool:
    return record.transaction is not None and record.transaction.state == "open" and not record.control


@dataclass(slots=True)
class Producing:
    """What the broker knows of a transactional id."""

    epoch: int = 0
    open: Transaction | None = None
    touched: set[TopicPartition] = field(default_factory=set)


class Broker:
    """All partitions there are, and what groups committed."""

    def __init__(self, wall_ms: Callable[[], int], skew_ms: Mapping[int, int]) -> None:
        self.wall_ms, self._skew_ms = wall_ms, skew_ms
        self.partitions: dict[TopicPartition, Partition] = {}
        self.committed: dict[str, dict[TopicPartition, Any]] = {}
        self.watchers: list[Callable[[TopicPartition, Record], None]] = []
        self._producing: dict[str, Producing] = {}

    def partition(self, at: TopicPartition) -> Partition:
        """The partition, made when it is first asked for."""
        return self.partitions.setdefault(at, Partition())

    def append(self, at: TopicPartition, key: bytes | None, value: bytes | None,
               transaction: Transaction | None = None, control: bool = False) -> Record:  # fmt: skip
        """Write a record with the time of the partition's leader."""
        time_ms = self.wall_ms() + self._skew_ms.get(at.partition, 0)
        record = self.partition(at).append(time_ms, key, value, transaction, control)
        for watcher in self.watchers:
            watcher(at, record)
        return record

    # Transactions

    def init_producer(self, transactional_id: str) -> int:
        """A new producer of the id: whoever had it is fenced, what it had open is aborted."""
        known = self._producing.setdefault(transactional_id, Producing())
        known.epoch += 1
        self._end(known, "aborted")
        return known.epoch

    def begin(self, transactional_id: str, epoch: int) -> None:
        """Open a transaction. Raises ProducerFenced."""
        known = self._checked(transactional_id, epoch)
        assert known.open is None, "one transaction at a time"
        known.open = Transaction()

    def add(self, transactional_id: str, epoch: int, at: TopicPartition, key: bytes | None, value: bytes) -> None:
        """Write a record of the open transaction. Raises ProducerFenced."""
        known = self._checked(transactional_id, epoch)
        assert known.open is not None, "a record belongs to an open transaction"
        known.touched.add(at)
        self.append(at, key, value, known.open)

    def end(self, transactional_id: str, epoch: int, state: str) -> None:
        """Commit or abort. Raises ProducerFenced."""
        self._end(self._checked(transactional_id, epoch), state)

    def _checked(self, transactional_id: str, epoch: int) -> Producing:
        known = self._producing[transactional_id]
        if known.epoch != epoch:
            raise ProducerFenced
        return known

    def _end(self, known: Producing, state: str) -> None:
        if known.open is None:
            return
        known.open.state = state
        for at in sorted(known.touched):
            self.append(at, None, None, known.open, control=True)
        known.open = None
        known.touched.clear()

    # Commits

    def commit(self, group: str, offsets: Mapping[TopicPartition, Any]) -> None:
        """What a group committed; whether it may is the group's to say."""
        self.committed.setdefault(group, {}).update(offsets)

    def fetch_committed(self, group: str, at: Iterable[TopicPartition]) -> dict[TopicPartition, Any]:
        """What a group committed last, where it did."""
        known = self.committed.get(group, {})
        return {tp: known[tp] for tp in at if tp in known}
