"""The command `backtest`: a made day with two faults scored, its exit codes, its files, its picture."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from detector.contracts.moments import rfc3339
from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from streams.backtest.incidents import dataset_of, read_incidents
from streams.commands import app_for
from streams.errors import UserError

MINUTE_MS = 60_000
HEADER = "dataset,bank,method,kind,start,end,source,evidence\n"
PNG = b"\x89PNG"
FAULTS = ("bank:aurora all_red 2m 5m", "method:pix all_pending 9m 12m")
SHOPS = Shops(rate=6.0, banks=4, shoppers=3_000, swing=0.0, faults=tuple(map(parse_fault, FAULTS)))


def at(minute: float) -> str:
    """A minute of the made day as RFC 3339."""
    return rfc3339(SHOPS.start_ms + round(minute * MINUTE_MS))


RED = f"made,aurora,,all_red,{at(2)},{at(5)},derived,fault\n"
PENDING = f"made,,pix,all_pending,{at(9)},{at(12)},derived,fault\n"
NOTHING = f"made,bnp,,drop,{at(6)},{at(7)},derived,it never happened\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sixteen minutes of a made day, and a policy that is quick."""
    path, lines = tmp_path_factory.mktemp("backtest"), Lines(SHOPS)
    day = [line for events in simulate(SHOPS, 16 * MINUTE_MS) for line in lines.values(events)]
    (path / "made.day.jsonl").write_text("\n".join(day) + "\n", encoding="utf-8")
    rules = "".join(f"[{kind}]\nafter_s = 30\nvoters = 5\n" for kind in ("all_red", "all_pending"))
    (path / "policy.toml").write_text(f'[evidence]\nmode = "off"\n[answer_s]\ndefault = 15\n{rules}', encoding="utf-8")
    return path


def run(folder: Path, incidents: str | None, *arguments: str) -> Any:
    """The command on the made day, with these incidents known of it."""
    options = ["--policy", str(folder / "policy.toml"), *arguments]
    if incidents is not None:
        (folder / "incidents.csv").write_text(HEADER + incidents, encoding="utf-8")
        options += ["--incidents", str(folder / "incidents.csv")]
    return CliRunner().invoke(app_for(["backtest"]), ["backtest", str(folder / "made.day.jsonl"), *options])


# ── the made day ──


def test_both_faults_are_found(folder: Path) -> None:
    """Each fault is found within seconds of the policy's time, by one page; nothing is false, and all is well."""
    result = run(folder, RED + PENDING, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [(one["scope"], one["kind"], one["verdict"], one["pages"]) for one in told["incidents"]] == [
        ("bank:aurora", "all_red", "found", 1), ("method:pix", "all_pending", "found", 1),
    ]  # fmt: skip
    assert 30 <= told["incidents"][0]["delay_s"] <= 45
    assert 30 <= told["incidents"][1]["delay_s"] <= 60
    assert all(0 <= one["resolve_s"] <= 180 for one in told["incidents"])
    assert (told["passed"], told["duplicates"], told["false"]["critical"]["count"]) == (True, 0, 0)
    assert told["false"]["critical"]["interval_95"][1] == pytest.approx(3.689 / told["scope_days"], rel=1e-3)
    assert told["kinds"]["all_red"]["found"] == 1


def test_what_nobody_wrote_down_is_a_false_page(folder: Path) -> None:
    """With one of the faults left out of the file, its outage is false and the exit code 1; without a file, both."""
    result = run(folder, RED, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [one["scope"] for one in told["false"]["outages"]] == ["method:pix"]
    assert json.loads(run(folder, None, "--json").stdout)["false"]["critical"]["count"] == 2


def test_the_table_says_the_same(folder: Path) -> None:
    """For people: each incident with its delay, what is explained and why, and how often a page is false."""
    result = run(folder, RED + PENDING + NOTHING)
    assert result.exit_code == 0
    assert "all_red: 1 of 1 found, after 3" in result.stdout
    assert "bank:bnp drop of" in result.stdout
    assert "is explained: it lies in the file's first hour" in result.stdout
    assert "false pages: 0 in" in result.stdout


def test_sources_change_no_figure(folder: Path) -> None:
    """Counted as of three partitions, what was found when is the same."""
    one, three = (json.loads(run(folder, RED + PENDING, "--json", "--sources", count).stdout) for count in ("1", "3"))
    assert [item["delay_s"] for item in three["incidents"]] == [item["delay_s"] for item in one["incidents"]]


# ── the picture ──


def test_the_picture_is_drawn(folder: Path) -> None:
    """--plot leaves a picture, and changes nothing of what is printed."""
    result = run(folder, RED + PENDING, "--json", "--plot", str(folder / "day.png"))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["passed"]
    assert (folder / "day.png").read_bytes().startswith(PNG)


def test_a_picture_that_cannot_be_drawn_costs_no_figures(folder: Path, tmp_path: Path) -> None:
    """They are out before: a long day is not replayed again for a disk that was full."""
    (tmp_path / "day.png").mkdir()
    result = run(folder, RED + PENDING, "--json", "--plot", str(tmp_path / "day.png"))
    assert "choose another file" in str(result.exception)
    assert json.loads(result.stdout)["passed"]


def test_without_matplotlib_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is replayed: what is needed, and how to get it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(folder, RED, "--plot", str(folder / "day.png"))
    assert isinstance(result.exception, UserError)
    assert "pip install 'pastille[plot]'" in str(result.exception)


# ── wrong usage ──


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--train", "other.jsonl"), "needs statistics that learn"),
        (("--plot", "day.gif"), "choose one of these endings"),
        (("--plot", "nowhere/day.png"), "a folder that exists"),
        (("--sources", "0"), "sources must be from 1"),
        (("--dataset", "other"), "got made"),
    ],
)
def test_wrong_usage_is_a_sentence(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    """What cannot be done is said in words, not shown as a traceback."""
    result = run(folder, RED, *arguments)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)


