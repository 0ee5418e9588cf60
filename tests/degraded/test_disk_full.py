"""No room on a disk, as a limit on the size of files that a running process suddenly has: a worker's, a broker's."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource

from streams.admin import admin_client
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


def test_a_broker_without_room_is_said_by_its_error() -> None:
    """One of three brokers has no room and its replicas are needed: what is written is not taken, which is said with
    Kafka's word for it; when the broker is back, everything goes on."""
    with EmbeddedKafka(3) as cluster, Stage(cluster, 1) as stage:
        _need_every_replica(stage)
        worker = stage.worker()
        with Shop(stage, 100):
            wait_for(lambda: is_near(stage), stage, "judging near the clock")
            fill(cluster.pids[1], is_full=True)
            wait_for(lambda: "writes" in problems(worker), stage, "refused writes are shown")
            assert "NotEnoughReplicas" in problems(worker)["writes"]
            assert worker.metrics()["pastille_degraded", frozenset({("reason", "writes")})] == 1
            cluster.restart(2)
            wait_for(lambda: worker.get("/health/ready")[0] == 200 and is_near(stage), stage, "ready and judging")
        assert worker.process.poll() is None


def _need_every_replica(stage: Stage) -> None:
    topic = stage.settings.topics.tallies
    wanted: Any = ConfigResource("topic", topic, {"min.insync.replicas": "3"})
    with admin_client(stage.settings) as admin:
        admin.alter_configs([wanted])
