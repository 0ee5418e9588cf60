"""Kafka Streams (`CountPanes.java`): its jars from Maven Central, compiled by a compiler that is a jar too, run on the
Java of the embedded Kafka. This process becomes it. `--counting payments` upserts, `events` does not."""

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
SOURCE = Path(__file__).with_name("CountPanes.java")
COMPILER = ("org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-nowarn")


def main(job: Job, counting: str) -> None:
    """Fetch, compile, become the JVM with all its defaults."""
    more = classpath(cache_folder() / "kafka-streams", read_lock(LOCK))
    jars = f"{classpath()}{os.pathsep}{more}"
    out = tempfile.mkdtemp(prefix="pastille-bench-")
    subprocess.run([java(), "-cp", jars, *COMPILER, "-cp", jars, "-d", out, str(SOURCE)], check=True)
    arguments = [job.broker, job.topic, job.group, str(job.events), str(FETCH_BYTES), counting]
    # What Java keeps for itself goes where all of this run's files go.
    own = f"-Djava.io.tmpdir={tempfile.gettempdir()}"
    os.execv(java(), [java(), own, "-cp", f"{out}{os.pathsep}{jars}", "CountPanes", *arguments])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--counting", choices=("payments", "events"), required=True)
    main(job(), parser.parse_known_args()[0].counting)
