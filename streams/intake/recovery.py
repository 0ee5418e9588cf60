"""Where a source is taken up again: what is noted with a committed offset, and what follows from it.

The rule: commit only what will never be needed again; a note says which boundary was acknowledged, by which term, and
how far the topic was read. Pure: knows no client, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from detector.contracts.policy import Policy

__all__ = [
    "NO_BOUNDARY", "UNKNOWN_FLOOR", "Begin", "Committed", "Note", "begin_from", "of_another_log", "parse_note",
    "short_of",
]  # fmt: skip

T = TypeVar("T")

_NUMBER_MAX = 1 << 62
NO_BOUNDARY = -1
"""The boundary of a note that was written before the first tally was acknowledged."""
UNKNOWN_FLOOR = -1
"""In a note: payments are gone, and who wrote it did not know yet up to when."""


@dataclass(frozen=True, slots=True)
class Note:
    """What stands beside a committed offset.

    `boundary_ms`: every tally up to it is acknowledged. `read`: the topic was read up to this offset, so that what
    lies before it and is read again was already counted, and its dead letters are already delivered. `reach_ms`: how
    far before the boundary the policy of who wrote it reads again; 0: an older note does not say. `floor_ms`: see
    Begin; or UNKNOWN_FLOOR.
    """

    term: int
    boundary_ms: int
    read: int
    reach_ms: int = 0
    floor_ms: int = 0

    def text(self) -> str:
        """The note as a commit's metadata."""
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed offset and its note; None where something else than Pastille committed."""

    offset: int
    note: Note | None


@dataclass(frozen=True, slots=True)
class Begin:
    """How an owner takes up a source: its term, the boundary to rebuild up to, and per topic where to start.

    `noted_ms` None: nothing was noted. `again`: there was an owner that noted no boundary, and may have told some all
    the same, so that the first tally is a snapshot. `read[topic]`: see Note. `floor_ms`: payments that were logged
    before it are gone, so that nothing is told of the panes before it. `cut`: topics of which something is gone, and
    nobody knows up to when: they have no note though something is committed of the source, since one was made again or
    somebody else committed, or their note says so.
    """

    term: int
    noted_ms: int | None
    offsets: Mapping[str, int]
    read: Mapping[str, int]
    floor_ms: int = 0
    again: bool = False
    cut: frozenset[str] = frozenset()

    def note(self, topic: str, reach_ms: int) -> Note:
        """What the owner commits at once, so that everybody sees the new term."""
        noted_ms = NO_BOUNDARY if self.noted_ms is None else self.noted_ms
        floor_ms = UNKNOWN_FLOOR if topic in self.cut else self.floor_ms
        return Note(self.term, noted_ms, self.read[topic], reach_ms, floor_ms)


def parse_note(text: str) -> Note | None:
    """Read `Note.text`; None for anything else, be it a note with numbers that no worker writes."""
    try:
        note = msgspec.json.decode(text, type=Note)
    except msgspec.DecodeError:
        return None
    boundary_ms = 0 if note.boundary_ms == NO_BOUNDARY else note.boundary_ms
    floor_ms = 0 if note.floor_ms == UNKNOWN_FLOOR else note.floor_ms
    numbers = (note.term, boundary_ms, note.read, note.reach_ms, floor_ms)
    fits = min(numbers) >= 0 and max(numbers) <= _NUMBER_MAX and boundary_ms % Policy.boundary_ms == 0
    return note if fits else None


def of_another_log(at: Committed, first: int) -> Committed:
    """A commit that was made of a log that is no more: its term and boundary hold, what it says of offsets does not.

    `first` is where a topic without a commit starts, found by time: that is right for a topic that was made again, and
    for one whose end was lost. Of the latter nothing that is needed is left out: where the committed offset is smaller,
    it is read from there. Nothing counts as read, so that a dead letter may be told twice, and none is left out.
    """
    offset = min(first, at.offset)
    return Committed(offset, None if at.note is None else replace(at.note, read=offset, floor_ms=UNKNOWN_FLOOR))


def short_of(committed: Mapping[T, Committed], reach_ms: int) -> dict[T, int]:
    """The log time from which each is to be read whose note is of a policy that reached less far, as where the horizon
    was raised: panes that are open by ours lie before its offset, and would be told as empty."""
    return {
        at: found.note.boundary_ms - reach_ms for at, found in committed.items()
        if found.note is not None and 0 < found.note.reach_ms < reach_ms and found.note.boundary_ms != NO_BOUNDARY
    }  # fmt: skip


def begin_from(committed: Mapping[str, Committed], first: Mapping[str, int], first_term: int) -> Begin:
    """The beginning of an ownership.

    `committed` has the source's topics that have a commit; `first[topic]` is where a topic without one starts, for
    every topic; `first_term` is the term where there was none before.
    """
    notes = [at.note for at in committed.values() if at.note is not None]
    offsets = {topic: committed[topic].offset if topic in committed else first[topic] for topic in first}
    read = {topic: _read(committed.get(topic), offsets[topic]) for topic in first}
    whole = {topic for topic, at in committed.items() if at.note is not None and at.note.floor_ms != UNKNOWN_FLOOR}
    cut = frozenset(first.keys() - whole) if committed else frozenset[str]()
    if not notes:
        return Begin(first_term, None, offsets, read, cut=cut)
    # Both topics are committed in one request; should one be older all the same, the older boundary is the safe one.
    boundary_ms = min(note.boundary_ms for note in notes)
    noted_ms = None if boundary_ms == NO_BOUNDARY else boundary_ms
    floor_ms = max(0, *(note.floor_ms for note in notes))
    return Begin(max(note.term for note in notes) + 1, noted_ms, offsets, read, floor_ms,
                 again=noted_ms is None, cut=cut)  # fmt: skip


def _read(at: Committed | None, offset: int) -> int:
    return offset if at is None or at.note is None else max(offset, at.note.read)
