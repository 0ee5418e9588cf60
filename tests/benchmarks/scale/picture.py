"""How cost grows, drawn: four small panels as SVG, with logarithms on every axis. Knows lines and scales only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 46
COLOURS = ("#c0392b", "#2471a3", "#1e8449", "#7d3c98")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over the same axes; every value is above 0."""

    title: str
    across: str
    up: str
    lines: dict[str, list[Point]]


def panels(found: dict[str, Any]) -> list[Panel]:
    """What the page's tables say."""
    ledgers = found["ledgers"]
    works = [
        (f"{count} partitions", [(one["workers"], one["events"] / one["wall_s"]) for one in found["works"]
                                 if one["partitions"] == count])
        for count in sorted({one["partitions"] for one in found["works"]})
    ]  # fmt: skip
    ticks = [
        (f"{count} sources, {name}", [(one["leaves"], one[key]) for one in found["ticks"] if one["sources"] == count])
        for count in sorted({one["sources"] for one in found["ticks"]})
        for name, key in (("median", "p50_ms"), ("slowest hundredth", "p99_ms"))
    ]
    return [
        Panel("A ledger's memory", "payments a second", "MB",
              {"all tables": [(one["rate"], one["memory"] / 1e6) for one in ledgers]}),
        Panel("What a source says", "payments a second", "kB a second",
              {"tallies": [(one["rate"], one["said_per_s"] / 1000) for one in ledgers]}),
        Panel("Counting", "workers", "events a second", dict(works)),
        Panel("A boundary judged", "leaves", "ms of CPU", dict(ticks)),
    ]  # fmt: skip


def drawn(some: Sequence[Panel]) -> str:
    """The SVG, two panels a row."""
    rows = math.ceil(len(some) / 2)
    inside = [
        f'<g transform="translate({WIDTH * (number % 2)},{HEIGHT * (number // 2)})">{"".join(_panel(panel))}</g>'
        for number, panel in enumerate(some)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT}" '
        f'width="{2 * WIDTH}" height="{rows * HEIGHT}" font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, f'<rect width="{2 * WIDTH}" height="{rows * HEIGHT}" fill="#fff"/>', *inside, "</svg>", ""])


class _Scale:
    """From values to places, by their logarithms, between whole marks."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self.marks = _marks(min(values), max(values))
        self._low, self._high = math.log(self.marks[0]), math.log(self.marks[-1])
        self._begin, self._end = begin, end

    def __call__(self, value: float) -> float:
        share = (math.log(value) - self._low) / (self._high - self._low)
        return round(self._begin + share * (self._end - self._begin), 1)


def _marks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20… from at most `low` to at least `high`, two of them at least; decades alone where they are
    many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    steps = (1,) if last - first > 4 else (1, 2, 5)
    every = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    begin = max(mark for mark in every if mark <= low * (1 + 1e-9))
    end = min(mark for mark in every if mark >= high * (1 - 1e-9) and mark > begin)
    return [mark for mark in every if begin <= mark <= end]


def _panel(panel: Panel) -> Iterator[str]:
    points = [point for line in panel.lines.values() for point in line]
    across = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    yield f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(panel.title)}</text>'
    for mark in across.marks:
        x = across(mark)
        yield f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{mark:,.10g}</text>'
    for mark in up.marks:
        y = up(mark)
        yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 5}" y="{y + 4}" text-anchor="end">{mark:,.10g}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.across)}</text>'
    turned = f"translate(13,{(TOP + HEIGHT - BOTTOM) / 2})rotate(-90)"
    yield f'<text transform="{turned}" text-anchor="middle">{escape(panel.up)}</text>'
    for number, (name, line) in enumerate(panel.lines.items()):
        yield from _line(name, number, [(across(x), up(y)) for x, y in sorted(line)])


def _line(name: str, number: int, places: Sequence[Point]) -> Iterator[str]:
    colour = COLOURS[number % len(COLOURS)]
    path = " ".join(f"{x},{y}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places)
    yield f'<text x="{LEFT + 8}" y="{TOP + 14 + 14 * number}" fill="{colour}">{escape(name)}</text>'
