"""The load: seeded shops at a given rate of events, each sent when it is due, in batches made by hand.

A batch a slice of time and partition, since a send an event would make the sender the first to give way. Knows the
producer and real time; not who counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from detector.rehearsal.line import Lines, is_order
from detector.rehearsal.partition import partitions
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import Events, simulate
from streams.cancelled import lost_is_an_error
from streams.settings import Settings

__all__ = ["Due", "Load", "TooSlow", "even_shops"]

Int64s: TypeAlias = npt.NDArray[np.int64]

SLICE_MS = 50
SLICE_EVENTS_MAX = 5_000
BATCH_BYTES = 4 << 20
BATCHES_MAX = 1_000
"""Under way at once: a broker that takes none of them makes the sender wait."""
WARM_MS = 15_000
"""Answers and second tries follow by seconds: shops that only opened would send half of their rate."""
EVENTS_AN_ORDER = 3.7
"""Of these shops: order and payment events, retries among them."""


def even_shops(rate: float, seed: int, **more: Any) -> Shops:
    """Shops that send about `rate` events a second at any hour; `more` as Shops has it."""
    return Shops(seed=seed, rate=rate / EVENTS_AN_ORDER, swing=0.0, **more)


class TooSlow(KafkaError):  # type: ignore[misc]  # Kafka's errors have no types
    """The broker left batches waiting until they were given up."""


class Due:
    """How many events must be sent by now: of those drawn, all whose time has come; where drawing is late, the rate.

    By the clock, not by what was handed over: a sender that waits or does not keep up makes nothing less due. Takes
    times in ms, and a rate of events a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._before = 0
        self._times: Int64s = np.empty(0, np.int64)
        self._end_ms: int | None = None

    def draw(self, times: Int64s, end_ms: int) -> None:
        """The times of the next ones, in order, when those before are all due; more come until `end_ms`."""
        self._before += len(self._times)
        self._times, self._end_ms = np.ascontiguousarray(times), end_ms

    def end(self) -> None:
        """There are no more."""
        self._end_ms = None

    def by(self, now_ms: int) -> int:
        """How many."""
        drawn = self._before + int(self._times.searchsorted(now_ms, "right"))
        if self._end_ms is None:
            return drawn
        late_ms = min(now_ms, self._end_ms) - int(self._times[-1])
        return drawn + int(max(0, late_ms) * self._rate / 1000)


