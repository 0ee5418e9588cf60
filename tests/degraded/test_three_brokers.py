"""What only three brokers show: one may die, and what is said where one has no room and its replicas are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from tests.degraded.test_disk_full import fill, is_near, problems
from tests.integration.test_failover import Shop
from tests.integration.workers import Stage, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

PATIENCE_S = 60


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedKafka]:
    """Three brokers; a test leaves all of them running."""
    with EmbeddedKafka(3) as brokers:
        yield brokers


def test_three_brokers_survive_one(cluster: EmbeddedKafka) -> None:
    """With three brokers every partition has three copies, and a record is taken and kept while one is dead."""
    topic = cluster.new_topic("three", partitions=3)
    cluster.kill(2)
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", request_timeout_ms=PATIENCE_S * 1000)
    sent = [producer.send(topic, b"still here", partition=partition) for partition in range(3)]
    offsets = [future.get(timeout=PATIENCE_S).offset for future in sent]
    producer.close()
    assert offsets == [0, 0, 0]
    assert len(cluster.pids) == 2
    cluster.restart(2)
    assert len(cluster.pids) == 3


def test_a_broker_without_room_is_said_by_its_error(cluster: EmbeddedKafka) -> None:
    """One of three brokers has no room and its replicas are needed: what is written is not taken, which is said with
    Kafka's word for it; when the broker is back, everything goes on."""
    with Stage(cluster, 1) as stage:
        _need_every_replica(stage)
        worker = stage.worker()
        with Shop(stage, 100):
            wait_for(lambda: is_near(stage), stage, "judging near the clock")
            fill(cluster.pids[1], is_full=True)
            wait_for(lambda: "writes" in problems(worker), stage, "refused writes are shown")
            assert "NotEnoughReplicas" in problems(worker)["writes"]
            assert worker.metrics()["pastille_degraded", frozenset({("reason", "writes")})] == 1
            cluster.restart(2)
            wait_for(lambda: worker.get("/health/ready")[0] == 200 and is_near(stage), stage, "ready and judging")
        assert worker.process.poll() is None


def _need_every_replica(stage: Stage) -> None:
    topic = stage.settings.topics.tallies
    wanted: Any = ConfigResource("topic", topic, {"min.insync.replicas": "3"})
    with admin_client(stage.settings) as admin:
        admin.alter_configs([wanted])
