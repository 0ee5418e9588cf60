"""`python -m tests.benchmarks.detection [--quick] [--only cells,peers,traps,localise,limits] [--out docs/benchmarks]`.

A section's rows replace those in `detection.json` of the folder; the others stay. Without `--out` a quick run only
prints. The full run takes about an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.detection import grid, limits, peers, report, traps
from tests.benchmarks.detection.worlds import localise_rows

Rows = list[dict[str, Any]]
OUT = Path(__file__).parents[3] / "docs" / "benchmarks"
SEED = 20_261_125


def cells(quick: bool) -> Iterator[Rows]:
    """The engine on the grid, rate by rate."""
    for number, effort in enumerate(grid.QUICK if quick else grid.FULL):
        yield grid.run(effort, SEED + 100_000_000 * number)


def of_peers(quick: bool) -> Iterator[Rows]:
    """The others on the two main cells."""
    yield peers.run(10, 400 if quick else 2_000, SEED, due=1 if quick else peers.DUE)


SECTIONS: dict[str, Callable[[bool], Iterator[Rows]]] = {
    "cells": cells,
    "peers": of_peers,
    "traps": lambda quick: traps.run(quick, SEED),
    "localise": lambda quick: iter([localise_rows(10 if quick else 100)]),
    "limits": lambda quick: limits.run(quick),
}


def main() -> None:
    """Measure, keep the rows, say the goals."""
    parser = argparse.ArgumentParser(description="how soon and how falsely the engine speaks")
    parser.add_argument("--quick", action="store_true", help="a few minutes, on fewer streams")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    parser.add_argument("--out", type=Path, help="where detection.json, .md and .png are kept")
    wanted = parser.parse_args()
    folder = wanted.out or (None if wanted.quick else OUT)
    kept = report.load(folder)
    for name in filter(None, wanted.only.split(",")):
        began, rows = time.perf_counter(), []
        for part in SECTIONS[name](wanted.quick):
            rows += part
            kept["rows"][name], kept["mode"][name] = rows, "quick" if wanted.quick else "full"
            report.write(folder, kept)
        kept["minutes"][name] = round((time.perf_counter() - began) / 60, 1)
    report.write(folder, kept)
    print(report.text(kept))
    print(json.dumps(kept["goals"], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
