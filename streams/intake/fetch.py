"""What one read of a partition gave: columns of values, offsets and times, made from the client's records.

The one adapter between the Kafka client's records and the decoder; a faster way from the fetched bytes goes here and
nowhere else. Knows nothing of groups, of events or of counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.counting.columns import Int64s

__all__ = ["Fetched", "fetched"]

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records of one partition in order: `values[i]` stands at `offsets[i]`, written at `times[i]` (epoch ms).

    A record without a value (a tombstone) has empty bytes, which no decoder takes for an event.
    """

    values: list[bytes]
    offsets: Int64s
    times: Int64s
    records: Sequence[Any]

    def __len__(self) -> int:
        return len(self.values)

    def key(self, index: int) -> bytes | None:
        """The record's key."""
        key: bytes | None = self.records[index].key
        return key

    def headers(self, index: int) -> Sequence[Header]:
        """The record's headers."""
        headers: Sequence[Header] = self.records[index].headers
        return headers


def fetched(records: Sequence[Any]) -> Fetched:
    """The client's records of one partition as columns."""
    count = len(records)
    return Fetched(
        [record.value or b"" for record in records],
        np.fromiter((record.offset for record in records), np.int64, count),
        np.fromiter((record.timestamp for record in records), np.int64, count),
        records,
    )
