"""What is committed with an offset's note is read back from a real broker."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.structs import TopicPartition

from streams.embedded import EmbeddedKafka
from streams.intake.reader import Reader
from streams.intake.recovery import Committed, Note


@pytest.mark.kafka
def test_a_note_comes_back(kafka: EmbeddedKafka) -> None:
    """A note is read back with its offset, and one of an earlier assignment is not written."""
    topic = kafka.new_topic("notes")
    settings = kafka.settings(app_id=topic)

    async def there_and_back() -> dict[TopicPartition, Committed]:
        reader = Reader(settings, [topic])
        await reader.start()
        try:
            while reader.round < 0:
                await asyncio.sleep(0.05)
            at = TopicPartition(topic, 0)
            assert await reader.commit({at: (7, Note(3, 1000, 9))}, reader.round)
            assert not await reader.commit({at: (8, Note(4, 1000, 9))}, reader.round - 1)
            return await reader.committed([at])
        finally:
            await reader.stop()

    found = asyncio.run(asyncio.wait_for(there_and_back(), 60))
    assert found == {TopicPartition(topic, 0): Committed(7, Note(3, 1000, 9))}
