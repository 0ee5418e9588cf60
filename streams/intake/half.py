"""One of the two partitions of a source: how far it is read, and what came of its records.

Knows what is told of records that are refused; does not know what counting them means.
"""

from __future__ import annotations

import sys
from collections import Counter as Count
from dataclasses import dataclass

import numpy as np

from detector.arrays import Int64s
from detector.contracts.moments import EPOCH_MS_MAX
from detector.counting.columns import NONE
from detector.counting.offsets import OffsetIndex
from detector.counting.reference import Decoded
from detector.counting.rejects import Reason, Reject, Rejects, fault_number
from detector.counting.tally import Tally
from streams.deadletters import HEADERS_MAX, short_headers, short_key
from streams.intake.deadletters import Bad, Flood
from streams.intake.fetch import Fetched
from streams.intake.recovery import Begin

__all__ = ["Counted", "Half", "ahead_of_clock"]

RESULTS = ("rebuilt", "ignored", "rejected", "counted")
"""What can become of a record. All are told of from the beginning, 0 as they are: what comes new while the page of
metrics reads them would end that, and Prometheus sees no increase in a counter that begins at 1."""
_AHEAD = fault_number(Reason.CLOCK_AHEAD, "occurred_at")


@dataclass(frozen=True, slots=True)
class Counted:
    """What a batch led to; `floods` are the bad records for which there was no room."""

    tallies: list[Tally]
    bad: list[Bad]
    floods: list[Flood]

    def __len__(self) -> int:
        return len(self.tallies) + len(self.bad) + len(self.floods)

    def add(self, other: Counted) -> None:
        """Add what the next batch led to."""
        self.tallies.extend(other.tallies)
        self.bad.extend(other.bad)
        self.floods.extend(other.floods)


class Half:
    """One of a source's two partitions: how far it is read, and what came of its records.

    `next` is the offset to read on from. `read` is where the owner before us had got to: what lies before it was
    counted and its dead letters were delivered. `results[result]` counts records. `doubted[offset]` are the records
    (20 at most) whose jump of log time is in doubt: what is told of each where it is refused. It counts when that is
    decided.
    """

    def __init__(self, topic: str, kind: int, begin: Begin, index: OffsetIndex) -> None:
        self.topic = topic
        self.kind = kind
        self.first = begin.offsets[topic]
        self.next = begin.offsets[topic]
        self.read = begin.read[topic]
        self.index = index
        self.log_ms = NONE
        self.at_end = False
        self.doubted: dict[int, Bad] = {}
        self._taken = 0  # of the records from `read` on, those that are not refused
        self.results = Count(dict.fromkeys(RESULTS, 0))

    def pass_over(self, first: int) -> int:
        """Go on from the first offset that there still is; how many records were deleted before anybody read them."""
        deleted = max(0, first - max(self.next, self.read))
        self.first, self.next = max(self.first, first), max(self.next, first)
        return deleted

    def note_end(self, end: int | None) -> None:
        """Note that all before the partition's end was read: also what is no record, as where a transaction ended."""
        self.next = max(self.next, end or 0)

    def needed_from(self, log_time_ms: int) -> int:
        """The offset from which every record of a log time and later is read."""
        found = self.index.first(log_time_ms)
        return self.first if found is None else max(self.first, found)

    def bad(self, batch: Fetched, partition: int, refused: Reject) -> Bad:
        """The record, with what is wrong with it."""
        at = refused.index
        return Bad(
            self.topic, partition, int(batch.offsets[at]), short_key(batch.key(at)),
            short_headers(batch.headers(at, HEADERS_MAX)), refused.reason, refused.field or None, _moment(batch, at),
            batch.values[at],
        )  # fmt: skip

    def told(self, batch: Fetched, partition: int, rejects: Rejects, room: int) -> Counted:
        """What is told of rejects: nothing of those that the owner before us has told."""
        unheard = rejects.pick(batch.offsets[rejects.places] >= self.read)
        bad = [self.bad(batch, partition, one) for one in unheard[:room]]
        rest, floods = unheard[room:], []
        if len(rest):
            first = int(rest.places[0])
            floods.append(
                Flood(self.topic, partition, int(batch.offsets[first]), _moment(batch, first), rest.reasons())
            )
        return Counted([], bad, floods)

    def told_of(self, doubted: Bad, room: int) -> Counted:
        """The same of one that was in doubt."""
        if doubted.offset < self.read:
            return Counted([], [], [])
        if room > 0:
            return Counted([], [doubted], [])
        flood = Flood(self.topic, doubted.partition, doubted.offset, doubted.received_at_ms, Count([doubted.reason]))
        return Counted([], [], [flood])

    def see(self, batch: Fetched, decoded: Decoded, log_time_ms: int | None) -> None:
        """Note what came of a batch; what was counted by the owner before us is `rebuilt`. A time of Kafka's beyond the
        source's log time was not believed, or not yet."""
        rebuilt = int(np.searchsorted(batch.offsets, self.read))
        rejected = len(decoded.rejects) - int(np.searchsorted(decoded.rejects.places, rebuilt))
        taken = len(decoded.columns) - int(np.searchsorted(decoded.columns.offset, self.read))
        self.results["rebuilt"] += rebuilt
        self.results["rejected"] += rejected
        self.results["ignored"] += len(batch) - rebuilt - rejected - taken
        self._taken += taken
        self.next = int(batch.offsets[-1]) + 1
        if log_time_ms is not None and len(decoded.columns):
            self.log_ms = max(self.log_ms, min(int(decoded.columns.log_time.max()), log_time_ms))

    def refuse(self, offsets: Int64s) -> None:
        """Note that records that were taken are refused after all."""
        refused = len(offsets) - int(np.searchsorted(offsets, self.read))
        self._taken -= refused
        self.results["rejected"] += refused

    def keep(self, batch: Fetched, partition: int, taken: Int64s, doubted_from: int | None) -> None:
        """Keep what is told of the taken records that are in doubt; `taken` are the offsets of those of the batch."""
        if doubted_from is not None:
            ahead = [self.bad(batch, partition, one) for one in ahead_of_clock(batch, taken[taken >= doubted_from])]
            self.doubted.update((bad.offset, bad) for bad in ahead)

    def settle(self, doubted_from: int | None) -> None:
        """Count what is decided: all before a record that is in doubt. What counts is never less than it was."""
        first = sys.maxsize if doubted_from is None else doubted_from
        self.doubted = {offset: kept for offset, kept in self.doubted.items() if offset >= first}
        self.results["counted"] = self._taken - sum(offset >= self.read for offset in self.doubted)


def ahead_of_clock(batch: Fetched, offsets: Int64s | list[int]) -> Rejects:
    """The records at these offsets, refused as ahead of the clock."""
    places = np.searchsorted(batch.offsets, offsets)
    return Rejects(places, np.full(len(places), _AHEAD, np.int32))


def _moment(batch: Fetched, at: int) -> int:
    """Kafka's time of a record, as near as a contract has it."""
    return min(max(0, int(batch.times[at])), EPOCH_MS_MAX)
