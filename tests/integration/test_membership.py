"""What Faust reads of partitions that are paused, with a real broker: nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from faust.types import TP

from streams.embedded import EmbeddedKafka
from streams.verdict.membership import build_app
from tests.integration.workers import Stage

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]


def test_nothing_is_read_while_all_partitions_are_paused(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """Between a dealing and its recovery Faust pauses all, and a read that was under way gives no record to be thrown
    away; it would with a plain set, which is what Faust has: where this changes, our consumer can go."""

    async def read(stage: Stage) -> list[int]:
        faust_consumer = build_app(stage.settings, str(tmp_path)).consumer
        at = TP(stage.feed.payments, 0)
        async with AIOKafkaConsumer(**stage.settings.aiokafka(), auto_offset_reset="earliest") as consumer:
            consumer.assign([at])
            faust_consumer.resume_partitions({at})
            unpaused = faust_consumer._get_active_partitions()  # type: ignore[attr-defined]  # of the class, not the type
            faust_consumer.pause_partitions({at})
            assert unpaused == set()
            while at not in consumer._fetcher._records:
                await asyncio.sleep(0.01)
            found = [await consumer._fetcher.fetched_records(asked) for asked in (unpaused, set())]
            return [len(records.get(at, ())) for records in found]

    with Stage(kafka, 1) as stage:
        stage.send_raw(stage.feed.payments, [(None, b"a"), (None, b"b")])
        assert asyncio.run(read(stage)) == [0, 2]
