"""A fetch of a partition as bytes, taken from the Kafka client before it makes an object a record.

The client goes on to do everything else: requests, positions, resets, rebalances, errors. Its method that takes an
answer apart runs with two names of its module replaced, for one consumer and no other. Formats older than the one that
our loops read it reads itself. The only place that knows these private names; each has a contract test, and where one
is not as expected the client is left alone. Knows nothing of what is in a batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as client

from detector.records.header import FORMAT, LENGTH_AT, LENGTH_END, MAGIC_AT
from detector.records.unpack import span

__all__ = ["Broken", "Raw", "take_bytes", "tell_broken", "unexpected", "with_names"]

METHOD: Final = "_proc_fetch_request"
REPLACED: Final = ("MemoryRecords", "PartitionRecords")
ARGUMENTS: Final = [
    "self", "tp", "records", "aborted_transactions", "fetch_offset", "key_deserializer", "value_deserializer",
    "check_crcs", "isolation_level",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """The record batches that a fetch from `position` on gave, the last one perhaps cut off; `aborted` has producer
    and first offset of each aborted transaction in it."""

    data: bytes | memoryview
    position: int
    aborted: Sequence[tuple[int, int]]

    @property
    def is_cut_at_once(self) -> bool:
        """Whether the first batch is longer than all there is. A broker sends that one whole: its length is wrong."""
        return len(self.data) < LENGTH_END or len(self.data) - LENGTH_END < _length(self.data)


@dataclass(frozen=True, slots=True)
class Broken:
    """What the client could not read, in place of the record at `offset`."""

    offset: int
    why: str


class _Bytes:
    """In place of `MemoryRecords`."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data

    def records(self) -> Any:
        """What the client would have made of the batches of older formats that it begins with: what follows them the
        client would read as one of them."""
        data, at = bytes(self.data), 0
        while at + MAGIC_AT < len(data) and data[at + MAGIC_AT] < FORMAT:
            at += max(LENGTH_END + _length(data[at:]), LENGTH_END)
        return client.MemoryRecords(data[:at])

    def has_next(self) -> bool:
        """Whether there is anything; where it is no whole batch, who opens the bytes says so."""
        return len(self.data) > 0

    def size_in_bytes(self) -> int:
        """How many bytes there are."""
        return len(self.data)


class _Once:
    """In place of `PartitionRecords`: gives the bytes as if they were one record, then the position is after them."""

    def __init__(self, raw: Raw, following: int) -> None:
        self.next_fetch_offset = raw.position
        self._left = iter((raw,))
        self._following = following

    def __iter__(self) -> Iterator[Raw]:
        return self

    def __next__(self) -> Raw:
        raw = next(self._left)
        self.next_fetch_offset = self._following
        return raw


def _length(data: bytes | memoryview) -> int:
    return int.from_bytes(data[LENGTH_AT:LENGTH_END], "big", signed=True)


class _Theirs:
    """In place of `PartitionRecords`: the client's records, and a Broken where it cannot go on, whatever it raises."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs
        self._is_over = False

    @property
    def next_fetch_offset(self) -> int:
        """Where to read on."""
        return int(self._theirs.next_fetch_offset)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._is_over:
            raise StopIteration
        try:
            return next(self._theirs)
        except StopIteration:
            raise
        except Exception as error:  # of bytes that are no such batch it takes one part for another
            self._is_over = True
            return Broken(self.next_fetch_offset, f"the Kafka client's word is {type(error).__name__}: {error}")


def _client_records(*arguments: Any) -> _Theirs:
    return _Theirs(client.PartitionRecords(*arguments))


def _partition_records(
    tp: Any, records: _Bytes, aborted: Sequence[tuple[int, int]] | None, position: int, *others: Any
) -> Any:
    following = span(records.data, position)
    if following is None:
        return _Theirs(client.PartitionRecords(tp, records.records(), aborted, position, *others))
    return _Once(Raw(records.data, position, aborted or ()), following)


def unexpected() -> str | None:
    """What is not as it was when this was written; None where everything is."""
    if "_fetcher" not in AIOKafkaConsumer.start.__code__.co_names:
        return "the consumer has no Fetcher"
    method = getattr(client.Fetcher, METHOD, None)
    if not inspect.iscoroutinefunction(method):
        return f"Fetcher has no {METHOD}"
    missing = [name for name in REPLACED if name not in method.__code__.co_names or not hasattr(client, name)]
    if missing:
        return f"{METHOD} does not use {' and '.join(missing)}"
    found = list(inspect.signature(client.PartitionRecords.__init__).parameters)
    return None if found == ARGUMENTS else f"PartitionRecords takes {', '.join(found)}"


def take_bytes(consumer: AIOKafkaConsumer) -> str | None:
    """Let a started consumer, before it subscribes, give a Raw a fetch in place of records; why not where it cannot."""
    return _replace(consumer, MemoryRecords=_Bytes, PartitionRecords=_partition_records)


def tell_broken(consumer: AIOKafkaConsumer) -> str | None:
    """Let one that makes records give a Broken behind them where it cannot go on; why not where it cannot."""
    return _replace(consumer, PartitionRecords=_client_records)


def with_names(method: Any, **names: Any) -> FunctionType:
    """A method of the client with names of its module replaced."""
    made = FunctionType(method.__code__, method.__globals__ | names, method.__name__, method.__defaults__,
                        method.__closure__)  # fmt: skip
    made.__kwdefaults__ = method.__kwdefaults__
    return made


def _replace(consumer: AIOKafkaConsumer, **names: Any) -> str | None:
    fetcher = getattr(consumer, "_fetcher", None)
    if not isinstance(fetcher, client.Fetcher):
        return "the consumer has no Fetcher"
    problem = unexpected()
    if problem is None:
        setattr(fetcher, METHOD, MethodType(with_names(getattr(client.Fetcher, METHOD), **names), fetcher))
    return problem
