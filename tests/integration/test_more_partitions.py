"""Topics that get more partitions while workers read them."""

from __future__ import annotations

import pytest

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from tests.integration.test_worker import is_ready, minutes_ago
from tests.integration.workers import Stage, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def lags(stage: Stage) -> dict[str, float]:
    """Of each source at work, what is not read yet."""
    found = [worker.metrics("pastille_ingest_lag_events").items() for worker in stage.workers]
    return {dict(labels)["source"]: lag for samples in found for (_, labels), lag in samples}


def test_new_partitions_are_read_by_workers_that_run(kafka: EmbeddedKafka) -> None:
    """The workers begin anew, as the same processes at the same addresses, and read all. They are ready, though what
    was written before lies where its keys belonged then."""
    lines = minutes_ago(2)
    with Stage(kafka, 2) as stage:
        stage.send(lines)
        workers = [stage.worker(), stage.worker()]
        for worker in workers:
            worker.patience_s = 60.0  # who asks while it begins anew waits until it has
        wait_for(lambda: is_ready(stage), stage, "both ready")
        with admin_client(stage.settings) as admin:
            admin.create_partitions(dict.fromkeys(stage.feed.topics, 4))
        all_read = {f"default/{index}": 0.0 for index in range(4)}
        wait_for(lambda: is_ready(stage) and lags(stage) == all_read, stage, "all sources read")
        known = sum(worker.counted() for worker in workers)
        stage.count = 4
        stage.send(lines)
        wait_for(lambda: sum(worker.counted() for worker in workers) == known + len(lines), stage, "the new ones, too")
        assert [worker.end() for worker in workers] == [0, 0]
