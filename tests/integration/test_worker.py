"""A worker as a process: how it starts, what it serves, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from streams.embedded import EmbeddedKafka
from tests.integration.test_failover import _now_ms
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

MINUTE_MS = 60_000
QUICK = """
[all_red]
after_s = 30
[resolve]
hold_s = 15
"""


def minutes_ago(minutes: int, *faults: str) -> list[bytes]:
    """Simulated events of so many minutes that end now."""
    shops = Shops(
        seed=3, rate=20.0, banks=4, merchants=30, shoppers=5_000,
        start_ms=time.time_ns() // 10**6 - minutes * MINUTE_MS, faults=tuple(parse_fault(fault) for fault in faults),
    )  # fmt: skip
    lines = Lines(shops)
    return [value.encode() for part in simulate(shops, minutes * MINUTE_MS) for value in lines.values(part)]


def is_ready(stage: Stage) -> bool:
    """Whether every worker says so."""
    return all(worker.get("/health/ready")[0] == 200 for worker in stage.workers)


def test_a_past_outage_is_a_warning(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """An outage that began and ended while no worker ran pages nobody: catching_up, severity warning, then resolved."""
    policy = tmp_path / "policy.toml"
    policy.write_text(QUICK)
    with Stage(kafka, 2) as stage:
        stage.send(minutes_ago(15, "bank:bnp all_red 2m 5m"))
        stage.worker("--policy", str(policy), "--from", "earliest")
        wait_for(lambda: _of_bank(stage, "resolved"), stage, "bnp's outage resolved", every_s=2)
        (started,) = _of_bank(stage, "started")
        assert (started["catching_up"], started["severity"]) == (True, "warning")


def test_what_was_counted_is_not_counted_again(kafka: EmbeddedKafka) -> None:
    """Ready, with lag 0, rates between 0 and 1, every payment counted once, and a Judge that follows the clock. After
    SIGTERM and a new start the records are `rebuilt`, and no payment is counted twice."""
    lines = minutes_ago(3)
    approved = sum(b'"status":"approved"' in line for line in lines)
    with Stage(kafka, 2) as stage:
        stage.send(lines)
        first = stage.worker()
        wait_for(lambda: _results(stage).get("counted") == len(lines), stage, "all counted")
        wait_for(lambda: is_ready(stage) and judged_ms(stage) > _now_ms() - MINUTE_MS, stage, "judging near the clock")
        wait_for(lambda: _approved(first) >= approved, stage, "the last second's payments counted too")
        _assert_sound(first, approved)
        wait_for(lambda: _noted(stage) >= len(lines), stage, "all committed as read")
        newest_ms = max(json.loads(line)["occurred_at"] for line in lines)
        wait_for(lambda: _noted_ms(stage) > newest_ms, stage, "the boundary past all of them committed")
        assert first.end() == 0
        stage.workers.clear()
        second = stage.worker()
        wait_for(lambda: _results(stage).get("rebuilt") == len(lines) and is_ready(stage), stage, "rebuilt")
        assert _results(stage).get("counted", 0) == 0
        assert _approved(second) == 0


def _assert_sound(worker: WorkerProcess, approved: int) -> None:
    """What it serves when it has counted all, so many payments among them that were approved."""
    found = worker.metrics()
    assert _approved(worker) == approved
    assert {v for (name, _), v in found.items() if name == "pastille_ingest_lag_events"} == {0.0}
    rates = [v for (name, _), v in found.items() if name == "pastille_approval_ratio"]
    assert rates
    assert all(0 <= rate <= 1 for rate in rates)
    assert worker.get("/health/live")[0] == 200


def test_sigterm_ends_within_seconds_whatever_the_worker_does(kafka: EmbeddedKafka) -> None:
    """Told to stop while it still compiles and joins, and told when it stands by: exit code 0 both times."""
    with Stage(kafka, 1) as stage:
        early = stage.worker()
        assert early.url
        assert early.end(within_s=20) == 0
        working, standing_by = stage.worker(), stage.worker()
        stage.workers.remove(early)
        wait_for(lambda: is_ready(stage), stage, "two workers on one partition are both ready")
        assert [standing_by.end(signal.SIGINT), working.end()] == [0, 0]


def test_missing_topics_are_named(kafka: EmbeddedKafka) -> None:
    """Without its topics a worker does not start: exit code 2, the missing ones and the mend in the message."""
    with Stage(kafka, 1) as stage:
        stage.settings_environment["PASTILLE_FEEDS"] = json.dumps([{"name": "default", "payments": "absent-payments"}])
        worker = stage.worker()
        assert worker.process.wait(30) == 2
        assert "absent-payments" in worker.logged()
        assert "pastille topics create" in worker.logged()


def test_a_taken_port_is_said(kafka: EmbeddedKafka) -> None:
    """A port that another process listens on ends the worker with a sentence."""
    with Stage(kafka, 1) as stage, socket.create_server(("127.0.0.1", 0)) as taken:
        worker = stage.worker("--http-port", str(taken.getsockname()[1]))
        assert worker.process.wait(60) == 2
        assert "--http-port" in worker.logged()


def _results(stage: Stage) -> dict[str, float]:
    """Records by result, of the newest worker."""
    found: dict[str, float] = {}
    for (name, labels), value in stage.workers[-1].metrics().items():
        if name == "pastille_events_total":
            result = dict(labels)["result"]
            found[result] = found.get(result, 0) + value
    return found


def _of_bank(stage: Stage, type_: str) -> list[dict[str, Any]]:
    """The data of bnp's outage events of a type."""
    return [event["data"] for event in stage.outages()
            if event["subject"] == "bank:bnp" and event["type"] == f"pastille.outage.{type_}.v1"]  # fmt: skip


def _approved(worker: WorkerProcess) -> float:
    """Payments that were approved, by the worker's metric."""
    return sum(value for (name, labels), value in worker.metrics().items()
               if name == "pastille_payments_total" and ("status", "approved") in labels)  # fmt: skip


def _noted_ms(stage: Stage) -> int:
    """The oldest boundary that the committed notes say was told; -1 where one of them says none."""
    return min((note.boundary_ms if note is not None else -1 for note in stage.notes()), default=-1)


def _noted(stage: Stage) -> int:
    """How many records the committed notes say were read."""
    return sum(note.read for note in stage.notes() if note is not None)
