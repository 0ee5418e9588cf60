"""A recorded day played through the very Counter and Judge of the worker, in event time; no Kafka between them.

Takes lines as bytes, in the order they were recorded, and gives the changes of outages. Does not know files, nor how
fast it is asked. Events alone move time: what a clock decides in the worker does not happen here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import numpy as np

from detector.arrays import Int32s
from detector.contracts.models import Maintenance
from detector.contracts.moments import rfc3339
from detector.contracts.policy import Policy, Rule
from detector.contracts.scope import Scope
from detector.counting.columns import Columns
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.reference import Decoded, words_of
from detector.counting.rejects import Reason
from detector.counting.rows import DAY_MS
from detector.counting.tally import Marker, Source, Tally
from detector.judging.judge import Judge
from detector.judging.learned import Learned
from detector.judging.outage import Change
from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.partition import partitions
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate

Through: TypeAlias = Callable[[Tally], Tally | Marker]

FEED = "default"
SOURCES_MAX = 4096

ORDERS = 1
"""The second topic of a source: a file is one stream of both, taken as the first; the second is at its end."""

GAP_DAYS_MAX = 366
"""Lines of one file are not further apart, unless a time is wrong: one of 1970 before those of today would be judged
second by second for half a century."""

_AHEAD = "occurred_at lies far ahead of the lines around it; sort the lines by it, or mend the clock of the sender"


class GapError(ValueError):
    """The lines go on years later."""


class _Key(msgspec.Struct):
    order_id: str


_key_of = msgspec.json.Decoder(_Key)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line, counted from 1, that is no event of the contract, and why; nothing of its text."""

    line: int
    reason: Reason
    field: str
    message: str


