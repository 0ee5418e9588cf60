"""`python -m tests.faults [--kills N] [--rate R] [--only NAMES] [--seed S]`: do it all to one installation, then count.

Exit code 0: nothing was lost, nothing was told twice, and judging went on in time; 1 otherwise.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from detector.contracts.policy import load_policy
from streams.embedded import EmbeddedKafka
from tests.faults.deeds import Ground, Watch, tried
from tests.faults.recount import doubled, lost
from tests.faults.shop import BANKS, Shop
from tests.integration.workers import Stage, WorkerProcess, wait_for

KILLS, RATE, PARTITIONS = 100, 2_000.0, 8
BETWEEN_S = 5.0
SICK_EVERY = 3
KILLED_S_MAX = 15.0
SETTLE_S = 20.0
POLICY = "evidence.mode = 'off'\n[all_red]\nafter_s = 10\n[resolve]\nhold_s = 5\nwindow_s = 5\n"

Took = dict[str, list[tuple[float, float]]]
"""Of each deed: seconds from its end until judging was near the clock, and how old the newest boundary got."""


def main() -> int:
    """Do, watch, count."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(3) as kafka, Stage(kafka, PARTITIONS) as stage:
        file = Path(folder) / "policy.toml"
        file.write_text(POLICY)
        ground = Ground(kafka, stage, ["--policy", str(file)])
        with Shop(stage, wanted.rate, wanted.seed) as shop:
            ground.begin()
            problems, took = _done(ground, shop, wanted.kills, wanted.only)
            shop.dead = None
            shop.end()
        wait_for(lambda: all(_is_done(worker) for worker in ground.living()), stage, "all is counted", 300)
        time.sleep(SETTLE_S)
        problems += lost(stage, load_policy(POLICY))
        events = stage.outages()
        problems += doubled(events)
        for worker in ground.living():
            worker.end()
    restarts, given_up = ground.restarts, shop.given_up
    print(f"{len(events)} outage events; {restarts} workers gave up by themselves; {given_up} events no broker took")
    _print(took, problems)
    return int(bool(problems))


def _done(ground: Ground, shop: Shop, kills: int, only: str) -> tuple[list[str], Took]:
    """Every deed, the kills many times; what was wrong, and the seconds it took."""
    names = [name for name in ground.deeds if not only or any(name.startswith(one) for one in only.split(","))]
    plan = [name for name in names for _ in range(1 if "killed" not in name or "broker" in name else kills // 2)]
    problems: list[str] = []
    took: Took = {}
    for number, name in enumerate(plan):
        shop.dead = f"bank-{number % BANKS}" if number % SICK_EVERY == 0 else None
        with Watch(ground.stage) as watch:
            if wrong := tried(ground.deeds[name]):
                problems.append(f"{name}: {wrong}")
            again_s = ground.wait_until_near()
        took.setdefault(name, []).append((again_s, watch.oldest_s))
        if name.startswith(("worker killed", "other worker killed")) and again_s > KILLED_S_MAX:
            problems.append(f"{name}: judging near the clock again after {again_s:.1f} s")
        _tell(f"{number + 1}/{len(plan)} {name}: near again after {again_s:.1f} s, at most {watch.oldest_s:.1f} s old")
        time.sleep(BETWEEN_S)
    return problems, took


def _is_done(worker: WorkerProcess) -> bool:
    metrics = worker.metrics()
    return not any(value for (name, _), value in metrics.items() if name == "pastille_ingest_lag_events")


def _print(took: Took, problems: list[str]) -> None:
    print("| what | times | near the clock again after, s (most) | newest boundary judged at most so old, s (most) |")
    print("|---|---|---|---|")
    for name, seconds in took.items():
        columns = [f"{statistics.median(one):.1f} ({max(one):.1f})" for one in zip(*seconds, strict=True)]
        print(f"| {name} | {len(seconds)} | {' | '.join(columns)} |")
    print("\n".join(problems) or "nothing was lost, and nothing told twice")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="real faults on a real Kafka")
    parser.add_argument("--kills", type=int, default=KILLS, help="of workers, half of them of the judging one")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second")
    parser.add_argument("--only", default="", help="the beginnings of deeds' names, with commas between")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
