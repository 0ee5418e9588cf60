"""A session between stand-ins for Kafka: when time goes by for a source of two topics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import TopicPartition

from detector.contracts.policy import DEFAULT
from detector.counting.tally import Tally
from streams.intake import deadletters, session
from streams.intake.recovery import Committed, Note
from tests.fuzz.events import START_MS as T
from tests.fuzz.events import TOPICS
from tests.fuzz.way import Letters, Way, at

AWAY_MS = 60_000
SECOND_MS = 1_000


def event(offset: int, at_ms: int, **said: Any) -> Any:
    """A record as the client makes it."""
    known = {"order_id": f"o{offset}", "bank": "bnp", "method": "card", "occurred_at": at_ms}
    value = json.dumps(known | said).encode()
    return SimpleNamespace(offset=offset, timestamp=at_ms + 50, value=value, key=b"o", headers=())


def paid(offset: int, at_ms: int) -> Any:
    """A payment."""
    return event(offset, at_ms, payment_id=f"p{offset}", status="approved")


def placed(offset: int, at_ms: int) -> Any:
    """An order."""
    return event(offset, at_ms, status="placed")


def first_told(way: Way, pane: int) -> int:
    """The first boundary that tells of a pane, in ms after T."""
    tallies = (told for told in way.log.told if isinstance(told, Tally))
    return next(told.boundary_ms for told in tallies if pane in told.cells.pane.tolist()) - T


@pytest.mark.parametrize("also", ["fetched", "unconfirmed"])
def test_what_was_not_counted_yet_holds_time_back(monkeypatch: pytest.MonkeyPatch, also: str) -> None:
    """Both topics were read to their ends; a minute later there is more of both, and one is counted first: the other's
    is told at its own boundary, be it fetched as well or only not known to be at its end."""

    async def run() -> None:
        way = Way(DEFAULT, Letters(DEFAULT))
        await way.take({"payments": [paid(0, T)], "orders": [placed(0, T)]})
        assert way.lane.is_at_end
        way.lane.finish()
        later, orders = [paid(1, T + AWAY_MS)], [placed(1, T + 10 * SECOND_MS), placed(2, T + AWAY_MS)]
        if also == "fetched":
            await way.take({"payments": later, "orders": orders})
        else:
            known = way.reader.lag
            monkeypatch.setattr(way.reader, "lag", lambda tp: None if tp == at("orders") else known(tp))
            await way.take({"payments": later})
            monkeypatch.undo()
            await way.take({"orders": orders})
        assert first_told(way, (T + 10 * SECOND_MS) // DEFAULT.pane_ms) == 11 * SECOND_MS

    asyncio.run(run())


def test_a_pause_knows_what_o_clock_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone payment that is an hour ahead of the wall's clock moves no time, however long nothing follows."""
    monkeypatch.setattr(session, "END_S", 0.0)
    monkeypatch.setattr(session, "IDLE_STEP_S", 0.0)

    async def run() -> None:
        way = Way(DEFAULT, Letters(DEFAULT), clock="wall")
        await way.take({"payments": [paid(0, T)], "orders": [placed(0, T)]})
        await way.take({"payments": [paid(1, T + 60 * AWAY_MS)]})
        for _ in range(3):
            await way.take({})
        assert way.lane.counter.log_time_ms == T + 50
        assert [way.lane.counter.doubted_from(kind) for kind in (0, 1)] == [1, None]

    asyncio.run(run())


def test_who_rebuilds_knows_what_o_clock_it_is() -> None:
    """So too where such a payment is the last that the owner before read: the boundary noted is told all the same."""

    async def run() -> None:
        way = Way(DEFAULT, Letters(DEFAULT), clock="wall")
        way.reader.notes = {at(topic): Committed(0, Note(1, T + SECOND_MS, 1)) for topic in TOPICS}
        await way.take({"payments": [paid(0, T), paid(1, T + 60 * AWAY_MS)], "orders": [placed(0, T)]})
        assert first_told(way, T // DEFAULT.pane_ms) == SECOND_MS
        assert way.lane.counter.log_time_ms == T + 50
        assert way.lane.counter.doubted_from(0) == 1

    asyncio.run(run())


@pytest.mark.parametrize(("reach_ms", "begins"), [(DEFAULT.reach_ms - 1, 7), (DEFAULT.reach_ms, 40), (0, 40)])
def test_a_raised_horizon_is_read_from_further_back(
    monkeypatch: pytest.MonkeyPatch, reach_ms: int, begins: int
) -> None:
    """Where the note is of a policy that needed less; what was read is no news all the same."""
    asked: list[int] = []

    async def since(partitions: Iterable[TopicPartition], time_ms: int) -> dict[TopicPartition, int]:
        asked.append(time_ms)
        return dict.fromkeys(partitions, 7)

    async def run() -> None:
        way = Way(DEFAULT, Letters(DEFAULT))
        monkeypatch.setattr(way.reader, "since", since, raising=False)
        way.reader.notes = {at(topic): Committed(40, Note(1, T, 50, reach_ms)) for topic in TOPICS}
        await way.take({})
        assert {(half.next, half.read) for half in way.lane.halves.values()} == {(begins, 50)}
        assert asked == [T - DEFAULT.reach_ms] * (begins == 7)

    asyncio.run(run())


def test_nothing_is_committed_before_its_letters_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a letter is refused the session counts on and tells what it counted; it commits when the letter is taken,
    and then all that it has read."""
    monkeypatch.setattr(session, "COMMIT_S", 0.0)
    monkeypatch.setattr(deadletters, "AGAIN_S", 0.0)

    async def run() -> None:
        letters = Letters(DEFAULT)
        way = Way(DEFAULT, letters)
        read: list[int] = []

        async def commit(wanted: Any, _round: int) -> bool:
            read.extend(note.read for tp, (_, note) in wanted.items() if tp == at("payments"))
            return True

        monkeypatch.setattr(way.reader, "commit", commit)
        await way.take({"payments": [paid(number, T) for number in range(3)], "orders": [placed(0, T)]})
        await way.take({})
        before = read[-1]
        producer: Any = letters.out._producer
        taken, refused = producer.send, MessageSizeTooLargeError()

        async def send(*_: Any, **__: Any) -> asyncio.Future[None]:
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            answer.set_exception(refused)
            return answer

        monkeypatch.setattr(producer, "send", send)
        wrong = SimpleNamespace(offset=3, timestamp=T + 100, value=b"no event", key=b"o", headers=())
        await way.take({"payments": [wrong]})
        for number in range(4, 8):
            await way.take({"payments": [paid(number, T + number * SECOND_MS)]})
            await asyncio.sleep(0)
        assert (read[-1], way.lane.halves["payments"].next) == (before, 8)
        monkeypatch.setattr(producer, "send", taken)
        async with asyncio.timeout(30):
            while read[-1] == before:
                await way.take({})
                await asyncio.sleep(0)
        assert (read[-1], letters.out.refused) == (8, None)

    asyncio.run(run())
