"""The time, CPU and memory of one process, and the line it says them in. Needs only Python, for any environment.

Time counts from `begin` (placed at its partition, before the first record is asked for, or as a program says) to `end`
(the last one counted): starting up is left out. Does not know what was done.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

FETCH_BYTES = 4 << 20
"""Of a partition in one fetch, for every client that may be told: four times the usual."""
PANE_MS = 5_000


@dataclass(frozen=True)
class Job:
    """What to read, and how many events are there; `group` is this run's own."""

    broker: str
    topic: str
    events: int
    group: str


def job() -> Job:
    """The job on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    wanted, _ = parser.parse_known_args()
    return Job(wanted.broker, wanted.topic, wanted.events, f"bench-{secrets.token_hex(4)}")


class Meter:
    """Measures this process, all its threads and ended children among it."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """From here on; calls after the first change nothing."""
        if self._began is None:
            self._began = time.perf_counter(), cpu_s()

    def end(self, events: int, counted: int) -> None:
        """Up to here: say so, with the events read and the sum of all counts, which must be equal."""
        assert self._began is not None, "measuring begins first"
        wall_s, used_s = time.perf_counter() - self._began[0], cpu_s() - self._began[1]
        said = {"events": events, "counted": counted, "wall_s": wall_s, "cpu_s": used_s, "peak_mb": peak_mb()}
        # Faust takes standard output away from programs; the file descriptor stays.
        os.write(1, f"\n{json.dumps(said)}\n".encode())


def finish() -> None:
    """End at once: what was to be said is said, and a client's leave of its group takes seconds."""
    os._exit(0)


def cpu_s() -> float:
    """User and system seconds so far."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in both)


def peak_mb(pid: int | str = "self") -> float:
    """The most memory a process has had resident.

    Not `ru_maxrss` where there is another way: a child's begins at its parent's.
    """
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    if pid == "self":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # bytes, on a Mac
    return int(_ps(pid, "rss")) / 1024


def cpu_s_of(pid: int) -> float:
    """User and system seconds of another process so far."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    minutes, seconds = _ps(pid, "time").rsplit(":", 1)
    return 60 * float(minutes.replace(":", "")) + float(seconds)


def _ps(pid: int | str, what: str) -> str:
    return subprocess.run(["ps", "-o", f"{what}=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
