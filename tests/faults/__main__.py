"""`python -m tests.faults [--kills N] [--rate R] [--only NAMES] [--seed S]`: do it all to one installation, then count.

Exit code 0: nothing was lost, nothing was told twice, and judging went on in time; 1 otherwise.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from detector.contracts.policy import load_policy
from detector.warm import warm
from streams.embedded import EmbeddedKafka
from tests.faults.deeds import Ground, Watch, tried
from tests.faults.recount import doubled, lost
from tests.faults.shop import BANKS, Shop
from tests.integration.workers import Stage, WorkerProcess, wait_for

KILLS, RATE, PARTITIONS = 100, 2_000.0, 8
HISTORY_MINUTES = 46.0
"""What a worker that takes over reads again, at most. With less, the first kills would be cheaper than the last."""
BETWEEN_S = 5.0
SICK_EVERY = 3
KILLED_S_MAX = 15.0
SETTLE_S = 20.0
POLICY = "evidence.mode = 'off'\n[all_red]\nafter_s = 10\n[resolve]\nhold_s = 5\nwindow_s = 5\n"


class Seen(NamedTuple):
    """Of one deed: seconds from its end until what came after it was judged, and that near the clock; how old the
    newest boundary got; and how many events were read again."""

    again_s: float
    oldest_s: float
    replayed: float


Took = dict[str, list[Seen]]
"""By the name of the deed."""


def main() -> int:
    """Do, watch, count. The table is printed as far as it got, whatever ends the run."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    warm()  # once for all workers: on a fresh checkout it takes minutes, and they would each do it in their first start
    took: Took = {}
    try:
        problems = _run(wanted, took)
    except BaseException:
        _print(took, ["it was ended before its end: whether anything was lost was not looked at"])
        raise
    _print(took, problems or ["nothing was lost, and nothing told twice"])
    return int(bool(problems))


def _run(wanted: argparse.Namespace, took: Took) -> list[str]:
    """All of it, on a Kafka of its own; what was wrong."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(3) as kafka, Stage(kafka, PARTITIONS) as stage:
        file = Path(folder) / "policy.toml"
        file.write_text(POLICY)
        ground = Ground(kafka, stage, ["--policy", str(file), "--from", "earliest"])
        shop = Shop(stage, wanted.rate, wanted.seed)
        _tell(f"{wanted.history:g} minutes of the past are sold")
        shop.fill(wanted.history)
        with shop:
            ground.begin()
            problems = _done(ground, shop, wanted.kills, wanted.only, took)
            shop.dead = None
            shop.end()
        wait_for(lambda: all(_is_done(worker) for worker in ground.living()), stage, "all is counted", 300)
        time.sleep(SETTLE_S)
        problems += lost(stage, load_policy(POLICY))
        events = stage.outages()
        problems += doubled(events)
        for worker in ground.living():
            worker.end()
        ground.end()
    restarts, given_up = ground.restarts, shop.given_up
    _tell(f"{len(events)} outage events; {restarts} workers gave up by themselves; {given_up} events no broker took")
    return problems


def _done(ground: Ground, shop: Shop, kills: int, only: str, took: Took) -> list[str]:
    """Every deed, the kills many times; what was wrong."""
    names = [name for name in ground.deeds if not only or any(name.startswith(one) for one in only.split(","))]
    plan = [name for name in names for _ in range(max(1, kills // 2) if "worker killed" in name else 1)]
    problems: list[str] = []
    for number, name in enumerate(plan):
        shop.dead = f"bank-{number % BANKS}" if number % SICK_EVERY == 0 else None
        ground.prepare(name)
        before = ground.rebuilt()
        with Watch(ground.stage) as watch:
            if wrong := tried(ground.deeds[name]):
                problems.append(f"{name}: {wrong}")
            again_s = ground.wait_until_near()
        if "worker killed" in name and again_s > KILLED_S_MAX:
            problems.append(f"{name}: judging near the clock again after {again_s:.1f} s")
        time.sleep(BETWEEN_S)  # and the new one, where it joins only now, has read what it must
        replayed = sum(many - before.get(worker, 0.0) for worker, many in ground.rebuilt().items())
        took.setdefault(name, []).append(Seen(again_s, watch.oldest_s, replayed))
        _tell(
            f"{time.strftime('%H:%M:%S')} {number + 1}/{len(plan)} {name}: judging again after {again_s:.1f} s, "
            f"at most {watch.oldest_s:.1f} s old, {replayed:,.0f} events read again"
        )
    return problems


def _is_done(worker: WorkerProcess) -> bool:
    return not any(worker.metrics("pastille_ingest_lag_events").values())


def _print(took: Took, problems: list[str]) -> None:
    print("| what | times | judging again after, s (most) | newest boundary judged at most so old, s (most) | "
          "events read again (most) |")  # fmt: skip
    print("|---|---|---|---|---|")
    for name, seen in took.items():
        again, oldest, replayed = zip(*seen, strict=True)
        seconds = [f"{statistics.median(one):.1f} ({max(one):.1f})" for one in (again, oldest)]
        print(f"| {name} | {len(seen)} | {' | '.join(seconds)} | {statistics.median(replayed):,.0f} "
              f"({max(replayed):,.0f}) |")  # fmt: skip
    print("\n".join(problems), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="real faults on a real Kafka")
    parser.add_argument("--kills", type=int, default=KILLS, help="of workers, half of them of the judging one")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second")
    parser.add_argument("--history", type=float, default=HISTORY_MINUTES, help="minutes of traffic there are before")
    parser.add_argument("--only", default="", help="the beginnings of deeds' names, with commas between")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
