"""A worker that stands by: what its replica comes to, what is handed over, and what is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from detector.counting.tally import Marker, Tally
from detector.judging.judge import Judge
from detector.judging.misfit import Misfit
from detector.judging.outage import Change
from streams.settings import Settings
from streams.verdict import standby, tenure
from streams.verdict.outbox import Written
from streams.verdict.snapshot import Snapshot, pack, slot_after
from streams.verdict.standby import Ready, Roles, Standby
from tests.judging.test_judge import POLICY, tally
from tests.unit.test_tenure import FakeReader

CALM = [tally(at_s, approved=3) for at_s in range(5, 65, 5)]
DEAD = [tally(at_s, declined=3) for at_s in range(65, 125, 5)]
"""An outage is found 30 s after its first refusal."""
LOG = CALM + DEAD
FOUND_AT = len(CALM) + 5


def kept(offset: int, version: int | None = None, epoch: int = 7, time_ms: int | None = None) -> Snapshot:
    """A snapshot after the records before `offset`, whose statistics may claim another version."""
    judge = Judge(POLICY)
    for record in LOG[:offset]:
        judge.take(record)
    state = judge.export() | ({} if version is None else {"version": version})
    return Snapshot(epoch, offset, offset if time_ms is None else time_ms, judge.time_ms, msgspec.msgpack.encode(state))


class Stage:
    """A worker that stands by a log which grows; `seat` is "by", "free" or "ours"."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[Tally | Marker] = []
        self.table: dict[bytes, bytes] = {}
        self.seat = "by"
        self.is_away = self.is_busy = False
        self.reader = FakeReader(self.log)
        monkeypatch.setattr(standby, "FOLLOW_S", 0.0)
        monkeypatch.setattr(standby, "open_tally_reader", self._open)
        self.standby = Standby(
            Settings(broker="localhost:9092"), self.table,
            Roles(lambda: self.seat == "by", lambda: self.seat == "free", lambda: self.is_busy),
        )  # fmt: skip

    @asynccontextmanager
    async def _open(self, _settings: Settings) -> AsyncIterator[Any]:
        if self.is_away:
            raise KafkaConnectionError
        yield self.reader

    def keep(self, snapshot: Snapshot) -> None:
        """A Judge elsewhere keeps a snapshot."""
        self.table.update(pack(snapshot, slot_after(self.table)))

    async def grow(self, records: Sequence[Tally | Marker]) -> None:
        """The log grows, and is followed."""
        self.log += records
        await self.until(
            lambda: self.standby.is_ready and not self.standby._lock.locked() and self._next() == len(self.log)
        )

    def _next(self) -> int:
        return -1 if self.standby._replica is None else self.standby._replica.next

    async def turns(self) -> None:
        """Let the worker look at it all many times."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the worker go on until something is so."""
        async with asyncio.timeout(20):
            while not is_so():
                await asyncio.sleep(0)


