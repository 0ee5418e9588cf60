"""What is usual, from a recorded file to a running worker's Judge and back: learn, show, reset, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.contracts.models import Lesson
from detector.counting.tally import Marker
from detector.judging.judge import Judge
from detector.rehearsal.line import Lines
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from streams.commands import main
from streams.embedded import EmbeddedKafka
from streams.judge_state import newest_judge
from streams.tallylog import unpack
from tests.integration.workers import Stage, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

HOUR_MS = 3_600_000
SHOPS = Shops(rate=0.7, banks=3, merchants=40, swing=0.0)
LIVE = '[evidence]\nmode = "live"\n'


def test_from_a_file_to_the_judge_and_back(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day is learned into the topic; the worker's Judge takes it, keeps it in its snapshot, and forgets on demand."""

    def said(*arguments: str) -> Any:
        with pytest.raises(SystemExit) as stopped:
            main(["baseline", *arguments, "--json"])
        out, err = capsys.readouterr()
        assert stopped.value.code == 0, err
        return json.loads(out)

    policy, day, lines = tmp_path / "policy.toml", tmp_path / "day.jsonl", Lines(SHOPS)
    policy.write_text(LIVE)
    events = [line for made in simulate(SHOPS, 5 * HOUR_MS) for line in lines.values(made)]
    day.write_text("\n".join(events) + "\n")
    with Stage(kafka, 2, clock="events") as stage:
        for name, value in stage.settings_environment.items():
            monkeypatch.setenv(name, value)
        learned = said("learn", str(day), "--policy", str(policy))
        assert learned["written_to"] == stage.settings.topics.baselines
        worker = stage.worker("--policy", str(policy))
        wait_for(lambda: len(_lessons(stage)) >= learned["scopes"], stage, "every lesson is in the tallies log")
        minutes = _minutes()
        judge = wait_for(lambda: _taught(stage, next(minutes)), stage, "a snapshot has it all", within_s=150, every_s=4)
        assert len(judge.lessons.taken) == learned["scopes"]
        [bnp] = said("show", "bank:bnp")["scopes"]
        assert bnp["own_votes"] > 1_000
        assert 0.7 < bnp["bar"] < bnp["rate"] < 1
        below = said("reset", "bank:bnp", "--yes")["scopes"]
        assert below[0] == "bank:bnp"
        assert all(key.startswith("bank:bnp") for key in below)
        wait_for(lambda: _begun_anew(stage, below), stage, "the bank is forgotten")
        assert worker.metric("pastille_baselines_refused") == 0
        # Who takes over without a snapshot reads the same from the log.
        again = Judge(judge.policy)
        for value in stage.read(stage.settings.topics.tallies):
            for record in unpack(value):
                again.take(record)
        assert again.lessons.taken.keys() >= judge.lessons.taken.keys()
        assert set(below).isdisjoint(again.learned().nodes)
        assert "platform" in again.learned().nodes


def _lessons(stage: Stage) -> list[Lesson]:
    """The lessons in the tallies log, in order."""
    records = (record for value in stage.read(stage.settings.topics.tallies) for record in unpack(value))
    return [Lesson.model_validate_json(record.text) for record in records
            if isinstance(record, Marker) and record.kind == "baseline"]  # fmt: skip


def _minutes() -> Iterator[list[bytes]]:
    """The same shops a day later, minute by minute: enough to be judged by what was learned, not to learn it."""
    shops = Shops(rate=0.7, banks=3, merchants=40, swing=0.0, seed=9, start_ms=SHOPS.start_ms + 24 * HOUR_MS)
    lines = Lines(shops)
    found = [line.encode() for made in simulate(shops, HOUR_MS) for line in lines.values(made)]
    size = len(found) // 60
    yield from (found[at : at + size] for at in range(0, len(found), size))


def _taught(stage: Stage, news: list[bytes]) -> Judge | None:
    """The snapshot's Judge; one is written with the first record after a minute, so records must come."""
    stage.send(news)
    judge = newest_judge(stage.settings)
    return judge if judge is not None and "bank:bnp" in judge.learned().nodes else None


def _begun_anew(stage: Stage, scopes: list[str]) -> bool:
    return {lesson.scope for lesson in _lessons(stage) if lesson.forgets} == set(scopes)
