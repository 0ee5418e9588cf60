"""How a Judge is put together again: from its snapshot, or from the log where the snapshot is not understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import LeaderNotAvailableError, ProducerFenced

from detector.contracts.policy import EvidenceRules, Policy
from detector.counting.tally import Marker, Tally
from detector.judging.judge import Judge
from streams.settings import Settings
from streams.verdict import replica, tenure
from streams.verdict.outbox import Outbox, Written
from streams.verdict.replica import Replica
from streams.verdict.snapshot import Snapshot
from streams.verdict.tallyreader import Logged, Mark
from tests.judging.test_judge import tally

SETTINGS = Settings(broker="localhost:9092")
LIVE = Policy(evidence=EvidenceRules("live"))
LOG = [tally(at_s, approved=1) for at_s in range(5, 60, 5)]
HALF = 6


class FakeReader:
    """A tallies log, a record an offset. `starts` is where each stretch began that was read."""

    is_the_same = True

    def __init__(self, log: Sequence[Tally | Marker]) -> None:
        self.log = log
        self.starts: list[int] = []

    async def beginning(self) -> int:
        return 0

    async def end(self) -> int:
        return len(self.log)

    async def first_since(self, _time_ms: int) -> int:
        return 0

    async def holds(self, mark: Mark) -> bool:
        return self.is_the_same

    async def between(self, start: int, stop: int) -> AsyncIterator[list[Logged]]:
        self.starts.append(start)
        yield [Logged(offset, offset, [self.log[offset]]) for offset in range(start, stop)]


def rebuilt(version: int | None, offset: int = HALF) -> tuple[tenure.Tenure, Judge]:
    """A tenure that begins with a snapshot of half of the log, whose statistics claim a version; and its Judge. It says
    to be of the log up to `offset`."""
    judge = Judge(LIVE)
    for record in LOG[:HALF]:
        judge.take(record)
    state = judge.export()
    if version is not None:
        state["version"] = version
    kept = Snapshot(7, offset, 0, judge.time_ms, msgspec.msgpack.encode(state))
    outbox: Any = SimpleNamespace(written=Written(), write=_write, write_health=_write)
    reader: Any = FakeReader(LOG)
    return asyncio.run(tenure._begun(reader, LIVE, kept, None, outbox, lambda: 0)), judge


async def _write(*_: object) -> list[object]:
    return []


@pytest.mark.parametrize(("version", "is_left"), [(None, False), (99, True)])
def test_a_snapshot_of_other_statistics_is_left(
    version: int | None, is_left: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is judged from its beginning instead, with a line that says so; what is written next is the newer."""
    found, judge = rebuilt(version)
    for record in LOG[HALF:]:
        judge.take(record)
    assert ("; it is left" in caplog.text) == is_left
    assert ("all of the tallies log is judged anew" in caplog.text) == is_left
    assert (found.epoch, found.next) == (8, len(LOG))
    assert found.judge.board.signals.export() == judge.board.signals.export()


@pytest.mark.timeout(20)
def test_a_snapshot_of_another_log_is_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The tallies log was made anew and is shorter than the snapshot says: nobody waits for it to grow so far."""
    monkeypatch.setattr(replica, "LOOK_S", 0.0)
    found, _ = rebuilt(None, offset=1_000)
    assert "made anew or cut off" in caplog.text
    assert (found.epoch, found.next) == (8, len(LOG))


def test_a_snapshot_of_another_log_that_is_as_long_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It lost its end, or was made anew, and has grown past the snapshot: other records stand there than were taken."""
    monkeypatch.setattr(FakeReader, "is_the_same", False)
    found, _ = rebuilt(None)
    assert "another record than was taken: it was made anew or cut off" in caplog.text
    assert (found.epoch, found.next, found._replica.first) == (8, len(LOG), 0)


