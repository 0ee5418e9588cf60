"""A Judge whose tallies log lost what it had taken: where it goes on, and who reads on from where."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.loopclock import loop_s
from streams.verdict import agent
from streams.verdict.loglost import LogLost
from streams.verdict.setback import PAUSE_S
from tests.unit.test_seat import Stage, played


def test_faust_reads_on_where_the_judge_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the group committed may lie beyond the end of a log that lost its own: Faust would drop all up to there."""

    async def play(stage: Stage) -> None:
        stage.end = 7
        await stage.deal(ours=True)
        assert await stage.take(3)
        assert stage.sought == [7]
        assert await stage.take(7)
        await stage.doubt()
        await stage.deal(ours=True)
        assert await stage.take(8)
        assert stage.sought == [7, 8]

    played(play, tmp_path, monkeypatch)


def test_a_judge_whose_log_is_lost_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From what there is of it; readiness says why it does not judge meanwhile."""

    async def play(stage: Stage) -> None:
        await stage.deal(ours=True)
        assert await stage.take(0)
        await stage.verdict._give_up(LogLost("t", "is another"))
        assert stage.verdict.problem is not None
        assert "topic t is another" in stage.verdict.problem
        monkeypatch.setattr(agent, "loop_s", lambda: loop_s() + PAUSE_S)
        assert await stage.take(0)
        assert len(stage.begun) == 2
        assert stage.verdict.problem is None

    played(play, tmp_path, monkeypatch)
    assert "verdict: LogLost: topic t is another: it was made again, or its end was lost; the Judge" in caplog.text
