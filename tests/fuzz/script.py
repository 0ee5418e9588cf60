"""What is sent in one trial: step by step the records or bytes that a topic gets; drawn from a seed, kept as JSON.

Knows how steps are drawn and written down, not what must come of them.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from detector.contracts.policy import DEFAULT
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from tests.fuzz.events import Stretch, stretches
from tests.fuzz.spoil import spoilt
from tests.fuzz.wreck import wrecked
from tests.property.batches import Batch, Written

__all__ = ["CORPUS", "Step", "drawn", "kept", "read"]

CORPUS = Path(__file__).parent / "corpus"
BATCH_RECORDS = (1, 20, 200, 200, 500)
MIXED_SHARE = 0.1
WRECKS = 3
"""Wrecked batches between two stretches."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one fetch of a topic gives: batches of these sizes of `records`, or the one batch that `raw` is.

    `kind` is good, bad (refused), odd (spoilt, and taken all the same), mixed, or wreck; `spoilt` says how many records
    were.
    """

    topic: str
    records: tuple[Written, ...] = ()
    sizes: tuple[int, ...] = ()
    codec: int = 0
    raw: bytes = b""
    kind: str = "bad"
    spoilt: int = 0

    def data(self, base: int) -> bytes:
        """The bytes of the fetch, from an offset on."""
        if self.raw:
            return struct.pack(">q", base) + self.raw[8:]
        found, at = [], 0
        for size in self.sizes:
            found.append(Batch(base + at, self.records[at : at + size], self.codec).data())
            at += size
        return b"".join(found)

    def of(self, records: Sequence[Written]) -> Step:
        """The same with other records, in one batch."""
        return Step(self.topic, tuple(records), (len(records),), self.codec, self.raw, self.kind, self.spoilt)


def drawn(seed: int, records: int) -> Iterator[Step]:
    """Steps with at least so many spoilt records; a good stretch is followed by a bad one, then by a mixed one.

    The three have batches of one size and codec: what a record takes can be compared.
    """
    random = Random(seed)
    size = codec = 0
    for number, stretch in enumerate(stretches(seed)):
        kind = ("good", "bad", "mixed")[number % 3]
        if kind == "good":
            size, codec = random.choice(BATCH_RECORDS), random.randrange(5)
        for step in _steps(random, stretch, kind, size, codec):
            yield step
            records -= step.spoilt
        if records <= 0:
            return


def _steps(random: Random, stretch: Stretch, kind: str, size: int, codec: int) -> Iterator[Step]:
    share = {"good": 0.0, "bad": 1.0, "mixed": MIXED_SHARE}[kind]
    for topic, records in stretch.by_topic.items():
        bad = [random.random() < share for _ in records]
        found = [spoilt(random, record)[1] if is_bad else record for is_bad, record in zip(bad, records, strict=True)]
        parts = {kind: found} if kind != "bad" else _parted(topic, found)
        for kind_, part in parts.items():
            sizes = [min(size, len(part) - at) for at in range(0, len(part), size)]
            spoilt_ = len(part) if kind == "bad" else sum(bad)
            yield Step(topic, tuple(part), tuple(sizes), codec, kind=kind_, spoilt=spoilt_)
        if kind == "mixed":
            yield from _wrecks(random, topic, found)


def _parted(topic: Any, records: list[Written]) -> dict[str, list[Written]]:
    """What is refused, and what is taken all the same: so that the time of each can be told. What is right is another
    matter, and this decoder's word is not taken for it."""
    values = [value or b"" for _, _, value, _ in records]
    rejects = Decoder(DEFAULT, Names(DEFAULT)).decode(values, topic, None, np.arange(len(values))).rejects
    refused = set(rejects.places.tolist())
    parts: dict[str, list[Written]] = {"bad": [], "odd": []}
    for place, record in enumerate(records):
        parts["bad" if place in refused else "odd"].append(record)
    return {kind: part for kind, part in parts.items() if part}


def _wrecks(random: Random, topic: str, records: list[Written]) -> Iterator[Step]:
    for _ in range(WRECKS):
        some = records[: random.choice((1, 3, 40))]
        raw = wrecked(random, Batch(0, some, random.randrange(5)).data())
        yield Step(topic, raw=raw, kind="wreck", spoilt=len(some))


def kept(steps: Sequence[Step], name: str, why: str) -> Path:
    """Write a trial down, so that it is played with the tests from now on."""
    said = {"why": why, "steps": [_said(step) for step in steps]}
    path = CORPUS / f"{name}.json"
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="ascii")
    return path


def read(path: Path) -> list[Step]:
    """A trial that was written down."""
    return [_step(said) for said in json.loads(path.read_text(encoding="ascii"))["steps"]]


def _said(step: Step) -> dict[str, Any]:
    if step.raw:
        return {"topic": step.topic, "raw": _text(step.raw)}
    records = [{"time": at_ms, "key": _text(key), "value": _text(value), "headers": [[name, _text(v)] for name, v in h]}
               for at_ms, key, value, h in step.records]  # fmt: skip
    return {"topic": step.topic, "codec": step.codec, "sizes": step.sizes, "records": records}


def _step(said: dict[str, Any]) -> Step:
    if "raw" in said:
        return Step(said["topic"], raw=_bytes(said["raw"]) or b"", kind="wreck")
    records = tuple(
        (one["time"], _bytes(one["key"]), _bytes(one["value"]), [(name, _bytes(v)) for name, v in one["headers"]])
        for one in said["records"]
    )  # fmt: skip
    return Step(said["topic"], records, tuple(said["sizes"]), said["codec"], spoilt=len(records))


def _text(data: bytes | None) -> str | None:
    """Readable where it can be."""
    if data is None:
        return None
    is_plain = data.isascii() and data.decode("ascii").isprintable() and not data.startswith(b"base64:")
    return data.decode("ascii") if is_plain else "base64:" + base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    if text is None or not text.startswith("base64:"):
        return None if text is None else text.encode("ascii")
    return base64.b64decode(text.removeprefix("base64:"))
