"""One source at work in this worker: its Counter, where its partitions stand, what may be committed.

A lane is driven from one thread at a time. Knows the Counter and the decoder; knows no client, no loop, no clock: what
was fetched and how much time went by are arguments.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter as Count
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from detector.arrays import Int64s
from detector.counting.columns import NONE
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.offsets import OffsetIndex
from detector.counting.reference import Decoded
from detector.counting.tally import Source, Tally
from streams.intake.fetch import Fetched
from streams.intake.half import Counted, Half, ahead_of_clock
from streams.intake.placing import ORDERS, PAYMENTS, SAMPLE_EVENTS, KeyCheck
from streams.intake.recovery import NO_BOUNDARY, UNKNOWN_FLOOR, Begin, Note

__all__ = ["AHEAD_MS_MAX", "Lane", "Totals"]

log = logging.getLogger(__name__)

AHEAD_MS_MAX = 60_000
"""How far one topic of a source may be read ahead of the other, in log time, while both have more to read."""
FLOOR_EVENTS = 5
"""Of so many payments that are left the middle one says when they begin: one that is late, or of a fast clock, does
not. Fewer say nothing: then it is now."""
LIMITS = {
    "crowded": "an order or a shopper has more payments than are looked at together; is one id given to all?",
    "held_over": "so much waits for the other topic that it is waited for no longer; does one come late?",
}
_KINDS: dict[int, Literal["payments", "orders"]] = {PAYMENTS: "payments", ORDERS: "orders"}


@dataclass(slots=True)
class Totals:
    """What was counted, for metrics; the totals of lanes can be added up.

    `payments[leaf, status]` by the numbers of the worker's `Names`; `events[feed, topic, result]`.
    """

    payments: Int64s = field(default_factory=lambda: np.zeros((0, 5), np.int64))
    events: Count[tuple[str, ...]] = field(default_factory=Count)
    card_like: Count[str] = field(default_factory=Count)
    late_answers: int = 0
    too_late: int = 0
    crowded: int = 0
    held_over: int = 0

    def add(self, other: Totals) -> None:
        """Add another's."""
        size = max(len(self.payments), len(other.payments))
        self.payments = _lengthened(self.payments, size) + _lengthened(other.payments, size)
        self.events.update(other.events)
        self.card_like.update(other.card_like)
        self.late_answers += other.late_answers
        self.too_late += other.too_late
        self.crowded += other.crowded
        self.held_over += other.held_over


