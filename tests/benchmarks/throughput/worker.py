"""The whole worker: a real `pastille worker` on the topic from its beginning, until it has counted and judged it all.

Measured from outside between two looks at its `/metrics`: the first that shows events counted, and the first that shows
all of them counted and every boundary up to the last seconds judged. The events counted before the first look are left
out of the rate; CPU and memory are the process's as the system tells them. This process does none of the work.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from streams.embedded.process import Guard
from streams.settings import Feed, Settings, TopicNames, load_settings
from streams.stress.ground import WorkerProcess
from streams.topics import create_topics
from streams.trial import trial_variables
from tests.benchmarks.throughput.events import PEAK, START_MS
from tests.benchmarks.throughput.meter import Job, cpu_s_of, job, peak_mb

LOOK_S = 0.1
WITHIN_S = 170.0
OPEN_S = 30
"""The last boundary told lies so far before the last event at most: what a watermark stays behind."""


class Look:
    """What `/metrics` says at a moment, and what it has cost until then."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.at_s, self.cpu_s = time.perf_counter(), cpu_s_of(worker.pid)
        samples = worker.samples("pastille_events_total", "pastille_boundary_seconds")
        counted = [one for one in samples if one.name == "pastille_events_total" and one.labels["result"] == "counted"]
        self.counted = int(sum(one.value for one in counted))
        self.judged_s = max((one.value for one in samples if one.name == "pastille_boundary_seconds"), default=0.0)


def main(job: Job, rate: int) -> None:
    """Start it, watch it, end it."""
    settings = own_settings(job)
    create_topics(settings, 1)
    folder = Path(tempfile.mkdtemp())
    guard = Guard(folder)  # should this process be killed, the worker goes with it
    try:
        said = measured(WorkerProcess(guard, folder / "worker.log", environment(settings)), job, rate)
    finally:
        guard.close()
    print(json.dumps(said), flush=True)


def measured(worker: WorkerProcess, job: Job, rate: int) -> dict[str, Any]:
    """Between the two looks."""
    until_s = time.monotonic() + WITHIN_S
    first = look = Look(worker)
    last_s = START_MS // 1_000 + job.events // rate - OPEN_S
    while look.counted < job.events or look.judged_s < last_s:
        assert time.monotonic() < until_s, f"{look.counted} counted, judged up to {look.judged_s}, not {last_s}"
        time.sleep(LOOK_S)
        look = Look(worker)
        first = look if first.counted == 0 else first
    events = look.counted - first.counted
    spent = {"wall_s": look.at_s - first.at_s, "cpu_s": look.cpu_s - first.cpu_s, "peak_mb": peak_mb(worker.pid)}
    return {"events": events, "counted": events, **spent}


def own_settings(job: Job) -> Settings:
    """Topics of this run's own beside the one to read; the events' clock, since they are of another day."""
    topics = TopicNames(**{name: f"{job.group}.{name}" for name in TopicNames.model_fields})
    feed = Feed(payments=job.topic, orders=None)
    return load_settings(
        broker=job.broker, app_id=job.group, feeds=(feed,), topics=topics, clock="events", from_="earliest"
    )


def environment(settings: Settings) -> dict[str, str]:
    """The same, as a worker reads them from its environment."""
    return {**trial_variables(settings), "PASTILLE_CLOCK": settings.clock, "PASTILLE_FROM": settings.from_}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=PEAK)
    main(job(), parser.parse_known_args()[0].rate)