def test_a_tenure_that_does_not_begin_leaves_no_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before cannot be read: the producer that had begun is stopped."""
    stopped: list[Outbox] = []

    class Unread(Outbox):
        async def start(self) -> None:
            raise LeaderNotAvailableError

        async def stop(self) -> None:
            stopped.append(self)

    async def begin() -> None:
        monkeypatch.setattr(tenure, "Outbox", Unread)
        nobody: Any = None
        await tenure.begin_tenure(SETTINGS, LIVE, {}, lambda: 0, nobody)

    with pytest.raises(LeaderNotAvailableError):
        asyncio.run(begin())
    assert len(stopped) == 1


def test_a_ring_is_filled_again_from_where_it_begins() -> None:
    """Also a Judge that was catching up when it wrote its snapshot, and one whose ring is longer than an hour."""
    ring_ms, lag_ms, boundary_ms = 7_200_000, replica.LAG_MS, 1_700_000_000_000
    policy = Policy(ring_ms=ring_ms)
    written_ms = (boundary_ms + 1_000, boundary_ms + 3_600_000)
    kept = [Snapshot(1, 0, time_ms, boundary_ms, b"") for time_ms in written_ms]
    needed_ms = boundary_ms - ring_ms - policy.open_ms - lag_ms
    assert [replica._needed_from_ms(one, policy) for one in kept] == [needed_ms] * 2


def test_who_is_to_be_woken_is_said_before_how_everything_is() -> None:
    """The events of a batch are written before the health of the scopes is even asked for."""
    said: list[str] = []

    async def write(changes: list[Any]) -> list[Any]:
        said.extend(change.type for change in changes)
        return changes

    async def write_health(health: list[Any]) -> None:
        said.append(f"health of {len(health)} scopes")

    outbox: Any = SimpleNamespace(written=Written(), write=write, write_health=write_health)
    judge: Any = SimpleNamespace(
        take=lambda record: [SimpleNamespace(type=record)], health=lambda: said.append("asked") or [1, 2]
    )
    at_work = tenure.Tenure(Replica(judge, 0), outbox, 1, lambda: 10**12)
    records: list[Any] = ["started", "updated"]
    asyncio.run(at_work.take([Logged(0, 0, records)]))
    assert said == ["started", "updated", "asked", "health of 2 scopes"]


class FakeProducer:
    """Takes transactions until it is fenced."""

    def __init__(self) -> None:
        self.is_fenced = False
        self.has_leader = True
        self.sent: list[tuple[str, bytes, bytes]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield
        if self.is_fenced:
            raise ProducerFenced

    async def send(self, topic: str, value: bytes, key: bytes, partition: int) -> asyncio.Future[Any]:
        assert partition == 0
        self.sent.append((topic, key, value))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.has_leader:
            done.set_result(SimpleNamespace(topic=topic, offset=len(self.sent) - 1))
        else:
            done.set_exception(LeaderNotAvailableError())
        return done


def test_whose_a_tenure_is_is_asked_of_kafka() -> None:
    """With a record as it stands on the health topic, until another has begun; one that wrote nothing begins anew."""

    async def run() -> None:
        outbox, producer = Outbox(SETTINGS, lambda: 0), FakeProducer()
        outbox._producer = producer
        assert not await outbox.is_ours()
        assert producer.sent == []
        judge = Judge(LIVE)
        for record in LOG:
            judge.take(record)
        await outbox.write_health(judge.health())
        written = list(producer.sent)
        assert await outbox.is_ours()
        assert producer.sent[len(written) :] == written[:1]
        producer.is_fenced = True
        assert not await outbox.is_ours()

    asyncio.run(run())


def test_what_no_leader_took_is_not_written() -> None:
    """Kafka's client commits a transaction whose records it gave up: the outbox says so, and notes nothing as told."""

    async def run() -> None:
        outbox, producer = Outbox(SETTINGS, lambda: 0), FakeProducer()
        outbox._producer, producer.has_leader = producer, False
        judge = Judge(LIVE)
        for record in LOG:
            judge.take(record)
        with pytest.raises(LeaderNotAvailableError):
            await outbox.write_health(judge.health())
        assert not await outbox.is_ours()

    asyncio.run(run())
