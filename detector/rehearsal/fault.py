"""A fault of a simulated bank, method or shop: what goes wrong there, from when to when, and how much of it.

Does not know the shops it strikes, nor how the Judge will name what it did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from detector.contracts.moments import EPOCH_MS_MAX
from detector.contracts.scope import Scope, parse_scope

FACTOR_DEFAULT = 20.0
ERROR_SHARE_DEFAULT = 0.3
STRUCK = ("bank", "method", "merchant")
"""Dimensions a fault's scope may fix."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class FaultKind(Enum):
    """What the payments that start in a fault meet."""

    ALL_RED = "all_red"  # refused within a second, as by a bank whose servers are down
    ALL_PENDING = "all_pending"  # never answered
    ERRORS = "errors"  # a share is refused
    SLOW = "slow"  # answered, `factor` times later
    STALL = "stall"  # never sent, though the orders are


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls the payments of `scope` that start from `from_ms` up to `to_ms`, in ms since the first order.

    `share` of them is struck, from 0 to 1; the others (a leak) go on as usual. `factor` is of slow answers only.
    """

    scope: Scope
    kind: FaultKind
    from_ms: int
    to_ms: int
    share: float = 1.0
    factor: float = FACTOR_DEFAULT


def parse_duration(text: str) -> int:
    """`1h30m`, `90s`, `250ms` or `0` as ms. Raises ValueError."""
    parts = _DURATION.findall(text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise ValueError(f'a duration is numbers with ms, s, m, h or d; got "{text}"; write it like 90s or 1h30m')
    length_ms = sum(float(number) * _UNIT_MS[unit] for number, unit in parts)
    if length_ms > EPOCH_MS_MAX:
        raise ValueError(f'a duration is at most 8,000 years or so; got "{text[:40]}"; write a shorter one')
    return round(length_ms)


def parse_fault(text: str) -> Fault:
    """Read `SCOPE KIND FROM TO [share=0.3] [leak=0.04] [factor=20]`. Raises ValueError with what to write."""
    words = text.split()
    if len(words) < 4:
        raise ValueError(f'a fault is "SCOPE KIND FROM TO"; got "{text}"; write it like "bank:bnp all_red 15s 65s"')
    kind = _kind(words[1])
    options = _options(words[4:])
    fault = Fault(
        _scope(words[0]), kind, parse_duration(words[2]), parse_duration(words[3]),
        share=options.get("share", 1 - options["leak"] if "leak" in options else _share_default(kind)),
        factor=options.get("factor", FACTOR_DEFAULT),
    )  # fmt: skip
    if fault.to_ms <= fault.from_ms:
        raise ValueError(f'a fault ends after it began; got "{words[2]} {words[3]}"; put the later time last')
    return fault


def _share_default(kind: FaultKind) -> float:
    return ERROR_SHARE_DEFAULT if kind is FaultKind.ERRORS else 1.0


def _scope(word: str) -> Scope:
    scope = parse_scope(word)
    unknown = [name for name, _ in scope.values if name not in STRUCK]
    if unknown:
        raise ValueError(f"a fault strikes {', '.join(STRUCK)} or platform; got {unknown[0]}; use one of them")
    return scope


def _kind(word: str) -> FaultKind:
    try:
        return FaultKind(word)
    except ValueError:
        known = ", ".join(kind.value for kind in FaultKind)
        raise ValueError(f'unknown kind of fault; got "{word}"; use one of {known}') from None


def _options(words: list[str]) -> dict[str, float]:
    options: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            options[name] = float(value)
        except ValueError:
            raise ValueError(f'a fault\'s option is name=number; got "{word}"; write it like leak=0.04') from None
        if name not in ("share", "leak", "factor"):
            raise ValueError(f'unknown option of a fault; got "{name}"; use share, leak or factor')
        if not (options[name] > 0 if name == "factor" else 0 <= options[name] <= 1):  # nan is neither
            raise ValueError(f'{name} is {"above 0" if name == "factor" else "from 0 to 1"}; got "{value}"')
    return options
