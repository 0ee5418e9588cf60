"""`python -m tests.benchmarks.scale [--quick] [--out FOLDER]`: fill ledgers, start workers, print the tables."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detector.warm import warm
from streams.embedded import EmbeddedKafka
from tests.benchmarks.scale.ledgers import Ledger, filled
from tests.benchmarks.scale.workers import Work, loaded, worked
from tests.benchmarks.throughput.__main__ import OUT, machine

RATES, QUICK_RATES = (100, 300, 1_000, 2_000, 3_000), (100, 300)
WORKERS, PARTITIONS = (1, 2, 4), (8, 64)
EVENTS, QUICK_EVENTS = 1_000_000, 200_000
BYTES_MAX = 130


def main() -> int:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description="how cost grows")
    parser.add_argument("--quick", action="store_true", help="less of everything; prints and keeps nothing")
    parser.add_argument("--out", type=Path, help="the folder of scale.json and .md")
    wanted = parser.parse_args()
    warm()
    ledgers = [_told(filled(rate)) for rate in (QUICK_RATES if wanted.quick else RATES)]
    total, works = (QUICK_EVENTS if wanted.quick else EVENTS), []
    with EmbeddedKafka() as kafka:
        for count in PARTITIONS[:1] if wanted.quick else PARTITIONS:
            topic = loaded(kafka, count, total)
            works += [_told(worked(kafka, topic, workers, count, total)) for workers in WORKERS]
    found = kept(ledgers, works)
    folder = wanted.out or (None if wanted.quick else OUT)
    if folder is not None:
        (folder / "scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (folder / "scale.md").write_text(page(found), encoding="utf-8")
    print(page(found))
    return 0


def kept(ledgers: Sequence[Ledger], works: Sequence[Work]) -> dict[str, Any]:
    """What is written to `scale.json`."""
    most = max(ledger.bytes_each for ledger in ledgers)
    goal = {"goal": f"<= {BYTES_MAX} at every rate", "measured": f"at most {most:.0f}", "met": most <= BYTES_MAX}
    return {
        "run": {"machine": machine(), "when": time.strftime("%Y-%m-%d")},
        "goals": {"bytes a payment in the ledger": goal},
        "ledgers": [asdict(ledger) for ledger in ledgers],
        "works": [asdict(work) for work in works],
    }


def page(found: dict[str, Any]) -> str:
    """The page."""
    goals = [f"| {name} | {one['goal']} | {one['measured']} | {'yes' if one['met'] else '**no**'} |"
             for name, one in found["goals"].items()]  # fmt: skip
    ledgers = [
        f"| {one['rate']:,} | {one['payments']:,} | {one['memory'] / 1e6:,.0f} | "
        f"{one['memory'] / one['payments']:.0f} | {one['said_per_s'] / 1000:.1f} |"
        for one in found["ledgers"]
    ]
    works = [
        f"| {one['partitions']} | {one['workers']} | {one['events'] / one['wall_s']:,.0f} | "
        f"{one['events'] / one['cpu_s']:,.0f} | {one['cpu_s'] / one['wall_s']:.2f} | {one['memory_mb']:,.0f} |"
        for one in found["works"]
    ]
    run = found["run"]
    return "\n".join([HEAD, *goals, LEDGERS, *ledgers, WORKS, *works, "", f"{run['machine']}. {run['when']}.", ""])


HEAD = """# Scale: measured

`make bench-scale` writes this page.

| what | goal | measured | met |
|---|---|---|---|"""
LEDGERS = """
## A source's ledger

Payments of 250 leaves and 200,000 shoppers at a steady rate, until as many are forgotten as come (20 minutes after
their newest event). Memory is that of all tables of the ledger, which double when they are full. What the source says
a second grows until every cell has its smallest hashes, and then no more.

| payments a second | held | memory, MB | bytes each | said, kB a second |
|---|---|---|---|---|"""
WORKS = """
## Workers and partitions

The events of the [throughput benchmark](throughput.md), on the topic before the workers start; the broker takes its
share of the same cores, so that more workers than cores count no more.

| partitions | workers | events a second | events a CPU second | cores in use | memory of all, MB |
|---|---|---|---|---|---|"""


def _told(one: Any) -> Any:
    print(one, file=sys.stderr, flush=True)
    return one


if __name__ == "__main__":
    sys.exit(main())
