"""Who judges when the group deals anew: a seat that comes back is kept, and nobody begins where it is not theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from detector.contracts.policy import Policy
from detector.counting.tally import Marker
from detector.judging.misfit import Misfit
from streams.app import _ending
from streams.errors import UserError
from streams.patience import HEARTBEAT_S, SESSION_S
from streams.settings import Settings
from streams.verdict import agent, passedover
from streams.verdict.agent import Verdict
from streams.verdict.membership import build_app
from streams.verdict.outbox import Fenced
from streams.verdict.tallyreader import Logged

SETTINGS = Settings(broker="localhost:9092")
SEAT = {TP(SETTINGS.topics.tallies, 0)}


class FakeTenure:
    """A Judge that takes every record; `answer` says whether the seat is still its own."""

    def __init__(self, next_: int) -> None:
        self.next = next_
        self.asked = 0
        self.taken: list[int] = []
        self.answer: Callable[[], Awaitable[bool]] = self._yes
        sources = SimpleNamespace(moved_by=lambda _records: [], left_out=0)
        board = SimpleNamespace(nodes=SimpleNamespace(is_full=False))
        self.judge = SimpleNamespace(policy=Policy(), sources=sources, passed_over={}, board=board)

    async def _yes(self) -> bool:
        return True

    async def is_ours(self) -> bool:
        self.asked += 1
        return await self.answer()

    async def take(self, batch: Any) -> list[Any]:
        self.next = max(self.next, batch[-1].offset + 1)
        self.taken += [logged.offset for logged in batch]
        return []

    async def stop(self) -> None:
        """Nothing to leave."""


class Stage:
    """A verdict whose tenures and clients are stand-ins; `end` is that of the tallies log."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[FakeTenure] = []
        self.written: list[Marker] = []
        self.end = 0
        self.meanwhile: Callable[[], Awaitable[None]] = _nothing
        stub = SimpleNamespace(start=_nothing, stop=_nothing)
        monkeypatch.setattr(agent, "begin_tenure", self._begin)
        monkeypatch.setattr(agent, "Announcements", lambda _settings: stub)
        tally_log = SimpleNamespace(start=_nothing, stop=_nothing, send=self._send)
        monkeypatch.setattr(agent, "TallyLog", lambda _settings: tally_log)
        monkeypatch.setattr(agent, "open_tally_reader", self._open)
        self.verdict = Verdict(build_app(SETTINGS, str(folder)), SETTINGS, Policy(), lambda: 0)
        monkeypatch.setattr(self.verdict, "_write_snapshot", lambda _tenure: None)
        self.sought: list[int] = []
        monkeypatch.setattr(self.verdict.app, "consumer", SimpleNamespace(seek_wait=self._seek))

    async def _send(self, markers: list[Marker]) -> None:
        self.written += markers

    async def _seek(self, places: dict[TP, int]) -> None:
        self.sought += places.values()

    async def _begin(self, *_: Any) -> FakeTenure:
        self.begun.append(FakeTenure(self.end))
        await self.meanwhile()
        return self.begun[-1]

    @asynccontextmanager
    async def _open(self, _settings: Settings) -> AsyncIterator[Any]:
        yield SimpleNamespace(between=self._between)

    async def _between(self, start: int, stop: int) -> AsyncIterator[list[Logged]]:
        for offset in range(start, min(stop, self.end)):
            yield [Logged(offset, 0, ())]

    async def deal(self, *, ours: bool) -> None:
        """The group has dealt."""
        await self.verdict._assigned(None, SEAT if ours else set())

    async def doubt(self) -> None:
        """The group deals."""
        await self.verdict._revoked(None, SEAT)

    async def take(self, offset: int) -> bool:
        """A record comes; whether it was taken."""
        message = SimpleNamespace(offset=offset, timestamp=0.0, value=b"")
        event: Any = SimpleNamespace(message=message)
        return await self.verdict._try(event)


async def _nothing() -> None:
    pass