def test_a_trained_day_is_judged_by_what_is_usual(folder: Path) -> None:
    """With three healthy hours to learn from, both faults are found by evidence, sooner than the policy would."""
    lines = Lines(calm := replace(SHOPS, faults=(), start_ms=SHOPS.start_ms - 86_400_000))
    train = folder / "calm.jsonl"
    said = (line for events in simulate(calm, 180 * MINUTE_MS) for line in lines.values(events))
    train.write_text("\n".join(said), encoding="utf-8")
    slow = folder / "live.toml"
    slow.write_text('[evidence]\nmode = "live"\n', encoding="utf-8")
    result = run(folder, RED + PENDING, "--json", "--train", str(train), "--policy", str(slow))
    found = {one["kind"]: one for one in json.loads(result.stdout)["incidents"]}
    assert {kind: one["verdict"] for kind, one in found.items()} == {"all_red": "found", "all_pending": "found"}
    assert all(one["delay_s"] < 120 for one in found.values())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"made,nowhere,,drop,{at(2)},{at(5)},,\n", "no payment of it"),
        ("made,,,drop,2001-01-01T00:00:00Z,2001-01-01T00:05:00Z,,\n", "no incident lies in the time"),
        (f"made,,,broken,{at(2)},{at(5)},,\n", 'got "broken"'),
        (f"made,,,drop,{at(5)},{at(2)},,\n", "line 2: end comes after start"),
        (f"made,,,drop,2024-01-01T00:00:00,{at(2)},,\n", "line 2: start is RFC 3339 with a zone"),
    ],
)
def test_an_impossible_incident_is_named(folder: Path, row: str, words: str) -> None:
    """A row that cannot be right is an error, never an incident that is silently missed or explained."""
    result = run(folder, row)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)


def test_a_file_without_events_is_no_day(tmp_path: Path) -> None:
    """Nothing to replay is wrong usage, not a day on which all was well."""
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    result = CliRunner().invoke(app_for(["backtest"]), ["backtest", str(tmp_path / "empty.jsonl")])
    assert isinstance(result.exception, UserError)


def test_lines_out_of_order_are_named_and_not_the_incident(folder: Path, tmp_path: Path) -> None:
    """Where a later hour comes first, an incident's payments are there and came too late: that is what is said; and
    where some came in time, the figures come with a warning."""
    lines = Lines(later := replace(SHOPS, start_ms=SHOPS.start_ms + 60 * MINUTE_MS, banks=1, seed=2, faults=()))
    hour = "\n".join(line for events in simulate(later, MINUTE_MS) for line in lines.values(events))
    day = (folder / "made.day.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    first, rest = "".join(day[: len(day) // 2]), "".join(day[len(day) // 2 :])
    incidents = tmp_path / "incidents.csv"
    incidents.write_text(HEADER + f"made,borealis,,drop,{at(2)},{at(5)},,\n", encoding="utf-8")
    arguments = ["--policy", str(folder / "policy.toml"), "--incidents", str(incidents)]
    turned, mixed = tmp_path / "made.turned.jsonl", tmp_path / "made.mixed.jsonl"
    turned.write_text(f"{hour}\n{first}{rest}", encoding="utf-8")
    result = CliRunner().invoke(app_for(["backtest"]), ["backtest", str(turned), *arguments])
    assert isinstance(result.exception, UserError)
    assert "in the order of time; got no payment in time of bank:borealis" in str(result.exception)
    mixed.write_text(f"{first}{hour}\n{rest}", encoding="utf-8")
    result = CliRunner().invoke(app_for(["backtest"]), ["backtest", str(mixed), *arguments])
    assert "warning: " in result.stderr
    assert "sort the lines by occurred_at: the figures are of the rest" in result.stderr


# ── the file of incidents ──


def write(tmp_path: Path, text: str) -> Path:
    """A file of incidents."""
    (tmp_path / "incidents.csv").write_text(text, encoding="utf-8")
    return tmp_path / "incidents.csv"


def test_rows_of_other_data_sets_are_left_out(tmp_path: Path) -> None:
    """Only the rows of the day's name; quoted commas, an empty bank and a byte order mark are understood."""
    text = f'\ufeff{HEADER}{RED}other,,,drop,{at(1)},{at(2)},,\nmade,,,stall,{at(3)},{at(4)},seen,"a, b"\n'
    found = read_incidents(write(tmp_path, text), dataset_of("folder/made.day.jsonl.gz"), False)
    assert [(one.scope.key, one.kind, one.evidence) for one in found] == [
        ("bank:aurora", "all_red", "fault"), ("platform", "stall", "a, b"),
    ]  # fmt: skip


def test_rows_without_a_data_set_are_of_any_day(tmp_path: Path) -> None:
    """A file that names no data set is taken to be of this day, unless another one is asked for by name."""
    file = write(tmp_path, HEADER + RED.removeprefix("made"))
    assert len(read_incidents(file, "made", False)) == 1
    with pytest.raises(UserError, match="must have incidents of the data set made"):
        read_incidents(file, "made", True)


def test_a_header_alone_is_a_day_without_incidents(tmp_path: Path) -> None:
    """No row is no incident; a missing column is an error that names it."""
    assert read_incidents(write(tmp_path, HEADER), "made", False) == []
    with pytest.raises(UserError, match="it has no end"):
        read_incidents(write(tmp_path, "dataset,bank,method,kind,start\n"), "made", False)
    missing = tmp_path / "missing.csv"
    with pytest.raises(UserError, match=f"got {missing}: No such file or directory; give a readable file"):
        read_incidents(missing, "made", False)
