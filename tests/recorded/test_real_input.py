"""Recorded days through the whole way: real broker, two workers, and the outage events that replay gives for them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from detector.contracts.policy import load_policy
from detector.rehearsal.line import Lines
from detector.rehearsal.replay import Replay
from detector.rehearsal.simulate import made_day, simulate
from streams.embedded import EmbeddedKafka
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for
from tests.recorded.days import is_at_hand, recorded

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

SOURCES = 4
FEED_LINES = 5_000

MORTAL = """
import os, signal, sys
from streams.commands import main
from streams.verdict import outbox, tenure
died, left, plain = sys.argv.pop(1), int(sys.argv.pop(1)), outbox.Outbox.write
async def write(self, changes):
    global left
    written = await plain(self, changes)
    left -= len(written)
    if left <= 0 and not os.path.exists(died):
        open(died, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return written
outbox.Outbox.write, tenure.CHANGES_MAX = write, 1
main()
"""
"""A worker that dies of SIGKILL when it has written so many outage events, each in a transaction of its own, the first
that has: where it is killed must not hang on how much is judged at once, which on a busy machine can be a whole day."""

Change = tuple[str, dict[str, Any]]


@cache
def made() -> list[bytes]:
    """The made day's events."""
    shops, duration_ms = made_day()
    lines = Lines(shops)
    return [value.encode() for events in simulate(shops, duration_ms) for value in lines.values(events)]


def part(lines: list[bytes], first: float, last: float) -> list[bytes]:
    """A day from one share of its events to another: an outage, and as much before it as it needs to be found."""
    return lines[int(len(lines) * first) : int(len(lines) * last)]


DAYS: dict[str, Callable[[], list[bytes]]] = {
    "made_afternoon": lambda: part(made(), 0.5, 0.625),
    "acquirer_day1": lambda: part(recorded("acquirer_day1", "acquirer"), 0.56, 0.67),
    "bank_0303": lambda: part(recorded("bank_0303", "bank"), 0.64, 0.834),
}
_QUICK = "min_merchants = 1\n[answer_s]\ndefault = 15\n" + "".join(
    f"[{kind}]\nafter_s = 20\nvoters = 5\n" for kind in ("all_red", "all_pending")
)
POLICIES = {"acquirer_day1": _QUICK, "bank_0303": _QUICK}
"""Quick, so that the operator's rules find something beside the evidence."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What replay gives for a day, and when that ends."""

    changes: list[Change]
    end_ms: int


@cache
def replayed(day: str) -> Expected:
    """The day through replay, with as many sources as the topics have partitions."""
    lines, replay = DAYS[day](), Replay(load_policy(POLICIES.get(day, "")), SOURCES)
    found = [change for at in range(0, len(lines), FEED_LINES) for change in replay.feed(lines[at : at + FEED_LINES])]
    found += replay.finish()
    changes = [(change.type, comparable(change.data.model_dump(mode="json"))) for change in found]
    return Expected(changes, replay.time_ms)


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    """An event's data without `input`, which says where in Kafka it was read."""
    return {name: value for name, value in data.items() if name != "input"}


def written(stage: Stage) -> list[Change]:
    """What the workers wrote."""
    return [(event["type"].split(".")[2], comparable(event["data"])) for event in stage.outages()]


def _difference(mine: Change, theirs: Change) -> str:
    """The fields in which two changes differ, got and expected."""
    (kind, one), (other_kind, other) = mine, theirs
    fields = {name: (one[name], other[name]) for name in one if one[name] != other.get(name)}
    return json.dumps({"type": (kind, other_kind), **fields}, indent=1)


def assert_same(got: list[Change], expected: list[Change]) -> None:
    """Event by event, so that a failure shows the first that differs."""
    for number, (mine, theirs) in enumerate(zip(got, expected, strict=False)):
        assert mine == theirs, f"event {number} of {len(expected)} differs: {_difference(mine, theirs)}"
    assert len(got) == len(expected), [(type_, data["scope"]) for type_, data in got[len(expected) :]]


@pytest.mark.parametrize("day", ["made_afternoon", "bank_0303"])
def test_two_workers_write_what_replay_finds(kafka: EmbeddedKafka, tmp_path: Path, day: str) -> None:
    """A day read as fast as it goes gives the outage events of `pastille replay --sources 4`, each once."""
    lines, expected = DAYS[day](), replayed(day)
    assert expected.changes
    with Stage(kafka, SOURCES, clock="events") as stage:
        stage.send(lines)
        workers = [stage.worker(*options(tmp_path, day)) for _ in range(2)]
        wait_for(lambda: judged_ms(stage) >= expected.end_ms, stage, "judged to the end", within_s=600)
        assert [worker.end() for worker in workers] == [0, 0]
        assert_same(written(stage), expected.changes)


def test_a_killed_worker_changes_nothing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """SIGKILL of the judging worker between two outage events: the other one writes the rest, nothing twice."""
    day = "acquirer_day1" if is_at_hand("acquirer_day1") else "made_afternoon"
    lines, expected = DAYS[day](), replayed(day)
    half = len(expected.changes) // 2
    assert half, "too few outage events to die between two of them"
    mortal = [sys.executable, "-c", MORTAL, str(tmp_path / "died"), str(half)]
    with Stage(kafka, SOURCES, clock="events") as stage:
        stage.send(lines)
        workers = [stage.worker(*options(tmp_path, day), program=mortal) for _ in range(2)]
        judging = wait_for(lambda: dead(workers), stage, "the judging worker is dead", within_s=600)
        assert judging.process.poll() == -SIGKILL
        wait_for(lambda: judged_ms(stage) >= expected.end_ms, stage, "judged to the end by the other", within_s=600)
        other = next(worker for worker in workers if worker is not judging)
        assert other.end() == 0
        assert_same(written(stage), expected.changes)


def dead(workers: list[WorkerProcess]) -> WorkerProcess | None:
    """The worker that has ended, if one has."""
    return next((worker for worker in workers if worker.process.poll() is not None), None)


def options(folder: Path, day: str) -> list[str]:
    """The worker's arguments for a day."""
    policy = folder / "policy.toml"
    policy.write_text(POLICIES.get(day, ""))
    return ["--from", "earliest", "--policy", str(policy)]
