"""The dead-letter topic as a list: its letters, which of them were sent again, and what sending one again means.

A letter is marked as sent by a record without a value on the same topic and partition, whose header `pastille-sent`
names the letter's offset. A mark is written after the letter it names, so whoever reads from the letter to the end
meets the mark too. A worker that reads its log again may write a second letter of the same record: a mark holds for
every letter of the record, and of several only the newest is sent. The mark is written after the send is
acknowledged: a crash between the two sends a letter twice, which changes no count (I2).
Holds letters only where it is given a few; of a whole topic it keeps numbers. Knows nothing of how a command shows
this, or of sending.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.arrays import Bools, Int64s
from detector.contracts.policy import Policy
from detector.counting.columns import NONE
from detector.counting.names import Names
from detector.counting.reference import ReferenceDecoder
from streams.deadletters import WORD_CHARACTERS_MAX, Letter, read_letter
from streams.reading import Place, Record
from streams.settings import Settings

SENT: Final = "pastille-sent"
"""Header of a mark: the offset, in the mark's own partition, of the letter that was sent again."""
OFFSET_DIGITS_MAX: Final = 19
REASONS_KNOWN_MAX: Final = 1_000
"""Words for a reason that are remembered; ours are a few, letters from elsewhere may have any."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A letter and where it stands."""

    place: Place
    letter: Letter
    sent_again: bool


class Verdict(StrEnum):
    """What becomes of a letter when letters are sent again; only SEND is sent, and TOO_LATE where that is asked for."""

    SEND = "send"
    ALREADY_SENT = "already_sent"
    SAME_RECORD = "same_record_as_a_newer_letter"
    LEFT_OUT = "payload_left_out"
    STILL_WRONG = "still_wrong"
    STILL_AHEAD = "still_ahead_of_clock"
    IGNORED = "ignored_status"
    OTHER_TOPIC = "not_a_feed_topic"
    TOO_LATE = "too_late_to_be_counted"
    NO_PARTITION = "partition_not_there"


class Fate(NamedTuple):
    """What becomes of a letter; `detail` is the decoder's word where it is still wrong, and what there is where its
    partition is not. There are few of them, however many letters."""

    verdict: Verdict
    detail: str = ""


class Found(NamedTuple):
    """Where a letter stands, and what becomes of it."""

    place: Place
    fate: Fate


def origin(letter: Letter) -> Place:
    """Where the record stood that could not be counted."""
    return Place(letter.topic, letter.partition, letter.offset)


class Fates:
    """What becomes of a letter that was not sent: sent is what a worker with this policy would count now.

    `partitions` says how many each topic of the cluster has, `wall_ms` is this machine's clock.
    """

    def __init__(
        self, settings: Settings, policy: Policy, partitions: Mapping[str, int], wall_ms: Callable[[], int]
    ) -> None:
        self._policy, self._partitions, self._wall_ms = policy, partitions, wall_ms
        self._decoder = ReferenceDecoder(policy, Names(policy))
        kinds: dict[str, Literal["payments", "orders"]] = {feed.payments: "payments" for feed in settings.feeds}
        self._kinds = kinds | {feed.orders: "orders" for feed in settings.feeds if feed.orders is not None}

    def of(self, letter: Letter) -> Fate:
        """The fate of one letter, now."""
        now_ms = self._wall_ms()
        kind = self._kinds.get(letter.topic)
        if not letter.value:  # left out, or the one letter that stands for a flood of records
            return Fate(Verdict.LEFT_OUT)
        if kind is None:
            return Fate(Verdict.OTHER_TOPIC)
        now = np.array([now_ms], np.int64)
        decoded = self._decoder.decode([letter.value], kind, now, np.array([letter.offset], np.int64))
        if decoded.rejects:
            return Fate(Verdict.STILL_WRONG, str(decoded.rejects[0].reason))
        if len(decoded.columns) == 0:
            return Fate(Verdict.IGNORED)
        occurred_ms, started_ms = int(decoded.columns.occurred_at[0]), int(decoded.columns.started_at[0])
        # The decoder has no clock; a worker would send this one straight back.
        if occurred_ms - now_ms > self._policy.clock_ahead_ms:
            return Fate(Verdict.STILL_AHEAD)
        if self._is_closed(self._counts_at_ms(occurred_ms, started_ms), now_ms):
            return Fate(Verdict.TOO_LATE)
        there = letter.partition < self._partitions.get(letter.topic, 0)
        if not there and (letter.key is None or letter.topic not in self._partitions):
            return Fate(Verdict.NO_PARTITION, self._what_there_is(letter.topic))
        return Fate(Verdict.SEND)

    def _what_there_is(self, topic: str) -> str:
        """Without the partition that a letter asks for: a topic may have lost a thousand."""
        have = self._partitions.get(topic)
        return f"there is no {topic}" if have is None else f"{topic} has {have} partition{'s' * (have != 1)}"

    def _counts_at_ms(self, occurred_ms: int, started_ms: int) -> int:
        """The moment in whose pane an event counts: its payment's start, or its own where it is a late answer."""
        if started_ms == NONE or occurred_ms - started_ms >= self._policy.horizon_ms:
            return occurred_ms
        return min(started_ms, occurred_ms)

    def _is_closed(self, moment_ms: int, now_ms: int) -> bool:
        """Whether the moment's pane is closed by the clock; a source's own time may be behind that."""
        pane_ms = self._policy.pane_ms
        return moment_ms // pane_ms < (now_ms - self._policy.open_ms) // pane_ms


