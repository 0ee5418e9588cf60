"""Load a real Kafka at a rate while banks die, then read both topics again and compare the broker's times."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from kafka.admin import ConfigResource

from detector.contracts.scope import parse_scope
from detector.rehearsal.fault import Fault, FaultKind
from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from streams.embedded.process import Guard
from streams.settings import Settings
from streams.stress.ground import Seen, WorkerProcess
from streams.stress.load import Load, even_shops
from streams.topics import create_topics
from streams.trial import trial_settings, trial_variables
from tests.benchmarks.latency.delays import Deciding, Outage, kept, page
from tests.benchmarks.throughput.__main__ import OUT, machine
from tests.topic import records_of

RATE, FOR_S, QUICK_S = 10_000.0, 300.0, 60.0
PARTITIONS = 8
BANKS, FIRST_BANK = 200, 5
"""The largest banks stay up: one alone would be a good part of the platform."""
CALM_S, APART_S, DOWN_S = 20.0, 2.0, 20.0
SETTLE_S = 5.0
LOOK_S = 5.0
POLICY = "[all_red]\nafter_s = 5\nvoters = 5\n"
"""Quick, since how soon a rule may speak is not what is measured."""


class _Event(msgspec.Struct):
    occurred_at: int
    bank: str | None = None
    method: str | None = None


_decoder = msgspec.json.Decoder(_Event)


def main() -> int:
    """Measure, keep, print."""
    wanted = _arguments()
    for_s = wanted.for_s or (QUICK_S if wanted.quick else FOR_S)
    is_whole = not wanted.quick and (wanted.rate, for_s, wanted.workers) == (RATE, FOR_S, 1)
    found = asyncio.run(measured(wanted.rate, for_s, wanted.workers))
    folder = wanted.out or (OUT if is_whole else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "latency.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (folder / "latency.md").write_text(page(found), encoding="utf-8")
    print(page(found))
    return 0


async def measured(rate: float, for_s: float, workers: int) -> dict[str, Any]:
    """The load, and what the topics say of it afterwards."""
    with ExitStack() as stack:
        kafka = stack.enter_context(EmbeddedKafka())
        settings = trial_settings("pastille-latency", kafka.bootstrap)
        create_topics(settings, PARTITIONS)
        stamp_when_appended(settings)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pastille-latency-")))
        (folder / "policy.toml").write_text(POLICY)
        guard = Guard(folder)
        stack.callback(guard.close)
        variables = {**trial_variables(settings), "PASTILLE_POLICY": str(folder / "policy.toml")}
        started = []
        for number in range(workers):
            worker = WorkerProcess(guard, folder / f"worker-{number}.log", variables)
            stack.callback(worker.end)
            started.append(worker)
        for worker in started:
            worker.wait_until_ready()
        run = await loaded(settings, started, rate, for_s)
        outages = [outage async for outage in started_outages(settings)]
        _tell(f"{len(outages)} outages started; reading {run['sent']:,} events again")
        deciding = Deciding(outages)
        async for record in records_of(settings, settings.feeds[0].payments, PARTITIONS):
            event = _decoder.decode(record.value)
            deciding.see(event.occurred_at, record.timestamp, {"bank": event.bank, "method": event.method})
    return kept({**run, "workers": workers, "partitions": PARTITIONS}, deciding.delays())


async def loaded(settings: Settings, workers: list[WorkerProcess], rate: float, for_s: float) -> dict[str, Any]:
    """Send, look now and then, and wait until what was sent is judged."""
    load = Load(settings, PARTITIONS, even_shops(rate, 1, banks=BANKS, faults=tuple(dying(for_s))))
    sending = asyncio.create_task(load.run(for_s))
    await asyncio.wait([sending, asyncio.create_task(load.begun.wait())], return_when=asyncio.FIRST_COMPLETED)
    began_s, lags, looks = time.monotonic(), [0], [await _look(workers)]
    while not sending.done():
        await asyncio.wait([sending], timeout=LOOK_S)
        looks.append(await _look(workers))
        lags.append(sum(seen.lag or 0 for seen in looks[-1]))
    await sending
    sent_s = time.monotonic() - began_s
    cpu_s = sum((after.cpu_s or 0.0) - (before.cpu_s or 0.0) for before, after in zip(looks[0], looks[-1], strict=True))
    await asyncio.sleep(SETTLE_S)
    return {
        "machine": machine(), "when": time.strftime("%Y-%m-%d"), "asked_per_s": rate, "sent": load.sent,
        "sent_per_s": load.sent / sent_s, "for_s": sent_s, "cores": cpu_s / sent_s, "lag_max": max(lags),
    }  # fmt: skip


def dying(for_s: float) -> list[Fault]:
    """One bank after the other, each once, the last in time to be found."""
    count = min(BANKS - FIRST_BANK, max(0, int((for_s - CALM_S - DOWN_S) / APART_S)))
    names = even_shops(1.0, 1, banks=BANKS).bank_names[FIRST_BANK:]
    starts_ms = [round((CALM_S + number * APART_S) * 1000) for number in range(count)]
    down_ms = round(DOWN_S * 1000)
    return [
        Fault(parse_scope(f"bank:{name}"), FaultKind.ALL_RED, from_ms, from_ms + down_ms)
        for name, from_ms in zip(names, starts_ms, strict=False)
    ]


def stamp_when_appended(settings: Settings) -> None:
    """The broker's own time on every record of the two topics that are compared."""
    names = (settings.feeds[0].payments, settings.topics.outages)
    wanted = {"message.timestamp.type": "LogAppendTime"}
    with admin_client(settings) as admin:
        admin.alter_configs([ConfigResource("topic", name, wanted) for name in names])


async def started_outages(settings: Settings) -> AsyncIterator[Outage]:
    """The outages that started, as they stand on their topic."""
    async for record in records_of(settings, settings.topics.outages, 1, isolation_level="read_committed"):
        event = json.loads(record.value)
        if event["type"] == "pastille.outage.started.v1":
            scope = parse_scope(event["subject"])
            yield Outage(scope.values, event["data"]["detected_at"], record.timestamp)


async def _look(workers: list[WorkerProcess]) -> list[Seen]:
    return [await asyncio.to_thread(worker.look) for worker in workers]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="how long an outage event takes, by the broker's times")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S:.0f} s; prints and keeps nothing")
    parser.add_argument("--rate", type=float, default=RATE, help=f"events a second; default: {RATE:,.0f}")
    parser.add_argument("--for", dest="for_s", type=float, help=f"seconds; default: {FOR_S:.0f}")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the folder of latency.json and .md")
    return parser.parse_args()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
