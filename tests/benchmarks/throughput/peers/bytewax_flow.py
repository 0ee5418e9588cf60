"""A Bytewax dataflow: Kafka in, a tumbling count window in event time by key out. It ends where the topic does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, count_window
from bytewax.testing import TestingSink, run_main

from tests.benchmarks.throughput.meter import FETCH_BYTES, PANE_MS, Job, Meter, finish, job


def at(event: dict[str, Any]) -> datetime:
    """When it was."""
    return datetime.fromtimestamp(event["occurred_at"] / 1000, UTC)


def leaf(event: dict[str, Any]) -> str:
    """What is counted by."""
    return f"{event['bank']}/{event['method']}/{event['status']}"


def main(job: Job) -> None:
    """Count them all; measured from the first event to the end of the flow."""
    meter = Meter()

    def parse(message: KafkaSourceMessage[Any, Any]) -> dict[str, Any]:
        meter.begin()
        event: dict[str, Any] = json.loads(message.value)
        return event

    counted: list[tuple[str, tuple[int, int]]] = []
    config = {"queued.min.messages": "1000000", "fetch.message.max.bytes": str(FETCH_BYTES)}
    source = KafkaSource([job.broker], [job.topic], tail=False, add_config=config, batch_size=10_000)
    flow = Dataflow("count")
    events = op.map("parse", op.input("payments", flow, source), parse)
    clock = EventClock(at, wait_for_system_duration=timedelta(milliseconds=PANE_MS))
    panes = TumblingWindower(length=timedelta(milliseconds=PANE_MS), align_to=datetime(2020, 1, 1, tzinfo=UTC))
    op.output("counts", count_window("panes", events, clock, panes, leaf).down, TestingSink(counted))
    run_main(flow)
    meter.end(job.events, sum(count for _, (_, count) in counted))
    finish()


if __name__ == "__main__":
    main(job())
