"""A worker whose loops are not all kept: what it does until they are compiled."""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded import EmbeddedKafka
from tests.integration.workers import WORKER, Stage, WorkerProcess, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
COUNTS, JUDGES = "index.refill", "ring.clear_source"
"""Loops that are soon compiled."""


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    """A copy of Pastille with what is kept of its loops."""
    for package in ("detector", "streams"):
        shutil.copytree(ROOT / package, tmp_path / package)
    return tmp_path


def forget(tree: Path, loop: str) -> None:
    """Throw away what is kept of a loop."""
    kept = [file for file in (tree / "detector").rglob("*.nb?") if file.name.startswith(f"{loop}-")]
    assert kept, "the loops are compiled before the tests, and kept beside their files"
    for file in kept:
        file.unlink()


@contextlib.contextmanager
def nothing_is_kept(tree: Path, where: str = "counting") -> Iterator[None]:
    """Whoever has compiled the loop waits with keeping it."""
    with (tree / "detector" / where / "__pycache__" / "loops.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def started(stage: Stage, tree: Path) -> WorkerProcess:
    """A worker of that copy."""
    program = f"import sys; sys.path.insert(0, {str(tree)!r}); {WORKER[2]}"
    stage.settings_environment["PYTHONPATH"] = str(tree)
    worker = stage.worker(program=[sys.executable, "-c", program])
    worker.patience_s = 60.0  # who asks while it begins anew waits until it has
    return worker


def payments(count: int, status: str) -> list[bytes]:
    """So many events of now, each of a payment of its own."""
    now_ms = time.time_ns() // 10**6
    common = {"method": "card", "bank": "bnp", "merchant_id": "m", "status": status, "occurred_at": now_ms}
    names = [secrets.token_hex(8) for _ in range(count)]
    return [json.dumps({**common, "payment_id": name, "order_id": name}).encode() for name in names]


def loops(worker: WorkerProcess) -> str | None:
    """What the worker says is wrong with its loops."""
    problem: str | None = json.loads(worker.get("/health/ready")[1])["problems"].get("loops")
    return problem


def ratio(worker: WorkerProcess) -> float | None:
    """Approved of the answered payments of the last quarter of an hour."""
    samples = worker.metrics("pastille_approval_ratio")
    wanted = {("dimension", "platform"), ("window", "15m")}
    return next((value for (_, labels), value in samples.items() if wanted <= labels), None)


def test_plain_python_counts_until_the_loops_are_compiled(kafka: EmbeddedKafka, cold: Path) -> None:
    """It judges what it counts, and says that it is slow; then the same process, at the same address, goes on with
    machine code, and every payment counts once. What it compiled is there for the next start."""
    forget(cold, COUNTS)
    with Stage(kafka, 2) as stage:
        stage.send(payments(30, "approved"))
        with nothing_is_kept(cold):
            worker = started(stage, cold)
            wait_for(lambda: ratio(worker) == 1.0, stage, "judged by plain Python")
            assert worker.metric("pastille_loops_compiled") == 0
            assert "are being compiled" in str(loops(worker))
            stage.send(payments(70, "declined"))
            wait_for(lambda: ratio(worker) == 30 / 100, stage, "counted by plain Python")
        wait_for(lambda: loops(worker) is None, stage, "the loops compiled")
        assert worker.metric("pastille_loops_compiled") == 1
        stage.send(payments(100, "declined"))
        wait_for(lambda: ratio(worker) == 30 / 200, stage, "every payment counted, each once")
        assert (worker.process.poll(), worker.end()) == (None, 0)
        again = started(stage, cold)
        wait_for(lambda: again.get("/health/ready")[0] == 200, stage, "ready at once")
        assert "plain Python" not in again.logged()


def test_who_would_be_slow_takes_nothing_from_the_others(kafka: EmbeddedKafka, cold: Path) -> None:
    """Where another worker counts, one whose loops are not compiled joins when they are."""
    forget(cold, COUNTS)
    with Stage(kafka, 2) as stage:
        first = stage.worker()
        wait_for(lambda: first.get("/health/ready")[0] == 200, stage, "the first ready")
        with nothing_is_kept(cold):
            second = started(stage, cold)
            wait_for(lambda: loops(second) == "compiling", stage, "the second compiling")
            assert second.metric("pastille_loops_compiled") == 1
        wait_for(lambda: second.get("/health/ready")[0] == 200, stage, "the second ready")
        assert "plain Python" not in second.logged()


def test_what_cannot_be_compiled_is_counted_all_the_same(kafka: EmbeddedKafka, cold: Path) -> None:
    """Where the other process fails the worker says so, and stays as slow as it is."""
    forget(cold, COUNTS)
    with (cold / "detector" / "warm.py").open("a") as file:
        file.write("    raise SystemExit(3)\n")
    with Stage(kafka, 2) as stage:
        worker = started(stage, cold)
        wait_for(lambda: "exit code 3" in str(loops(worker)), stage, "told")
        stage.send(payments(10, "declined"))
        wait_for(lambda: ratio(worker) == 0.0, stage, "counted and judged")
        assert worker.end() == 0


def test_what_cannot_be_kept_is_compiled_all_the_same(kafka: EmbeddedKafka, cold: Path) -> None:
    """Where what the other process compiled cannot be kept, the worker begins anew and compiles that for itself: else
    it would be slow for ever. It says where and why."""
    (index,) = (file for file in (cold / "detector").rglob("*.nbi") if file.name.startswith(f"{COUNTS}-"))
    forget(cold, COUNTS)
    index.mkdir()
    (index / "file").touch()  # no file can take the folder's name
    with Stage(kafka, 2) as stage:
        worker = started(stage, cold)
        wait_for(lambda: loops(worker) is None, stage, "compiled")
        assert worker.metric("pastille_loops_compiled") == 1
        assert "the loops cannot be kept; it begins anew" in worker.logged()
        assert f"cannot keep what is compiled in {index.parent}: Is a directory" in worker.logged()
        stage.send(payments(10, "declined"))
        wait_for(lambda: ratio(worker) == 0.0, stage, "counted and judged")
        assert worker.end() == 0


def test_who_has_no_folder_says_so_and_compiles(kafka: EmbeddedKafka, cold: Path) -> None:
    """Where nothing can be kept each start compiles: the worker says what it does, and, once, what would help."""
    shutil.rmtree(cold / "detector" / "records" / "__pycache__")
    (cold / "detector" / "records" / "__pycache__").touch()
    with Stage(kafka, 2) as stage:
        stage.settings_environment |= {"NUMBA_CACHE_DIR": "", "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
        worker = started(stage, cold)
        wait_for(lambda: loops(worker) == "compiling", stage, "said that it compiles", every_s=0.05)
        wait_for(lambda: loops(worker) is None, stage, "compiled")
        assert worker.logged().count("no folder to keep what is compiled: set NUMBA_CACHE_DIR") == 1
        assert "plain Python" not in worker.logged()


def test_it_can_be_told_to_end_while_it_begins_anew(kafka: EmbeddedKafka, cold: Path) -> None:
    """Whether it is still the old one, is being replaced, or is new."""
    forget(cold, COUNTS)
    with Stage(kafka, 2) as stage:
        worker = started(stage, cold)
        wait_for(lambda: "must be compiled first" in worker.logged(), stage, "it becomes another", every_s=0.01)
        assert worker.end() == 0


def test_what_judges_is_compiled_while_it_counts(kafka: EmbeddedKafka, cold: Path) -> None:
    """With what counts kept, machine code counts from the start."""
    forget(cold, JUDGES)
    with Stage(kafka, 2) as stage:
        stage.send(payments(10, "declined"))
        with nothing_is_kept(cold, "judging"):
            worker = started(stage, cold)
            wait_for(lambda: worker.counted() == 10, stage, "counted")
            wait_for(lambda: loops(worker) == "compiling", stage, "what judges compiling")
            assert worker.metric("pastille_judge_active") == 0
        wait_for(lambda: ratio(worker) == 0.0, stage, "judged")
        assert "plain Python" not in worker.logged()
