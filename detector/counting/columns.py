"""A batch of events as arrays: what every decoder makes and the ledger merges.

Knows nothing of JSON, of Kafka or of what the counts mean.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.contracts.moments import EPOCH_MS_MAX

PENDING, APPROVED, DECLINED, ERROR, CANCELLED = range(5)
"""Statuses of a payment, as stored in `Columns.status` where `kind` is PAYMENT."""
STATUSES = ("pending", "approved", "declined", "error", "cancelled")

PAYMENT, PLACED, CONFIRMED, ORDER_CANCELLED = range(4)
"""Kinds of event, as stored in `Columns.kind`; the last three are statuses of an order."""

NONE = -1
"""No number: no leaf, no code, no time; the end of a chain."""

SPARE = 256
"""Places that a table of the ledger keeps free: more than any one event can take."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Events in the order they were read; every array has one entry an event.

    Hashes are `hashing.hash_bytes` of the UTF-8 text, never 0; 0 means the field is absent.
    Leaves and codes are numbers of the `Names` that decoded the batch. Times are epoch ms.
    """

    kind: UInt8s
    status: UInt8s
    leaf: Int32s  # NONE: an order event that lacks one of the policy's dimensions
    code: Int32s  # NONE: absent
    payment: UInt64s  # 0 for order events
    order: UInt64s
    shopper: UInt64s  # 0: unknown
    merchant: UInt64s  # hash of "unknown" where absent
    occurred_at: Int64s
    started_at: Int64s  # NONE: absent
    log_time: Int64s  # the record's Kafka timestamp; in a file, or without one, its occurred_at
    offset: Int64s  # offset in its partition; in a file its line number

    def __len__(self) -> int:
        return len(self.kind)

    def rows(self, start: int, stop: int) -> Columns:
        """A view of the events from `start` up to `stop`."""
        return Columns(*(getattr(self, field.name)[start:stop] for field in fields(self)))

    def pick(self, index: npt.NDArray[np.intp]) -> Columns:
        """A copy of the events at `index`, in that order."""
        return Columns(*(getattr(self, field.name)[index] for field in fields(self)))


def log_times_of(given: Int64s | None, occurred_at: Int64s) -> Int64s:
    """Kafka's times of events; the event's own in a file, which gives none, and where one is no time: Kafka keeps
    records to which nobody gave one (-1), and older brokers what lies beyond all years."""
    if given is None:
        return occurred_at.copy()
    is_none = given.view(np.uint64) > EPOCH_MS_MAX  # below 0 is far beyond it then
    return np.where(is_none, occurred_at, given) if is_none.any() else given
