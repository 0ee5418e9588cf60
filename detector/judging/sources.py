"""Which sources there are, how far each has come, and what of theirs still waits: Judge's time.

    source 0   ──●──●──●──●            boundary 104: three records wait
    source 1   ──●                     boundary 101: Judge's time
    source 2   ──●──●   stuck          out of the minimum until its next record

Knows boundaries and terms; does not know what the records say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from detector.counting.tally import FIRST, UNSAID, Layout, Marker, Source, Tally

NOT_YET = -1
"""No boundary, no term."""
RETURN_MS = 10_000
"""So far below Judge's time a source that left may come back: time then waits for it. One whose events take some
seconds longer than the others' would never reach it."""
TERMS_MAX = 64
"""So many of a source's terms are told apart when the hour before a snapshot is re-read."""


class State(Enum):
    """Of a source: in the minimum; left it until its next record; or below Judge's time, its records held back."""

    LIVE = "live"
    STUCK = "stuck"
    ENDED = "ended"
    BEHIND = "behind"


@dataclass(slots=True)
class Progress:
    """Of one source; `number` is its number in the ring, from 1."""

    number: int
    state: State = State.LIVE
    term: int = NOT_YET
    boundary_ms: int = NOT_YET
    applied_ms: int = NOT_YET
    """The newest boundary of any term that was judged: what was closed at it is closed for this source. Not of a torn
    one: what it left out, the next term says."""
    torn: int = NOT_YET
    """The newest term that was taken as it is behind a lost record: its source was stuck, or had never spoken."""
    judged: dict[int, int] = field(default_factory=dict)
    """The newest boundary of each term that was judged, of the newest terms: what an older term said above it was
    dropped, not judged."""
    offset: int = NOT_YET
    refilled: tuple[int, int] = (NOT_YET, NOT_YET)
    """(term, boundary) of the newest record that was re-read after a restart."""
    refilled_ms: int = NOT_YET
    """The newest boundary of any term among these, but for torn ones."""
    refilled_torn: int = NOT_YET
    was_stuck: bool = False
    """Whether a marker behind that record says that the source is stuck."""
    waiting: deque[Tally] = field(default_factory=deque)

    @property
    def judged_ms(self) -> int:
        """The newest boundary of any term that was judged, torn ones among them."""
        return max(self.judged.values(), default=NOT_YET)

    def pass_on(self, boundary_ms: int) -> None:
        """A newer term begins at a boundary: what an older one said from there on is said again. What it said before
        still waits to be judged, boundary by boundary; as one sum at the newer term's first it would come too late."""
        while self.waiting and self.waiting[-1].boundary_ms >= boundary_ms:
            self.waiting.pop()

    def note_judged(self, tally: Tally) -> None:
        """A record of its was judged."""
        self.judged[tally.term] = tally.boundary_ms
        if len(self.judged) > TERMS_MAX:
            del self.judged[min(self.judged)]


def follows(tally: Tally, term: int, boundary_ms: int) -> bool:
    """Whether nothing was lost between the newest record of a source and this one, of the same term or a newer.

    A write that the broker did not take may be followed by one that it did, before the writer knows. What it tells are
    changes: they are left out until the next term begins with everything. A writer that does not know of a gap begins
    none; its source is stuck before long, and taken again as it is: `torn`.
    """
    if term == NOT_YET or tally.after_ms == UNSAID:
        return True
    return tally.after_ms == (boundary_ms if tally.term == term else FIRST)


