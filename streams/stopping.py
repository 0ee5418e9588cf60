"""Ending a client of Kafka's for certain, within seconds, whatever the brokers do.

aiokafka's own `stop` of a producer waits for ever while no broker takes what is queued: what is given up here was not
acknowledged, and who writes counts on nothing that was not. Its `stop` of a consumer ends in a cancellation that nobody
asked for where a broker is away, and leaves the connections to who is not there any more. Nothing is raised, so that
how a client ends never hides why it was ended; it is said in the log. Does not know what is written or read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

__all__ = ["stop_consumer", "stop_producer"]

log = logging.getLogger(__name__)

STOP_S: Final = 3.0


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Deliver what is queued, for some seconds at most, and disconnect."""
    if not await _ends(producer.stop()):
        await _ends(producer._sender.close())
        await _ends(producer.client.close())


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Leave the group, where the brokers answer within some seconds, and disconnect."""
    if not await _ends(consumer.stop()):
        await _ends(consumer._client.close())


async def _ends(stopping: Coroutine[Any, Any, None]) -> bool:
    """Whether it ended well in time. Not awaited itself: its own tasks are cancelled, and that must not look like our
    cancellation."""
    task = asyncio.ensure_future(stopping)
    await asyncio.wait([task], timeout=STOP_S)
    if not task.done():
        task.cancel()
        why = f"not within {STOP_S:.0f} s"
    elif task.cancelled():
        why = "cancelled with its connection"
    elif (error := task.exception()) is not None:
        why = f"{type(error).__name__}: {error}"
    else:
        return True
    log.warning("a client of Kafka's did not stop cleanly: %s; it is disconnected", why)
    return False
