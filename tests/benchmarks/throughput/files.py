"""Recorded events of a file, through the whole of `pastille replay` or the scanner alone, in this process.

`python -m tests.benchmarks.throughput.files --stage scan|replay --file F --events N`. Knows no Kafka.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.rehearsal.replay import Replay
from detector.warm import warm
from streams.recording import blocks_of, played
from tests.benchmarks.throughput.meter import Meter


def scan(file: Path) -> int:
    """Scan every line into columns; how many events there were."""
    decoder, seen, counted = Decoder(DEFAULT, Names(DEFAULT)), 0, 0
    with file.open("rb", buffering=0) as source:
        for lines in blocks_of(source):
            offsets = np.arange(seen, seen + len(lines), dtype=np.int64)
            counted += len(decoder.decode(lines, "mixed", None, offsets).columns)
            seen += len(lines)
    return counted


def replay(file: Path) -> int:
    """Count and judge every line; how many events there were."""
    whole = Replay(DEFAULT)
    for _ in played([str(file)], whole):
        pass
    return whole.seen.events


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", choices=("scan", "replay"), required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--events", type=int, required=True)
    wanted = parser.parse_args()
    warm()
    meter = Meter()
    meter.begin()
    meter.end(wanted.events, {"scan": scan, "replay": replay}[wanted.stage](wanted.file))
