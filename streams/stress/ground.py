"""The ground a stress test stands on: topics of its own on your broker, and real workers on them; gone afterwards.

Knows processes, their metrics and what the system says of them; draws no conclusion.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.embedded.process import Guard
from streams.ending import Ending
from streams.errors import UserError
from streams.topics import create_topics
from streams.trial import delete_trial, may_be_left, require_broker, trial_settings, trial_variables

__all__ = ["Ground", "Seen", "WorkerProcess"]

READY_S: Final = 600.0
"""Compiling the loops for the first time takes a minute or two."""
SERVES_S: Final = 60.0
ANSWER_S: Final = 10.0
STOP_S: Final = 12.0
LOOK_S: Final = 0.5
SOON_S: Final = 0.05
TAIL_BYTES: Final = 3_000
_LOOKED_AT: Final = ("pastille_events_total", "pastille_ingest_lag_events", "pastille_boundary_seconds")
_ENV: Final = shutil.which("env") or "/usr/bin/env"
_COMMAND: Final = (sys.executable, "-c", "from streams.commands import main; main()", "worker", "--http-port", "0")


@dataclass(frozen=True, slots=True)
class Seen:
    """Of all workers together; `boundary_s` is the newest judged, None before the first."""

    counted: int
    lag: int | None
    boundary_s: float | None
    memory_mb: float | None
    cpu_s: float | None


class Ground:
    """Entered, the topics are there and the workers ready; left, both are gone, and the workers' groups with them."""

    def __init__(self, broker: str | None, partitions: int, workers: int, ending: Ending) -> None:
        self.settings = trial_settings("pastille-stress", broker)
        self._partitions, self._count, self._ending = partitions, workers, ending
        self._workers: list[WorkerProcess] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _set_up(self) -> None:
        require_broker(self.settings)
        self._stack.callback(delete_trial, self.settings)
        create_topics(self.settings, self._partitions)
        # However this process ends, the guard ends the workers.
        folder = Path(tempfile.mkdtemp(prefix="pastille-stress-"))
        guard = Guard(folder)
        self._stack.callback(guard.close)
        self._stack.callback(self._end_workers)
        for number in range(self._count):
            log = folder / f"worker-{number}.log"
            self._workers.append(WorkerProcess(guard, log, trial_variables(self.settings)))
        for worker in self._workers:
            worker.wait_until_ready()

    def _leave(self) -> None:
        self._ending.leave(may_be_left(self.settings))
        self._stack.close()

    def _end_workers(self) -> None:
        for worker in self._workers:
            worker.ask_to_end()
        for worker in self._workers:
            worker.end()

    def look(self) -> Seen:
        """What the workers say now. Raises UserError where one has ended."""
        seen = [worker.look() for worker in self._workers]
        lags = [one.lag for one in seen if one.lag is not None]
        boundaries = [one.boundary_s for one in seen if one.boundary_s is not None]
        memory = [one.memory_mb for one in seen if one.memory_mb is not None]
        cpu = [one.cpu_s for one in seen if one.cpu_s is not None]
        return Seen(
            sum(one.counted for one in seen),
            sum(lags) if lags else None,
            max(boundaries, default=None),
            sum(memory) if memory else None,
            sum(cpu) if cpu else None,
        )


class WorkerProcess:
    """One `pastille worker` with settings of its own beside the environment's, and what it wrote."""

    def __init__(self, guard: Guard, log: Path, variables: Mapping[str, str]) -> None:
        self._guard, self._log = guard, log
        settings = [f"{name}={value}" for name, value in variables.items()]
        with log.open("wb") as out:
            self._process = guard.run([_ENV, *settings, *_COMMAND], out)
        self._url = ""

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it serves; waits until it says so. Raises UserError where it ends before."""
        until_s = time.monotonic() + SERVES_S
        while not self._url:
            lines = [line for line in self._text().splitlines() if line.startswith('{"http"')]
            if lines:
                self._url = json.loads(lines[0])["http"]
                break
            self._check()
            if time.monotonic() > until_s:
                raise UserError(f"a worker does not serve after {SERVES_S:.0f} s; got:\n{self._tail()}")
            time.sleep(SOON_S)
        return self._url

    def wait_until_ready(self) -> None:
        """Until it has joined its groups and knows its lag. Raises UserError where it never does."""
        until_s = time.monotonic() + READY_S
        while not self._is_ready():
            if time.monotonic() > until_s:
                raise UserError(f"a worker is not ready after {READY_S:.0f} s; got:\n{self._tail()}")
            time.sleep(LOOK_S)

    def look(self) -> Seen:
        """Its metrics, and what the system says of it."""
        samples = self.samples(*_LOOKED_AT)
        counted = [one.value for one in samples if one.name == "pastille_events_total"]
        lags = [one.value for one in samples if one.name == "pastille_ingest_lag_events"]
        boundaries = [one.value for one in samples if one.name == "pastille_boundary_seconds"]
        memory_mb, cpu_s = _use(self._process.pid)
        lag = int(sum(lags)) if lags else None
        return Seen(int(sum(counted)), lag, max(boundaries, default=None), memory_mb, cpu_s)

    def ask_to_end(self) -> None:
        """Tell it to stop."""
        self._process.terminate()

    def end(self) -> None:
        """Tell it to stop, and see that it does."""
        self.ask_to_end()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._guard.forget(self._process)

    def _is_ready(self) -> bool:
        self._check()
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)
        except OSError:  # 503 among it
            return False

    def samples(self, *names: str) -> list[Sample]:
        """The samples of these metrics: who looks often should not be what it sees. Raises UserError where the worker
        does not answer."""
        self._check()
        query = urllib.parse.urlencode([("name[]", name) for name in names])
        try:
            with urllib.request.urlopen(f"{self.url}/metrics?{query}", timeout=ANSWER_S) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                return [sample for family in families for sample in family.samples]
        except OSError as error:
            self._check()
            raise UserError(f"a worker must answer within {ANSWER_S:.0f} s; got {error}; try a lower --rate") from None

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise UserError(self._ended())

    def _ended(self) -> str:
        return f"a worker ended by itself; got:\n{self._tail()}"

    def _tail(self) -> str:
        return self._text()[-TAIL_BYTES:]

    def _text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def _use(pid: int) -> tuple[float | None, float | None]:
    """(MB resident, CPU seconds) of a process; none where the system has no such files."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None, None
    resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return resident, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
