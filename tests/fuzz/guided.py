"""`make fuzz GUIDED=1`: inputs that atheris grows by the lines they reach, until `--minutes` are over.

The loops run as plain Python, so that their lines are seen. Most inputs are events, read by both decoders; some are the
bytes of a record batch, read by our loops and by the Kafka client; now and then one goes the whole way. What fails is
printed and kept in `corpus` like any other trial. Needs atheris, which has wheels for few Pythons.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["NUMBA_DISABLE_JIT"] = "1"  # before the first import of ours

ATHERIS_MISSING = (
    "GUIDED=1 needs atheris, which has no wheel for this Python on this system (Linux on x86, Python 3.11 to 3.13); "
    "leave GUIDED out"
)
WHOLE_WAY_EACH = 50
VALUES_MAX = 4


def main() -> int:
    """Read the arguments and let atheris work; it ends the process."""
    parser = argparse.ArgumentParser(prog="make fuzz GUIDED=1", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="of atheris' chance")
    arguments = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print(ATHERIS_MISSING, file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["detector", "streams"]):
        from tests.fuzz import trial
    with TemporaryDirectory() as folder:
        _sow(Path(folder))
        options = [f"-max_total_time={round(arguments.minutes * 60)}", f"-seed={arguments.seed}", "-max_len=4000",
                   "-timeout=30", "-rss_limit_mb=4096", "-print_final_stats=1",
                   f"-artifact_prefix={folder}/"]  # fmt: skip
        atheris.Setup([sys.argv[0], *options, folder], _target(trial.failure))
        atheris.Fuzz()
    return 0


def _sow(folder: Path) -> None:
    """Something to grow from: sound records, those that are known to be hostile, and batches."""
    from tests.fuzz.events import TOPICS, stretches
    from tests.property.batches import Batch
    from tests.unit.bad_records import BAD

    sound = next(stretches(1)).by_topic
    values = [record[2] or b"" for topic in TOPICS for record in sound[topic][:20]]
    seeds = [bytes((number % 2,)) + value for number, value in enumerate([*values, *(bad.value for bad in BAD)])]
    seeds += [bytes((2,)) + Batch(0, sound["payments"][:3], codec).data() for codec in range(5)]
    for number, data in enumerate(data for data in seeds if len(data) < 3_000):
        (folder / f"seed-{number}").write_bytes(data)


def _target(failure: Callable[[Sequence[Any]], Exception | None]) -> Callable[[bytes], None]:
    """What atheris calls; the first byte of an input says what the others are."""
    from detector.contracts.policy import DEFAULT
    from detector.counting.decoder import Decoder
    from detector.counting.names import Names
    from detector.counting.reference import ReferenceDecoder
    from tests.fuzz.events import START_MS, TOPICS
    from tests.fuzz.script import Step, kept
    from tests.property.batches import mended
    from tests.property.test_decoder import outcome

    names = Names(DEFAULT), Names(DEFAULT)
    fast, slow = Decoder(DEFAULT, names[0]), ReferenceDecoder(DEFAULT, names[1])
    runs = 0

    def differs(values: list[bytes], topic: Any) -> bool:
        nonlocal names, fast, slow
        if len(names[0].leaves) > 1_000:
            names = Names(DEFAULT), Names(DEFAULT)
            fast, slow = Decoder(DEFAULT, names[0]), ReferenceDecoder(DEFAULT, names[1])
        return outcome(fast, names[0], values, topic) != outcome(slow, names[1], values, topic)

    def one_input(data: bytes) -> None:
        nonlocal runs
        runs += 1
        kind, data = data[0] % 3 if data else 0, data[1:]
        values = data.split(b"\n\n", VALUES_MAX - 1)
        topic = TOPICS[kind % 2]
        step = Step(topic, tuple((START_MS, b"k", value, []) for value in values), (len(values),))
        if kind == 2:
            step = Step(TOPICS[0], raw=mended(data) if len(data) > 61 else bytes(61), kind="wreck")
        elif runs % WHOLE_WAY_EACH and not differs(values, topic):
            return
        wrong = failure([step])
        if wrong is not None:
            print(f"{wrong}\nkept as {kept([step], f'guided-{abs(hash(data)):016x}', str(wrong))}", flush=True)
            raise wrong

    return one_input


if __name__ == "__main__":
    sys.exit(main())
