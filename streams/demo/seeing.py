"""Fills a `Board` from what the worker publishes: the outages and health topics and its metrics.

Knows Kafka and HTTP; not how a board is shown.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaConsumer
from prometheus_client.parser import text_string_to_metric_families

from detector.contracts.policy_keys import DIMENSIONS
from streams.console.board import Board, Key
from streams.settings import Settings

__all__ = ["first_event_ms", "follow_health", "follow_outages", "poll_metrics"]

POLL_S: Final = 1.0
ANSWER_S: Final = 5.0
WINDOW: Final = "1m"
RATE, PAYMENTS, AGE = "pastille_approval_ratio", "pastille_payments_total", "pastille_watermark_age_seconds"


async def first_event_ms(settings: Settings) -> int:
    """Wait for the first payment event and say its time, epoch ms."""
    async with _consumer(settings, settings.feeds[0].payments) as consumer:
        record = await consumer.getone()
        return int(record.timestamp)


async def follow_outages(settings: Settings, board: Board, told: Callable[[str, Any], None]) -> None:
    """Take every outage event from the first on; `told` gets its text as it stands in Kafka, and its `Line`."""
    async with _consumer(settings, settings.topics.outages) as consumer:
        async for record in consumer:
            text = record.value.decode()
            told(text, board.take_outage(json.loads(text)))


async def follow_health(settings: Settings, board: Board) -> None:
    """Take every health record."""
    async with _consumer(settings, settings.topics.health) as consumer:
        async for record in consumer:
            if record.value is not None:
                board.take_health(json.loads(record.value))


async def poll_metrics(url: str, board: Board) -> None:
    """Read of the worker's metrics what is shown, once a second; one that does not answer yet is asked again."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(url, params=[("name[]", name) for name in (RATE, PAYMENTS, AGE)]) as answer:
                    text = await answer.text()
                _take(board, text)
            except (aiohttp.ClientError, TimeoutError):
                pass  # it is starting, or it is gone, and then its process says so
            await asyncio.sleep(POLL_S)


def _take(board: Board, text: str) -> None:
    """Approval rates by bank and method in the last minute, the payments counted, and how far the worker is behind."""
    rates: dict[Key, float] = {}
    payments, behind_s = 0.0, None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == RATE and labels.get("window") == WINDOW:
                if any(labels.get(name) for name in DIMENSIONS[2:]):
                    continue  # a part of a bank's or a method's payments, which the screen does not tell apart
                rates[labels.get("bank", ""), labels.get("method", "")] = sample.value
            elif sample.name == PAYMENTS and labels.get("status") == "pending":
                payments += sample.value
            elif sample.name == AGE:
                behind_s = max(behind_s or 0.0, sample.value)
    board.take_rates(rates, payments, behind_s)


def _consumer(settings: Settings, topic: str) -> Any:
    # In no group: it reads from the beginning, beside the worker, and leaves nothing behind.
    return AIOKafkaConsumer(
        topic, **settings.aiokafka(), group_id=None, auto_offset_reset="earliest", enable_auto_commit=False,
        isolation_level="read_committed",
    )  # fmt: skip
