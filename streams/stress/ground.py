"""The ground a stress test stands on: topics of its own on your broker, and real workers on them; gone afterwards.

Knows processes, their metrics and what the system says of them; draws no conclusion.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.errors import UserError
from streams.topics import create_topics
from streams.trial import delete_trial, trial_settings, trial_variables

__all__ = ["Ground", "Seen"]

READY_S: Final = 600.0
"""Compiling the loops for the first time takes a minute or two."""
ANSWER_S: Final = 10.0
STOP_S: Final = 12.0
LOOK_S: Final = 0.5
TAIL_BYTES: Final = 3_000
_WORKER: Final = (sys.executable, "-c", "from streams.commands import main; main()", "worker", "--http-port", "0")


@dataclass(frozen=True, slots=True)
class Seen:
    """Of all workers together; `boundary_s` is the newest judged, None before the first."""

    counted: int
    lag: int | None
    boundary_s: float | None
    memory_mb: float | None
    cpu_s: float | None


class Ground:
    """Entered, the topics are there and the workers ready; left, both are gone."""

    def __init__(self, broker: str | None, partitions: int, workers: int) -> None:
        self.settings = trial_settings("pastille-stress", broker)
        self._partitions, self._count = partitions, workers
        self._workers: list[_Worker] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            create_topics(self.settings, self._partitions)
            stack.callback(delete_trial, self.settings)
            variables = {**os.environ, **trial_variables(self.settings)}
            for _ in range(self._count):
                worker = _Worker(variables)
                stack.callback(worker.end)
                self._workers.append(worker)
            for worker in self._workers:
                worker.wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

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


class _Worker:
    """One `pastille worker`, and what it wrote."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self._process = subprocess.Popen(
            _WORKER, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log
        )
        self._url = ""

    def wait_until_ready(self) -> None:
        """Until it has joined its groups and knows its lag. Raises UserError where it never does."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise UserError(self._ended())
        self._url = json.loads(line)["http"]
        until_s = time.monotonic() + READY_S
        while not self._is_ready():
            if time.monotonic() > until_s:
                raise UserError(f"a worker is not ready after {READY_S:.0f} s; got:\n{self._tail()}")
            time.sleep(LOOK_S)

    def look(self) -> Seen:
        """Its metrics, and what the system says of it."""
        samples = self._samples()
        counted = [one.value for one in samples if one.name == "pastille_events_total"]
        lags = [one.value for one in samples if one.name == "pastille_ingest_lag_events"]
        boundaries = [one.value for one in samples if one.name == "pastille_boundary_seconds"]
        memory_mb, cpu_s = _use(self._process.pid)
        lag = int(sum(lags)) if lags else None
        return Seen(int(sum(counted)), lag, max(boundaries, default=None), memory_mb, cpu_s)

    def end(self) -> None:
        """Tell it to stop, and see that it does."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _is_ready(self) -> bool:
        self._check()
        try:
            with urllib.request.urlopen(f"{self._url}/health/ready", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)
        except OSError:  # 503 among it
            return False

    def _samples(self) -> list[Sample]:
        self._check()
        try:
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=ANSWER_S) as answer:
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
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - TAIL_BYTES))
        return self._log.read().decode(errors="replace")


def _use(pid: int) -> tuple[float | None, float | None]:
    """(MB resident, CPU seconds) of a process; none where the system has no such files."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None, None
    resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return resident, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