class Lane:
    """A source: fetched batches in, tallies and bad records out."""

    def __init__(self, counter: Counter, decoder: Decoder, begin: Begin, topics: dict[str, int]) -> None:
        policy = counter.policy
        keep_ms = -2 * counter.commit_from(0)  # what a commit asks back, and as much again
        self.source: Source = counter.source
        self.counter = counter
        self.term = begin.term
        self.floor_ms = 0
        self._lacks_payments = any(kind == PAYMENTS and topic in begin.cut for topic, kind in topics.items())
        self.halves = {
            topic: Half(topic, kind, begin, OffsetIndex(policy.pane_ms, keep_ms)) for topic, kind in topics.items()
        }
        self.keys = KeyCheck()
        self.boundary_ms = NO_BOUNDARY if begin.noted_ms is None else begin.noted_ms
        self._card_like: Count[str] = Count()
        self._limits_told: set[str] = set()
        self._decoder = decoder
        self._partitions = counter.layout[counter.source.feed]
        self._raise_floor(begin.floor_ms)
        if len(topics) == 1:
            counter.at_end(ORDERS, True)

    # Work, in the counting thread

    def count(self, topic: str, batch: Fetched, room: int = sys.maxsize, clock_ms: int | None = None) -> Counted:
        """Decode and count a batch; of the bad records so many at most are told of one by one. It is `clock_ms`
        o'clock: payments begin no later, wherever they begin."""
        half, counter = self.halves[topic], self.counter
        # Noted for the whole batch as it stood before: perhaps earlier than need be, never too late. What is in doubt
        # comes later in log time, however early it was read.
        doubted = counter.doubted_from(half.kind)
        first = int(batch.offsets[0]) if doubted is None else doubted
        half.index.note(NONE if counter.log_time_ms is None else counter.log_time_ms, first)
        decoded = self._decoder.decode(batch.values, _KINDS[half.kind], batch.times, batch.offsets)
        if self._lacks_payments and half.kind == PAYMENTS and len(decoded.columns):
            self._settle_floor(_floor_of(decoded.columns.log_time[:FLOOR_EVENTS], clock_ms))
        tallies = counter.take(decoded.columns, half.kind)
        if batch.offsets[-1] >= half.read:
            self._card_like.update(decoded.card_like)
        self._sample(half, batch, decoded)
        half.see(batch, decoded, counter.log_time_ms)
        told = half.told(batch, self.source.partition, decoded.rejects, room)
        told.add(self._ahead(room - len(told.bad), half, batch))
        half.keep(batch, self.source.partition, decoded.columns.offset, counter.doubted_from(half.kind))
        self._settle()
        told.tallies.extend(self._published(tallies))
        return told

    def idle(self, elapsed_ms: int, clock_ms: int | None = None) -> Counted:
        """Let time go by for a source at its end; it is `clock_ms` o'clock."""
        return self._without_news(self.counter.idle(elapsed_ms, clock_ms))

    def finish(self) -> Counted:
        """The source has nothing more: tell what waited for more."""
        return self._without_news(self.counter.finish())

    def end(self, ends: dict[str, bool], clock_ms: int | None = None) -> Counted:
        """Say of each topic whether it is read to its end; at the end of everything a rebuilding is over."""
        reached = False
        for topic, at_end in ends.items():
            half = self.halves[topic]
            if half.at_end != at_end:
                reached |= at_end
                half.at_end = at_end
                self.counter.at_end(half.kind, at_end)
                if self._lacks_payments and at_end and half.kind == PAYMENTS and clock_ms is not None:
                    self._settle_floor(clock_ms)
        if self.is_at_end and self.counter.rebuilding:
            return self._without_news(self.counter.caught_up(clock_ms))
        return self._without_news(self.counter.go_on()) if reached else Counted([], [], [])

    # Work, in the loop, between two turns of the counting thread

    def unread(self, topic: str) -> None:
        """There may be something to read of a topic: from now on it holds time back."""
        half = self.halves[topic]
        if half.at_end:
            half.at_end = False
            self.counter.at_end(half.kind, False)

    def pass_over(self, half: Half, first: int) -> int:
        """Go on from the first offset that there still is; how many records were deleted before anybody read them.
        Where only orders are gone, payments say all but what waits; without payments orders would be half green."""
        if half.kind == PAYMENTS:
            floor_ms = half.index.log_time(first)
            if floor_ms is None or half.next < first:
                self._lacks_payments = True  # since when, what is read next says
            else:  # the next owner will, but not this one, who has read what is gone
                self.floor_ms = max(self.floor_ms, floor_ms)
        return half.pass_over(first)

    def _settle_floor(self, floor_ms: int) -> None:
        """What is left of payments begins there."""
        self._lacks_payments = False
        if self._has_told_nothing and floor_ms > self.boundary_ms - self.counter.policy.open_ms:
            log.warning("intake: %s: payments before %s are not there: their panes stay as they were told",
                        self.source, datetime.fromtimestamp(floor_ms / 1000, UTC).isoformat())  # fmt: skip
        self._raise_floor(floor_ms)

    def _raise_floor(self, floor_ms: int) -> None:
        """Tell nothing of the panes before; who has told on from the noted boundary leaves it to the next owner."""
        self.floor_ms = max(self.floor_ms, floor_ms)
        if self._has_told_nothing:
            self.counter.raise_floor(floor_ms)

    @property
    def _has_told_nothing(self) -> bool:
        return self.counter.rebuilding or self.boundary_ms == NO_BOUNDARY

    # Questions

    def has_news(self, ends: dict[str, bool]) -> bool:
        """Whether `end` would change anything."""
        return any(self.halves[topic].at_end != at_end for topic, at_end in ends.items())

    @property
    def is_at_end(self) -> bool:
        """Whether all its partitions are read to their ends."""
        return all(half.at_end for half in self.halves.values())

    def wanted(self) -> list[str]:
        """The topics to read on from: one that is far ahead waits for the other."""
        behind = min((half.log_ms for half in self.halves.values() if not half.at_end), default=0)
        return [
            half.topic for half in self.halves.values() if half.at_end or half.log_ms <= behind + AHEAD_MS_MAX
        ]  # fmt: skip

    def commits(self) -> dict[str, tuple[int, Note]]:
        """What may be committed now, given that every tally and dead letter so far is acknowledged.

        Nothing while it rebuilds: what the last owner committed still holds.
        """
        if self.counter.rebuilding or self.counter.log_time_ms is None:
            return {}
        # Panes close by the boundary, which a topic whose events come late holds back behind log time.
        needed_ms = self.counter.commit_from(min(self.counter.log_time_ms, self.counter.boundary_ms or 0))
        reach_ms = self.counter.policy.reach_ms
        return {
            topic: (
                half.needed_from(needed_ms),
                Note(self.term, self.boundary_ms, self._read(half), reach_ms, self._noted_floor(half)),
            )
            for topic, half in self.halves.items()
        }

    def totals(self) -> Totals:
        """What was counted since the lane began."""
        stats = self.counter.stats
        events = {
            (self.source.feed, half.topic, result): count
            for half in self.halves.values() for result, count in half.results.items()
        }  # fmt: skip
        return Totals(
            self.counter.payments_total.copy(), Count(events), self._card_like.copy(), stats.late_answers,
            stats.too_late, stats.crowded, stats.held_over,
        )  # fmt: skip

    def new_limits(self) -> list[str]:
        """What is to be said of the limits that were hit and not told of before."""
        stats = self.counter.stats
        new = [name for name in LIMITS if getattr(stats, name) and name not in self._limits_told]
        self._limits_told.update(new)
        return [LIMITS[name] for name in new]

    # Inside

    def _read(self, half: Half) -> int:
        """The offset up to which it is known of every record what became of it, and told where it was refused."""
        doubted = self.counter.doubted_from(half.kind)
        return max(half.read, half.next if doubted is None else doubted)

    def _noted_floor(self, half: Half) -> int:
        return UNKNOWN_FLOOR if self._lacks_payments and half.kind == PAYMENTS else self.floor_ms

    def _published(self, tallies: list[Tally]) -> list[Tally]:
        if tallies:
            self.boundary_ms = tallies[-1].boundary_ms
        return tallies

    def _sample(self, half: Half, batch: Fetched, decoded: Decoded) -> None:
        if half.kind == PAYMENTS:
            places = np.searchsorted(batch.offsets, decoded.columns.offset[:SAMPLE_EVENTS]).tolist()
            events = ((batch.values[at], batch.key(at)) for at in places)
            self.keys.look(events, self.source.partition, self._partitions)

    def _without_news(self, tallies: list[Tally]) -> Counted:
        """What is told where nothing new was read."""
        told = self._ahead()
        self._settle()
        told.tallies.extend(self._published(tallies))
        return told

    def _settle(self) -> None:
        for half in self.halves.values():
            half.settle(self.counter.doubted_from(half.kind))

    def _ahead(self, room: int = sys.maxsize, read: Half | None = None, batch: Fetched | None = None) -> Counted:
        """Of the records that the Counter refused as ahead of the clock: of this batch, or of one read before."""
        told = Counted([], [], [])
        offsets: dict[int, list[int]] = {}
        for kind, offset in self.counter.take_rejects():
            offsets.setdefault(kind, []).append(offset)
        for half in self.halves.values():
            refused = offsets.get(half.kind, [])
            half.refuse(np.array(refused, np.int64))
            for offset in refused:
                if offset in half.doubted:
                    told.add(half.told_of(half.doubted[offset], room - len(told.bad)))
            new = [offset for offset in refused if offset not in half.doubted]
            if new:
                assert batch is not None, "what is refused later was kept"
                assert half is read, "what is refused later was kept"
                told.add(half.told(batch, self.source.partition, ahead_of_clock(batch, new), room - len(told.bad)))
        return told


def _floor_of(log_times: Int64s, clock_ms: int | None) -> int:
    """When the payments begin of which these are the first."""
    latest_ms = int(log_times.max()) if clock_ms is None else clock_ms
    return latest_ms if len(log_times) < FLOOR_EVENTS else min(int(np.median(log_times)), latest_ms)


def _lengthened(counts: Int64s, size: int) -> Int64s:
    return np.concatenate([counts, np.zeros((size - len(counts), 5), np.int64)])
