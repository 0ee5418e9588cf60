"""What held under the load, from one look a second: rates, lag, latency, memory, and the first that saturated.

Pure: looks in, verdict out. Knows no Kafka, no process, no clock.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ACK_MS_MAX", "AGE_S_MAX", "LAG_S_MAX", "UNSENT_S_MAX", "Held", "Look", "Part", "Saturated", "held", "is_behind",
]  # fmt: skip

UNSENT_S_MAX = 1.0
"""So many seconds' worth of events are due and not with the broker: the sender, or the broker, does not keep up."""
ACK_MS_MAX = 1_000.0
"""A broker that takes longer to say it has a batch is what the sender waits for."""
LAG_S_MAX = 5.0
"""So many seconds' worth of events are not counted yet."""
AGE_S_MAX = 30.0
"""The newest boundary judged is so old. A few seconds are usual: late events are waited for."""
SENT_SHARE_MIN = 0.95
"""Of what was due when the load ended. Less is not the load that was asked for, however short it was."""
FEW_EVENTS = 20
"""Of a slow load so many may just be under way."""
LOOKS = 3
"""Looks in a row: one bad second is a hiccup."""


class Part(StrEnum):
    """What may be the first to give way."""

    SENDER = "sender"
    BROKER = "broker"
    COUNTING = "counting"
    JUDGING = "judging"


@dataclass(frozen=True, slots=True)
class Look:
    """A moment, `at_s` after the load began. Events since then: `due` by the clock, `sent` (the broker says that it has
    them), `lost` (given up, since it did not say so in time), `counted`.

    `ack_ms`: the slowest batch since the last look. `lag`: events not counted yet, None while not known; `age_s`: of
    the newest boundary judged, None before the first. `memory_mb` and `cpu_s` of all workers, None where not known.
    `over`: when the look before was taken, sending had ended, and nothing was on its way to the broker.
    """

    at_s: float
    due: int
    sent: int
    lost: int
    ack_ms: float
    counted: int
    lag: int | None
    age_s: float | None
    memory_mb: float | None
    cpu_s: float | None
    over: bool


@dataclass(frozen=True, slots=True)
class Saturated:
    """What gave way first, and since when."""

    part: Part
    at_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """The whole run. `unsent` events were due and never sent; `age_s` is the middle one; `drained_s` is how long after
    the load the lag was gone, if it was.

    Everything held where `first` is none.
    """

    rate: float
    sent_per_s: float
    lost: int
    unsent: int
    counted_per_s: float
    lag_max: int
    age_s: float | None
    age_s_max: float | None
    memory_mb: float | None
    cores: float | None
    drained_s: float | None
    first: Saturated | None


def held(looks: Sequence[Look], rate: float, loaded_s: float) -> Held:
    """The verdict on a load of `rate` events a second that went on for `loaded_s`; looks go on after it.

    A load that was not sent, or that nobody saw counted to its end, never held.
    """
    assert looks, "a load is looked at"
    during = [look for look in looks if look.at_s <= loaded_s]
    ages = [look.age_s for look in during if look.age_s is not None]
    memory = [look.memory_mb for look in looks if look.memory_mb is not None]
    drained_s = next((look.at_s - loaded_s for look in looks if look.at_s > loaded_s and _is_drained(look)), None)
    last = looks[-1]
    return Held(
        rate,
        _speed(during, "sent"),
        last.lost,
        last.due - last.sent - last.lost,
        _speed(during, "counted"),
        max((look.lag for look in looks if look.lag is not None), default=0),
        statistics.median(ages) if ages else None,
        max(ages, default=None),
        max(memory, default=None),
        _cores(during),
        drained_s,
        _first(during, rate) or _not_sent(looks, during) or (_not_counted(last) if drained_s is None else None),
    )


def is_behind(look: Look) -> bool:
    """Whether so much of what was due is not sent that, when the load ends, it was not the load that was asked for."""
    return look.due - look.sent > max((1 - SENT_SHARE_MIN) * look.due, FEW_EVENTS)


def _speed(looks: Sequence[Look], what: str) -> float:
    if len(looks) < 2:
        return 0.0
    first, last = looks[0], looks[-1]
    return float((getattr(last, what) - getattr(first, what)) / (last.at_s - first.at_s))


def _cores(looks: Sequence[Look]) -> float | None:
    known = [(look.at_s, look.cpu_s) for look in looks if look.cpu_s is not None]
    if len(known) < 2:
        return None
    (began_s, before_s), (ended_s, after_s) = known[0], known[-1]
    return (after_s - before_s) / (ended_s - began_s)


def _is_drained(look: Look) -> bool:
    return look.over and look.lag == 0


def _first(looks: Sequence[Look], rate: float) -> Saturated | None:
    """The earliest that several looks in a row complain about."""
    said = [_complaint(look, rate) for look in looks]
    for at in range(len(looks) - LOOKS + 1):
        some = said[at : at + LOOKS]
        first = some[0]
        if first is not None and all(one is not None and one.part == first.part for one in some):
            return first
    return None


def _complaint(look: Look, rate: float) -> Saturated | None:
    """What is too much at a moment. What stands earlier on an event's way is blamed for what comes after it."""
    if look.due - look.sent > UNSENT_S_MAX * rate:
        return _unsent(look)
    if look.lag is not None and look.lag > LAG_S_MAX * rate:
        return Saturated(Part.COUNTING, look.at_s, f"{look.lag:,} events were not counted yet")
    if look.age_s is not None and look.age_s > AGE_S_MAX:
        return Saturated(Part.JUDGING, look.at_s, f"the newest boundary judged was {look.age_s:,.0f} s old")
    return None


def _unsent(look: Look) -> Saturated:
    """Who is to blame that not all was sent."""
    if look.ack_ms > ACK_MS_MAX:
        return Saturated(Part.BROKER, look.at_s, f"a batch waited {look.ack_ms:,.0f} ms for it")
    return Saturated(Part.SENDER, look.at_s, f"{look.due - look.sent:,} events were due and not sent")


def _not_sent(looks: Sequence[Look], during: Sequence[Look]) -> Saturated | None:
    """Of a load too short for looks in a row, or whose looks were few: what was given up, or not sent in its time."""
    lossy = next((look for look in looks if look.lost), None)
    if lossy is not None:
        return Saturated(Part.BROKER, lossy.at_s, f"it did not say in time that it had {looks[-1].lost:,} events")
    return next((_unsent(look) for look in during[-1:] if is_behind(look)), None)


def _not_counted(last: Look) -> Saturated:
    """Why nobody saw that all was counted, when it was waited for no longer."""
    if not last.over:
        return _unsent(last)
    lag = "nobody knows how many" if last.lag is None else f"{last.lag:,}"
    return Saturated(Part.COUNTING, last.at_s, f"{lag} events were not counted when it was waited for no longer")
