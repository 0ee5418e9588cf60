"""What all tests share: one real Kafka broker a test session, started when a test first asks for it."""

from collections.abc import Iterator

import pytest

from streams.embedded import EmbeddedKafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """A real broker: `.bootstrap`, `.new_topic(stem, partitions)` for a name of its own, `.settings(**overrides)`.

    It raises where Kafka cannot start: a test run without Kafka fails, it does not skip.
    """
    with EmbeddedKafka() as broker:
        yield broker
