"""How fast replay is, in one run: against msgspec on a dense file, and against real time on recorded days.

    python tests/benchmarks/replay.py [--data FOLDER]

CPU seconds of this process, after every loop was called once. Exits 1 where a goal is missed. The recorded days are
not part of the repository: `--data` or PASTILLE_DATA names their folder; without it they are left out, by name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from detector.contracts.policy import DEFAULT
from detector.packed import Packed
from detector.rehearsal.line import Lines
from detector.rehearsal.replay import Replay, warm
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from streams.recording import blocks_of

DENSE = Shops(rate=272.0, banks=50, merchants=200, swing=0.0)
"""1,000 events a second over 250 leaves, orders and retries among them."""
DENSE_MS = 600_000
TIMES_MSGSPEC_MAX = 4.0
DAYS = (("bank", "bank_0129", 4_000), ("psp", "psp_2019-01", 100_000))
"""Kind and name of a recorded day, and how many times real time it must run at least."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("PASTILLE_DATA", "../shared/data"))
    folder = Path(parser.parse_args().data)
    warm()
    with tempfile.TemporaryDirectory(prefix="pastille-bench-") as temporary:
        good = [dense(Path(temporary))]
        good += [recorded(folder, *day, Path(temporary)) for day in DAYS]
    return 0 if all(good) else 1


def dense(temporary: Path) -> bool:
    """Replay against decoding the same lines with msgspec alone."""
    file = temporary / "dense.jsonl"
    lines = Lines(DENSE)
    with file.open("wb") as out:
        for events in simulate(DENSE, DENSE_MS):
            out.write("".join(line + "\n" for line in lines.values(events)).encode())
    decode_s = cpu_s(lambda: decode(file, msgspec.json.Decoder(Event).decode))
    untyped_s = cpu_s(lambda: decode(file, msgspec.json.Decoder().decode))
    replay = Replay(DEFAULT)
    replay_s = cpu_s(lambda: play(file, replay))
    times = replay_s / decode_s
    is_good = times <= TIMES_MSGSPEC_MAX
    print(f"dense file: {replay.seen.events:,} events, {replay.seen.events / replay_s:,.0f} events/s, "
          f"{times:.2f} x msgspec's {decode_s:.2f} s into a Struct (goal: at most {TIMES_MSGSPEC_MAX:g}), "
          f"{replay_s / untyped_s:.2f} x its {untyped_s:.2f} s into dictionaries {verdict(is_good)}")  # fmt: skip
    return is_good


class Event(msgspec.Struct):
    """All fields of the contracts, so that msgspec keeps what the decoder keeps."""

    order_id: str
    status: str
    occurred_at: int
    payment_id: str | None = None
    started_at: int | None = None
    bank: str | None = None
    method: str | None = None
    merchant_id: str | None = None
    shopper_id: str | None = None
    amount: int | None = None
    currency: str | None = None
    code: str | None = None


def decode(file: Path, read: Callable[[bytes], Any]) -> None:
    """Lines split as anybody would."""
    with file.open("rb") as source:
        for line in source:
            read(line)


def recorded(folder: Path, kind: str, name: str, goal: int, temporary: Path) -> bool:
    """Replay against real time; True where the day is not there to be replayed."""
    source, tool = folder / f"{name}.csv.gz", folder.parent / "tools" / "dataset_to_events.py"
    if not source.exists() or not tool.exists():
        print(f"{name}: left out, it is not in {folder}; name its folder with --data or PASTILLE_DATA")
        return True
    file = temporary / f"{name}.jsonl"
    with file.open("wb") as out:
        subprocess.run([sys.executable, tool, kind, source], stdout=out, check=True)
    replay = Replay(DEFAULT)
    started: list[Any] = []
    seconds = cpu_s(lambda: started.extend(play(file, replay)))
    times = (replay.seen.last_ms - replay.seen.first_ms) / 1000 / seconds
    is_good = times >= goal
    print(f"{name}: {replay.seen.events:,} events in {seconds:.2f} s, {times:,.0f} x real time (goal: {goal:,}), "
          f"{len(started)} outages {verdict(is_good)}")  # fmt: skip
    return is_good


def play(file: Path, replay: Replay) -> list[str]:
    """The scopes of the outages that started."""
    changes = [change for lines in blocks(file) for change in replay.feed(lines)] + replay.finish()
    return [change.data.scope.to_scope().key for change in changes if change.type == "started"]


def blocks(file: Path) -> Iterator[Packed]:
    with file.open("rb", buffering=0) as source:
        yield from blocks_of(source)


def cpu_s(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def verdict(is_good: bool) -> str:
    return "ok" if is_good else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
