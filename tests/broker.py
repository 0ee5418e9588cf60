"""The broker of a test session: that of `tests.together`, which its processes share, or else one of its own."""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager, nullcontext

from kafka import KafkaProducer
from kafka.admin import NewTopic

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.settings import Settings

SHARED = "TESTS_BROKER"
"""The variable that says where the shared broker is."""


class Shared(EmbeddedKafka):
    """A broker that another process started: to be used, not to be ended."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def _servers(self, port: str) -> str:
        return self._address


def broker() -> AbstractContextManager[EmbeddedKafka]:
    """Entered, it runs."""
    address = os.environ.get(SHARED)
    return EmbeddedKafka() if address is None else nullcontext(Shared(address))


def applied(settings: Settings) -> None:
    """Wait until the broker does what was asked of it before: Kafka's controller answers sooner, by hundreds of
    milliseconds where other tests make topics. The broker follows in order, part by part: once the second of two later
    topics takes a record, all parts have followed up to the first."""
    producer = KafkaProducer(**settings.kafka_python())
    try:
        for _ in range(2):
            later = f"later-{secrets.token_hex(4)}"
            with admin_client(settings) as admin:
                admin.create_topics([NewTopic(later, 1, 1)])
            producer.send(later, b"taken").get(timeout=60)
    finally:
        producer.close()
