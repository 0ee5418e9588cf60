"""A tallies log that is another than a worker wrote or took: it is noticed, however fast that one grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError, NotEnoughReplicasError

from streams.settings import Settings
from streams.tallylog import TallyLog
from streams.verdict.footing import SHORT_MAX, Footing
from streams.verdict.loglost import LogLost
from streams.verdict.tallyreader import Mark, TallyReader

SETTINGS = Settings(broker="localhost:9092")


class Log(TallyReader):
    """A tallies log: Kafka's time of each record, from `first` on."""

    def __init__(self, times: list[int]) -> None:
        self.times, self.first, self.told = times, 0, 4

    async def beginning(self) -> int:
        return self.first

    async def end_of(self, topic: str) -> int:
        return self.told if topic == SETTINGS.topics.outages else len(self.times)

    async def between(self, start: int, stop: int) -> AsyncIterator[list[Any]]:
        for offset in range(start, stop):
            yield [SimpleNamespace(offset=offset, time_ms=self.times[offset])]


def looked(log: Log, steps: Iterator[Mark]) -> None:
    """Look once with each of these standing there, and four outage events known."""
    footing = Footing(SETTINGS, lambda: None)

    async def run() -> None:
        for step in steps:
            await footing.look(log, SimpleNamespace(mark=step, told=4))

    asyncio.run(run())


def test_a_log_that_only_grows_is_the_same() -> None:
    """Whatever is taken between two looks; a time that went through Faust is rounded."""
    log = Log(list(range(1_000, 1_100)))
    looked(log, iter([Mark(1, 1_000), Mark(50, 1_048), Mark(50, 1_049), Mark(100, 1_099), Mark(100, 1_099)]))


def test_what_was_deleted_at_its_start_cannot_be_asked_for() -> None:
    """Retention took what stands there, or all; a Judge that has taken nothing has nothing to lose."""
    log = Log([0] * 100)
    log.first = 60
    looked(log, iter([Mark(50, 7), Mark(50, 7), Mark(60, 7), Mark(60, 7), Mark(0, 0), Mark(0, 0)]))


def test_a_log_that_ends_too_early_for_long_is_another() -> None:
    """A leader that is new may not know all of its end for some looks."""
    log = Log([5] * 9)

    def steps(looks: int) -> Iterator[Mark]:
        log.times = [5] * 12
        yield Mark(12, 5)
        log.times = [5] * 9
        for _ in range(looks):
            yield Mark(12, 5)
        log.times = [5] * 12
        yield Mark(12, 5)

    looked(log, steps(SHORT_MAX - 1))
    with pytest.raises(
        LogLost, match="was known up to offset 12 and ends at 9: it was made again, or its end was lost"
    ):
        looked(log, steps(SHORT_MAX))


def test_an_outages_topic_that_ends_too_early_for_long_is_another() -> None:
    """The start of an outage that is open may be gone with it."""
    log = Log([5] * 12)

    def steps(looks: int) -> Iterator[Mark]:
        log.told = 2
        yield from [Mark(12, 5)] * looks
        log.told = 4
        yield Mark(12, 5)

    looked(log, steps(SHORT_MAX - 1))
    with pytest.raises(LogLost, match="outages was known up to offset 4 and ends at 2"):
        looked(log, steps(SHORT_MAX + 1))


def test_a_log_that_grew_again_meanwhile_is_another() -> None:
    """Other records stand at the offsets that were taken, and more behind them, of which one was taken since."""
    log = Log([5] * 12)

    def steps() -> Iterator[Mark]:
        yield Mark(12, 5)
        log.times = [5] * 9 + [60] * 20
        yield Mark(13, 60)

    with pytest.raises(LogLost, match="has another record before offset 12 than was taken"):
        looked(log, steps())


def test_a_tenure_that_begins_anew_is_looked_at_anew() -> None:
    """It stands before the lost end."""
    log = Log([5] * 12)

    def steps() -> Iterator[Mark]:
        yield Mark(12, 5)
        log.times = [5] * 9
        yield from [Mark(9, 5)] * SHORT_MAX * 2

    looked(log, steps())


def acknowledged(log: TallyLog, *offsets: int | Exception, log_start_offset: int | None = 0) -> None:
    """The broker answers with these."""

    async def run() -> None:
        writes = [asyncio.get_running_loop().create_future() for _ in offsets]
        for write, offset in zip(writes, offsets, strict=True):
            if isinstance(offset, Exception):
                write.set_exception(offset)
            else:
                write.set_result(SimpleNamespace(offset=offset, log_start_offset=log_start_offset))
        await log.acknowledged(writes)

    asyncio.run(run())


async def _made() -> TallyLog:
    return TallyLog(SETTINGS)


def test_who_wrote_what_is_gone_tells_all_anew() -> None:
    """A tally stands where one of the same writer stood: nothing on the log says what that one said. Others' tallies
    may stand between; a copy of which the broker has forgotten where it stands says nothing."""
    log = asyncio.run(_made())
    acknowledged(log, 3, 4, 9)
    acknowledged(log, 12)
    acknowledged(log, -1, 0, log_start_offset=-1)
    with pytest.raises(KafkaError, match="had offset 12 and goes on at 7: it was made again, or its end was lost"):
        acknowledged(log, 7)
    with pytest.raises(KafkaError, match="must take what is written; got NotEnoughReplicas"):
        acknowledged(log, NotEnoughReplicasError())
