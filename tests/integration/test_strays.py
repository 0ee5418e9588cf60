"""What the group committed speaks of offsets that the topic does not have, on a real broker."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from kafka import TopicPartition as AdminPartition

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.intake.recovery import Note
from tests.integration.workers import Stage, wait_for

RECORDS = 51
TERM = 7


def payments(count: int) -> list[bytes]:
    """Payments of now."""
    common = {"bank": "bnp", "method": "card", "status": "approved", "merchant_id": "shop"}
    return [
        json.dumps(
            common | {"payment_id": f"p{at}", "order_id": f"o{at}", "occurred_at": time.time_ns() // 10**6}
        ).encode() for at in range(count)
    ]  # fmt: skip


async def commit(stage: Stage, offset: int, read: int) -> None:
    """Commit what a worker of before would have."""
    boundary_ms = (int(time.time()) - 5) * 1_000
    at = TopicPartition(stage.feed.payments, 0)
    async with AIOKafkaConsumer(
        **stage.settings.aiokafka(), group_id=stage.settings.counter_group, enable_auto_commit=False
    ) as consumer:
        consumer.assign([at])
        await consumer.commit({at: OffsetAndMetadata(offset, Note(TERM, boundary_ms, read).text())})


@pytest.mark.kafka
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("offset", "read", "first", "said"),
    [(0, 3_001, 0, "was made again"), (3_001, 3_001, 0, "was made again"), (2, 3, 10, "from 3 on is deleted")],
    ids=["read too far", "beyond the end", "before the start"],
)
def test_the_topic_is_read_from_where_it_has_something(
    kafka: EmbeddedKafka, offset: int, read: int, first: int, said: str
) -> None:
    """A topic made again is read from its beginning: the bad record is told, good ones are counted, and what is
    committed is of the new one. One from which records were deleted is read from the first that it has."""
    with Stage(kafka, 1) as stage:
        stage.send(payments(first))
        stage.send_raw(stage.feed.payments, [(b"k", b"no event")])
        stage.send(payments(RECORDS - first - 1))
        if first:
            with admin_client(stage.settings) as admin:
                admin.delete_records({AdminPartition(stage.feed.payments, 0): first})
        asyncio.run(commit(stage, offset, read))
        worker = stage.worker()
        wait_for(lambda: worker.counted() == RECORDS - first - 1, stage, "counted", every_s=0.2)
        wait_for(lambda: stage.read(stage.settings.topics.dead_letters), stage, "the bad record is told", every_s=0.2)
        wait_for(lambda: {note.read for note in stage.notes() if note} == {RECORDS, 0}, stage, "committed", every_s=0.2)
        (letter,) = stage.read(stage.settings.topics.dead_letters)
        assert json.loads(letter)["offset"] == first
        assert min(note.term for note in stage.notes() if note) > TERM
        assert said in worker.logged()
        wait_for(lambda: worker.get("/health/ready")[0] == 200, stage, "ready", every_s=0.2)
