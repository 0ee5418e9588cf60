"""One trial: steps sent three ways, and what must hold of each.

The product's way with a letter for every bad record; the same with hardly any room for letters, as in a flood, which
is the one whose time is taken; and the way of the second opinion: the Kafka client's records and the reference decoder.
Says what does not hold, in one sentence; knows nothing of seeds.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections import Counter as Count
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.columns import Columns
from detector.counting.names import Names
from detector.counting.reference import Decoded
from detector.counting.tally import Tally
from detector.records.loop import varint
from detector.records.unpack import CorruptBatch, Records, Unpacker, span
from streams.deadletters import read_letter
from streams.intake.codec import inflate
from streams.intake.fetch import fetched
from streams.intake.raw import Raw
from tests.fuzz.events import TOPICS
from tests.fuzz.script import Step
from tests.fuzz.spoil import CARDS
from tests.fuzz.way import Letters, Way
from tests.property import dumb
from tests.property.batches import ATTRIBUTES_AT, CONTROL, Row, as_client_reads, keeps_to_its_offsets

__all__ = ["Report", "WrongError", "failure", "play", "without_room"]

LOUD = replace(DEFAULT, dead_letters_per_s_max=100_000)
"""With room for every letter."""


class WrongError(Exception):
    """Something that must hold does not; `kind` is what was looked at."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass
class Report:
    """What was seen: records and CPU seconds by kind of step, bad records by reason, and batches refused."""

    records: Count[str] = field(default_factory=Count)
    cpu_s: Count[str] = field(default_factory=Count)
    reasons: Count[str] = field(default_factory=Count)
    spoilt: int = 0
    refused: int = 0
    letters: int = 0
    floods: int = 0

    def add(self, other: Report) -> None:
        """Add what another trial saw."""
        for mine, theirs in ((self.records, other.records), (self.cpu_s, other.cpu_s), (self.reasons, other.reasons)):
            mine.update(theirs)
        self.spoilt += other.spoilt
        self.refused += other.refused
        self.letters += other.letters
        self.floods += other.floods


def play(steps: Sequence[Step], drained: Letters | None = None) -> Report:
    """Play a trial; `drained` are letters without room. Raises WrongError."""
    return asyncio.run(_Trial(drained or without_room()).play(steps))


def without_room() -> Letters:
    """Dead letters whose burst is used up: from here on the policy's rate is all there is."""
    letters = Letters(DEFAULT)
    letters.out._limit._left = 0.0
    return letters


def failure(steps: Sequence[Step]) -> WrongError | None:
    """What does not hold, also where it is an exception that is in no contract."""
    try:
        play(steps)
    except WrongError as wrong:
        return wrong
    except Exception as error:  # whatever it is, it is what we look for
        return WrongError(type(error).__name__, str(error)[:200])
    return None


