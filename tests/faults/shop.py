"""Shops that never stop: payments at a steady rate, whatever happens to brokers, and now and then a bank that dies.

Half of the payments wait before they are answered, so that a count needs what came before. Says nothing about what
became of the events: what stands on the topic is what counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from detector.rehearsal.partition import partitions
from tests.integration.workers import Stage

SLICE_S = 0.1
PAST_SLICE_S = 1.0
BATCH_BYTES = 512 * 1024
BANKS, METHODS, SHOPS = 6, ("card", "pix"), 37
RED_SHARE, WAITING_SHARE = 0.05, 0.5
ANSWER_S = (0.3, 4.0)
UNDER_WAY_MAX = 2_000
"""Batches a broker has not taken yet: what is more is given up, as a shop would."""


class Shop(threading.Thread):
    """Sends about `rate` events a second until left; `dead` is the bank that refuses everything now, if one does."""

    def __init__(self, stage: Stage, rate: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.stage, self.rate = stage, rate
        self.dead: str | None = None
        self.given_up = 0
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._number = 0
        self._waiting: list[tuple[float, dict[str, Any]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def fill(self, minutes: float) -> None:
        """Before it starts: what it sold in the minutes until now, so that a worker that takes over has as much to read
        again as after a day."""
        asyncio.run(self._send_past(minutes * 60))

    def end(self) -> None:
        """Send no more, and wait until the brokers have what was sent."""
        self._ended.set()
        self.join(120)

    def run(self) -> None:
        """The thread."""
        asyncio.run(self._send())

    async def _send(self) -> None:
        async with AIOKafkaProducer(**self.stage.settings.aiokafka() | {"request_timeout_ms": 30_000}) as producer:
            next_s = time.monotonic()
            while not self._ended.is_set():
                await self._slice(producer)
                next_s = max(next_s + SLICE_S, time.monotonic() - 1.0)
                await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=90)

    async def _slice(self, producer: AIOKafkaProducer) -> None:
        for place, batch in self._batches(producer, self._events(time.time(), SLICE_S)).items():
            if len(self._under_way) >= UNDER_WAY_MAX:
                self.given_up += batch.record_count()
                continue
            task = asyncio.create_task(self._ship(producer, batch, place))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send_past(self, seconds: float) -> None:
        sizes = {"max_batch_size": BATCH_BYTES, "max_request_size": 2 * BATCH_BYTES}
        async with AIOKafkaProducer(**self.stage.settings.aiokafka(), **sizes) as producer:
            at_s = time.time() - seconds
            while at_s < time.time():
                batches = self._batches(producer, self._events(at_s, PAST_SLICE_S))
                await asyncio.gather(*(self._ship(producer, batch, place) for place, batch in batches.items()))
                at_s += PAST_SLICE_S

    def _batches(self, producer: AIOKafkaProducer, events: list[dict[str, Any]]) -> dict[int, Any]:
        """The events as record batches, by partition."""
        keys = [event["order_id"].encode() for event in events]
        batches: dict[int, Any] = {}
        for event, key, place in zip(events, keys, partitions(keys, self.stage.count).tolist(), strict=True):
            if place not in batches:
                batches[place] = producer.create_batch()
            batches[place].append(key=key, value=json.dumps(event).encode(), timestamp=event["occurred_at"])
        for batch in batches.values():
            batch.close()
        return batches

    async def _ship(self, producer: AIOKafkaProducer, batch: Any, place: int) -> None:
        with contextlib.suppress(KafkaError):  # refused for good: it does not stand on the topic, or perhaps it does
            await (await producer.send_batch(batch, self.stage.feed.payments, partition=place))

    def _events(self, now_s: float, slice_s: float) -> list[dict[str, Any]]:
        """Payments that begin, and answers that are due."""
        due = [event for at_s, event in self._waiting if at_s <= now_s]
        self._waiting = [(at_s, event) for at_s, event in self._waiting if at_s > now_s]
        begun = [self._begin(now_s) for _ in range(round(self.rate * slice_s / (1 + WAITING_SHARE)))]
        return [{**event, "occurred_at": int(now_s * 1000)} for event in due] + begun

    def _begin(self, now_s: float) -> dict[str, Any]:
        number, draw = self._number, self._random
        self._number += 1
        bank = f"bank-{number % BANKS}"
        is_red = bank == self.dead or draw.random() < RED_SHARE
        payment = {
            "payment_id": f"pay-{number}", "order_id": f"order-{number}", "bank": bank,
            "method": METHODS[number // BANKS % 2], "merchant_id": f"shop-{number % SHOPS}",
            "occurred_at": int(now_s * 1000), "started_at": int(now_s * 1000),
            "status": "declined" if is_red else "approved",
        }  # fmt: skip
        if draw.random() >= WAITING_SHARE:
            return payment
        self._waiting.append((now_s + draw.uniform(*ANSWER_S), payment))
        return {**payment, "status": "pending"}
