"""Runs the participants, each in a process of its own, in turns: a warm-up, then round after round.

A round is the same for all: the next one goes through them backwards, so that none always follows the same. Knows how
programs are started and what they say; not what the figures are for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.embedded import EmbeddedKafka
from tests.benchmarks.throughput.contest import BATCH, SMALL, SMALL_SHARE, Participant
from tests.benchmarks.throughput.events import events
from tests.benchmarks.throughput.load import load

Row = dict[str, Any]
ROOT = Path(__file__).parents[3]
WITHIN_S = 240.0
WARM_UP_SHARE = 100
VERSIONS = (
    "import importlib.metadata as m, json, sys\n"
    "found = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try: found[name] = m.version(name)\n"
    "    except m.PackageNotFoundError: pass\n"
    "print(json.dumps(found))"
)


@dataclass(frozen=True)
class Loaded:
    """The topics by (share of the events, events a batch, events a second), and the file."""

    broker: str
    topics: dict[tuple[int, int, int], str]
    file: Path
    events: int
    temporary: Path

    def arguments(self, one: Participant, share: int, batch: int) -> list[str]:
        """What the program is told."""
        place = ["--file", str(self.file)] if one.kind == "file" else ["--broker", self.broker]
        topic = [] if one.kind == "file" else ["--topic", self.topics[share, batch, one.rate]]
        return [*one.arguments, *place, *topic, "--events", str(self.events // share)]


def loaded(kafka: EmbeddedKafka, count: int, contest: Sequence[Participant], temporary: Path) -> Loaded:
    """Fill the topics, and the file."""
    read = [one for one in contest if one.kind != "file"]
    wanted = {(share, BATCH, one.rate) for one in read for share in (one.share, WARM_UP_SHARE)}
    wanted |= {(SMALL_SHARE, SMALL, one.rate) for one in read if one.small}
    topics: dict[tuple[int, int, int], str] = {}
    for share, batch, rate in sorted(wanted):
        topics[share, batch, rate] = kafka.new_topic(f"bench-{share}-{batch}-{rate}")
        load(kafka.settings(), topics[share, batch, rate], events(count // share, rate=rate), batch)
    file = temporary / "events.jsonl"
    with file.open("wb") as out:
        out.writelines(event.value + b"\n" for event in events(count))
    return Loaded(kafka.bootstrap, topics, file, count, temporary)


def versions(python: str, names: Sequence[str]) -> dict[str, str]:
    """Which of these packages an environment has, and in which version."""
    told = subprocess.run([python, "-c", VERSIONS, *names], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(told.stdout)
    return found


def able(contest: Sequence[Participant], peers_python: str) -> tuple[list[Participant], dict[str, str]]:
    """Who can take part here, and why the others cannot."""
    there = {python: versions(python, sorted({name for one in contest for name in one.needs}))
             for python in {sys.executable, peers_python}}  # fmt: skip
    why = {}
    for one in contest:
        python = sys.executable if one.is_ours else peers_python
        missing = [name for name in one.needs if name not in there[python]]
        if missing:
            why[one.name] = f"{', '.join(missing)}: not installed here, or not to be had for this Python or system"
    return [one for one in contest if one.name not in why], why


def rounds(
    contest: Sequence[Participant], on: Loaded, count: int, python: str, tell: Callable[[str], None]
) -> Iterator[list[Row]]:
    """The rows of each round, after a warm-up that is not kept."""
    for one in contest:
        tell(f"warm-up: {one.name}")
        run(one, on, one.share if one.kind == "file" else WARM_UP_SHARE, BATCH, python)
    for number in range(1, count + 1):
        order = list(contest) if number % 2 else list(reversed(contest))
        turns = [(one, one.share, BATCH) for one in order]
        turns += [(one, SMALL_SHARE, SMALL) for one in order if one.small]
        others = busy_cores()
        rows = []
        for one, share, batch in turns:
            row = run(one, on, share, batch, python)
            rows.append({"round": number, "name": one.name, "kind": one.kind, "batch": batch, "others": others, **row})
            tell(f"round {number}: {one.name}, {batch} a batch: {_short(row)}")
        yield rows


def run(one: Participant, on: Loaded, share: int, batch: int, peers_python: str) -> Row:
    """One program's figures; or under `failed` why there are none."""
    python = sys.executable if one.is_ours else peers_python
    command = [python, "-m", f"tests.benchmarks.throughput.{one.module}", *on.arguments(one, share, batch)]
    with tempfile.TemporaryDirectory(dir=on.temporary) as own:
        environment = {**os.environ, "TMPDIR": own}
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            return {"failed": f"not done within {WITHIN_S:.0f} s"}
    return read(done.stdout, done.stderr)


def read(said: str, complained: str) -> Row:
    """The figures of a program's last word; one that did not count all it read has none."""
    lines = [line for line in said.splitlines() if line.startswith('{"events"')]
    if not lines:
        return {"failed": (complained.strip().splitlines() or ["it said nothing"])[-1][:300]}
    row: Row = json.loads(lines[-1])
    if row["counted"] != row["events"]:
        return {"failed": f"counted {row['counted']:,} of {row['events']:,} events"}
    return {name: round(value, 6) for name, value in row.items() if name != "counted"}


def busy_cores(within_s: float = 1.0) -> float | None:
    """How many cores others keep busy while nothing of ours runs; None where the system does not say."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    before = _ticks(stat)
    time.sleep(within_s)
    after = _ticks(stat)
    idle, whole = after[0] - before[0], after[1] - before[1]
    return round((os.cpu_count() or 1) * (1 - idle / whole), 2) if whole else None


def _ticks(stat: Path) -> tuple[int, int]:
    """(idle, all) so far."""
    numbers = [int(word) for word in stat.read_text().splitlines()[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)


def _short(row: Row) -> str:
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    return f"{row['events'] / row['cpu_s']:,.0f} events a CPU second, {row['wall_s']:.1f} s"