class _Trial:
    def __init__(self, drained: Letters) -> None:
        self.told, self.slow = Way(LOUD, Letters(LOUD)), Way(LOUD, Letters(LOUD), fast=False)
        self.flood = Way(DEFAULT, drained)
        self.next = dict.fromkeys(TOPICS, 0)
        self.report = Report()
        self.taken = 0
        self._before = drained.counted.copy()

    async def play(self, steps: Sequence[Step]) -> Report:
        ways = (self.told, self.slow, self.flood)
        for way in ways:
            await way.take({})
        for step in steps:
            await self._step(step)
        for way in ways:
            await way.session._tell(way.lane.finish())
            await way.letters.out.flush()
        self._letters()
        self._counts()
        return self.report

    async def _step(self, step: Step) -> None:
        position = self.next[step.topic]
        raw = step.data(position)
        rows, following, wrong = as_client_reads(raw, position, ())
        self.report.spoilt += step.spoilt
        if step.raw and self._is_refused(step.topic, raw, position, rows, wrong):
            return
        if span(raw, position) is None:  # of another format: the client reads it, or refuses it
            if wrong or not rows:
                return
            found: list[Any] = [_record(row) for row in rows]
        else:
            found = [Raw(raw, position, ())]
        for way, given in ((self.told, found), (self.flood, found), (self.slow, [_record(row) for row in rows])):
            if given and (said := await way.take({step.topic: given})):
                raise WrongError("refused", f"a sound fetch is refused: {said}")
        self.report.records[step.kind] += len(rows)
        self.report.cpu_s[step.kind] += self.flood.cpu_s
        if rows:
            self._decoded(rows)
        self._letters()
        self.next[step.topic] = max(following, position + len(rows)) if not step.raw else position + 1 + len(rows)
        if rows:
            self.next[step.topic] = max(self.next[step.topic], rows[-1][0] + 1)

    def _is_refused(self, topic: str, raw: bytes, position: int, rows: list[Row], wrong: bool) -> bool:
        """Whether a batch is refused: as the client does, and with a sentence that names its offset."""
        if (given := Raw(raw, position, ())).is_cut_at_once:
            self.report.refused += 1
            if rows or not _is_refused_at(given, position):
                raise WrongError("batch", "longer than all there is, and somebody reads it")
            return True  # the client would wait for the rest of it for ever
        ours: list[Any] = []
        is_odd = False
        try:
            for part in Unpacker(inflate).parts(raw, position, ()):
                is_odd |= _has_odd_attributes(part)
                ours += [(int(part.offsets[at]), part.values[at], part.headers(at)) for at in range(len(part))]
        except CorruptBatch as refused:
            self.report.refused += 1
            if refused.offset != position:
                raise WrongError("batch", f"offset {refused.offset} is named for {position}") from None
            if span(raw, position) is not None and not wrong and keeps_to_its_offsets(raw):
                raise WrongError("batch", f"refused ({refused}), and the client reads it") from None
            return True
        if any("\ufffd" in name for *_, headers in ours for name, _ in headers):
            return True  # the client alone looks at the names of headers
        if is_odd:
            return True  # the client takes a record's attributes, a byte, for a number of as many bytes as it says
        if span(raw, position) is None:
            return wrong
        if raw[ATTRIBUTES_AT + 1] & CONTROL:
            return True  # Kafka's own, as no producer may write it: passed over, while the client looks into it
        if wrong or [one[0] for one in ours] != [row[0] for row in rows]:
            raise WrongError("batch", "read, and the client refuses it, or reads other records")
        # Offsets that are left out, or there twice: what follows is told by them.
        return [row[0] for row in rows] != list(range(position, position + len(rows)))

    def _decoded(self, rows: list[Row]) -> None:
        """The same of every record by both decoders, and each record is one of three."""
        fast, slow = self.told.decoder.results, self.slow.decoder.results
        said = [_said(results, self.told.names if results is fast else self.slow.names) for results in (fast, slow)]
        for name, one, other in zip(("rejects", "ignored", "card-like", *Columns.__slots__), *said, strict=True):
            if not np.array_equal(one, other) if isinstance(one, np.ndarray) else one != other:
                raise WrongError("decoded", f"{name}: {_differs(one, other)}")
        offsets = [offset for results in (fast,) for decoded in results for offset in decoded.columns.offset.tolist()]
        self.taken += len(offsets)
        rejects = sum(len(decoded.rejects) for decoded in fast)
        ignored = sum(decoded.ignored for decoded in fast)
        if len(set(offsets)) != len(offsets) or len(offsets) + rejects + ignored != len(rows):
            raise WrongError("fates", f"{len(offsets)} taken, {rejects} refused, {ignored} ignored of {len(rows)}")

    def _letters(self) -> None:
        """The same letters, each with a reason, without a card number; and the flood's sums speak of as many."""
        told, slow = (sorted(way.letters.take()) for way in (self.told, self.slow))  # their order is that of parts
        if told != slow:
            raise WrongError("letters", _differs(told, slow))
        for letter in told:
            found = read_letter(letter)
            if not found.reason or found.offset < 0 or (card := next(_cards(letter), None)):
                raise WrongError("letters", f"{letter[:300]!r} has no reason, or holds {card}")
        self.report.letters += len(told)
        if self.told.letters.counted != self.slow.letters.counted:
            raise WrongError("letters", "other reasons are counted")

    def _counts(self) -> None:
        """At the end: the same tallies, totals and results; nobody is missing."""
        told, slow, flood = self.told, self.slow, self.flood
        for way in (told, flood):
            for number, (one, other) in enumerate(zip(way.log.told, slow.log.told, strict=True)):
                if _words(one) != _words(other):
                    raise WrongError("tallies", f"the {number}th: {_differs(_words(one), _words(other))}")
            if way.lane.counter.stats != slow.lane.counter.stats:
                raise WrongError("stats", f"{way.lane.counter.stats} for {slow.lane.counter.stats}")
            if way.lane.totals().events != slow.lane.totals().events:
                raise WrongError("results", f"{way.lane.totals().events} for {slow.lane.totals().events}")
        if _payments(told) != _payments(slow):
            raise WrongError("payments", _differs(_payments(told), _payments(slow)))
        stats, ahead = told.lane.counter.stats, told.letters.counted["clock_ahead"]
        if stats.events + stats.held + stats.clock_ahead != self.taken or ahead != stats.clock_ahead:
            raise WrongError("fates", f"{stats}, {ahead} letters of clocks ahead, of {self.taken}")
        counted = flood.letters.counted - self._before
        if counted != told.letters.counted:
            raise WrongError("flood", f"{counted} for {told.letters.counted}")
        self.report.reasons.update(counted)
        spoken = sum(_spoken(json.loads(letter)) for letter in flood.letters.take())
        if spoken != counted.total():
            raise WrongError("flood", f"letters speak of {spoken} records of {counted.total()}")
        self.report.floods += spoken