class Sources:
    """Every partition index of every feed is live from the first record on, until a marker says otherwise.

    `left_out`: the records that came behind a lost one. `is_told_all`: nothing was ever said that is not passed here.
    """

    def __init__(self, is_told_all: bool = False) -> None:
        self.is_told_all = is_told_all
        self.left_out = 0
        self.by_source: dict[Source, Progress] = {}
        self._in_order: list[Progress] = []
        self._layout: Layout = {}
        self._target_ms: int | None = None  # None: to be worked out anew

    def accept(self, tally: Tally, time_ms: int) -> bool:
        """Queue a record; whether Judge's time can move by it.

        It cannot where its (term, boundary) is not above the last that was taken or does not follow on it, nor where
        its source, live before and after, was ahead of the others: most records of a log that is caught up with come
        from such a one.
        """
        if tally.layout != self._layout:
            self._lay_out(tally.layout)
        mine = self._progress(tally.source)
        newest = mine.term, mine.boundary_ms
        if (tally.term, tally.boundary_ms) <= newest:
            return False
        if not follows(tally, *newest):
            if mine.state is not State.STUCK:
                self.left_out += 1
                return False
            mine.torn = tally.term
        elif mine.term == NOT_YET and self._lacks_its_beginning(mine, tally):
            mine.torn = tally.term
        if self._target_ms is not None and not self._is_ahead(mine, tally):
            self._target_ms = None
        if tally.term > mine.term:
            mine.pass_on(tally.boundary_ms)
        mine.term, mine.boundary_ms = tally.term, tally.boundary_ms
        mine.waiting.append(tally)
        # A source that never left holds Judge's time until its new owner has said again what the old one had; one that
        # left comes back when it has caught up, or nearly.
        if mine.state is not State.LIVE:
            mine.state = State.LIVE if tally.boundary_ms >= time_ms - RETURN_MS else State.BEHIND
        return self._target_ms is None

    def _lacks_its_beginning(self, mine: Progress, tally: Tally) -> bool:
        """Does the first record of a source say that it spoke before, though that would have been passed here?"""
        return tally.after_ms not in (FIRST, UNSAID) and (self.is_told_all or mine.state is State.STUCK)

    def _is_ahead(self, mine: Progress, tally: Tally) -> bool:
        """Was and stays the source above the target, so that a record of its own moves nothing?"""
        ahead_ms = min(mine.boundary_ms, tally.boundary_ms)
        return mine.state is State.LIVE and self._target_ms is not None and ahead_ms > self._target_ms

    def leave(self, source: Source, state: State) -> None:
        """A marker takes the source out of the minimum until its next record."""
        self._progress(source).state = state
        self._target_ms = None

    def target_ms(self) -> int:
        """How far all may be judged: the minimum over the live; NOT_YET while one of them has said nothing.

        When the last has ended, nothing more will come, and all that came may be judged.
        """
        if self._target_ms is None:
            self._target_ms = self._find_target_ms()
        return self._target_ms

    def _find_target_ms(self) -> int:
        live = [mine.boundary_ms for mine in self.by_source.values() if mine.state is State.LIVE]
        if live:
            return min(live)
        ended = [mine.boundary_ms for mine in self.by_source.values() if mine.state is State.ENDED]
        return max(ended, default=NOT_YET)

    def next_boundary_ms(self, target_ms: int) -> int:
        """The first boundary up to the target at which a record waits; NOT_YET: none."""
        heads = [
            mine.waiting[0].boundary_ms for mine in self._in_order if mine.waiting and mine.state is not State.BEHIND
        ]
        first_ms = min(heads, default=NOT_YET)
        return first_ms if first_ms <= target_ms else NOT_YET

    def take(self, boundary_ms: int) -> Iterator[tuple[Progress, Tally]]:
        """The records that wait for boundaries up to this one, source by source in order.

        While one is in hand `applied_ms` is still of the records before it.
        """
        for mine in self._in_order:
            while mine.waiting and mine.waiting[0].boundary_ms <= boundary_ms and mine.state is not State.BEHIND:
                tally = mine.waiting.popleft()
                yield mine, tally
                if tally.term != mine.torn:
                    mine.applied_ms = max(mine.applied_ms, tally.boundary_ms)
                mine.note_judged(tally)
                mine.offset = max(mine.offset, tally.offset)

    def moved_by(self, records: Iterable[Tally | Marker]) -> list[Source]:
        """The sources of which one of these records is the newest that was taken."""
        return [
            record.source for record in records
            if isinstance(record, Tally) and (mine := self.by_source.get(record.source)) is not None
            and (mine.term, mine.boundary_ms) == (record.term, record.boundary_ms)
        ]  # fmt: skip

    def closed_ms(self) -> int:
        """The boundary that every source which ever spoke has reached."""
        return min((mine.applied_ms for mine in self.by_source.values() if mine.term != NOT_YET), default=NOT_YET)

    def without(self) -> list[str]:
        """The sources that are not judged now."""
        return [str(source) for source, mine in sorted(self.by_source.items())
                if mine.state in (State.STUCK, State.BEHIND)]  # fmt: skip

    def offsets(self) -> dict[str, int]:
        """The newest offset judged of each source that has one."""
        return {str(source): mine.offset for source, mine in sorted(self.by_source.items()) if mine.offset >= 0}

    def export(self) -> list[list[Any]]:
        """What a snapshot keeps: all but what waits."""
        return [
            [source.feed, source.partition, mine.number, mine.state.value, mine.term, mine.boundary_ms,
             mine.applied_ms, mine.torn, list(mine.judged.items()), mine.offset]
            for source, mine in self.by_source.items()
        ]  # fmt: skip

    def load(self, state: list[list[Any]]) -> None:
        """Take an `export` back."""
        for feed, partition, number, word, term, boundary_ms, applied_ms, torn, judged, offset in state:
            progress = Progress(number, State(word), term, boundary_ms, applied_ms, torn, dict(judged), offset)
            self._add(Source(feed, partition), progress)

    def _lay_out(self, layout: Layout) -> None:
        for feed, partitions in layout.items():
            for partition in range(partitions):
                self._progress(Source(feed, partition))
        self._layout = layout

    def _progress(self, source: Source) -> Progress:
        mine = self.by_source.get(source)
        return self._add(source, Progress(len(self.by_source) + 1)) if mine is None else mine

    def _add(self, source: Source, progress: Progress) -> Progress:
        self.by_source[source] = progress
        self._in_order = [self.by_source[known] for known in sorted(self.by_source)]
        self._target_ms = None
        return progress
