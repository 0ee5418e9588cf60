"""The judging worker is killed in an open outage at 2,000 events a second: the other one goes on where it was, and
keeps its seat when one more comes."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from pathlib import Path
from signal import SIGKILL
from typing import Any, Self

import pytest
from aiokafka import AIOKafkaProducer

from detector.rehearsal.partition import partitions
from streams.embedded import EmbeddedKafka
from tests.integration.workers import Stage, WorkerProcess, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

RATE = 2_000
SLICE_S = 0.25
PARTITIONS = 4
DEAD = "bank-0"
BEGUN = "verdict: judging from offset"
KEPT = "the seat is ours again, judging goes on"
LOST = ("local member_id was not recognized", "the Judge leaves its seat")
"""Kafka gave the worker up, which it did not hear for a session, or refused it: the machine stood still."""
TRIES = 3
POLICY = """
evidence.mode = "off"
[all_red]
after_s = 10
[resolve]
hold_s = 5
window_s = 5
"""


class Shop(threading.Thread):
    """Sends payments of five banks, `rate` a second, until stopped; `is_dead` refuses everything at the first."""

    def __init__(self, stage: Stage, rate: int = RATE) -> None:
        super().__init__(daemon=True)
        self.stage, self.rate = stage, rate
        self.is_dead = False
        self._stopped = threading.Event()
        self._sent = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(20)

    def run(self) -> None:
        asyncio.run(self._send())

    async def _send(self) -> None:
        async with AIOKafkaProducer(**self.stage.settings.aiokafka()) as producer:
            next_s = time.monotonic()
            while not self._stopped.is_set():
                await self._slice(producer)
                next_s += SLICE_S
                await asyncio.sleep(max(0.0, next_s - time.monotonic()))

    async def _slice(self, producer: AIOKafkaProducer) -> None:
        now_ms = time.time_ns() // 10**6
        numbers = range(self._sent, self._sent + int(self.rate * SLICE_S))
        self._sent = numbers.stop
        keys = [f"order-{number}".encode() for number in numbers]
        batches = [producer.create_batch() for _ in range(self.stage.count)]
        for number, key, place in zip(numbers, keys, partitions(keys, self.stage.count).tolist(), strict=True):
            batches[place].append(key=key, value=self._payment(number, now_ms), timestamp=now_ms)
        for place, batch in enumerate(batches):
            if batch.record_count():
                batch.close()
                await producer.send_batch(batch, self.stage.feed.payments, partition=place)

    def _payment(self, number: int, now_ms: int) -> bytes:
        bank = f"bank-{number % 5}"
        is_red = number % 20 == 1 or (self.is_dead and bank == DEAD)
        return json.dumps({
            "payment_id": f"pay-{number}", "order_id": f"order-{number}", "bank": bank, "method": "card",
            "status": "declined" if is_red else "approved", "occurred_at": now_ms, "merchant_id": f"shop-{number % 37}",
        }).encode()  # fmt: skip


def test_a_killed_judge_is_followed_in_the_open_outage(
    kafka: EmbeddedKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same outage_id, the next sequence, no second `started`, by the Judge that stood by; the seconds until it judges
    again are printed. The killed one leaves nothing in the folder for temporary files. Another worker comes: the group
    deals anew, and the Judge is not put together again."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with Stage(kafka, PARTITIONS) as stage, Shop(stage) as shop:
        workers = [stage.worker("--policy", str(policy)) for _ in range(2)]
        wait_for(lambda: judged_ms(stage) > _now_ms() - 5_000, stage, "judging near the clock")
        shop.is_dead = True
        wait_for(stage.outages, stage, "an outage started", every_s=1)
        judging = wait_for(lambda: _who_judges(stage), stage, "one judges")
        other = next(worker for worker in workers if worker is not judging)
        wait_for(lambda: other.metric("pastille_judge_standby") == 1, stage, "the other stands by")
        assert judging.end(SIGKILL) == -SIGKILL
        assert list(temporary.iterdir()) == []
        killed_ms, killed_s = _now_ms(), time.monotonic()
        wait_for(lambda: judged_ms(stage) > killed_ms, stage, "judging again")
        with capsys.disabled():
            print(f"\njudging again {time.monotonic() - killed_s:.1f} s after SIGKILL, at {RATE} events/s")
        shop.is_dead = False
        wait_for(lambda: _is_resolved(stage.outages()), stage, "the outage resolved", every_s=1)
        events = [event for event in stage.outages() if event["subject"] == f"bank:{DEAD}"]
        assert [event["type"].split(".")[2] for event in events].count("started") == 1
        assert len({event["data"]["outage_id"] for event in events}) == 1
        assert [event["data"]["sequence"] for event in events] == list(range(1, len(events) + 1))
        assert {event["subject"] for event in stage.outages()} == {f"bank:{DEAD}"}
        assert other.metric("pastille_judge_active") == 1
        *_, stood, began = (int(at) for at in re.findall("log read from ([0-9]+)", other.logged()))
        assert stood < began, "the log that the one which stood by had read is not read again"
        for _ in range(TRIES):
            news = _while_one_more_comes(stage, wait_for(lambda: _who_judges(stage), stage, "one judges"))
            if not any(word in news for word in LOST):
                break
        assert BEGUN not in news, "\n\n".join(worker.logged() for worker in stage.workers)


def _while_one_more_comes(stage: Stage, judging: WorkerProcess) -> str:
    """What the one that judges logs until it judges again behind the dealing that another worker brings."""
    logged = len(judging.logged())
    stage.worker()
    wait_for(lambda: any(word in judging.logged()[logged:] for word in (KEPT, *LOST)), stage, "the seat dealt again")
    dealt_ms = _now_ms()
    wait_for(lambda: judged_ms(stage) > dealt_ms, stage, "judging after that")
    return judging.logged()[logged:]


def _who_judges(stage: Stage) -> WorkerProcess | None:
    living = [worker for worker in stage.workers if worker.process.poll() is None]
    return next((worker for worker in living if worker.metric("pastille_judge_active") == 1), None)


def _is_resolved(events: list[dict[str, Any]]) -> bool:
    return any(event["type"].endswith(".resolved.v1") for event in events)


def _now_ms() -> int:
    return time.time_ns() // 10**6
