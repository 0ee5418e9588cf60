"""What the throughput benchmark works out: events, rows of programs, ratios and goals from raw rows, the page."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.throughput import goals, report, rounds
from tests.benchmarks.throughput.contest import (
    BATCH,
    CONTEST,
    COUNTER,
    FAUST,
    GETMANY,
    KAFKA_PROCESSOR,
    KAFKA_STREAMS,
    KAFKA_STREAMS_EVENTS,
    LIBRDKAFKA,
    PLAIN,
    PYTHON_PEERS,
    REPLAY,
    SCAN,
    SMALL,
)
from tests.benchmarks.throughput.events import events

Rows = list[dict[str, Any]]


def rows(speeds: dict[str, float], batch: int = BATCH, count: int = 3) -> Rows:
    """Rounds in which everybody has the speed given, by CPU and by the clock."""
    return [
        {"round": number, "name": name, "kind": "ours", "batch": batch, "events": 1_000_000, "wall_s": 1e6 / speed,
         "cpu_s": 1e6 / speed, "peak_mb": 100.0}
        for number in range(1, count + 1) for name, speed in speeds.items()
    ]  # fmt: skip


GOOD = {
    COUNTER: 1_200_000.0, PLAIN: 1_700_000.0, LIBRDKAFKA: 790_000.0, GETMANY: 300_000.0, FAUST: 5_000.0,
    KAFKA_STREAMS_EVENTS: 40_000.0, PYTHON_PEERS[0]: 20_000.0, SCAN: 3_000_000.0, REPLAY: 900_000.0,
}  # fmt: skip


def test_what_was_not_measured_is_not_met() -> None:
    """Without rows no goal is met, and all are named."""
    found = goals.goals([])
    assert len(found) >= 10
    assert {one["measured"] for one in found.values()} == {"not measured"}
    assert [name for name, one in found.items() if one["met"]] == []


def test_goals_are_met_by_ratios_of_the_rows() -> None:
    """At these speeds these goals are met, and these are missed."""
    found = goals.goals(rows(GOOD) + rows({COUNTER: 1.0, LIBRDKAFKA: 10.0, GETMANY: 5.0}, SMALL))
    missed = [name for name, one in found.items() if not one["met"]]
    assert missed == ["replay of an uncompressed file"]  # neither a million a second nor half of the scan
    assert found["the Counter beside librdkafka's drain"]["measured"].startswith("1.52 (1.52 to 1.52) x")
    assert "0.10" in found["small batches: the Counter beside librdkafka consume"]["measured"]


@pytest.mark.parametrize(
    ("name", "slower", "by"),
    [
        ("the Counter beside librdkafka's drain", COUNTER, 0.98),
        ("the Counter beside the best Python peer", COUNTER, 0.1),
    ],
)
def test_a_little_slower_misses(name: str, slower: str, by: float) -> None:
    """A goal that is met is missed where ours is slower, everything else alike."""
    assert goals.goals(rows(GOOD))[name]["met"]
    assert not goals.goals(rows({**GOOD, slower: GOOD[slower] * by}))[name]["met"]


def test_two_rounds_are_no_measurement_to_rest_a_goal_on() -> None:
    """The same speeds in fewer rounds are said, and meet nothing."""
    found = goals.goals(rows(GOOD, count=2))
    assert not any(one["met"] for one in found.values())
    assert "2 of at least 3 rounds" in found["the Counter beside getmany's drain"]["measured"]


def test_a_ratio_is_of_the_same_round() -> None:
    """Where a busy round slows both alike, the ratio does not move."""
    calm, busy = rows({COUNTER: 900.0, GETMANY: 300.0}, count=2), rows({COUNTER: 90.0, GETMANY: 30.0}, count=3)[-2:]
    found = goals.times(calm + busy, COUNTER, GETMANY)
    assert found is not None
    assert (found.low, found.high, found.rounds) == (pytest.approx(3), pytest.approx(3), 3)


def test_the_best_peer_is_the_one_to_beat() -> None:
    """Of several peers the fastest counts; Java is not among them, nor is a loop by hand."""
    speeds = {PYTHON_PEERS[0]: 10.0, PYTHON_PEERS[1]: 30.0, KAFKA_STREAMS_EVENTS: 99.0}
    assert goals.best_peer(rows(speeds)) == PYTHON_PEERS[1]


def test_kafka_streams_as_documented_is_the_peer_and_the_others_are_said() -> None:
    """The goal is over the one that counts events alone; the other programs stand beside it."""
    speeds = {**GOOD, KAFKA_STREAMS: 20_000.0, KAFKA_PROCESSOR: 120_000.0}
    found = goals.goals(rows(speeds))["the Counter beside Kafka Streams"]
    assert found["met"]
    assert found["measured"] == (
        "30.00 (30.00 to 30.00) x; 60.00 (60.00 to 60.00) x where it joins statuses; "
        "10.00 (10.00 to 10.00) x beside one that joins statuses"
    )
    assert not goals.goals(rows({**speeds, KAFKA_STREAMS_EVENTS: 120_000.0}))["the Counter beside Kafka Streams"]["met"]


def test_a_slower_machine_owes_less_and_a_faster_one_no_more() -> None:
    """The million is owed where getmany drains as at the prototype's, and in proportion below."""
    name = "events the Counter counts in a CPU second"
    assert goals.goals(rows({COUNTER: 600_000.0, GETMANY: 145_000.0}))[name]["met"]
    assert not goals.goals(rows({COUNTER: 600_000.0, GETMANY: 290_000.0}))[name]["met"]
    assert goals.goals(rows({COUNTER: 1_000_001.0, GETMANY: 900_000.0}))[name]["met"]


