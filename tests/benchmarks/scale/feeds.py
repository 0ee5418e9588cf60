"""Two feeds with workers of their own, of which one grows ten-fold: what the other's workers notice of it.

The workers are one installation: same app, same topics of ours, one Judge; each is told only the feed that it counts.
When PIX is about to grow, a second worker for it is started; nothing is done to the shops'. Measured second by second
from outside, on `/metrics`: how many records lie unread, and how far a source's newest boundary is behind the clock.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from streams.embedded import EmbeddedKafka
from streams.embedded.process import Guard
from streams.settings import Feed, Settings, TopicNames
from streams.stress.ground import WorkerProcess
from streams.stress.load import Load, even_shops
from streams.topics import create_topics
from streams.trial import trial_variables

SHOPS, PIX = "shops", "pix"
PARTITIONS = 8
SHOPS_PER_S, PIX_PER_S, GROWS = 1_000.0, 300.0, 10
CALM_S, GROWN_S, SETTLE_S = 60.0, 90.0, 10.0
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Noticed:
    """Of one feed in one stretch: events unread at most, and seconds its sources were behind the clock."""

    feed: str
    stretch: str
    workers: int
    rate: float
    lag_max: int
    behind_p50_s: float
    behind_p99_s: float


@dataclass(slots=True)
class _Looks:
    """What was seen of the feeds in a stretch, look by look."""

    lags: dict[str, list[int]] = field(default_factory=lambda: {SHOPS: [], PIX: []})
    behind_s: dict[str, list[float]] = field(default_factory=lambda: {SHOPS: [], PIX: []})


def grown(kafka: EmbeddedKafka, calm_s: float = CALM_S, grown_s: float = GROWN_S) -> list[Noticed]:
    """Two rows before PIX grows, two rows after."""
    names = TopicNames(**{name: f"two.{name}" for name in TopicNames.model_fields})
    feeds = tuple(
        Feed(name=name, payments=f"two.{name}.payments", orders=f"two.{name}.orders") for name in (SHOPS, PIX)
    )
    both = kafka.settings(app_id="scale-two", feeds=feeds, topics=names)
    create_topics(both, PARTITIONS)
    one_each = {feed.name: kafka.settings(app_id="scale-two", feeds=(feed,), topics=names) for feed in feeds}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        guard = Guard(folder)
        stack.callback(guard.close)
        return asyncio.run(_Grown(one_each, guard, folder, stack).played(calm_s, grown_s))


class _Grown:
    """The play: who works, who sends, what was seen."""

    def __init__(self, settings: dict[str, Settings], guard: Guard, folder: Path, stack: ExitStack) -> None:
        self._settings, self._guard, self._folder, self._stack = settings, guard, folder, stack
        self._workers: list[WorkerProcess] = []

    async def played(self, calm_s: float, grown_s: float) -> list[Noticed]:
        """Calm, then a worker more, then growth."""
        for name in (SHOPS, PIX):
            await asyncio.to_thread(self._start, name)
        sending = [asyncio.create_task(self._load(SHOPS, SHOPS_PER_S, 1).run(calm_s + grown_s + 60))]
        calm = await self._watched(PIX_PER_S, 2, calm_s)
        more = asyncio.create_task(asyncio.to_thread(self._start, PIX))
        # PIX goes on at its old rate until its new worker is there.
        while not more.done():
            await self._load(PIX, PIX_PER_S, 3).run(SETTLE_S)
        await more
        after = await self._watched(GROWS * PIX_PER_S, 4, grown_s)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        return _rows(calm, "before", 1, PIX_PER_S) + _rows(after, "grown", 2, GROWS * PIX_PER_S)

    async def _watched(self, rate: float, seed: int, for_s: float) -> _Looks:
        """Send PIX payments at a rate, and look on; the first seconds are left out."""
        load, looks = self._load(PIX, rate, seed), _Looks()
        sending = asyncio.create_task(load.run(for_s))
        await asyncio.wait([sending, asyncio.create_task(load.begun.wait())], return_when=asyncio.FIRST_COMPLETED)
        began_s = time.monotonic()
        while not sending.done():
            await asyncio.wait([sending], timeout=LOOK_S)
            if not sending.done() and time.monotonic() - began_s > SETTLE_S:
                await asyncio.to_thread(self._look, looks)
        await sending
        return looks

    def _look(self, looks: _Looks) -> None:
        lags = {SHOPS: 0, PIX: 0}
        for worker in self._workers:
            for sample in worker.samples("pastille_ingest_lag_events", "pastille_watermark_age_seconds"):
                feed = sample.labels.get("source", "").partition("/")[0]
                if sample.name == "pastille_ingest_lag_events":
                    lags[feed] += int(sample.value)
                elif sample.name == "pastille_watermark_age_seconds":
                    looks.behind_s[feed].append(sample.value)
        for feed, lag in lags.items():
            looks.lags[feed].append(lag)

    def _start(self, feed: str) -> None:
        log = self._folder / f"{len(self._workers)}.log"
        worker = WorkerProcess(self._guard, log, trial_variables(self._settings[feed]))
        self._stack.callback(worker.end)
        worker.wait_until_ready()
        self._workers.append(worker)

    def _load(self, feed: str, rate: float, seed: int) -> Load:
        return Load(self._settings[feed], PARTITIONS, even_shops(rate, seed))


def _rows(looks: _Looks, stretch: str, workers: int, pix_rate: float) -> list[Noticed]:
    return [
        Noticed(
            feed, stretch, workers if feed == PIX else 1, pix_rate if feed == PIX else SHOPS_PER_S,
            max(looks.lags[feed]), _quantile(looks.behind_s[feed], 0.5), _quantile(looks.behind_s[feed], 0.99),
        )
        for feed in (SHOPS, PIX)
    ]  # fmt: skip


def _quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(values, share))
