"""`pastille baseline` without a broker: learned into a file, shown from it, and used by replay and backtest."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from detector.contracts.models import Lesson
from detector.contracts.policy import EvidenceRules, Policy
from detector.judging.judge import Judge
from detector.judging.learned import MARK, Learned, from_plain
from detector.judging.lessons import lessons_of
from detector.rehearsal.line import Lines
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from streams import baselines
from streams.baselines import is_learned_file, read_file, write_file
from streams.commands import app_for, baseline
from streams.errors import UserError
from tests.alone import alone

HOUR_MS = 3_600_000
SHOPS = Shops(rate=0.5, banks=3, merchants=20, swing=0.0)
NOTHING = Learned(("bank", "method"), {}, {})
LIVE = '[evidence]\nmode = "live"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three hours of a made day, an hour of it, a policy, and what the three hours taught."""
    path, lines = tmp_path_factory.mktemp("baseline"), Lines(SHOPS)
    day = [line for events in simulate(SHOPS, 3 * HOUR_MS) for line in lines.values(events)]
    with gzip.open(path / "day.jsonl.gz", "wt", encoding="utf-8") as out:
        out.write("\n".join(day) + "\n")
    (path / "hour.jsonl").write_text("\n".join(day[: len(day) // 3]) + "\n", encoding="utf-8")
    (path / "part.jsonl").write_text("\n".join(day[: len(day) // 6]) + "\n", encoding="utf-8")
    (path / "policy.toml").write_text(LIVE, encoding="utf-8")
    said = run("learn", str(path / "day.jsonl.gz"), "--out", str(path / "learned.json"), "--json")
    assert said.exit_code == 0, said.output
    (path / "said.json").write_text(said.stdout)
    return path


def run(*arguments: str) -> Any:
    """The command."""
    return CliRunner().invoke(app_for(["baseline"]), ["baseline", *arguments])


def test_what_a_day_teaches_is_a_file_that_says_whence(folder: Path) -> None:
    """Version, dimensions, policy, span and moment are in it; evidence need not be on in the policy."""
    said = json.loads((folder / "said.json").read_text())
    plain = json.loads((folder / "learned.json").read_text())
    assert next(iter(plain)) == MARK
    assert (plain["dimensions"], plain["policy_version"]) == (["bank", "method"], said["policy_version"])
    assert 2.9 < (plain["last_ms"] - plain["first_ms"]) / HOUR_MS < 3.1
    assert plain["made_ms"] > 0
    learned = from_plain(plain)
    assert (len(learned.nodes), len(learned.leaves)) == (said["scopes"], said["leaves"])
    assert learned.nodes["platform"]["level"].sum() > 3_000


def test_it_is_shown_from_the_file(folder: Path) -> None:
    """All scopes as a table or JSON, and one by the hour: rate, bar, votes, tau and volume."""
    plain = json.loads(run("show", "--file", str(folder / "learned.json"), "--json").stdout)
    by_scope = {one["scope"]: one for one in plain["scopes"]}
    assert "slots" not in by_scope["platform"]
    [one] = json.loads(run("show", "bank:bnp", "--file", str(folder / "learned.json"), "--json").stdout)["scopes"]
    assert {name: value for name, value in one.items() if name != "slots"} == by_scope["bank:bnp"]
    assert 0 < one["bar"] < one["rate"] < 1
    assert one["own_votes"] > 600
    assert (len(one["slots"]), one["frozen_since"]) == (48, None)
    text = run("show", "--file", str(folder / "learned.json")).output
    assert "bank:bnp,method:card" in text
    assert f"{len(by_scope)} scopes" in text
    text = run("show", "bank:bnp", "--file", str(folder / "learned.json")).output
    assert "working day" in text
    assert "resting on" in text


def test_a_learned_file_trains_as_the_recording_does(folder: Path) -> None:
    """`--train` of replay and backtest takes either, and a file that was learned is learned again as it is."""
    for command in ("replay", "backtest"):
        outputs = set()
        for train in ("learned.json", "day.jsonl.gz"):
            arguments = [command, str(folder / "hour.jsonl"), "--policy", str(folder / "policy.toml"), "--train"]
            found = CliRunner().invoke(app_for([command]), [*arguments, str(folder / train)])
            assert found.exit_code == 0, found.output
            outputs.add(found.stdout)
        assert len(outputs) == 1
    run("learn", str(folder / "learned.json"), "--out", str(folder / "again.json.gz"))
    assert is_learned_file(str(folder / "again.json.gz"))
    assert not is_learned_file(str(folder / "day.jsonl.gz"))
    again, first = read_file(str(folder / "again.json.gz")), read_file(str(folder / "learned.json"))
    assert (again.origin, again.nodes.keys()) == (first.origin, first.nodes.keys())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("learn", "part.jsonl", "--out", "x.json"), "full hours"), (("learn", "absent", "--out", "x"), "absent"),
        (("learn", "day.jsonl.gz", "--out", "x", "--broker", "a:1"), "leave one out"),
        (("show", "bank:bpn", "--file", "learned.json"), "nothing is known of bank:bpn"),
        (("show", "bpn", "--file", "learned.json"), "a scope is"), (("show", "--file", "policy.toml"), "policy.toml"),
        (("show", "--file", "hour.jsonl"), "hour.jsonl"), (("reset",), "got neither"),
        (("reset", "bank:bnp", "--all"), "got both"),
    ],
)  # fmt: skip
def test_wrong_usage_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], word: str
) -> None:
    """What, what it got, what to do."""
    monkeypatch.chdir(folder)
    found = run(*arguments)
    assert isinstance(found.exception, UserError)
    assert word in str(found.exception)


def test_bad_lines_are_told(tmp_path: Path) -> None:
    """What was not learned from is said, as of a back-test."""
    (tmp_path / "day.jsonl").write_text("nonsense\n{}\n")
    said = run("learn", str(tmp_path / "day.jsonl"), "--out", str(tmp_path / "x.json"))
    assert "bad lines, left out: 1 missing_field, 1 not_json" in said.stderr


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({MARK: 1}, "have version 4; got 1"), ({"nodes": []}, "no learned baselines"), ({"nodes": None}, "no learned"),
        ({"leaves": [[["bnp"], {}]]}, "a value for each"), ({"nodes": {"x": {}}}, "a scope is"),
        ({"nodes": {"platform": {"level": 3}}}, "no learned|no packed"), ({"dimensions": 3}, "no learned baselines"),
        ({"last_ms": float("inf")}, "from 1970 to 9999"), ({"made_ms": 10**18}, "from 1970 to 9999"),
    ],
)  # fmt: skip
def test_a_file_that_is_something_else(folder: Path, tmp_path: Path, change: dict[str, Any], word: str) -> None:
    """With its name and with what is wrong in it."""
    plain = json.loads((folder / "learned.json").read_text()) | change
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(plain))
    with pytest.raises(UserError, match=word) as raised:
        read_file(str(bad))
    assert "bad.json" in str(raised.value)


