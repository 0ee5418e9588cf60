"""Kafka Streams: its jars from Maven Central, compiled by a compiler that is a jar too, run on the Java of the embedded
Kafka. This process becomes it. `--counting payments` joins statuses, `events` does not; written as its documents do
(`CountPanesByDsl.java`), or `--by-hand` as a processor (`CountPanes.java`)."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from streams.embedded.broker import java
from streams.embedded.jars import cache_folder, classpath, read_lock
from tests.benchmarks.throughput.meter import FETCH_BYTES, Job, job

LOCK = Path(__file__).with_suffix(".lock")
SOURCES = tuple(Path(__file__).with_name(f"{name}.java") for name in ("CountPanes", "CountPanesByDsl"))
COMPILER = ("org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-nowarn")


def main(job: Job, counting: str, by_hand: bool) -> None:
    """Fetch, compile, become the JVM with all its defaults."""
    more = classpath(cache_folder() / "kafka-streams", read_lock(LOCK))
    jars = f"{classpath()}{os.pathsep}{more}"
    out = tempfile.mkdtemp(prefix="pastille-bench-")
    subprocess.run([java(), "-cp", jars, *COMPILER, "-cp", jars, "-d", out, *map(str, SOURCES)], check=True)
    program = "CountPanes" if by_hand else "CountPanesByDsl"
    arguments = [job.broker, job.topic, job.group, str(job.events), str(FETCH_BYTES), counting]
    # What Java keeps for itself goes where all of this run's files go.
    own = f"-Djava.io.tmpdir={tempfile.gettempdir()}"
    os.execv(java(), [java(), own, "-cp", f"{out}{os.pathsep}{jars}", program, *arguments])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--counting", choices=("payments", "events"), required=True)
    parser.add_argument("--by-hand", action="store_true")
    wanted, _ = parser.parse_known_args()
    main(job(), wanted.counting, wanted.by_hand)