def played(play: Callable[[Stage], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A play with a worker that runs."""

    async def run() -> None:
        stage = Stage(monkeypatch)
        running = asyncio.create_task(stage.standby.run())
        try:
            await play(stage)
            assert not running.done()
        finally:
            running.cancel()

    asyncio.run(run())


def state(judge: Judge) -> dict[str, Any]:
    """What a snapshot says, but for since when scopes are healthy, which is noted when somebody asks."""
    said = judge.export()
    del said["health"]
    return {name: msgspec.msgpack.encode(part) for name, part in said.items()}


def found_from(ready: Ready | None) -> list[str]:
    """The kinds of what is handed over."""
    assert ready is not None
    return [change.type for change in ready.found]


def test_a_tenure_goes_on_where_the_replica_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the end of the log and no more, tells what the lost Judge had not, and is as one that read all."""
    told: list[Change] = []

    async def write(changes: list[Change]) -> list[Change]:
        told.extend(changes)
        return changes

    async def write_health(_health: object) -> None:
        """Nobody asks."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(LOG[: FOUND_AT + 2])
        stage.seat = "ours"
        ready = await stage.standby.hand_over(kept(len(CALM)))
        stage.log += LOG[FOUND_AT + 2 :]
        outbox: Any = SimpleNamespace(written=Written(), write=write, write_health=write_health)
        reader: Any = FakeReader(LOG)
        begun = await tenure._begun(reader, POLICY, kept(len(CALM)), ready, outbox, lambda: 0)
        assert reader.starts == [FOUND_AT + 2]
        assert (begun.epoch, begun.next) == (8, len(LOG))
        straight = Judge(POLICY)
        changes = [change for record in LOG for change in straight.take(record)]
        assert told == changes != []
        assert state(begun.judge) == state(straight)

    played(play, monkeypatch)


def test_what_the_snapshot_knows_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was found only what came after the newest snapshot is handed over."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(LOG)
        assert len(stage.standby._found) > 0
        assert found_from(await stage.standby.hand_over(kept(FOUND_AT + 1))) == []
        assert not stage.standby.is_ready

    played(play, monkeypatch)


def test_one_that_does_not_reach_back_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the snapshot that is kept is older than what the replica knows to tell."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(LOG)
        assert await stage.standby.hand_over(kept(len(CALM) - 1)) is None

    played(play, monkeypatch)


@pytest.mark.parametrize("is_told", [True, False])
def test_what_is_found_is_kept_within_limits(
    is_told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a newer snapshot knows is forgotten; of more than the limit the oldest, and then it does not reach back."""
    monkeypatch.setattr(standby, "TOLD_KEPT", 0)
    monkeypatch.setattr(standby, "FOUND_MAX", 0)

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(CALM)
        if is_told:
            stage.keep(kept(len(LOG)))
        await stage.grow(DEAD)
        assert not stage.standby._found
        ready = await stage.standby.hand_over(kept(len(LOG) if is_told else len(CALM)))
        assert (ready is not None) == is_told

    played(play, monkeypatch)
    assert ("the oldest are let go" in caplog.text) != is_told


def test_a_snapshot_of_other_statistics_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, however often it is looked at; the next one is taken."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM), version=99))
        await stage.until(lambda: "it is left" in caplog.text)
        await stage.turns()
        stage.keep(kept(len(CALM) + 1))
        await stage.grow(LOG)

    played(play, monkeypatch)
    assert caplog.text.count("it is left") == 1


def test_a_broker_that_is_away_costs_no_replica(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is followed again where it was, and that it waits is said once."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(CALM)
        first, stage.is_away = stage.standby._replica, True
        monkeypatch.setattr(stage.reader, "end", _away)
        await stage.until(lambda: "KafkaConnectionError" in caplog.text)
        await stage.turns()
        stage.is_away = False
        monkeypatch.undo()
        monkeypatch.setattr(standby, "FOLLOW_S", 0.0)
        monkeypatch.setattr(standby, "open_tally_reader", stage._open)
        await stage.grow(DEAD)
        assert stage.standby._replica is first

    played(play, monkeypatch)
    assert caplog.text.count("the Judge that stands by: KafkaConnectionError") == 1


@pytest.mark.parametrize(("change", "is_taken"), [({}, True), ({"epoch": 8}, False), ({"time_ms": 11 * 60_000}, False)])
def test_who_is_of_another_owner_or_far_behind_is_not_handed_over(
    change: dict[str, int], is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another owner may have taken over what no log tells; from a much newer snapshot a Judge is there sooner."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(LOG)
        assert (await stage.standby.hand_over(kept(len(LOG), **change)) is not None) == is_taken

    played(play, monkeypatch)


def test_a_new_owners_snapshot_is_begun_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it is there; an older owner's, a zombie's, is not."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(CALM)
        first = stage.standby._replica
        stage.keep(kept(len(CALM), epoch=6))
        await stage.grow(DEAD[:1])
        assert stage.standby._replica is first
        stage.keep(kept(len(CALM), epoch=8))
        await stage.until(lambda: stage.standby._epoch == 8)
        assert stage.standby._replica is not first
        await stage.grow(DEAD[1:])
        assert found_from(await stage.standby.hand_over(kept(len(CALM), epoch=8)))[0] == "started"

    played(play, monkeypatch)


def test_what_it_does_not_understand_ends_no_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of ours in judging, say: it lets go, says so, and begins with the next snapshot."""
    unknown: Any = "neither a tally nor a marker"

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(CALM)
        stage.log.append(unknown)
        await stage.until(lambda: "the Judge that stands by failed" in caplog.text)
        assert not stage.standby.is_ready
        stage.log[-1] = DEAD[0]
        await stage.turns()
        assert not stage.standby.is_ready
        stage.keep(kept(len(CALM) + 1))
        await stage.grow(DEAD[1:])

    played(play, monkeypatch)
    assert caplog.text.count("the Judge that stands by failed") == 1


def test_since_when_scopes_are_so_is_noted_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health says since when a bank is down by the boundary at which it was found so, not by when another took over."""
    monkeypatch.setattr(standby, "HEALTH_S", 0.0)

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(LOG[: FOUND_AT + 1])
        await stage.grow(LOG[FOUND_AT + 1 :])
        ready = await stage.standby.hand_over(kept(len(CALM)))
        assert ready is not None
        (bank,) = [one for one in ready.replica.judge.health() if one.key == "bank:bnp"]
        assert (bank.status, bank.since) == ("down", LOG[FOUND_AT].boundary_ms)

    played(play, monkeypatch)


def test_a_gap_is_told_of_by_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the replica left out while it stood by, another has counted."""

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(CALM)
        assert stage.standby._replica is not None
        stage.standby._replica.judge.sources.left_out = 3
        stage.standby._replica.judge.passed_over[Misfit.TALLY] = 3
        ready = await stage.standby.hand_over(kept(len(CALM)))
        assert ready is not None
        assert ready.replica.judge.sources.left_out == 0
        assert not ready.replica.judge.passed_over

    played(play, monkeypatch)


def test_counting_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is begun while the worker reads its sources again; one that is there is kept up."""

    async def play(stage: Stage) -> None:
        stage.is_busy = True
        stage.keep(kept(len(CALM)))
        await stage.turns()
        assert not stage.standby.is_ready
        stage.is_busy = False
        await stage.grow(CALM)
        stage.is_busy = True
        await stage.grow(DEAD)

    played(play, monkeypatch)


async def _away() -> int:
    raise KafkaConnectionError


def test_who_does_not_stand_by_keeps_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """While the group deals it stands still; where another worker is to stand by it is let go."""
    caplog.set_level(logging.INFO)

    async def play(stage: Stage) -> None:
        stage.keep(kept(len(CALM)))
        await stage.grow(CALM)
        stage.seat = "in doubt"
        await stage.turns()
        assert stage.standby.is_ready
        stage.seat = "free"
        await stage.until(lambda: not stage.standby.is_ready)

    played(play, monkeypatch)
    assert caplog.text.count("a Judge stands by from offset 12, log read from 0") == 1
