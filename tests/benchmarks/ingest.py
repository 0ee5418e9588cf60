"""How fast the worker counts a pre-loaded topic, against aiokafka's bare `getmany` draining it, in one run.

`python -m pytest tests/benchmarks/ingest.py -s`: rounds of both take turns in one process, so that a busy machine slows
both; the figures are events per CPU second of this process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from detector.contracts.policy import DEFAULT
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source
from detector.warm import warm
from streams.embedded import EmbeddedKafka
from streams.intake.fetch import fetched
from streams.intake.lane import Lane
from streams.intake.placing import PAYMENTS
from streams.intake.recovery import Begin
from streams.settings import Settings
from streams.tallylog import pack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

EVENTS = 300_000
ROUNDS = 5
RATE = 1_000
GOAL = 0.5
START_MS = 1_700_000_000_000


def test_counting_keeps_half_the_speed_of_draining(kafka: EmbeddedKafka, capsys: pytest.CaptureFixture[str]) -> None:
    """Fetch, decode, count and pack the tallies: at least half of what fetching alone does, by CPU time."""
    topic = kafka.new_topic("ingest")
    settings = kafka.settings()
    asyncio.run(_fill(settings, topic))
    warm()
    asyncio.run(_read(settings, topic, _new_lane(topic)))
    drained, counted = [], []
    for _ in range(ROUNDS):
        drained.append(asyncio.run(_read(settings, topic, None)))
        counted.append(asyncio.run(_read(settings, topic, _new_lane(topic))))
    bare, ours = statistics.median(drained), statistics.median(counted)
    with capsys.disabled():
        print(f"\nper CPU second: bare getmany {bare:,.0f}, counted {ours:,.0f}, share {ours / bare:.2f} (goal {GOAL})")
    assert ours >= GOAL * bare


def _new_lane(topic: str) -> Lane:
    names = Names(DEFAULT)
    counter = Counter(DEFAULT, names, Source("default", 0), {"default": 1})
    begin = Begin(1, None, {topic: 0}, {topic: 0})
    return Lane(counter, Decoder(DEFAULT, names), begin, {topic: PAYMENTS})


async def _read(settings: Settings, topic: str, lane: Lane | None) -> float:
    """Events per CPU second; with a lane they are counted, in a thread as the worker does."""
    at = TopicPartition(topic, 0)
    with ThreadPoolExecutor(1) as thread:
        async with AIOKafkaConsumer(**settings.aiokafka(), auto_offset_reset="earliest") as consumer:
            consumer.assign([at])
            started_s, seen = time.process_time(), 0
            while seen < EVENTS:
                records = (await consumer.getmany(at, timeout_ms=500)).get(at, [])
                seen += len(records)
                if lane is not None and records:
                    loop = asyncio.get_running_loop()
                    found = await loop.run_in_executor(thread, lane.count, topic, fetched(records))
                    list(pack(found.tallies))
            return EVENTS / (time.process_time() - started_s)


async def _fill(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(**settings.aiokafka(), max_batch_size=512 * 1024) as producer:
        batch = producer.create_batch()
        for number in range(EVENTS):
            at_ms = START_MS + number * 1000 // RATE
            value = _payment(number, at_ms)
            if batch.append(key=b"order-%d" % number, value=value, timestamp=at_ms) is None:
                batch.close()
                await (await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
                batch.append(key=b"order-%d" % number, value=value, timestamp=at_ms)
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))


def _payment(number: int, at_ms: int) -> bytes:
    return json.dumps(
        {
            "payment_id": f"pay-{number}", "order_id": f"order-{number}", "bank": f"bank-{number % 50}",
            "method": ("card", "pix", "wallet", "transfer", "boleto")[number // 50 % 5],
            "status": "approved" if number % 8 else "declined", "occurred_at": at_ms,
            "merchant_id": f"shop-{number % 200}", "amount": 1999, "currency": "EUR",
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
