"""`python -m tests.fuzz`: trial after trial until so many spoilt records went the way, and what was seen of them.

The first trial that fails is shrunk, printed with its seed and kept in `corpus`, from where the tests play it. Exit
code 0: everything held; 1 otherwise. Says how much longer bad records took; fails for no clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from detector.warm import warm
from tests.fuzz.script import Step, drawn, kept
from tests.fuzz.shrink import shrunk
from tests.fuzz.trial import Report, failure, play, without_room

TRIAL_RECORDS = 20_000
"""Spoilt records of one trial: more would fill the tables of names, and shrinking would take longer."""
SHOW_S = 10.0
GOAL = 3.0
SAID = {"good": "sound", "mixed": "one in ten spoilt", "bad": "spoilt, refused", "odd": "spoilt, taken all the same"}


def main() -> int:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Spoilt records the whole way, to dead letters.")
    parser.add_argument("--records", type=int, default=1_000_000, help="how many spoilt records")
    parser.add_argument("--seed", type=int, default=1, help="of the first trial; each further one has the next")
    arguments = parser.parse_args()
    warm()
    play(list(drawn(arguments.seed, 1)))  # what is done once is no record's cost
    report, started_s, shown_s = Report(), time.monotonic(), time.monotonic()
    drained = without_room()
    for seed, steps in _trials(arguments.seed, arguments.records):
        try:
            report.add(play(steps, drained))
        except Exception as error:  # an assertion of ours, or what no contract has
            print(f"seed {seed}: {error}; shrinking", flush=True)
            return _told(seed, steps)
        if time.monotonic() - shown_s > SHOW_S:
            shown_s = time.monotonic()
            print(f"seed {seed} is well: {report.spoilt:,} spoilt records", file=sys.stderr, flush=True)
    print("\n".join(_lines(report, time.monotonic() - started_s)))
    return 0


def _trials(first: int, records: int) -> Iterator[tuple[int, list[Step]]]:
    seed = first
    while records > 0:
        steps = list(drawn(seed, min(records, TRIAL_RECORDS)))
        yield seed, steps
        records -= sum(step.spoilt for step in steps)
        seed += 1


def _told(seed: int, steps: Sequence[Step]) -> int:
    """Shrink a trial that fails, print and keep it."""
    least = shrunk(steps)
    wrong = failure(least)
    if wrong is None:
        print(f"it does not fail again; repeat with: make fuzz SEED={seed} RECORDS={TRIAL_RECORDS}")
        return 1
    for step in least:
        print(step.topic, step.raw or step.records)
    path = kept(least, f"{wrong.kind.replace(' ', '-').lower()}-{seed}", str(wrong))
    print(f"{wrong}\nkept as {path}; repeat with: make fuzz SEED={seed} RECORDS={TRIAL_RECORDS}")
    return 1


def _lines(report: Report, took_s: float) -> Iterator[str]:
    """What was seen, for people."""
    counted, total = sum(report.records.values()), sum(report.reasons.values())
    yield f"{report.spoilt:,} spoilt records, {counted:,} records with sound ones, in {took_s:.0f} s: everything held"
    yield f"{total:,} dead letters; {report.refused:,} wrecked batches refused"
    for reason, count in sorted(report.reasons.items(), key=lambda one: -one[1]):
        yield f"  {count:>9,}  {reason}"
    us = {kind: 1e6 * report.cpu_s[kind] / max(report.records[kind], 1) for kind in SAID}
    for kind, said in SAID.items():
        times = us[kind] / us["good"] if us["good"] else 0.0
        yield f"{said:>26}: {report.records[kind]:>9,} at {us[kind]:6.2f} us, {times:4.1f} times a sound one"
    is_within = us["bad"] <= GOAL * us["good"]
    yield f"a record that is refused is {'within' if is_within else 'beyond'} the goal of {GOAL:.0f} times a sound one"


if __name__ == "__main__":
    sys.exit(main())
