"""`python -m tests.simulation`: play seeds and print the first that fails, shrunk; or look for a planted fault.

Exit code 0: every seed is well, or the planted fault was found; 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.history import draw
from tests.simulation.mutants import MUTANTS
from tests.simulation.trial import first_failure, told, tried

SHOW_S = 10.0


def main() -> int:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="make sim", description="The whole of Pastille, simulated, seed after seed.")
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--mutant", choices=[*MUTANTS, "all"], help="a fault to plant; it must be found")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.mutant is None:
        return _play(seeds)
    names = list(MUTANTS) if arguments.mutant == "all" else [arguments.mutant]
    return max([_hunt(seeds, name, shrink=len(names) == 1) for name in names])


def _play(seeds: range) -> int:
    started_s = shown_s = time.monotonic()
    for seed in seeds:
        failure = tried(draw(seed))
        if failure is not None:
            print(told(failure))
            return 1
        if time.monotonic() - shown_s > SHOW_S:
            shown_s = time.monotonic()
            print(f"seed {seed} is well", file=sys.stderr, flush=True)
    print(f"{len(seeds)} seeds from {seeds.start} on are well ({time.monotonic() - started_s:.0f} s)")
    return 0


def _hunt(seeds: range, name: str, shrink: bool) -> int:
    failure = first_failure(seeds, name)
    if failure is None:
        print(f"{name} was not found in {len(seeds)} seeds: {MUTANTS[name].breaks}")
        return 1
    print(f"{name} (seed {failure.seed}, {failure.kind}): {MUTANTS[name].breaks}", flush=True)
    if shrink:
        print(told(failure, name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
