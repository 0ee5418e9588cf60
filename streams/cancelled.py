"""A cancellation that nobody asked for: Kafka's clients end waits of ours with it when they close or lose a connection.

Left alone it would end a task that nobody misses. Here it becomes what it is, an error of Kafka's. Knows no client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaConnectionError

__all__ = ["lost_is_an_error"]


@contextmanager
def lost_is_an_error() -> Iterator[None]:
    """Raises KafkaConnectionError in place of a cancellation that is not this task's."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise KafkaConnectionError("what was waited for was cancelled with its connection") from error
