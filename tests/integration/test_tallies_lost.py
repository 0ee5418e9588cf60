"""The tallies log is made anew beneath a worker that writes and judges it, on a real broker."""

from __future__ import annotations

import asyncio
import time

import pytest
from kafka.errors import KafkaError

from detector.contracts.policy import DEFAULT
from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.errors import UserError
from streams.topics import create_topics
from tests.broker import applied
from tests.faults.recount import counted, read, told
from tests.integration.test_strays import payments
from tests.integration.workers import Stage, judged_ms, wait_for

RECORDS = 50


def stand(stage: Stage) -> bool:
    """Whether the topics are all there again; Kafka refuses a name while what bore it is being deleted."""
    try:
        return bool(create_topics(stage.settings, stage.count))
    except (KafkaError, UserError):
        return False


def told_all(stage: Stage) -> bool:
    """Whether the log that there is tells of every payment."""
    return told(stage, DEFAULT) == counted(
        [value.replace(b'"occurred_at"', b'"started_at"') for value in asyncio.run(read(stage))], DEFAULT
    )


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_a_tallies_log_made_anew_has_all_that_is_open(kafka: EmbeddedKafka) -> None:
    """What was told on the old one is told on the new one, though nothing of it has changed since; and it is judged."""
    with Stage(kafka, 1) as stage:
        stage.send(payments(RECORDS))
        worker = stage.worker()
        wait_for(lambda: told_all(stage), stage, "all is told", every_s=0.2)
        wait_for(lambda: worker.metric("pastille_judge_active") == 1, stage, "judging", every_s=0.2)
        with admin_client(stage.settings) as admin:
            admin.delete_topics([stage.settings.topics.tallies])
        wait_for(lambda: stand(stage), stage, "made again", every_s=0.1)
        applied(stage.settings)
        remade_ms = time.time_ns() // 10**6
        wait_for(lambda: told_all(stage), stage, "all is told anew", every_s=0.2)
        wait_for(lambda: judged_ms(stage) > remade_ms, stage, "what came after is judged", every_s=0.2)
        assert "it was made again, or its end was lost; all that is open is told anew" in worker.logged()
        wait_for(lambda: worker.get("/health/ready")[0] == 200, stage, "ready", every_s=0.2)
