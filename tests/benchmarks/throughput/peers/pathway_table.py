"""A Pathway table: JSON from Kafka by a schema, grouped by key and pane, counted as it streams.

`--counting payments` first joins the statuses of a payment in a table of their own, whose changes move the counts;
`events` counts every event. Its reader is a thread of its own that no program sees begin: measured from `run`, so some
start-up is among it.
"""

from __future__ import annotations

import argparse
from typing import Any

import pathway as pw

from tests.benchmarks.throughput.meter import FETCH_BYTES, PANE_MS, Job, Meter, finish, job


class Event(pw.Schema):
    """What is counted by."""

    bank: str
    method: str
    status: str
    occurred_at: int


class Status(Event):
    """An event, and the payment it is of."""

    payment_id: str


def joined(events: pw.Table) -> pw.Table:
    """A row a payment: its newest status, its first time, and how many events it had."""
    return events.groupby(pw.this.payment_id).reduce(
        bank=pw.reducers.latest(pw.this.bank),
        method=pw.reducers.latest(pw.this.method),
        status=pw.reducers.latest(pw.this.status),
        occurred_at=pw.reducers.min(pw.this.occurred_at),
        events=pw.reducers.count(),
    )


def counted(rows: pw.Table, events: pw.ColumnExpression) -> pw.Table:
    """How many there are of each, and how many events they stand for."""
    keyed = rows.with_columns(pane=pw.this.occurred_at // PANE_MS)
    return keyed.groupby(pw.this.bank, pw.this.method, pw.this.status, pw.this.pane).reduce(
        pw.this.bank, pw.this.method, pw.this.status, pw.this.pane, count=pw.reducers.count(), events=events
    )


def main(job: Job, counting: str) -> None:
    """Count them all."""
    meter, total = Meter(), 0
    settings = {
        "bootstrap.servers": job.broker,
        "group.id": job.group,
        "auto.offset.reset": "earliest",
        "queued.min.messages": "1000000",
        "fetch.message.max.bytes": str(FETCH_BYTES),
    }
    if counting == "payments":
        rows = joined(pw.io.kafka.read(settings, job.topic, schema=Status, format="json"))
        counts = counted(rows, pw.reducers.sum(pw.this.events))
    else:
        rows = pw.io.kafka.read(settings, job.topic, schema=Event, format="json")
        counts = counted(rows, pw.reducers.count())

    def changed(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        nonlocal total
        total += row["events"] if is_addition else -row["events"]

    def settled(time: int) -> None:
        if total == job.events:
            meter.end(job.events, total)
            finish()

    pw.io.subscribe(counts, on_change=changed, on_time_end=settled)
    meter.begin()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--counting", choices=("payments", "events"), required=True)
    main(job(), parser.parse_known_args()[0].counting)
