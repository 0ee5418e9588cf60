"""Our own way from Kafka to tallies, cut off after each stage, with the worker's own parts.

    python -m tests.benchmarks.throughput.ours --stage drain|scanner|plain|counter --broker B --topic T --events N

`drain`: the worker's reader and its adapter, nothing decoded. `scanner`: decoded into columns. `counter`: counted, and
the tallies packed for the log. `plain`: that by a policy that asks for neither votes nor details. Knows no peer.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from detector.contracts.policy import DEFAULT, Policy
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source
from detector.records.unpack import Unpacker
from detector.warm import warm
from streams.intake.codec import inflate
from streams.intake.fetch import Fetched, fetched
from streams.intake.lane import Lane
from streams.intake.placing import PAYMENTS
from streams.intake.reader import NOT_PLACED, Reader, TopicPartition
from streams.intake.recovery import Begin
from streams.settings import load_settings
from streams.tallylog import pack
from tests.benchmarks.throughput.meter import FETCH_BYTES, Job, Meter, finish, job

FETCH_MS = 200
JOINED_S = 0.002
PLAIN = replace(DEFAULT, details_ms=0, evidence=replace(DEFAULT.evidence, mode="off"))


class Drain:
    """Counts records and looks at nothing."""

    def __init__(self) -> None:
        self.counted = 0

    def take(self, batch: Fetched) -> None:
        """A batch of the partition."""
        self.counted += len(batch)


class Scanner(Drain):
    """Decodes into columns."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = Decoder(DEFAULT, Names(DEFAULT))

    def take(self, batch: Fetched) -> None:
        decoded = self._decoder.decode(batch.values, "payments", batch.times, batch.offsets)
        self.counted += len(decoded.columns)


class Count(Drain):
    """Counts, and packs the tallies, as a source of the worker."""

    def __init__(self, policy: Policy, topic: str) -> None:
        super().__init__()
        names = Names(policy)
        self._topic = topic
        self._counter = Counter(policy, names, Source("default", 0), {"default": 1})
        begin = Begin(1, None, {topic: 0}, {topic: 0})
        self._lane = Lane(self._counter, Decoder(policy, names), begin, {topic: PAYMENTS})

    def take(self, batch: Fetched) -> None:
        for _ in pack(self._lane.count(self._topic, batch).tallies):
            pass
        stats = self._counter.stats
        self.counted = stats.events + stats.held  # the last ones wait for the time of the log to pass


STAGES: dict[str, Callable[[str], Drain]] = {
    "drain": lambda topic: Drain(),
    "scanner": lambda topic: Scanner(),
    "plain": lambda topic: Count(PLAIN, topic),
    "counter": lambda topic: Count(DEFAULT, topic),
}


async def main(stage: Drain, job: Job) -> None:
    """Join a group, read all events, each batch in a thread beside the loop as the worker does."""
    meter, at = Meter(), TopicPartition(job.topic, 0)
    settings = load_settings(broker=job.broker, app_id=job.group, fetch_bytes=FETCH_BYTES)
    reader = Reader(settings, [job.topic])
    await reader.start()
    while reader.round == NOT_PLACED:
        await asyncio.sleep(JOINED_S)
    reader.seek(at, 0)
    meter.begin()
    loop, unpacker, seen = asyncio.get_running_loop(), Unpacker(inflate), 0
    with ThreadPoolExecutor(1) as thread:
        while seen < job.events:
            for found in (await reader.fetch([at], FETCH_MS)).values():
                seen += await loop.run_in_executor(thread, _taken, stage, unpacker, found)
        meter.end(job.events, stage.counted)
        finish()


def _taken(stage: Drain, unpacker: Unpacker, found: Sequence[Any]) -> int:
    """How many records there were."""
    count = 0
    for part in fetched(found, unpacker):
        stage.take(part)
        count += len(part)
    return count


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", choices=STAGES, required=True)
    name = parser.parse_known_args()[0].stage
    warm()
    wanted = job()
    asyncio.run(main(STAGES[name](wanted.topic), wanted))
