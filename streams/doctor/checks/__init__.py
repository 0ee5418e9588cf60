"""The checks, in the order in which their mistakes are best mended: one file, one section of docs/DOCTOR.md each.

A check is a pure function `check(checkup)` that yields findings. It does not connect, and it never shows a value.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from streams.doctor.checks import (
    cards,
    clock,
    codes,
    dead_letters,
    finals,
    key,
    lag,
    merchants,
    orders,
    partitions,
    payments,
    started_at,
    topics,
    unparsable,
)
from streams.doctor.checkup import Checkup
from streams.doctor.finding import Finding

CHECKS: Final[Mapping[str, Callable[[Checkup], Iterator[Finding]]]] = {
    "topics": topics.check,
    "partitions": partitions.check,
    "payments": payments.check,
    "key": key.check,
    "unparsable": unparsable.check,
    "cards": cards.check,
    "clock": clock.check,
    "started_at": started_at.check,
    "finals": finals.check,
    "merchants": merchants.check,
    "codes": codes.check,
    "orders": orders.check,
    "dead_letters": dead_letters.check,
    "lag": lag.check,
}


def examine(checkup: Checkup) -> list[Finding]:
    """What every check finds, in the order of CHECKS."""
    return [finding for check in CHECKS.values() for finding in check(checkup)]
