"""What the tests of a secured Kafka share."""

from collections.abc import Iterator

import pytest

from streams.embedded import EmbeddedKafka


@pytest.fixture(scope="package")
def secured() -> Iterator[EmbeddedKafka]:
    """A broker of its own with TLS, a SCRAM user and client certificates."""
    with EmbeddedKafka(tls=True) as cluster:
        yield cluster
