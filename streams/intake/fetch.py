"""What one read of a partition gave: columns of values, offsets and times, in parts.

Made from the fetched bytes by our loops, or, where the client made records of them, from these. The one way from what
a client gives to the decoder. Knows nothing of groups, of events or of counting.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from detector.arrays import Int64s
from detector.counting.columns import NONE
from detector.records.unpack import CorruptBatch, Header, Unpacker
from streams.intake.raw import Broken, Raw

__all__ = ["Fetched", "Header", "Listed", "fetched"]


class Fetched(Protocol):
    """Records of one partition in order: `values[i]` stands at `offsets[i]`, written at `times[i]` (epoch ms).

    A record without a value (a tombstone) has empty bytes, which no decoder takes for an event. A part holds until
    the next one is asked for.
    """

    @property
    def values(self) -> Sequence[bytes]:
        """The records' values."""

    @property
    def offsets(self) -> Int64s:
        """Their offsets."""

    @property
    def times(self) -> Int64s:
        """Kafka's times, epoch ms; negative where it has none."""

    def __len__(self) -> int: ...

    def key(self, index: int) -> bytes | None:
        """The record's key."""

    def headers(self, index: int, most: int = sys.maxsize) -> Sequence[Header]:
        """The record's headers, or so many of them: in a megabyte there is room for hundreds of thousands."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Records that the client made."""

    values: list[bytes]
    offsets: Int64s
    times: Int64s
    records: Sequence[Any]

    @classmethod
    def of(cls, records: Sequence[Any]) -> Self:
        """The client's records of one partition as columns."""
        count, times = len(records), (record.timestamp for record in records)
        return cls(
            [record.value or b"" for record in records],
            np.fromiter((record.offset for record in records), np.int64, count),
            np.fromiter((NONE if time is None else time for time in times), np.int64, count),
            records,
        )

    def __len__(self) -> int:
        return len(self.values)

    def key(self, index: int) -> bytes | None:
        """The record's key."""
        key: bytes | None = self.records[index].key
        return key

    def headers(self, index: int, most: int = sys.maxsize) -> Sequence[Header]:
        """The record's headers, or so many of them."""
        headers: Sequence[Header] = self.records[index].headers[:most]
        return headers


def fetched(found: Sequence[Any], unpacker: Unpacker) -> Iterator[Fetched]:
    """What `getmany` gave of a partition, bytes or records, in parts. Raises CorruptBatch."""
    if isinstance(found[0], Raw):
        for raw in found:
            if raw.is_cut_at_once:
                raise CorruptBatch(raw.position, "its length is wrong: it is longer than what the broker sent")
            yield from unpacker.parts(raw.data, raw.position, raw.aborted)
        return
    last = found[-1]
    records = found[:-1] if isinstance(last, Broken) else found
    if records:
        listed = Listed.of(records)
        if (np.diff(listed.offsets) <= 0).any():
            raise CorruptBatch(int(listed.offsets[0]), "an offset in it or behind it is not what follows")
        yield listed
    if isinstance(last, Broken):
        raise CorruptBatch(last.offset, last.why)