def test_nobody_wins_by_not_counting() -> None:
    """A program whose counts do not add up to the events has failed, as has one that ends without a word."""
    line = {"events": 10, "counted": 9, "wall_s": 1.0, "cpu_s": 1.0, "peak_mb": 1.0}
    assert rounds.read(f"OK\n{json.dumps(line)}\n", "") == {"failed": "counted 9 of 10 events"}
    assert rounds.read("", "a warning\nImportError: no such thing\n") == {"failed": "ImportError: no such thing"}
    assert rounds.read(json.dumps({**line, "counted": 10}), "")["cpu_s"] == 1.0


def test_a_failed_row_is_no_measurement_and_is_said() -> None:
    """It enters no ratio, and the page gives the reason."""
    failed = [{"round": n, "name": FAUST, "kind": "peer", "batch": BATCH, "failed": "it fell"} for n in (1, 2, 3)]
    kept = new_kept(rows({name: speed for name, speed in GOOD.items() if name != FAUST}) + failed)
    assert kept["goals"]["the Counter beside the stock Faust agent"]["measured"] == "not measured"
    assert f"* {FAUST}: it fell" in report.text(kept)


def new_kept(found: Rows) -> report.Kept:
    """As a run leaves it."""
    run = {"machine": "a machine", "when": "today", "events": 1, "rounds": 3, "versions": {}, "left_out": {"X": "why"}}
    kept: report.Kept = {"run": run, "rows": found}
    report.write(None, kept)
    return kept


def test_goals_are_worked_out_again_from_what_is_kept(tmp_path: Path) -> None:
    """A goal changed by hand in the file is put right from the rows; what was left out is on the page."""
    report.write(tmp_path, new_kept(rows(GOOD)))
    first = (tmp_path / "throughput.json").read_text()
    (tmp_path / "throughput.json").write_text(first.replace('"met": false', '"met": true'))
    report.write(tmp_path, report.load(tmp_path))
    assert (tmp_path / "throughput.json").read_text() == first
    assert "* X: why" in (tmp_path / "throughput.md").read_text()


def test_events_are_what_the_page_says() -> None:
    """About 220 bytes, 250 pairs of bank and method, 15 % of payments with a second status, in the order of time."""
    made = list(events(20_000))
    read = [json.loads(event.value) for event in made]
    payments = Counter(one["payment_id"] for one in read)
    assert 210 <= sum(len(event.value) for event in made) / len(made) <= 230
    assert len({(one["bank"], one["method"]) for one in read}) == 250
    assert 0.13 <= sum(count == 2 for count in payments.values()) / len(payments) <= 0.16
    assert [event.at_ms for event in made] == sorted(one["occurred_at"] for one in read)
    assert made == list(events(20_000))


def test_every_participant_is_a_program_of_the_folder() -> None:
    """Names are distinct, and each has its file."""
    folder = Path(report.__file__).parent
    assert len({one.name for one in CONTEST}) == len(CONTEST)
    assert all((folder / f"{one.module.replace('.', '/')}.py").exists() for one in CONTEST)