@dataclass(slots=True)
class Seen:
    """What a replay has read so far. `reasons` counts the rejects; times are epoch ms of `occurred_at`, 0 for none.

    `too_late`, known at the end: events that would have changed a pane that was closed.
    """

    lines: int = 0
    events: int = 0
    ignored: int = 0
    too_late: int = 0
    first_ms: int = 0
    last_ms: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """Lines of which it is known what they say: the first one's number, counted from 0, and how many they are; of more
    sources than one, the source of each line."""

    first: int
    lines: int
    decoded: Decoded
    bad: list[BadLine]
    source: Int32s | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Lines that are counted: what their boundaries tell the Judge, in order, and all bad lines found meanwhile."""

    read: Read
    tallies: list[Tally]
    bad: list[BadLine]


class Replay:
    """N Counters, as of a topic with N partitions, and one Judge.

    `feed` is `read`, `count` and `judge`, one after the other; each takes what the one before gave, in order, and may
    have a thread of its own. `through` is what stands between Counters and Judge, by default nothing. `seen` and
    `bad_lines` (those of the last call) are of what is judged. Raises ValueError for too many sources or maintenances.
    """

    def __init__(self, policy: Policy, sources: int = 1, through: Through | None = None,
                 maintenances: Sequence[Maintenance] = (), learned: Learned | None = None) -> None:  # fmt: skip
        if not 1 <= sources <= SOURCES_MAX:
            raise ValueError(f"sources must be from 1 to {SOURCES_MAX}; got {sources}; choose one between")
        if len(maintenances) > policy.maintenances_max:
            raise ValueError(
                f"maintenances must be at most {policy.maintenances_max}; got {len(maintenances)}; "
                "leave some out, or raise maintenances_max in the policy's [limits]"
            )
        names = Names(policy)
        self._decoder = Decoder(policy, names)
        self._sources = [Source(FEED, number) for number in range(sources)]
        self._counters = [Counter(policy, names, source, {FEED: sources}) for source in self._sources]
        for counter in self._counters:
            counter.at_end(ORDERS, True)
        self._judge = Judge(policy)
        if learned is not None:
            self._judge.begin_with(learned)
        self._policy, self._through = policy, through
        # Of those declared at once the order of the list counts.
        self._announced = deque(sorted(maintenances, key=lambda said: said.declared_at or 0))
        self._lines = 0
        self._began_ms: int | None = None  # the first boundary
        self.seen = Seen()
        self.bad_lines: list[BadLine] = []

    @property
    def time_ms(self) -> int:
        """Up to when everything is judged, in event time."""
        return self._judge.time_ms

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Every scope that is judged."""
        return tuple(self._judge.board.nodes.scopes)

    def learned(self) -> Learned:
        """What is usual, as far as it was learned from what was fed; nothing is fed after that."""
        return self._judge.learned(ended=True)

    def feed(self, values: Sequence[bytes]) -> list[Change]:
        """The changes of outages that these lines complete. Any cutting of the same lines gives the same changes."""
        return self.judge(self.count(self.read(values)))

    def read(self, values: Sequence[bytes]) -> Read:
        """What these lines say."""
        first, sources = self._lines, len(self._counters)
        self._lines += len(values)
        decoded = self._decoder.decode(values, "mixed", None, np.arange(first, self._lines, dtype=np.int64))
        bad = [
            BadLine(first + bad.index + 1, bad.reason, bad.field, words_of(values[bad.index], "mixed", self._policy))
            for bad in decoded.rejects
        ]
        return Read(first, len(values), decoded, bad, _partitions(values, sources) if sources > 1 else None)

    def count(self, read: Read) -> Counted:
        """What they come to."""
        columns = read.decoded.columns
        if read.source is None:
            tallies = self._counters[0].take(columns)
        else:
            tallies = self._counted(columns, read.source[columns.offset - read.first])
        return Counted(read, tallies, read.bad + self._ahead())

    def judge(self, counted: Counted) -> list[Change]:
        """What the Judge says of that. Raises GapError."""
        self._note(counted.read)
        self._note_bad(counted.bad)
        return self._judged(counted.tallies)

    def finish(self) -> list[Change]:
        """Say that every source is at its end, so that all of them are judged up to the newest boundary of any: one
        whose last event came sooner moves on with the others, as it does in the worker."""
        tallies = [tally for counter in self._counters for tally in counter.finish()]
        reached_ms = [counter.watermark_ms or 0 for counter in self._counters]
        for counter, mine_ms in zip(self._counters, reached_ms, strict=True):
            tallies += counter.idle(max(reached_ms) - mine_ms)
        changes = self._judged(_in_order(tallies))
        self._note_bad(self._ahead())
        for source in self._sources:
            changes += self._judge.take(Marker("ended", source))
        self.seen.too_late = sum(counter.stats.too_late for counter in self._counters)
        self._note_span()
        return changes

    def _counted(self, columns: Columns, of_event: Int32s) -> list[Tally]:
        tallies = []
        for number, counter in enumerate(self._counters):
            rows = np.flatnonzero(of_event == number)
            if len(rows):
                tallies += counter.take(columns.pick(rows))
        return _in_order(tallies)

    def _judged(self, tallies: Sequence[Tally]) -> list[Change]:
        changes: list[Change] = []
        for tally in tallies:
            self._check_gap(tally.boundary_ms)
            self._began_ms = min(self._began_ms or tally.boundary_ms, tally.boundary_ms)
            while self._announced and (self._announced[0].declared_at or 0) <= tally.boundary_ms:
                self._judge.take(Marker("maintenance", text=self._announced.popleft().model_dump_json()))
            changes += self._judge.take(tally if self._through is None else self._through(tally))
        return changes

    def _check_gap(self, boundary_ms: int) -> None:
        if self.time_ms >= 0 and boundary_ms - self.time_ms > GAP_DAYS_MAX * DAY_MS:
            raise GapError(
                f"lines are at most {GAP_DAYS_MAX} days apart; got {rfc3339(self.time_ms)} and "
                f"{rfc3339(boundary_ms)}; take out, or mend, what has a wrong occurred_at"
            )

    def _ahead(self) -> list[BadLine]:
        """The lines that a Counter refused: it alone knows the time of the log."""
        lines = [line for counter in self._counters for _, line in counter.take_rejects()]
        return [BadLine(line + 1, Reason.CLOCK_AHEAD, "occurred_at", _AHEAD) for line in lines]

    def _note(self, read: Read) -> None:
        seen, columns = self.seen, read.decoded.columns
        seen.lines += read.lines
        seen.ignored += read.decoded.ignored
        if len(columns):
            earliest, latest = int(columns.occurred_at.min()), int(columns.occurred_at.max())
            seen.first_ms = min(seen.first_ms, earliest) if seen.events else earliest
            seen.last_ms = max(seen.last_ms, latest)
        seen.events += len(columns)

    def _note_span(self) -> None:
        """A time that was refused, or lies before all panes that were ever open, is of no event that was counted: one
        of them would make a day a century."""
        seen, times_ms = self.seen, [counter.log_time_ms for counter in self._counters]
        seen.last_ms = min(seen.last_ms, max((time_ms for time_ms in times_ms if time_ms is not None), default=0))
        if self._began_ms is not None:
            seen.first_ms = max(seen.first_ms, self._began_ms - self._policy.open_ms)

    def _note_bad(self, found: list[BadLine]) -> None:
        self.bad_lines = found
        for bad in found:
            self.seen.reasons[bad.reason] = self.seen.reasons.get(bad.reason, 0) + 1


def warm() -> None:
    """Play some seconds of made shops, with a fault among them: it calls every loop from the lines to the verdicts."""
    shops = Shops(banks=2, shoppers=50, faults=(parse_fault("bank:bnp all_red 5s 40s"),))
    quick = Policy(all_red=Rule(10_000, 3), all_pending=Rule(10_000, 3))
    lines = Lines(shops)
    for sources in (1, 2):
        replay = Replay(quick, sources)
        for events in simulate(shops, 60_000):
            replay.feed([line.encode() for line in lines.values(events)])
        replay.finish()


def _in_order(tallies: list[Tally]) -> list[Tally]:
    """By boundary, so that the Judge, who holds back what it cannot judge yet, holds least."""
    return sorted(tallies, key=lambda tally: (tally.boundary_ms, tally.source))


def _partitions(values: Sequence[bytes], count: int) -> Int32s:
    return partitions([_key(value) for value in values], count)


def _key(value: bytes) -> bytes:
    """The record's key as a producer would set it; a line without one is no event, and goes anywhere."""
    try:
        return _key_of.decode(value).order_id.encode()
    except (msgspec.MsgspecError, UnicodeError):
        return b""
