"""Quix Streams as its documentation counts: grouped by a key (over a topic of its own), a tumbling window."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.throughput.meter import PANE_MS, Job, Meter, finish, job
from tests.benchmarks.throughput.peers.quix_dict import new_app


def leaf(event: dict[str, Any]) -> str:
    """What is counted by."""
    return f"{event['bank']}/{event['method']}/{event['status']}"


def main(job: Job) -> None:
    """Count them all; measured from the first event to the last count. Every event changes one count."""
    app, meter = new_app(job), Meter()
    latest: dict[tuple[Any, int], int] = {}
    seen = 0

    def begin(_: dict[str, Any]) -> None:
        meter.begin()

    def changed(counted: dict[str, int], key: Any, *_: Any) -> None:
        nonlocal seen
        latest[key, counted["start"]] = counted["value"]
        seen += 1
        if seen == job.events:
            meter.end(job.events, sum(latest.values()))
            finish()

    topic = app.topic(
        job.topic, value_deserializer="json", timestamp_extractor=lambda event, *_: int(event["occurred_at"])
    )
    grouped = app.dataframe(topic).update(begin).group_by(leaf, name="leaf")
    grouped.tumbling_window(PANE_MS, grace_ms=PANE_MS).count().current().update(changed, metadata=True)
    app.run()


if __name__ == "__main__":
    main(job())
