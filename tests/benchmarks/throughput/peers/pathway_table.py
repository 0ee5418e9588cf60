"""A Pathway table: JSON from Kafka by a schema, grouped by key and pane, counted as it streams.

Its reader is a thread of its own that no program sees begin: measured from `run`, so some start-up is among it.
"""

from __future__ import annotations

from typing import Any

import pathway as pw

from tests.benchmarks.throughput.meter import FETCH_BYTES, PANE_MS, Job, Meter, finish, job


class Payment(pw.Schema):
    """What is counted by."""

    bank: str
    method: str
    status: str
    occurred_at: int


def main(job: Job) -> None:
    """Count them all."""
    meter, total = Meter(), 0
    settings = {
        "bootstrap.servers": job.broker,
        "group.id": job.group,
        "auto.offset.reset": "earliest",
        "queued.min.messages": "1000000",
        "fetch.message.max.bytes": str(FETCH_BYTES),
    }
    payments = pw.io.kafka.read(settings, job.topic, schema=Payment, format="json")
    keyed = payments.select(pw.this.bank, pw.this.method, pw.this.status, pane=pw.this.occurred_at // PANE_MS)
    counts = keyed.groupby(pw.this.bank, pw.this.method, pw.this.status, pw.this.pane).reduce(
        pw.this.bank, pw.this.method, pw.this.status, pw.this.pane, count=pw.reducers.count()
    )

    def changed(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        nonlocal total
        total += row["count"] if is_addition else -row["count"]

    def settled(time: int) -> None:
        if total == job.events:
            meter.end(job.events, total)
            finish()

    pw.io.subscribe(counts, on_change=changed, on_time_end=settled)
    meter.begin()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main(job())