class Survey:
    """All letters of the topic in numbers, some 40 bytes each, and 16 a mark: a million is no matter.

    `ask` gives a letter's fate unless it was sent, or None where nobody asks for such a letter. `reasons` are those
    that letters have; `unreadable` counts records that are neither a letter nor a mark.
    """

    def __init__(self, topic: str, ask: Callable[[Letter], Fate | None]) -> None:
        self.unreadable = 0
        self.reasons: set[str] = set()
        self._topic, self._ask = topic, ask
        self._numbers: dict[Fate | None, int] = {None: NONE}
        self._partition, self._offset, self._time, self._origin, self._fate = (array("q") for _ in range(5))
        self._marked_partition, self._marked_offset = array("q"), array("q")

    def take(self, records: Iterable[Record]) -> None:
        """Take in records, each partition's in order."""
        for record in records:
            if mark := _marked(record):
                if mark.offset < record.place.offset:
                    self._marked_partition.append(mark.partition)
                    self._marked_offset.append(mark.offset)
            elif letter := _letter(record.value):
                self._take_letter(record, letter)
            else:
                self.unreadable += 1

    def oldest_first(self) -> Findings:
        """The letters that were asked for, by Kafka's time."""
        partition, offset, time, origins, fate = (
            np.array(column, np.int64)
            for column in (self._partition, self._offset, self._time, self._origin, self._fate)
        )
        sent = np.isin(origins, origins[self._is_marked(partition, offset)])
        order = np.lexsort((offset, partition, time))
        order = order[fate[order] != NONE]
        newest = np.zeros(len(fate), np.bool_)
        last_first = order[::-1]
        newest[last_first[np.unique(origins[last_first], return_index=True)[1]]] = True
        fate[~newest] = self._number(Fate(Verdict.SAME_RECORD))
        fate[sent] = self._number(Fate(Verdict.ALREADY_SENT))
        fates = [each for each in self._numbers if each is not None]
        return Findings(self._topic, fates, partition[order], offset[order], fate[order])

    def _take_letter(self, record: Record, letter: Letter) -> None:
        if len(self.reasons) < REASONS_KNOWN_MAX and len(letter.reason) <= WORD_CHARACTERS_MAX:
            self.reasons.add(letter.reason)
        self._partition.append(record.place.partition)
        self._offset.append(record.place.offset)
        self._time.append(record.timestamp_ms)
        digest = blake2b(str(origin(letter)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self._origin.append(int.from_bytes(digest, signed=True))
        self._fate.append(self._number(self._ask(letter)))

    def _number(self, fate: Fate | None) -> int:
        return self._numbers.setdefault(fate, len(self._numbers) - 1)

    def _is_marked(self, partition: Int64s, offset: Int64s) -> Bools:
        found = np.zeros(len(offset), np.bool_)
        marked_partition = np.array(self._marked_partition, np.int64)
        marked_offset = np.array(self._marked_offset, np.int64)
        for number in np.unique(marked_partition):
            here = partition == number
            found[here] = np.isin(offset[here], marked_offset[marked_partition == number])
        return found


@dataclass(frozen=True, slots=True)
class Findings:
    """Letters in an order, and what becomes of each: `fates[fate[n]]` of the letter at `partition[n]`, `offset[n]`."""

    topic: str
    fates: Sequence[Fate]
    partition: Int64s
    offset: Int64s
    fate: Int64s

    def __len__(self) -> int:
        return len(self.fate)

    def counts(self) -> Counter[Fate]:
        """How many letters have each fate."""
        numbers = np.bincount(self.fate, minlength=len(self.fates))
        return Counter({fate: int(count) for fate, count in zip(self.fates, numbers, strict=True) if count})

    def of(self, verdicts: Iterable[Verdict]) -> Findings:
        """Only those letters of which that becomes."""
        wanted = set(verdicts)
        numbers = [number for number, fate in enumerate(self.fates) if fate.verdict in wanted]
        return self._picked(np.flatnonzero(np.isin(self.fate, numbers)))

    def first(self, most: int) -> Findings:
        """At most so many, from the beginning."""
        return self.part(0, most)

    def part(self, start: int, stop: int) -> Findings:
        """Those from one place up to another."""
        return self._picked(np.arange(start, min(stop, len(self))))

    def last_first(self) -> Findings:
        """The other way round."""
        return self._picked(np.arange(len(self))[::-1])

    def __iter__(self) -> Iterator[Found]:
        for partition, offset, number in zip(self.partition, self.offset, self.fate, strict=True):
            yield Found(Place(self.topic, int(partition), int(offset)), self.fates[int(number)])

    def _picked(self, index: npt.NDArray[np.intp]) -> Findings:
        return Findings(self.topic, self.fates, self.partition[index], self.offset[index], self.fate[index])


def stored_letters(found: Iterable[Found], records: Mapping[Place, Record]) -> Iterator[Stored]:
    """The letters themselves, those that are still there."""
    for place, fate in found:
        if (record := records.get(place)) and (letter := _letter(record.value)):
            yield Stored(place, letter, fate.verdict is Verdict.ALREADY_SENT)


def _marked(record: Record) -> Place | None:
    """The letter that a mark names; None for what is no mark."""
    text = dict(record.headers).get(SENT)
    if record.value is not None or text is None or not (text.isdigit() and len(text) <= OFFSET_DIGITS_MAX):
        return None
    return Place(record.place.topic, record.place.partition, int(text))


def _letter(value: bytes | None) -> Letter | None:
    try:
        return read_letter(value or b"")
    except ValueError:
        return None
