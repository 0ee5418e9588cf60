"""An outages topic that lost what stood there: the outbox sees it, and what is open is told as started again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from detector.contracts.policy import Policy
from detector.judging.judge import Judge
from detector.judging.outage import Change
from streams.verdict import tenure
from streams.verdict.loglost import LogLost
from streams.verdict.outbox import Outbox, Written
from streams.verdict.snapshot import Snapshot
from tests.judging.test_judge import tally
from tests.unit.test_outbox import numbered, topic
from tests.unit.test_tenure import SETTINGS, FakeProducer, FakeReader


def found(policy: Policy) -> tuple[Judge, list[Change]]:
    """A Judge that has found an outage, and what it said of it."""
    judge, changes = Judge(policy), list[Change]()
    for at_s in range(5, 600, 5):
        changes += judge.take(tally(at_s, declined=3))
    return judge, changes


def test_what_is_open_and_not_told_is_started_anew() -> None:
    """As it stands, with the number that follows: who knows it takes no later event for a copy of one that it had."""
    judge, changes = found(Policy(min_merchants=1))
    (started,) = [change for change in changes if change.type == "started"]
    newest = changes[-1].data
    assert judge.untold({newest.outage_id}) == []
    (again,) = judge.untold(set())
    assert (again.type, again.data.outage_id) == ("started", started.data.outage_id)
    assert (again.data.began_at, again.data.detected_at) == (newest.began_at, newest.detected_at)
    assert again.data.sequence == newest.sequence + 1
    assert topic().news([again]) == [again]
    assert topic(*changes).news([again]) == []


def test_what_is_told_again_comes_before_what_was_found_since() -> None:
    """A tenure begins with a snapshot in which an outage is open that the topic lacks, and reads on to its end."""
    policy = Policy(min_merchants=1)
    judge, changes = found(policy)
    log = [tally(at_s, approved=9) for at_s in range(600, 900, 5)]
    kept = Snapshot(7, 0, 0, judge.time_ms, msgspec.msgpack.encode(judge.export()))
    written, told = Written(), list[Change]()

    async def write(found: list[Change]) -> list[Change]:
        for change in (news := written.news(found)):
            written.add(change)
        told.extend(news)
        return news

    async def write_health(_health: object) -> None:
        """Nobody asks."""

    outbox: Any = SimpleNamespace(written=written, write=write, write_health=write_health)
    reader: Any = FakeReader(log)
    asyncio.run(tenure._begun(reader, policy, kept, None, outbox, lambda: 0))
    assert (told[0].type, told[-1].type) == ("started", "resolved")
    first = changes[-1].data.sequence + 1
    assert [change.data.sequence for change in told] == list(range(first, first + len(told)))


def test_an_event_that_takes_anothers_place_is_not_written() -> None:
    """The transaction is given up, and the outbox begins anew with what the topic has."""

    async def run() -> None:
        outbox, producer = Outbox(SETTINGS, lambda: 0), FakeProducer()
        outbox._producer = producer
        await outbox.write([numbered("started", 1, 10)])
        await outbox.write([numbered("updated", 2, 20)])
        assert outbox.end == 2
        producer.sent.clear()
        with pytest.raises(LogLost, match="was known up to offset 2 and goes on at 0"):
            await outbox.write([numbered("updated", 3, 30)])
        assert outbox.written.newest["a"].sequence == 2

    asyncio.run(run())


def test_what_is_read_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what was no event: nothing may come to stand there."""

    async def read(*_: Any) -> Any:
        yield SimpleNamespace(offset=6, value=b"no event")

    async def nothing() -> None:
        pass

    async def run() -> None:
        outbox = Outbox(SETTINGS, lambda: 0)
        given: Any = SimpleNamespace(start=nothing)
        outbox._producer = given
        await outbox.start()
        assert outbox.end == 7

    monkeypatch.setattr("streams.verdict.outbox._read_to_end", read)
    asyncio.run(run())
