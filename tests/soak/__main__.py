"""`make soak MINUTES=60 RATE=2000`: a real worker on a real Kafka at a steady rate, and whether all stays flat.

Now and then a bank dies, answers come late and records are no events, so that outages, snapshots, late answers and dead
letters happen all the time. Exit code 0: flat; 1: something rose, or did not happen; 2: it could not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from aiokafka import AIOKafkaProducer

from detector.rehearsal.fault import Fault, parse_fault
from streams.embedded import EmbeddedKafka
from streams.embedded.process import Guard
from streams.errors import UserError
from streams.settings import Settings
from streams.stress.ground import WorkerProcess
from streams.stress.load import Load, even_shops
from streams.topics import create_topics
from streams.trial import delete_trial, trial_settings, trial_variables
from tests.soak.flat import Rise, rise, settled
from tests.soak.looks import Look, Looks, limits, look

LOOK_S = 10.0
PARTITIONS = 4
EACH_S, QUIET_S, DEAD_S = 600, 90, 360
BAD_S = 1.0
"""One record that is no event, so often."""
BANKS = ("bnp", "cedar", "fjord", "iris")
MUST_HAPPEN = {"started": "outages", "letters": "dead letters", "late_answers": "late answers"}


def main() -> int:
    """Read the arguments, soak, print."""
    parser = argparse.ArgumentParser(prog="make soak", description="A worker at rated load, and whether it stays flat.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; of memory it speaks from 34 on")
    parser.add_argument("--rate", type=float, default=2_000.0, help="events a second")
    parser.add_argument("--broker", help="host:port of yours; otherwise an embedded Kafka")
    arguments = parser.parse_args()
    for_s = 60 * arguments.minutes
    try:
        with ExitStack() as stack:
            broker = arguments.broker or stack.enter_context(EmbeddedKafka()).bootstrap
            looks = _soaked(stack, broker, for_s, arguments.rate)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    rises = [rise(limit, settled(limit, looks.of(limit.name))) for limit in limits(arguments.rate, for_s)]
    print("\n".join(table(rises, looks.found[-1])))
    happened = all(getattr(looks.found[-1], name) for name in MUST_HAPPEN)
    return 0 if happened and not any(one.is_flat is False for one in rises) else 1


def faults(for_s: float) -> tuple[Fault, ...]:
    """A bank after the other dies, all red and all pending in turn, for six minutes in ten: the policy's rules take
    five. The last may go on beyond the end."""
    found = []
    for number in range(math.ceil(for_s / EACH_S)):
        kind, bank = ("all_red", "all_pending")[number % 2], BANKS[number % len(BANKS)]
        from_s = number * EACH_S + QUIET_S
        found.append(parse_fault(f"bank:{bank} {kind} {from_s}s {from_s + DEAD_S}s"))
    return tuple(found)


def _soaked(stack: ExitStack, broker: str, for_s: float, rate: float) -> Looks:
    settings = trial_settings("pastille-soak", broker)
    create_topics(settings, PARTITIONS)
    stack.callback(delete_trial, settings)
    folder = Path(tempfile.mkdtemp(prefix="pastille-soak-"))
    guard = Guard(folder)  # however this process ends, the worker goes with it
    stack.callback(guard.close)
    worker = WorkerProcess(guard, folder / "worker.log", trial_variables(settings))
    stack.callback(worker.end)
    worker.wait_until_ready()
    return asyncio.run(_watched(worker, settings, for_s, rate))


async def _watched(worker: WorkerProcess, settings: Settings, for_s: float, rate: float) -> Looks:
    """Load, and look every few seconds."""
    load, looks = Load(settings, PARTITIONS, even_shops(rate, 1, faults=faults(for_s))), Looks()
    sending = asyncio.create_task(load.run(for_s))
    spoiling = asyncio.create_task(_spoil(settings))
    waiting = asyncio.create_task(load.begun.wait())
    await asyncio.wait([sending, waiting], return_when=asyncio.FIRST_COMPLETED)
    began_s = time.monotonic()
    try:
        while not sending.done() and time.monotonic() - began_s < for_s:
            await asyncio.wait([sending], timeout=LOOK_S)
            looks.found.append(await asyncio.to_thread(look, worker, began_s))
            _tell(looks.found[-1], load)
    finally:
        for task in (sending, spoiling, waiting):
            task.cancel()
        done = await asyncio.gather(sending, spoiling, waiting, return_exceptions=True)
    if errors := [error for error in done if isinstance(error, Exception)]:
        raise UserError(f"the load must go on to the end; got {errors[0]!r}; see the broker's log") from errors[0]
    return looks


async def _spoil(settings: Settings) -> None:
    """Send records that are no events."""
    async with AIOKafkaProducer(**settings.aiokafka()) as producer:
        for number in range(1 << 40):
            await producer.send_and_wait(settings.feeds[0].payments, b"no event %d" % number, key=b"k%d" % number)
            await asyncio.sleep(BAD_S)


def _tell(one: Look, load: Load) -> None:
    memory = "-" if one.memory_mb is None else f"{one.memory_mb:.0f} MB"
    print(f"{one.at_s:6.0f} s  {memory}  sent {load.sent:,}  counted {one.counted:,.0f}  lag {one.lag:,.0f}  "
          f"ledgers {one.payments:,.0f}  outages {one.started:.0f}  letters {one.letters:.0f}  "
          f"late {one.late_answers:.0f}", file=sys.stderr, flush=True)  # fmt: skip


def table(rises: Sequence[Rise], last: Look) -> Iterator[str]:
    """The verdicts, for people."""
    yield f"{'':<12} {'from':>12} {'to':>12} {'may rise':>10}"
    for one in rises:
        verdict = {True: "flat", False: "NOT FLAT", None: "not said: too short"}[one.is_flat]
        name = f"{one.limit.name:<12} {one.first:>12,.1f} {one.last:>12,.1f} {one.allowed:>10,.1f}"
        yield f"{name}  {one.limit.unit:<14} {verdict}"
    for name, said in MUST_HAPPEN.items():
        count = getattr(last, name)
        yield f"{count:,.0f} {said}" + ("" if count else ": NONE, so this was no soak")


if __name__ == "__main__":
    sys.exit(main())
