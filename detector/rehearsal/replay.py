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

from detector.contracts.models import Maintenance
from detector.contracts.policy import Policy, Rule
from detector.contracts.scope import Scope
from detector.counting.columns import Columns, Int32s
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.reference import words_of
from detector.counting.rejects import Reason
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

_AHEAD = "occurred_at lies far ahead of the lines around it; mend the clock of the sender"


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
    """What a replay has read so far. `reasons` counts the rejects; times are epoch ms of `occurred_at`, 0 for none."""

    lines: int = 0
    events: int = 0
    ignored: int = 0
    first_ms: int = 0
    last_ms: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


class Replay:
    """N Counters, as of a topic with N partitions, and one Judge.

    `through` is what stands between them, by default nothing. `bad_lines` are those found by the last call. Raises
    ValueError for too many sources or maintenances.
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
        first = self.seen.lines
        decoded = self._decoder.decode(values, "mixed", None, np.arange(first, first + len(values), dtype=np.int64))
        self._note(len(values), decoded.columns, decoded.ignored)
        if len(self._counters) == 1:
            tallies = self._counters[0].take(decoded.columns)
        else:
            tallies = self._counted(decoded.columns, _partitions(values, len(self._counters)), first)
        self._note_bad([
            BadLine(first + bad.index + 1, bad.reason, bad.field, words_of(values[bad.index], "mixed", self._policy))
            for bad in decoded.rejects
        ])  # fmt: skip
        return self._judged(tallies)

    def finish(self) -> list[Change]:
        """Say that every source is at its end, so that all of them are judged up to the newest boundary of any."""
        changes = self._judged(_in_order([tally for counter in self._counters for tally in counter.finish()]))
        self._note_bad([])
        for source in self._sources:
            changes += self._judge.take(Marker("ended", source))
        return changes

    def _counted(self, columns: Columns, of_line: Int32s, first: int) -> list[Tally]:
        of_event = of_line[columns.offset - first]
        tallies = []
        for number, counter in enumerate(self._counters):
            rows = np.flatnonzero(of_event == number)
            if len(rows):
                tallies += counter.take(columns.pick(rows))
        return _in_order(tallies)

    def _judged(self, tallies: Sequence[Tally]) -> list[Change]:
        changes: list[Change] = []
        for tally in tallies:
            while self._announced and (self._announced[0].declared_at or 0) <= tally.boundary_ms:
                self._judge.take(Marker("maintenance", text=self._announced.popleft().model_dump_json()))
            changes += self._judge.take(tally if self._through is None else self._through(tally))
        return changes

    def _note(self, lines: int, columns: Columns, ignored: int) -> None:
        seen = self.seen
        seen.lines += lines
        seen.events += len(columns)
        seen.ignored += ignored
        if len(columns):
            earliest, latest = int(columns.occurred_at.min()), int(columns.occurred_at.max())
            seen.first_ms = min(seen.first_ms, earliest) if seen.first_ms else earliest
            seen.last_ms = max(seen.last_ms, latest)

    def _note_bad(self, found: list[BadLine]) -> None:
        """Add the lines that a Counter refused: it alone knows the time of the log."""
        for counter in self._counters:
            ahead = [line for _, line in counter.take_rejects()]
            found += [BadLine(line + 1, Reason.CLOCK_AHEAD, "occurred_at", _AHEAD) for line in ahead]
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
