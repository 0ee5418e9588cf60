"""Partitions that lack an offset where they were to be read on, or up to which they were read.

Either what stood there was deleted before it was read, or the log is another one: the topic was made again under its
name, or its end was lost with a leader. The client moves no position by itself, since whoever reads would go on as if
nothing had been. Knows the Reader; sources are the session's business.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka.errors import OffsetOutOfRangeError

from streams.intake.reader import Reader, TopicPartition
from streams.loopclock import loop_s

__all__ = ["AGAIN_S", "Stray", "Strays"]

log = logging.getLogger(__name__)

Offsets = Mapping[TopicPartition, int]

AGAIN_S = 10.0
"""A partition that strays again so soon ends the session: the next one waits a while before it tries."""


class Stray(NamedTuple):
    """A partition that has strayed: the first offset that there still is. `is_lost`: the log is another than the one
    that was read."""

    first: int
    is_lost: bool


class Strays:
    """Those found since the last settling. `unproven[at]` is an offset up to which a partition is said to have been
    read, until its broker has shown that it has so many."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._found: dict[TopicPartition, int] = {}
        self._found_s: dict[TopicPartition, float] = {}
        self._unproven: dict[TopicPartition, int] = {}

    def refused(self, error: OffsetOutOfRangeError) -> None:
        """Note whose position a broker refused. Raises the error again where that comes too often."""
        (refused,) = error.args
        for at, offset in refused.items():
            self._note(at, offset, error)

    async def prove(self) -> bool:
        """Whether no partition is found that ends before the offset up to which it was read.

        After a change of leaders a fetch may say too small an end for a moment, so that it is only a reason to ask.
        """
        short = []
        for at, read in list(self._unproven.items()):
            end = self._reader.end(at)
            if end is not None and end >= read:
                del self._unproven[at]
            elif end is not None:
                short.append(at)
        ends = await self._reader.extents(short) if short else {}
        for at, (_, end) in ends.items():
            read = self._unproven.pop(at)
            if end < read:
                self._note(at, read)
        return not self._found

    async def look(self, assigned: Iterable[TopicPartition]) -> dict[TopicPartition, Stray]:
        """Those that have strayed."""
        strayed = self._found.keys() & set(assigned)
        if not strayed:
            return {}
        extents = await self._reader.extents(strayed)
        lost = {at for at, (first, _) in extents.items() if self._found[at] >= first}
        for at in sorted(lost):
            log.warning(
                "intake: %s partition %d was read up to offset %d and no longer had it; now it has %d to %d: the topic "
                "was made again, or its end was lost; it is read as on a first start",
                at.topic, at.partition, self._found[at], *extents[at],
            )  # fmt: skip
        return {at: Stray(first, at in lost) for at, (first, _) in extents.items()}

    def settled(self, read: Offsets) -> None:
        """All is taken up, and said to have been read up to these offsets."""
        self._found.clear()
        self._unproven = dict(read)

    def _note(self, at: TopicPartition, offset: int, error: OffsetOutOfRangeError | None = None) -> None:
        now_s = loop_s()
        if error is not None and now_s - self._found_s.get(at, -AGAIN_S) < AGAIN_S:
            raise error
        self._found[at], self._found_s[at] = offset, now_s