class Load:
    """Sends what shops would send while `run` runs, with real times; their faults count from when the load begins.

    `begun` is set when the first are due. `due`, `sent` and `lost` count events that had to be sent by now, those that
    the broker says it has, and those given up, since it did not say so in time. After `stop` no more is handed over:
    what is due and not sent then stays due.
    """

    def __init__(self, settings: Settings, count: int, shops: Shops) -> None:
        feed = settings.feeds[0]
        self._topics = (feed.payments, feed.orders or feed.payments)
        self._settings, self._count, self._shops = settings, count, shops
        self._under_way: dict[asyncio.Task[None], float] = {}
        self._waits_since_s: float | None = None
        self._slowest_s = 0.0
        self._error: KafkaError | None = None
        self._stopped = asyncio.Event()
        self._due = Due(shops.rate * EVENTS_AN_ORDER)
        self.begun = asyncio.Event()
        self.sent = self.lost = 0

    @property
    def due(self) -> int:
        """Events that had to be sent by now, whatever became of them."""
        return self._due.by(_now_ms())

    def stop(self) -> None:
        """Hand over no more; `run` ends when the broker has said what became of the rest."""
        self._stopped.set()

    async def run(self, for_s: float) -> None:
        """Send for so long, and wait until the broker has it all.

        Raises KafkaError where it refuses, and in the end TooSlow where some was given up.
        """
        late = [replace(fault, from_ms=fault.from_ms + WARM_MS, to_ms=fault.to_ms + WARM_MS)
                for fault in self._shops.faults]  # fmt: skip
        shops = replace(self._shops, start_ms=_now_ms(), faults=tuple(late))
        for_ms = round(for_s * 1000)
        lines, blocks, end_ms = Lines(shops), _opened(shops, for_ms), 0
        async with AIOKafkaProducer(
            **self._settings.aiokafka(), max_batch_size=BATCH_BYTES, max_request_size=2 * BATCH_BYTES
        ) as producer:
            while not self._stopped.is_set() and (block := await asyncio.to_thread(next, blocks, None)) is not None:
                end_ms = end_ms or _now_ms() + for_ms
                self._due.draw(block["at"], end_ms)
                self.begun.set()
                for some in _slices(block):
                    await asyncio.sleep(max(0, int(some["at"][-1]) - _now_ms()) / 1000)
                    if self._stopped.is_set():
                        break
                    await self._send(producer, lines, some)
            if not self._stopped.is_set():
                self._due.end()
            while self._under_way:
                await asyncio.wait(self._under_way)
        if self._error is not None:
            raise self._error
        if self.lost:
            raise TooSlow(f"{self.lost} events were given up")

    def take_slowest_ms(self) -> float:
        """The slowest batch since the last call, among them those under way and the one that waits for room."""
        slowest_s, self._slowest_s = self._slowest_s, 0.0
        now_s = time.monotonic()
        waiting_s = 0.0 if self._waits_since_s is None else now_s - self._waits_since_s
        return 1000 * max([slowest_s, waiting_s, *(now_s - began_s for began_s in self._under_way.values())])

    async def _send(self, producer: AIOKafkaProducer, lines: Lines, events: Events) -> None:
        """Hand over a batch of each partition that has some."""
        keys = [key.encode() for key in lines.keys(events)]
        places = partitions(keys, self._count).tolist()
        batches: dict[tuple[str, int], tuple[Any, int]] = {}
        rows = zip(keys, lines.values(events), events["at"].tolist(), is_order(events), places, strict=True)
        for key, value, at_ms, for_orders, partition in rows:
            at = (self._topics[for_orders], partition)
            batch, count = batches.get(at) or (producer.create_batch(), 0)
            taken = batch.append(key=key, value=value.encode(), timestamp=at_ms)
            assert taken is not None, "a slice fits into a batch"
            batches[at] = (batch, count + 1)
        for (topic, partition), (batch, count) in batches.items():
            batch.close()
            began_s = self._waits_since_s = time.monotonic()
            try:
                acknowledged = await _handed_over(producer, batch, topic, partition)
            except KafkaError as error:
                self._give_up(error, count)
                continue
            finally:
                self._waits_since_s = None
            task = asyncio.create_task(self._acknowledged(acknowledged, count, began_s))
            self._under_way[task] = began_s
            task.add_done_callback(self._under_way.pop)
        if len(self._under_way) >= BATCHES_MAX:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _acknowledged(self, waiting: asyncio.Future[Any], count: int, began_s: float) -> None:
        try:
            with lost_is_an_error():
                await waiting
        except KafkaError as error:
            self._give_up(error, count)
        else:
            self.sent += count
        self._slowest_s = max(self._slowest_s, time.monotonic() - began_s)

    def _give_up(self, error: KafkaError, count: int) -> None:
        """What may be tried again has been, until its time was up: the broker is too slow. Anything else it refuses."""
        self.lost += count
        if not error.retriable:
            self._error = error


async def _handed_over(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
    """A batch that the producer has; where an earlier one waits for the broker, it waits too, for as long as we run."""
    while True:
        with suppress(KafkaTimeoutError):  # after a request's time, in which nothing was handed over
            taken: asyncio.Future[Any] = await producer.send_batch(batch, topic, partition=partition)
            return taken


def _opened(shops: Shops, for_ms: int) -> Iterator[Events]:
    """The events of shops that have been open for a while, with times that begin when the first are asked for.

    Drawing the while before takes time too: what was due meanwhile would be late.
    """
    shift_ms: int | None = None
    for block in simulate(shops, WARM_MS + for_ms):
        events = block[block["at"] >= shops.start_ms + WARM_MS]
        if len(events):
            shift_ms = _now_ms() - shops.start_ms - WARM_MS if shift_ms is None else shift_ms
            events["at"] += shift_ms
            events["start"] += shift_ms
            yield events


def _slices(events: Events) -> Iterator[Events]:
    """Pieces of at most so much time and so many events, in order."""
    at = 0
    while at < len(events):
        stop = int(events["at"].searchsorted(events["at"][at] + SLICE_MS))
        stop = min(max(stop, at + 1), at + SLICE_EVENTS_MAX)
        yield events[at:stop]
        at = stop


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
