"""A stock Faust agent with a dict. Measured from its first event to its last."""

from __future__ import annotations

import tempfile
from collections import Counter

import faust

from tests.benchmarks.throughput.meter import FETCH_BYTES, PANE_MS, Meter, finish, job

JOB = job()


def new_app() -> faust.App:
    """A stock app, as its documentation begins, without its web page."""
    return faust.App(
        JOB.group,
        broker=f"kafka://{JOB.broker}",
        store="memory://",
        topic_partitions=1,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        datadir=tempfile.mkdtemp(prefix="pastille-bench-"),
        web_enabled=False,
    )


class Payment(faust.Record, serializer="json"):
    """What is counted by."""

    bank: str
    method: str
    status: str
    occurred_at: int


def run(app: faust.App) -> None:
    """The worker, as `faust worker` runs it."""
    faust.Worker(app, loglevel="warning").execute_from_commandline()


app = new_app()
payments = app.topic(JOB.topic, value_type=Payment)
counts: Counter[tuple[str, str, str, int]] = Counter()
meter = Meter()


@app.agent(payments)
async def count(stream: faust.StreamT[Payment]) -> None:
    """Count one after another."""
    seen = 0
    async for event in stream:
        meter.begin()
        counts[event.bank, event.method, event.status, event.occurred_at // PANE_MS] += 1
        seen += 1
        if seen == JOB.events:
            meter.end(JOB.events, counts.total())
            finish()


if __name__ == "__main__":
    run(app)