def played(play: Callable[[Stage], Coroutine[Any, Any, None]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A play on a stage, on a loop of its own."""

    async def run() -> None:
        await play(Stage(folder, monkeypatch))

    asyncio.run(run())


def test_a_seat_that_comes_back_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tenure goes on after one question; meanwhile it judges nothing, and says so."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)
        assert stage.verdict.tenure is stage.verdict._tenure is not None
        await stage.doubt()
        assert stage.verdict.tenure is None
        await stage.deal(ours=True)
        assert stage.verdict.problem == "judging is this worker's turn, and its Judge is being put together"
        assert await stage.take(1)
        assert await stage.take(2)
        assert stage.verdict.problem is None
        assert [tenure.asked for tenure in stage.begun] == [1]

    played(play, tmp_path, monkeypatch)


def test_a_tenure_begins_anew_where_another_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody judged while the seat was away."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)
        stage.begun[0].answer, stage.end = _no, 2
        await stage.doubt()
        await stage.deal(ours=True)
        assert await stage.take(1)
        assert len(stage.begun) == 2

    played(play, tmp_path, monkeypatch)


async def _no() -> bool:
    return False


@pytest.mark.parametrize("has_judged", [True, False])
def test_nobody_begins_while_the_seat_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_judged: bool
) -> None:
    """A record in hand waits: whoever judges meanwhile would be fenced."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        if has_judged:
            assert await stage.take(0)
            stage.begun[0].answer = _no
        begun = len(stage.begun)
        await stage.doubt()
        assert not await stage.take(1)
        await stage.deal(ours=False)
        assert not await stage.take(1)
        assert len(stage.begun) == begun

    played(play, tmp_path, monkeypatch)


@pytest.mark.parametrize(("is_ours", "offset"), [(False, 1), (True, 1), (True, 5)])
def test_a_seat_lost_while_kafka_was_asked_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ours: bool, offset: int
) -> None:
    """The answer comes when another judges already, or is about to: not even a gap is judged any more."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)

        async def lost_meanwhile() -> bool:
            await stage.doubt()
            await stage.deal(ours=False)
            return is_ours

        stage.begun[0].answer, stage.end = lost_meanwhile, 5
        await stage.deal(ours=True)
        assert not await stage.take(offset)
        await stage.verdict._keep_seat()
        assert [tenure.taken for tenure in stage.begun] == [[0]]
        assert stage.verdict._tenure is None

    played(play, tmp_path, monkeypatch)


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_seat_lost_while_its_tenure_began_judges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    """To begin may take a minute, in which another may have begun: its tenure is asked first, or left."""

    async def play(stage: Stage) -> None:
        async def dealt() -> None:
            await stage.doubt()
            await stage.deal(ours=comes_back)

        await stage.deal(ours=True)
        stage.meanwhile = dealt
        assert not await stage.take(0)
        assert await stage.take(0) is comes_back
        await stage.verdict._keep_seat()
        assert [(tenure.taken, tenure.asked) for tenure in stage.begun] == [([0], 1) if comes_back else ([], 0)]
        assert (stage.verdict._tenure is not None) is comes_back

    played(play, tmp_path, monkeypatch)


@pytest.mark.parametrize("comes_back", [False, True])
@pytest.mark.parametrize("begins", [False, True])
def test_who_is_fenced_gives_the_seat_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bool, comes_back: bool
) -> None:
    """While its tenure begins, or afterwards: its worker goes on, and it judges again only where the group says, when
    it has had the time to, that the seat is still its own."""
    now_s = [100.0]
    monkeypatch.setattr(agent, "loop_s", lambda: now_s[0])

    async def play(stage: Stage) -> None:
        async def fenced() -> None:
            raise Fenced

        await stage.deal(ours=True)
        if begins:
            stage.meanwhile = fenced
        else:
            assert await stage.take(0)
            monkeypatch.setattr(stage.begun[0], "take", lambda _batch: fenced())
        assert not await stage.take(1)
        stage.meanwhile, stage.end, begun = _nothing, 1, len(stage.begun)
        assert not stage.verdict.failed.done()
        assert "a newer Judge has taken over" in str(stage.verdict.problem)
        now_s[0] += SESSION_S
        assert not await stage.take(1)
        if not comes_back:
            await stage.deal(ours=False)
        now_s[0] += HEARTBEAT_S
        assert await stage.take(1) is comes_back
        await stage.verdict._keep_seat()
        assert len(stage.begun) == begun + comes_back

    played(play, tmp_path, monkeypatch)


def test_a_gap_of_offsets_is_read_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream goes on behind records that nobody took: the tenure takes them, and nothing is put together anew."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)
        await stage.doubt()
        await stage.deal(ours=True)
        stage.end = 6
        assert await stage.take(5)
        assert [tenure.taken for tenure in stage.begun] == [[0, 1, 2, 3, 4, 5]]

    played(play, tmp_path, monkeypatch)


@pytest.mark.parametrize(("is_ours", "first_next"), [(False, 1), (True, 4)])
def test_a_gap_that_cannot_be_read_is_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ours: bool, first_next: int
) -> None:
    """Somebody took what is between and is gone, or the log has it no more: a tenure begins anew, and takes nothing
    before it knows the rest."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)
        if not is_ours:
            stage.begun[0].answer = _no
        stage.end = 4
        assert not await stage.take(5)
        stage.end = 5
        assert await stage.take(5)
        assert [tenure.next for tenure in stage.begun] == [first_next, 6]

    played(play, tmp_path, monkeypatch)


def test_a_replica_is_kept_by_whom_the_group_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by no one who judges, or whose tenure is not over yet; while the group deals none is let go."""

    async def play(stage: Stage) -> None:
        verdict = stage.verdict
        named = False
        monkeypatch.setattr(verdict.app.assignor, "is_standby", lambda _at: named)
        assert (verdict._stands_by(), verdict._needs_none()) == (False, True)
        named = True
        assert verdict._stands_by()
        verdict.app.rebalancing, named = True, False
        assert (verdict._stands_by(), verdict._needs_none()) == (False, False)
        verdict.app.rebalancing = False
        await stage.deal(ours=True)
        assert (verdict._stands_by(), verdict._needs_none()) == (False, False)
        await stage.take(0)
        named = True
        assert (verdict._stands_by(), verdict._needs_none()) == (False, True)
        await stage.deal(ours=False)
        assert (verdict._stands_by(), verdict._needs_none()) == (False, True)
        await verdict._keep_seat()
        assert verdict._stands_by()

    played(play, tmp_path, monkeypatch)


def test_the_end_of_faust_is_the_end_of_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust has crashed and judges nothing any more: the worker is told why, and stops."""

    async def play(stage: Stage) -> None:
        why = RuntimeError("no rights")
        stage.verdict.app._crash(why)  # type: ignore[attr-defined]  # of the class, not the type
        await stage.verdict._look()
        assert stage.verdict.failed.result() is why

    played(play, tmp_path, monkeypatch)


@pytest.mark.parametrize("other", [{"pane_ms": 60_000}, {"dimensions": ("bank", "method", "psp")}])
def test_a_policy_that_cannot_be_obeyed_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    """The log goes on in other panes or dimensions: the worker ends with code 2, and nobody reads of its policy."""

    async def play(stage: Stage) -> None:
        stage.verdict._policy = Policy(**other)
        await stage.deal(ours=True)
        with pytest.raises(UserError, match=r"fixed while .* set them back, or begin anew") as refused:
            await stage.take(0)
        assert not stage.written
        stage.verdict._fail(refused.value)
        assert _ending(stage.verdict.failed).code == 2

    played(play, tmp_path, monkeypatch)


def test_a_policy_that_can_be_obeyed_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else it changes."""

    async def play(stage: Stage) -> None:
        stage.verdict._policy = Policy(min_merchants=3)
        await stage.deal(ours=True)
        assert await stage.take(0)
        assert [Policy.parse(marker.text).min_merchants for marker in stage.written] == [3]

    played(play, tmp_path, monkeypatch)


def test_what_is_passed_over_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line of each kind, with what is judged and what to do; counted are all, of the tenures before, too."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)
        for offset in (1, 2):
            stage.begun[0].judge.passed_over = {Misfit.TALLY: offset}
            assert await stage.take(offset)
        stage.verdict.passed_over.begin()
        stage.begun[0].judge.passed_over = {Misfit.POLICY: 4}
        assert await stage.take(3)
        counts = stage.verdict.passed_over.counts
        assert {what: count for what, count in counts.items() if count} == {"tally": 2, "policy": 4}

    played(play, tmp_path, monkeypatch)
    [line, _] = said_of(caplog)
    assert "judged are pane_s = 5 and dimensions bank, method: stop the workers" in line


def said_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of what the Judge passes over, and of its limit."""
    return [record.getMessage() for record in caplog.records if record.name == passedover.__name__]
