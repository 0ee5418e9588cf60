"""A fetch of a partition as bytes, taken from the Kafka client before it makes an object a record.

The client goes on to do everything else: requests, positions, resets, rebalances, errors. Its method that takes an
answer apart runs with two names of its module replaced, for one consumer and no other. What our loops do not read
(older formats) it reads itself. The only place that knows these private names; each has a contract test, and where
one is not as expected the client is left alone. Knows nothing of what is in a batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as client

from detector.records.header import LENGTH_AT, LENGTH_END
from detector.records.unpack import span

__all__ = ["Raw", "take_bytes", "unexpected"]

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


class _Bytes:
    """In place of `MemoryRecords`."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data

    def records(self) -> Any:
        """What the client would have made."""
        return client.MemoryRecords(bytes(self.data))

    def has_next(self) -> bool:
        """Whether there is a whole batch."""
        return len(self.data) >= LENGTH_END and len(self.data) - LENGTH_END >= int.from_bytes(
            self.data[LENGTH_AT:LENGTH_END], "big", signed=True
        )

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


def _partition_records(
    tp: Any, records: _Bytes, aborted: Sequence[tuple[int, int]] | None, position: int, *others: Any
) -> Any:
    following = span(records.data, position)
    if following is None:
        return client.PartitionRecords(tp, records.records(), aborted, position, *others)
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
    fetcher = getattr(consumer, "_fetcher", None)
    if not isinstance(fetcher, client.Fetcher):
        return "the consumer has no Fetcher"
    problem = unexpected()
    if problem is None:
        theirs = getattr(client.Fetcher, METHOD)
        names = {**theirs.__globals__, **dict(zip(REPLACED, (_Bytes, _partition_records), strict=True))}
        ours = FunctionType(theirs.__code__, names, METHOD, theirs.__defaults__, theirs.__closure__)
        setattr(fetcher, METHOD, MethodType(ours, fetcher))
    return problem
