"""`python -m tests.benchmarks.scale [--quick] [--out FOLDER]`: fill ledgers, start workers, judge, print the tables."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from detector.warm import warm
from streams.embedded import EmbeddedKafka
from tests.benchmarks.scale.feeds import Noticed, grown
from tests.benchmarks.scale.ledgers import filled
from tests.benchmarks.scale.page import kept, page
from tests.benchmarks.scale.picture import drawn, panels
from tests.benchmarks.scale.ticks import Tick, ticked
from tests.benchmarks.scale.workers import Work, worked
from tests.benchmarks.throughput.__main__ import OUT, machine

RATES, QUICK_RATES = (100, 300, 1_000, 2_000, 3_000), (100, 300)
WORKERS, PARTITIONS = (1, 2, 4), (8, 64)
EVENTS, QUICK_EVENTS = 1_000_000, 400_000
JUDGES, QUICK_JUDGES = ((500, 8), (5_000, 8), (500, 64), (5_000, 64), (50_000, 64)), ((500, 8), (5_000, 64))
QUICK_FULL_S, QUICK_MEASURED_S = 900, 30
QUICK_CALM_S, QUICK_GROWN_S = 25.0, 30.0


def main() -> int:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description="how cost grows")
    parser.add_argument("--quick", action="store_true", help="less of everything, in three minutes; keeps nothing")
    parser.add_argument("--out", type=Path, help="the folder of scale.json, .md and .svg")
    wanted = parser.parse_args()
    began_s = time.monotonic()
    warm()
    ledgers = [_told(filled(rate)) for rate in (QUICK_RATES if wanted.quick else RATES)]
    ticks = _judged(wanted.quick)
    with EmbeddedKafka() as kafka:
        works, noticed = _counted(kafka, wanted.quick), _grown(kafka, wanted.quick)
    took_s = time.monotonic() - began_s
    run = {"machine": machine(), "when": time.strftime("%Y-%m-%d"), "took_s": took_s, "quick": wanted.quick}
    found = kept(run, ledgers, works, ticks, noticed)
    folder = wanted.out or (None if wanted.quick else OUT)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (folder / "scale.md").write_text(page(found), encoding="utf-8")
        (folder / "scale.svg").write_text(drawn(panels(found)), encoding="utf-8")
    print(page(found))
    return 0


def _judged(quick: bool) -> list[Tick]:
    if quick:
        return [_told(ticked(*of, QUICK_FULL_S, QUICK_MEASURED_S)) for of in QUICK_JUDGES]
    return [_told(ticked(*of)) for of in JUDGES]


def _counted(kafka: EmbeddedKafka, quick: bool) -> list[Work]:
    counts, total = (PARTITIONS[:1], QUICK_EVENTS) if quick else (PARTITIONS, EVENTS)
    return [_told(worked(kafka, workers, count, total)) for count in counts for workers in WORKERS]


def _grown(kafka: EmbeddedKafka, quick: bool) -> list[Noticed]:
    noticed = grown(kafka, QUICK_CALM_S, QUICK_GROWN_S) if quick else grown(kafka)
    return [_told(one) for one in noticed]


def _told(one: Any) -> Any:
    print(one, file=sys.stderr, flush=True)
    return one


if __name__ == "__main__":
    sys.exit(main())