def test_a_file_is_written_whole_or_not_at_all(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there, or is none, is an error of one line, and nothing is left, nor after Ctrl-C."""
    learned = read_file(str(folder / "learned.json"))
    for place in ("absent", folder / "policy.toml"):
        with pytest.raises(UserError, match="choose another --out"):
            write_file(tmp_path / place / "x.json", learned)
    monkeypatch.setattr(os, "replace", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "x.json", learned)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_left_what_it_is(tmp_path: Path) -> None:
    """A device or a pipe is written to, and never has a file put in its place; a folder is an error."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    write_file(pipe, NOTHING)
    assert from_plain(json.loads(os.read(reader, 10_000))) == NOTHING
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(UserError, match="choose another --out"):
        write_file(Path("."), NOTHING)


def test_what_can_be_read_once_is_not_looked_into(tmp_path: Path) -> None:
    """The lines of `learn <(zcat week.jsonl.gz)` are all there afterwards; it is a recording."""
    pipe, data = tmp_path / "pipe", f'{{"{MARK}": 4}}\n'.encode() * 10
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    os.write(reader, data)
    assert not is_learned_file(str(pipe))
    assert os.read(reader, 10_000) == data
    os.close(reader)


# ── what a Judge has learned ──


@pytest.fixture
def said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Lesson]:
    """What is written to the topic, beside a Judge that was taught; the broker is not asked."""
    judge, written = Judge(Policy(evidence=EvidenceRules("live"))), list[Lesson]()
    learned = read_file(str(folder / "learned.json"))
    judge.board.nodes.numbers(tuple(learned.leaves))
    judge.board.signals.grow()
    for lesson in lessons_of(learned, 1):
        judge.lessons.take(lesson)
    judge.board.signals.refresh()
    monkeypatch.setattr(baseline, "newest_judge", lambda _: judge)
    monkeypatch.setattr(baselines, "read_topic", lambda _: {})
    monkeypatch.setattr(baselines, "write", lambda _, lessons: written.extend(lessons))
    return written


def test_a_scope_is_forgotten_with_what_lies_below_it(said: list[Lesson]) -> None:
    """The bank and its leaves, in whatever order a person names the dimensions; never what is wider."""
    assert run("reset", "bank:bnp", "--yes").stdout.splitlines()[0] == "bank:bnp: forgotten, it begins anew"
    assert {lesson.scope for lesson in said if "," not in lesson.scope} == {"bank:bnp"}
    assert {lesson.scope for lesson in said} > {"bank:bnp", "bank:bnp,method:card"}
    assert all(lesson.forgets for lesson in said)
    said.clear()
    assert json.loads(run("reset", "method:card,bank:bnp", "--yes", "--json").stdout)["scopes"] == [
        "bank:bnp,method:card"
    ]
    said.clear()
    every = json.loads(run("reset", "--all", "--yes", "--json").stdout)["scopes"]
    assert (every[0], len(every)) == ("platform", len(said))


def test_nothing_is_forgotten_unasked(said: list[Lesson]) -> None:
    """Without a terminal to ask at --yes is needed, and a slip of the pen is no scope."""
    for arguments, word in ((("reset", "bank:bnp"), "give --yes"), (("reset", "bank:x", "--yes"), "nothing is known")):
        found = run(*arguments)
        assert isinstance(found.exception, UserError)
        assert word in str(found.exception)
    assert said == []


def test_a_judge_is_shown_as_its_snapshot_has_it(said: list[Lesson], folder: Path) -> None:
    """What was learned from a file is what the Judge that took it shows; nothing is said to anybody by looking."""
    shown = {one["scope"]: one for one in json.loads(run("show", "--json").stdout)["scopes"]}
    of_file = json.loads(run("show", "--file", str(folder / "learned.json"), "--json").stdout)["scopes"]
    assert {one["scope"]: one["own_votes"] for one in of_file} == {key: one["own_votes"] for key, one in shown.items()}
    assert said == []


@pytest.mark.parametrize(("judge", "word"), [(None, "written no snapshot"), (Judge(alone()), "nothing is learned")])
def test_where_there_is_nothing_to_show(monkeypatch: pytest.MonkeyPatch, judge: Judge | None, word: str) -> None:
    """No snapshot yet, or statistics that are off: what, and what to do."""
    monkeypatch.setattr(baseline, "newest_judge", lambda _: judge)
    found = run("show")
    assert isinstance(found.exception, UserError)
    assert word in str(found.exception)
