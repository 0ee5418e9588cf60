"""What a screen shows: rates, health and open outages of banks and methods, folded from what the worker says.

A value with no I/O: the page and the terminal view read it. Knows neither Kafka nor HTTP; merchants are masked here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from detector.contracts.models import SCOPE_DIMENSIONS
from detector.contracts.scope import Scope, mask, parse_scope

SHOWN_EVENTS_MAX: Final = 50
OPEN_MAX: Final = 1_000
ROWS_MAX: Final = 500
WEAK_BELOW: Final = 0.6

Key = tuple[str, str]
"""Bank and method; "" is all of them."""


class Light(Enum):
    """What a dot says, in a word for those who do not see its colour."""

    UP = "up"
    WEAK = "weak"
    SUSPECTED = "suspected"
    DOWN = "down"
    RECOVERING = "recovering"
    MAINTENANCE = "maintenance"
    QUIET = "no answers"


_OF_HEALTH: Final = {
    "suspected": Light.SUSPECTED, "down": Light.DOWN, "recovering": Light.RECOVERING, "maintenance": Light.MAINTENANCE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One outage event as people read it; times are epoch ms."""

    at_ms: int
    change: str
    outage_id: str
    scope: str
    kind: str
    began_at_ms: int
    severity: str
    explanation: str

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Row:
    """A bank or a method: its light, its approval rate in the last minute (None: none decided), its leaves' lights."""

    name: str
    light: Light
    rate: float | None
    parts: tuple[tuple[str, Light], ...]


@dataclass(slots=True)
class Board:
    """The newest of everything; every `take_` replaces what it knew."""

    rates: dict[Key, float] = field(default_factory=dict)
    health: dict[Key, str] = field(default_factory=dict)
    open: dict[str, Line] = field(default_factory=dict)
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=SHOWN_EVENTS_MAX))
    payments: float = 0.0
    behind_s: float | None = None
    _struck: dict[str, Key] = field(default_factory=dict)

    def take_outage(self, event: Mapping[str, Any]) -> Line:
        """An outage event of the contract."""
        line = _line(event)
        if line.change == "resolved":
            self.open.pop(line.outage_id, None)
            self._struck.pop(line.outage_id, None)
        elif line.outage_id in self.open or len(self.open) < OPEN_MAX:
            self.open[line.outage_id] = line
            if (key := _key(event["data"]["scope"])) is not None:
                self._struck[line.outage_id] = key
        if line.change != "updated":
            self.lines.append(line)
        return line

    def take_health(self, record: Mapping[str, Any]) -> None:
        """A health record of the contract."""
        if (key := _key(record["scope"])) is not None:
            self.health[key] = str(record["status"])

    def take_rates(self, rates: dict[Key, float], payments: float, behind_s: float | None = None) -> None:
        """Approval rates of the last minute, payments counted since the worker's start, its watermark's age."""
        self.rates, self.payments, self.behind_s = rates, payments, behind_s

    def banks(self) -> list[Row]:
        """Every bank seen, in the order of names."""
        names = sorted({bank for bank, _ in self.rates if bank})[:ROWS_MAX]
        methods = sorted({method for _, method in self.rates if method})
        return [self._row((name, ""), [(name, method) for method in methods]) for name in names]

    def methods(self) -> list[Row]:
        """Every method seen, in the order of names."""
        return [self._row(("", name), []) for name in sorted({method for _, method in self.rates if method})]

    def light(self, key: Key) -> Light:
        """The light of the platform ("", ""), a bank, a method or a leaf."""
        if any(_covers(struck, key) for struck in self._struck.values()):
            return Light.RECOVERING if self.health.get(key) == "recovering" else Light.DOWN
        if (said := _OF_HEALTH.get(self.health.get(key, ""))) not in (None, Light.DOWN):
            return said
        rate = self.rates.get(key)
        if rate is None:
            return Light.QUIET
        return Light.WEAK if rate < WEAK_BELOW else Light.UP

    def plain(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {
            "platform": _plain_row(self._row(("", ""), [])),
            "banks": [_plain_row(row) for row in self.banks()],
            "methods": [_plain_row(row) for row in self.methods()],
            "open": [line.plain() for line in self.open.values()],
            "events": [line.plain() for line in reversed(self.lines)],
        }

    def _row(self, key: Key, parts: list[Key]) -> Row:
        lights = tuple((method, self.light((bank, method))) for bank, method in parts)
        return Row(key[0] or key[1] or "platform", self.light(key), self.rates.get(key), lights)


def _covers(struck: Key, key: Key) -> bool:
    """Whether all payments of `key` are payments of `struck`."""
    return all(mine in ("", other) for mine, other in zip(struck, key, strict=True))


def _key(scope: Mapping[str, Any]) -> Key | None:
    """The bank and method of a scope; None of one that is less than these: one shop's or one app's trouble darkens no
    bank."""
    if any(scope.get(name) for name in SCOPE_DIMENSIONS if name not in ("bank", "method")):
        return None
    return scope.get("bank") or "", scope.get("method") or ""


def _line(event: Mapping[str, Any]) -> Line:
    data = event["data"]
    shown = parse_scope(str(event["subject"])).masked
    return Line(
        int(data["updated_at"]), str(event["type"]).split(".")[2], str(data["outage_id"]), shown, str(data["kind"]),
        int(data["began_at"]), str(data["severity"]), _masked(str(data["explanation"]), data["scope"].get("merchant")),
    )  # fmt: skip


def _masked(text: str, merchant: str | None) -> str:
    """The text without the merchant's name, which stands in it as a word, as it is or as in a scope."""
    if not merchant:
        return text
    spelt = (merchant, Scope((("merchant", merchant),)).key.removeprefix("merchant:"))
    return re.sub(rf"(?<!\w)({'|'.join(map(re.escape, spelt))})(?!\w)", lambda _: mask(merchant), text)


def _plain_row(row: Row) -> dict[str, Any]:
    parts = [{"name": name, "light": light.value} for name, light in row.parts]
    return {"name": row.name, "light": row.light.value, "rate": row.rate, "parts": parts}
