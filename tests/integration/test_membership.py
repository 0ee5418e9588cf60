"""Where Faust alone would leave a worker without its table, with a real broker: records of partitions that are paused,
and a broker that stands still."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from faust.types import TP

from detector.contracts.policy import Policy
from streams.embedded import EmbeddedKafka
from streams.patience import REQUEST_MS
from streams.verdict.agent import Verdict
from streams.verdict.membership import build_app
from tests.integration.workers import Stage

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

STILL_S = REQUEST_MS / 1000 + 2
JUDGES_S_MAX = 60


def test_nothing_is_read_while_all_partitions_are_paused(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """Between a dealing and its recovery Faust pauses all, and a read that was under way gives no record to be thrown
    away; it would with a plain set, which is what Faust has: where this changes, our consumer can go."""

    async def read(stage: Stage) -> list[int]:
        faust_consumer = build_app(stage.settings, str(tmp_path)).consumer
        at = TP(stage.feed.payments, 0)
        async with AIOKafkaConsumer(**stage.settings.aiokafka(), auto_offset_reset="earliest") as consumer:
            consumer.assign([at])
            faust_consumer.resume_partitions({at})
            unpaused = faust_consumer._get_active_partitions()  # type: ignore[attr-defined]  # of the class, not the type
            faust_consumer.pause_partitions({at})
            assert unpaused == set()
            while at not in consumer._fetcher._records:
                await asyncio.sleep(0.01)
            found = [await consumer._fetcher.fetched_records(asked) for asked in (unpaused, set())]
            return [len(records.get(at, ())) for records in found]

    with Stage(kafka, 1) as stage:
        stage.send_raw(stage.feed.payments, [(None, b"a"), (None, b"b")])
        assert asyncio.run(read(stage)) == [0, 2]


def test_a_broker_that_stands_still_at_a_dealing_costs_no_judge(tmp_path: Path) -> None:
    """For longer than a request may take, just when the table is to be recovered: the worker judges all the same. A
    broker of its own, for nobody else's stands still."""

    async def play(kafka: EmbeddedKafka, stage: Stage) -> None:
        app = build_app(stage.settings, str(tmp_path))
        verdict = Verdict(app, stage.settings, Policy(), lambda: time.time_ns() // 10**6)
        stood = asyncio.Event()

        async def stand_still(*_: Any, **__: Any) -> None:
            if not stood.is_set():
                stood.set()
                os.kill(kafka.pids[0], SIGSTOP)
                asyncio.get_running_loop().call_later(STILL_S, os.kill, kafka.pids[0], SIGCONT)

        app.on_partitions_assigned.connect(stand_still)
        begun = [asyncio.create_task(verdict.start()), asyncio.create_task(verdict.watch())]
        async with asyncio.timeout(STILL_S + JUDGES_S_MAX):
            while verdict.tenure is None and not verdict.failed.done():
                await asyncio.sleep(0.1)
        assert stood.is_set()
        assert verdict.tenure is not None
        begun[1].cancel()
        await verdict.stop()

    with EmbeddedKafka() as kafka, Stage(kafka, 1) as stage:
        asyncio.run(play(kafka, stage))
