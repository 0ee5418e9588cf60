"""`python -m detector.warm`: compile every loop once, so that no batch of events waits for the compiler. It
ends with a sentence, and exit code 1, where what it compiled is not kept.

Plays a few events through all there is, which calls every loop with the types it is always called with. Knows few
loops by name.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from detector.contracts.policy import EvidenceRules, Policy, Rule
from detector.counting.counter import warm_up
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Marker, Tally, decode, encode
from detector.judging.judge import Judge
from detector.kept import lost
from detector.records.checksum import crc32c
from detector.records.unpack import Unpacker, span
from detector.rehearsal.replay import Replay

_QUICK = Policy(
    ring_ms=120_000, horizon_ms=60_000, grace_ms=5_000, all_red=Rule(30_000, 3), all_pending=Rule(30_000, 3)
)
"""So that in some minutes an outage starts, panes leave the ring, and it ends."""
_LOUD = replace(_QUICK, evidence=EvidenceRules("live", page_years=0.001, ticket_years=0.001))
"""So that the statistics have something to say, too."""
_START_MS = 1_772_000_000_000
_MINUTES = 5
_LATE_S = 240
_FEW = 100
"""Events or records where not all are needed: how long a start takes depends on it."""
_EXTRA = {"note": {"é": [1.5, None, "\n"]}, "amount": 1, "currency": "EUR", "code": "05"}


def _events() -> Iterator[dict[str, object]]:
    """Two shops whose payments are red at one bank, till it is well again, and fine at another, with orders, a time as
    text, a late answer."""
    for second in range(0, _MINUTES * 60, 5):
        at = _START_MS + second * 1000
        common = {"order_id": f"o{second}", "method": "card", "merchant_id": f"m{second % 2}", "occurred_at": at}
        yield {**common, "status": "placed", "bank": "red"}
        answer = "declined" if second < _MINUTES * 30 else "approved"
        for bank, status in (("red", answer), ("fine", "approved"), ("fine", "pending"), ("fine", "cancelled")):
            payment = {**common, "payment_id": f"{bank}{status}{second}", "bank": bank, "status": status, **_EXTRA}
            yield {**payment, "shopper_id": f"s{second}"}
        if second == _LATE_S:
            late = {**payment, "payment_id": "late", "status": "approved", "started_at": _START_MS}
            yield {**late, "occurred_at": "2026-02-25T06:17:20Z", "instrument_id": "4111111111111111"}


def _judge(told: list[Tally | Marker]) -> None:
    """Ask a Judge all that is asked of one, and let a source say again what it can, which is nothing."""
    judge = Judge(_LOUD)
    for record in told[:_FEW]:
        judge.take(record)
    judge.health()
    judge.rates()
    judge.take(next(replace(record, term=1, first_pane=1 << 40) for record in told if isinstance(record, Tally)))


def _fetch(value: bytes) -> bytes:
    """A record batch of one record without a key, with a header."""
    record = b"\0\0\0\1" + bytes([2 * len(value)]) + value + b"\2\2h\1"
    records = bytes([2 * len(record)]) + record
    # Attributes, last offset delta, two times, producer, its epoch and sequence, how many records.
    summed = struct.pack(">hiqqqhii", 0, 0, _START_MS, _START_MS, -1, -1, -1, 1) + records
    sum_ = int(crc32c(np.frombuffer(summed, np.uint8), 0, len(summed)))
    return struct.pack(">qiibI", 0, len(summed) + 9, -1, 2, sum_) + summed


def _read(raw: bytes) -> None:
    """Ask of a fetch all that is asked of one."""
    assert span(raw, 0) == 1
    for part in Unpacker(lambda *_: 0).parts(raw, 0):
        assert part.headers(0) == [("h", None)]
        assert part.key(0) is None
        Decoder(_QUICK, Names(_QUICK)).decode(part.values, "payments", part.times, part.offsets)


def _through(told: list[Tally | Marker]) -> Callable[[Tally], Tally | Marker]:
    """Tallies as from the log: their arrays cannot be written, and to a loop that is another type."""

    def through(tally: Tally) -> Tally | Marker:
        told.append(decode(encode(tally)))
        return told[-1]

    return through


def warm_counting() -> None:
    """Call every loop that counts; those of growing tables, which no short day needs, by name."""
    warm_up()
    _read(_fetch(b"{}"))
    values = [json.dumps(event).encode() for event in _events()]
    for sources in (1, 2):
        replay = Replay(_LOUD, sources)
        replay.count(replay.read(values))


def warm_judging() -> None:
    """Call every loop that judges, and of recovery, which no short day needs."""
    values = [json.dumps(event).encode() for event in _events()]
    told: list[Tally | Marker] = []
    Replay(_LOUD, 2, _through(told)).feed(values[:_FEW])
    replay = Replay(_LOUD, 1, _through(told))
    replay.feed(values)
    replay.feed(values[-4:])
    replay.finish()
    _judge(told)


def warm() -> None:
    """Call every loop."""
    warm_counting()
    warm_judging()


if __name__ == "__main__":
    warm()
    if lost():
        raise SystemExit(lost())
