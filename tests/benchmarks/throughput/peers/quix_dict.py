"""Quix Streams with a dict beside it: the lightest program it allows, no state of its own."""

from __future__ import annotations

import tempfile
from collections import Counter
from typing import Any

from quixstreams import Application

from tests.benchmarks.throughput.meter import FETCH_BYTES, PANE_MS, Job, Meter, finish, job


def new_app(job: Job) -> Application:
    """A stock application with librdkafka's queue raised."""
    return Application(
        broker_address=job.broker,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(prefix="pastille-bench-"),
        loglevel="WARNING",
        consumer_extra_config={"queued.min.messages": 1_000_000, "fetch.message.max.bytes": FETCH_BYTES},
    )


def main(job: Job) -> None:
    """Count them all; measured from the first event to the last."""
    app, meter = new_app(job), Meter()
    counts: Counter[tuple[str, str, str, int]] = Counter()
    seen = 0

    def count(event: dict[str, Any]) -> None:
        nonlocal seen
        meter.begin()
        counts[event["bank"], event["method"], event["status"], event["occurred_at"] // PANE_MS] += 1
        seen += 1
        if seen == job.events:
            meter.end(job.events, counts.total())
            finish()

    app.dataframe(app.topic(job.topic, value_deserializer="json")).update(count)
    app.run()


if __name__ == "__main__":
    main(job())
