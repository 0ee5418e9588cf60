"""What each stage of counting from Kafka costs beside draining the same topic and counting nothing.

`python tests/benchmarks/ingest.py [--events N] [--rounds N] [--codec zstd] [--batch BYTES] [--rate EVENTS_A_SECOND]`:
rounds of all ways take turns in one process, so that a busy machine slows them all; figures are events per CPU second
and per wall second of this process, with its threads. Ways: aiokafka's `getmany`; librdkafka, where confluent-kafka is
installed; our fetched bytes; these opened; scanned too; counted, with votes, details and the tallies packed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from detector.contracts.policy import DEFAULT
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source
from detector.records.unpack import Unpacker
from detector.warm import warm
from streams.embedded import EmbeddedKafka
from streams.intake.codec import inflate
from streams.intake.fetch import Fetched, fetched
from streams.intake.lane import Lane
from streams.intake.placing import PAYMENTS
from streams.intake.raw import take_bytes
from streams.intake.reader import FETCH_BYTES, PARTITION_BYTES
from streams.intake.recovery import Begin
from streams.settings import Settings
from streams.tallylog import pack

EVENTS, ROUNDS, RATE, BATCH_BYTES = 1_000_000, 5, 1_000, 512 * 1024
START_MS = 1_772_000_000_000
METHODS = ("card", "pix", "wallet", "transfer", "boleto")
GETMANY_GOAL, LIBRDKAFKA_GOAL = 3.0, 1.5


@dataclass(frozen=True, slots=True)
class Speed:
    """Events per second of one round."""

    cpu: float
    wall: float


Way = Callable[[Settings, str, int], Speed]


def events(count: int, rate: int = RATE) -> Iterator[tuple[bytes, bytes, int]]:
    """Key, value and time: payments at 50 banks by 5 methods, of which 15 in 100 get a second status 2 s later."""
    waiting: list[tuple[int, int]] = []
    number = written = 0
    while written < count:
        at_ms = START_MS + written * 1000 // rate
        if waiting and waiting[0][1] <= at_ms:
            paid, _ = waiting.pop(0)
            status = "approved" if paid % 4 else "declined"
        else:
            paid, number = number, number + 1
            status = "pending" if paid % 20 < 3 else "approved" if paid % 8 else "declined"
            if status == "pending":
                waiting.append((paid, at_ms + 2_000))
        yield b"order-%d" % paid, _payment(paid, status, at_ms), at_ms
        written += 1


def _payment(number: int, status: str, at_ms: int) -> bytes:
    return (
        f'{{"payment_id":"pay-{number:09}","order_id":"order-{number}","bank":"bank-{number % 50}",'
        f'"method":"{METHODS[number // 50 % 5]}","status":"{status}","occurred_at":{at_ms},'
        f'"merchant_id":"shop-{number % 200}","shopper_id":"shopper-{number * 7919 % 65_536}","amount":1999,'
        '"currency":"EUR"}'
    ).encode()


async def fill(
    settings: Settings, topic: str, made: Iterator[tuple[bytes, bytes, int]], codec: str | None, batch_bytes: int
) -> None:
    """Write the events in batches of about this size."""
    async with AIOKafkaProducer(
        **settings.aiokafka(), max_batch_size=batch_bytes, compression_type=codec
    ) as producer:  # fmt: skip
        batch = producer.create_batch()
        for key, value, at_ms in made:
            if batch.append(key=key, value=value, timestamp=at_ms) is None:
                batch.close()
                await (await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=at_ms)
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))


def new_lane(topic: str) -> Lane:
    """A source of one topic, from its beginning."""
    names = Names(DEFAULT)
    counter = Counter(DEFAULT, names, Source("default", 0), {"default": 1})
    return Lane(counter, Decoder(DEFAULT, names), Begin(1, None, {topic: 0}, {topic: 0}), {topic: PAYMENTS})


def with_aiokafka(work: Callable[[str], Callable[[Sequence[Any]], int]], takes_bytes: bool) -> Way:
    """A way that reads with aiokafka, and lets a thread do the work on what came."""

    async def read(settings: Settings, topic: str, count: int) -> Speed:
        at, loop = TopicPartition(topic, 0), asyncio.get_running_loop()
        do = work(topic)
        with ThreadPoolExecutor(1) as thread:
            consumer = AIOKafkaConsumer(
                **settings.aiokafka(), auto_offset_reset="earliest", isolation_level="read_committed",
                max_partition_fetch_bytes=PARTITION_BYTES, fetch_max_bytes=FETCH_BYTES,
            )  # fmt: skip
            async with consumer:
                assert not takes_bytes or take_bytes(consumer) is None
                consumer.assign([at])
                end = (await consumer.end_offsets([at]))[at]
                began, seen = (time.process_time(), time.perf_counter()), 0
                while await consumer.position(at) < end:
                    found = (await consumer.getmany(at, timeout_ms=500)).get(at)
                    if found:
                        seen += await loop.run_in_executor(thread, do, found) if do is not _nothing else 0
                spent = time.process_time() - began[0], time.perf_counter() - began[1]
        assert do is _nothing or seen == count, seen
        return Speed(count / spent[0], count / spent[1])

    return lambda settings, topic, count: asyncio.run(read(settings, topic, count))


def _nothing(_: Sequence[Any]) -> int:
    return 0


def opened(_: str) -> Callable[[Sequence[Any]], int]:
    """Record batches opened."""
    unpacker = Unpacker(inflate)
    return lambda found: sum(map(len, fetched(found, unpacker)))


def scanned(_: str) -> Callable[[Sequence[Any]], int]:
    """Columns made of the values."""
    unpacker, decoder = Unpacker(inflate), Decoder(DEFAULT, Names(DEFAULT))

    def columns(part: Fetched) -> int:
        return len(decoder.decode(part.values, "payments", part.times, part.offsets).columns)

    return lambda found: sum(map(columns, fetched(found, unpacker)))


def counted(topic: str) -> Callable[[Sequence[Any]], int]:
    """All that the worker does with a fetch, until the tallies are bytes."""
    unpacker, lane = Unpacker(inflate), new_lane(topic)

    def count(part: Fetched) -> int:
        list(pack(lane.count(topic, part).tallies))
        return len(part)

    return lambda found: sum(map(count, fetched(found, unpacker)))


def with_librdkafka(settings: Settings, topic: str, count: int) -> Speed:
    """librdkafka alone, read ahead as far as it likes."""
    from confluent_kafka import Consumer  # type: ignore[import-not-found]
    from confluent_kafka import TopicPartition as Place

    consumer = Consumer({
        "bootstrap.servers": settings.broker, "group.id": "bench", "enable.auto.commit": False,
        "queued.min.messages": 1_000_000, "queued.max.messages.kbytes": 1_000_000, "fetch.wait.max.ms": 10,
    })  # fmt: skip
    consumer.assign([Place(topic, 0, 0)])
    began, seen = (time.process_time(), time.perf_counter()), 0
    while seen < count:
        seen += len(consumer.consume(10_000, 1.0))
    spent = time.process_time() - began[0], time.perf_counter() - began[1]
    consumer.close()
    return Speed(count / spent[0], count / spent[1])


WAYS: dict[str, Way] = {
    "getmany": with_aiokafka(lambda _: _nothing, takes_bytes=False),
    "getmany, counted": with_aiokafka(counted, takes_bytes=False),
    "bytes": with_aiokafka(lambda _: _nothing, takes_bytes=True),
    "bytes, opened": with_aiokafka(opened, takes_bytes=True),
    "bytes, scanned": with_aiokafka(scanned, takes_bytes=True),
    "bytes, counted": with_aiokafka(counted, takes_bytes=True),
}
if importlib.util.find_spec("confluent_kafka") is not None:
    WAYS = {"librdkafka": with_librdkafka, **WAYS}


def report(speeds: dict[str, list[Speed]]) -> None:
    """Print a table, and each goal with what was reached."""
    print(f"{'':18} {'events/CPU s':>13} {'events/s':>11} {'CPU µs/event':>13}")
    for way, rounds in speeds.items():
        cpu = statistics.median(speed.cpu for speed in rounds)
        wall = statistics.median(speed.wall for speed in rounds)
        print(f"{way:18} {cpu:13,.0f} {wall:11,.0f} {1e6 / cpu:13.2f}")
    for other, goal in (("getmany", GETMANY_GOAL), ("librdkafka", LIBRDKAFKA_GOAL)):
        if other not in speeds:
            print(f"counted ÷ {other}: confluent-kafka is not installed here")
            continue
        ratios = [ours.cpu / its.cpu for ours, its in zip(speeds["bytes, counted"], speeds[other], strict=True)]
        print(f"counted ÷ {other}, per CPU second: min {min(ratios):.2f}, median {statistics.median(ratios):.2f}, "
              f"max {max(ratios):.2f} (goal {goal})")  # fmt: skip


def main() -> None:
    """Fill a topic, read it in all ways, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--codec", choices=("gzip", "snappy", "lz4", "zstd"))
    parser.add_argument("--batch", type=int, default=BATCH_BYTES)
    parser.add_argument(
        "--rate", type=int, default=RATE, help="events a second of event time: a boundary costs the same"
    )
    chosen = parser.parse_args()
    with EmbeddedKafka() as kafka:
        topic, settings = kafka.new_topic("ingest"), kafka.settings()
        made = events(chosen.events, chosen.rate)
        asyncio.run(fill(settings, topic, made, chosen.codec, chosen.batch))
        warm()
        speeds: dict[str, list[Speed]] = {way: [] for way in WAYS}
        for _ in range(chosen.rounds):
            for way, read in WAYS.items():
                speeds[way].append(read(settings, topic, chosen.events))
    print(f"{chosen.events:,} events, {chosen.rate:,} a second of event time, {chosen.codec or 'not compressed'}, "
          f"batches of {chosen.batch:,} bytes")  # fmt: skip
    report(speeds)


if __name__ == "__main__":
    main()
