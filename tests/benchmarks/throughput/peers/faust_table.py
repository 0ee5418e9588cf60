"""A Faust hopping table in memory, its changelog in Kafka as always. Measured from its first event to its last."""

from __future__ import annotations

from datetime import timedelta

import faust

from tests.benchmarks.throughput.meter import PANE_MS, Meter, finish
from tests.benchmarks.throughput.peers.faust_agent import JOB, Payment, new_app, run

app = new_app()
payments = app.topic(JOB.topic, value_type=Payment)
pane = timedelta(milliseconds=PANE_MS)
table = app.Table("counts", default=int, partitions=1).hopping(pane, pane, expires=timedelta(days=3650))
meter = Meter()


@app.agent(payments)
async def count(stream: faust.StreamT[Payment]) -> None:
    """Count one after another, each in the pane of its record's time."""
    seen = 0
    async for event in stream:
        meter.begin()
        table[f"{event.bank}/{event.method}/{event.status}"] += 1
        seen += 1
        if seen == JOB.events:
            meter.end(JOB.events, sum(table.table.data.values()))
            finish()


if __name__ == "__main__":
    run(app)