def _record(row: Row) -> Any:
    offset, time_ms, key, value, headers = row
    return SimpleNamespace(offset=offset, timestamp=time_ms, key=key, value=value, headers=headers)


def _said(results: Sequence[Decoded], names: Names) -> list[Any]:
    """All that decoding came to, with hashes and names in place of numbers."""
    columns = Columns(*(np.concatenate([getattr(decoded.columns, name) for decoded in results])
                        for name in Columns.__slots__))  # fmt: skip
    codes = np.array([*names.codes, ""], object)
    leaves = np.where(columns.leaf >= 0, names.leaf_hash[columns.leaf], 0)
    made = replace(columns, leaf=leaves, code=codes[columns.code])
    cards: Count[str] = Count()
    for decoded in results:
        cards.update(decoded.card_like)
    rejects = [(reject.reason, reject.field) for decoded in results for reject in decoded.rejects]
    arrays = [getattr(made, name) for name in Columns.__slots__]
    return [rejects, sum(decoded.ignored for decoded in results), cards, *arrays]


def _words(record: Any) -> Any:
    """A tally without the order in which its leaves happen to stand."""
    if not isinstance(record, Tally):
        return record
    return record.boundary_ms, record.newest_start_ms, record.offset, dumb.told(record)


def _payments(way: Way) -> dict[Any, list[int]]:
    """Payments that reached a status, by leaf."""
    totals = way.lane.totals().payments.tolist()
    return {leaf: counts for leaf, counts in zip(way.names.leaves, totals, strict=False) if any(counts)}


def _spoken(letter: dict[str, Any]) -> int:
    return int(letter["field"].split()[0]) if letter["reason"] == "flood" else 1


_APART = re.compile(r"(?<=\d)[ \t\xa0-]+(?=\d)")


def _cards(letter: bytes) -> Iterator[str]:
    """The planted card numbers that a letter holds, in whatever dress."""
    found = read_letter(letter)
    headers = [part for name, value in found.headers for part in (name.encode(), value)]
    for data in (letter, found.key, found.value, *headers):
        for text in _texts(data or b""):
            yield from (card for card in CARDS if card in text)


def _texts(data: bytes) -> Iterator[str]:
    plain = data.decode("utf-8", "replace")
    yield _APART.sub("", plain)
    unescaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found.group(1), 16)), plain)
    yield _APART.sub("", unicodedata.normalize("NFKC", unescaped))
    if b"\0" in data:
        yield _APART.sub("", data.replace(b"\0", b"").decode("latin-1"))


def _differs(one: Any, other: Any) -> str:
    """Where two values part ways."""
    if isinstance(one, dict):
        key = next(key for key in (*one, *other) if one.get(key) != other.get(key))
        return f"{key}: {one.get(key)} for {other.get(key)}"
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if type(mine) is not type(theirs) or (mine != theirs):
            return f"at {place} {str(mine)[:300]} for {str(theirs)[:300]}"
    return f"{len(one)} for {len(other)}"


def _is_refused_at(given: Raw, offset: int) -> bool:
    try:
        list(fetched([given], Unpacker(inflate)))
    except CorruptBatch as refused:
        return refused.offset == offset
    return False


def _has_odd_attributes(part: Records) -> bool:
    """Whether the attributes of a record, which say nothing, have their highest bit set."""
    text = np.frombuffer(part.values.buffer, np.uint8)
    return any(text[varint(text, begin, len(text))[1]] >= 0x80 for begin in part.begins.tolist())
