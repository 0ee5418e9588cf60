"""No room on a worker's disk, as a limit on the size of files that a running process suddenly has."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import pytest

from streams.embedded import EmbeddedKafka
from tests.integration.test_failover import Shop
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

NEAR_MS = 5_000


def fill(pid: int, *, is_full: bool) -> None:
    """No file may grow any more in a process; or it may again."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if is_full else hard, hard))


def problems(worker: WorkerProcess) -> dict[str, str]:
    """What keeps a worker from being ready."""
    found: dict[str, str] = json.loads(worker.get("/health/ready")[1])["problems"]
    return found


def is_near(stage: Stage) -> bool:
    """Whether what was judged is near the clock."""
    return judged_ms(stage) > time.time_ns() // 10**6 - NEAR_MS


def test_a_worker_without_room_loses_log_lines_alone(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """No file of a worker may grow: it counts and judges on and says that its log is not written; when there is room
    again, that is over by itself and the log goes on."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    with Stage(kafka, 1) as stage, Shop(stage, 200):
        worker = stage.worker(clock=clock)
        wait_for(lambda: is_near(stage), stage, "judging near the clock")
        fill(worker.process.pid, is_full=True)
        clock.write_text("3600")  # something to say
        wait_for(lambda: "disk" in problems(worker), stage, "the disk is shown")
        assert "File too large" in problems(worker)["disk"]
        assert worker.metrics()["pastille_degraded", frozenset({("reason", "disk")})] == 1
        full_ms = judged_ms(stage)
        wait_for(lambda: judged_ms(stage) > full_ms + 10_000, stage, "judging on")
        fill(worker.process.pid, is_full=False)
        wait_for(lambda: "disk" not in problems(worker), stage, "the disk is well")
        assert "could not be written" in worker.logged()
        assert "degraded: disk: over after" in worker.logged()
