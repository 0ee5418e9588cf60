"""Ending a producer for certain: what waits is delivered, or given up where Kafka does not take it.

aiokafka's own `stop` waits for ever while no broker takes what is queued. Whatever is given up was not acknowledged,
and who writes here counts on nothing that was not. Does not know what is written.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiokafka import AIOKafkaProducer

__all__ = ["stop_producer"]

STOP_S: Final = 3.0


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Deliver what is queued, for some seconds at most, and disconnect."""
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait([stopping], timeout=STOP_S)
    if stopping.done() and not stopping.cancelled() and stopping.exception() is None:
        return
    stopping.cancel()
    for close in (producer._sender.close, producer.client.close):
        # Not awaited itself: its own tasks were cancelled, and that must not look like our cancellation.
        await asyncio.wait([asyncio.ensure_future(close())], timeout=STOP_S)
