"""The goals, worked out from the raw rows each time. What was not measured is not met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.throughput.contest import (
    BATCH,
    COUNTER,
    FAUST,
    GETMANY,
    KAFKA_PROCESSOR,
    KAFKA_PROCESSOR_EVENTS,
    KAFKA_STREAMS,
    KAFKA_STREAMS_EVENTS,
    LIBRDKAFKA,
    PLAIN,
    PYTHON_PEERS,
    REPLAY,
    SCAN,
    SMALL,
)

Rows = list[dict[str, Any]]
Goals = dict[str, dict[str, Any]]
ROUNDS_MIN = 3
SPEED, PROTOTYPE_GETMANY = 1_000_000, 290_000
"""The prototype counted so many a CPU second where `getmany` drained so many: a slower machine owes less."""
REPLAY_SPEED, REPLAY_SHARE = 1_000_000, 0.5
TIMES = (
    ("the Counter beside librdkafka's drain", COUNTER, LIBRDKAFKA, 1.5),
    ("the Counter without votes and details beside librdkafka's drain", PLAIN, LIBRDKAFKA, 2.0),
    ("the Counter beside getmany's drain", COUNTER, GETMANY, 3.0),
    ("the Counter beside the stock Faust agent", COUNTER, FAUST, 100.0),
    ("the Counter beside Kafka Streams", COUNTER, KAFKA_STREAMS_EVENTS, 15.0),
)
BESIDE_KAFKA_STREAMS = (
    (KAFKA_STREAMS, "where it joins statuses"),
    (KAFKA_PROCESSOR_EVENTS, "beside a processor by hand"),
    (KAFKA_PROCESSOR, "beside one that joins statuses"),
)
"""The goal is over events counted alone and written as in the documents of Kafka Streams; these are told beside."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of each round: the least, the middle, the most, and of how many rounds."""

    low: float
    middle: float
    high: float
    rounds: int

    def text(self, form: str) -> str:
        """In words: the middle, and between what it lies."""
        low, middle, high = (format(value, form) for value in (self.low, self.middle, self.high))
        return f"{middle} ({low} to {high})"


def spread(values: Sequence[float]) -> Spread | None:
    """Of some rounds; None without any."""
    return Spread(min(values), statistics.median(values), max(values), len(values)) if values else None


def by_round(rows: Rows, name: str, batch: int = BATCH, of: str = "cpu_s") -> dict[int, float]:
    """A participant's events a second of CPU (or of `wall_s`), by round."""
    return {
        row["round"]: row["events"] / row[of]
        for row in rows
        if row["name"] == name and row["batch"] == batch and "failed" not in row and row[of] > 0
    }


def speed(rows: Rows, name: str, batch: int = BATCH, of: str = "cpu_s") -> Spread | None:
    """A participant's events a second over the rounds."""
    return spread(list(by_round(rows, name, batch, of).values()))


def times(rows: Rows, ours: str, other: str, batch: int = BATCH) -> Spread | None:
    """How many times as many events a CPU second, in the rounds that have both."""
    mine, theirs = by_round(rows, ours, batch), by_round(rows, other, batch)
    return spread([mine[number] / theirs[number] for number in sorted(mine.keys() & theirs.keys())])


def best_peer(rows: Rows) -> str | None:
    """The fastest of the Python peers, by its middle round."""
    found = {name: one.middle for name in PYTHON_PEERS if (one := speed(rows, name))}
    return max(found, key=lambda name: found[name], default=None)


def goals(rows: Rows) -> Goals:
    """`{name: {goal, measured, met}}`."""
    found: Goals = {}
    for name, ours, other, least in TIMES:
        _at_least(found, name, times(rows, ours, other), least, _note(rows, ours, other))
    _peer(found, rows)
    _speed(found, rows)
    _replay(found, rows)
    for other in (LIBRDKAFKA, GETMANY):
        one = times(rows, COUNTER, other, SMALL)
        goal = f"{SMALL} events a batch: measured and said"
        _set(
            found, f"small batches: the Counter beside {other}", goal, one, f"{one.text('.2f')} x" if one else "", True
        )
    return found


def _set(found: Goals, name: str, goal: str, one: Spread | None, measured: str, met: bool) -> None:
    """Fewer rounds than a spread needs are measured, and not met."""
    if one is None:
        found[name] = {"goal": goal, "measured": "not measured", "met": False}
        return
    few = "" if one.rounds >= ROUNDS_MIN else f"; {one.rounds} of at least {ROUNDS_MIN} rounds"
    found[name] = {"goal": goal, "measured": measured + few, "met": met and not few}


def _at_least(found: Goals, name: str, one: Spread | None, least: float, note: str = "") -> None:
    measured = f"{one.text('.2f')} x{note}" if one else ""
    _set(found, name, f">= {least:g} x a CPU second", one, measured, one is not None and one.middle >= least)


def _note(rows: Rows, ours: str, other: str) -> str:
    """What a reader must know beside the ratio."""
    if other != KAFKA_STREAMS_EVENTS:
        return ""
    others = [(times(rows, ours, name), where) for name, where in BESIDE_KAFKA_STREAMS]
    return "".join(f"; {one.text('.2f')} x {where}" for one, where in others if one)


def _peer(found: Goals, rows: Rows) -> None:
    best = best_peer(rows)
    name = "the Counter beside the best Python peer"
    _at_least(found, name, times(rows, COUNTER, best) if best else None, 10.0, f" ({best})")


def _speed(found: Goals, rows: Rows) -> None:
    counter, getmany = speed(rows, COUNTER), speed(rows, GETMANY)
    here = min(1.0, getmany.middle / PROTOTYPE_GETMANY) if getmany else 1.0
    owed = SPEED * here
    _set(
        found,
        "events the Counter counts in a CPU second",
        f">= {SPEED:,} where getmany drains {PROTOTYPE_GETMANY:,} as at the prototype's; here >= {owed:,.0f}",
        counter if getmany else None,
        counter.text(",.0f") if counter else "",
        counter is not None and counter.middle >= owed,
    )


def _replay(found: Goals, rows: Rows) -> None:
    replayed, share = speed(rows, REPLAY, of="wall_s"), times(rows, REPLAY, SCAN)
    _set(
        found,
        "replay of an uncompressed file",
        f">= {REPLAY_SPEED:,} events a second, or >= {REPLAY_SHARE} x the scan of it alone",
        replayed if share else None,
        f"{replayed.text(',.0f')} events/s; {share.text('.2f')} x" if replayed and share else "",
        bool(replayed and share and (replayed.middle >= REPLAY_SPEED or share.middle >= REPLAY_SHARE)),
    )
