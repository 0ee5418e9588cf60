"""What a run leaves behind: the rows and goals (JSON), the tables (Markdown), the picture (PNG)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from tests.benchmarks.detection import goals, grid
from tests.benchmarks.detection.goals import Rows

SECTIONS = ("cells", "peers", "traps", "localise", "limits")
Kept = dict[str, Any]


def load(folder: Path | None) -> Kept:
    """What was kept, or nothing."""
    file = folder / "detection.json" if folder else None
    if file and file.exists():
        kept: Kept = json.loads(file.read_text(encoding="utf-8"))
        return kept
    return {"rows": {name: [] for name in SECTIONS}, "mode": {}, "minutes": {}, "goals": {}}


def write(folder: Path | None, kept: Kept) -> None:
    """Work out the goals, and keep everything."""
    kept["goals"] = goals.goals(kept["rows"])
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detection.json").write_text(_json(kept), encoding="utf-8")
    (folder / "detection.md").write_text(text(kept), encoding="utf-8")
    if kept["rows"]["cells"]:
        from tests.benchmarks.detection.picture import draw

        draw(folder / "detection.png", kept["rows"])


def _json(kept: Kept) -> str:
    """A row a line, so that changes can be read."""
    rows = ",\n".join(
        f'  "{name}": [\n'
        + ",\n".join(f"   {json.dumps(row, ensure_ascii=False)}" for row in kept["rows"][name])
        + "\n  ]"
        for name in SECTIONS
    )
    goal = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in kept["goals"].items()
    )
    return (
        f'{{\n "mode": {json.dumps(kept["mode"])},\n "minutes": {json.dumps(kept["minutes"])},\n'
        f' "goals": {{\n{goal}\n }},\n "rows": {{\n{rows}\n }}\n}}\n'
    )


def text(kept: Kept) -> str:
    """The page."""
    rows = kept["rows"]
    parts = [
        HEAD,
        _goals(kept["goals"]),
        _cells(rows["cells"]),
        _peers(rows),
        _traps(rows["traps"]),
        _localise(rows["localise"]),
        _limits(rows["limits"]),
        _how(kept),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


HEAD = """# Detection: measured

`make bench-detection` writes this page. All streams are simulated and seeded; the engine is the shipped one with the
shipped policy, evidence on, and what is usual learned from 28 simulated days. For equal false alarms only the bar
moves. *Limit*: the exact mean delay of CUSUM that is told both rates, begun at the worst moment (Moustakides 1986). The
engine's delay is a mean over moments, so its efficiency (limit ÷ delay) can pass 1 by a little.

![delay against false alarms](detection.png)"""


def _table(title: str, head: tuple[str, ...], lines: list[tuple[str, ...]], note: str = "") -> str:
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    rule = "|---" * len(head) + "|"
    return f"## {title}\n{note}\n\n| {' | '.join(head)} |\n{rule}\n{body}" if lines else f"## {title}\nNot run."


def _goals(found: dict[str, dict[str, Any]]) -> str:
    lines = [(name, one["goal"], one["measured"], "yes" if one["met"] else "**no**") for name, one in found.items()]
    return _table("Goals", ("what", "goal", "measured", "met"), lines)


def _cells(rows: Rows) -> str:
    lines = []
    for row in sorted(rows, key=lambda r: (grid.CELLS.index((r["p0"], r["p1"])), r["per_minute"])):
        at, out = grid.matched(row), grid.shipped(row)
        lines.append(
            (
                f"{row['p0']} -> {row['p1']}",
                f"{row['per_minute']:g}",
                f"{row['bound_votes']:.1f}",
                *(_delay(at, row) if at else ("-", "-", "-", "-")),
                _votes(out),
                seconds(out["seconds_mean"]),
                f"{out['missed']:.0%}",
                f"{max(row['exposure_years']):.1f}",
            )
        )
    note = (
        "\nVotes: mean / 95 %. Left: at one false alarm a key-year, read from a line through the bars with "
        f"{grid.ALARMS[0]} to {grid.ALARMS[1]} false alarms; `~`: fewer than {grid.ALARMS_DUE} were due, so the line "
        "goes beyond what was seen; `-`: too few to say. Right: at the shipped bar of 1,000 years. An outage that was "
        "missed counts with the longest that was looked at. At 60,000 a minute a boundary has 1,000 votes."
    )
    head = (
        "approval",
        "a minute",
        "limit",
        "votes at 1 FA",
        "time",
        "efficiency",
        "bar, years",
        "votes shipped",
        "time",
        "missed",
        "healthy key-years",
    )
    return _table("The engine on the grid", head, lines, note)


def _delay(at: dict[str, float], row: dict[str, Any]) -> tuple[str, str, str, str]:
    about = "~" if max(row["exposure_years"]) < grid.ALARMS_DUE else ""
    missed = f", {at['missed']:.0%} missed" if at["missed"] >= 0.005 else ""
    return about + _votes(at) + missed, seconds(at["seconds_mean"]), f"{at['efficiency']:.2f}", f"{at['bar_years']:.3g}"


def _votes(at: dict[str, float]) -> str:
    return f"{at['votes_mean']:.1f} / {at['votes_p95']:.0f}"


def seconds(value: float) -> str:
    """In words."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 7_200 else f"{value / 3_600:.1f} h"


def _peers(rows: dict[str, Rows]) -> str:
    lines = []
    for cell in grid.MAIN:
        row = goals.engine_row(rows["cells"], cell)
        at = grid.matched(row) if row else None
        if row and at:
            lines.append(
                (
                    f"{cell[0]} -> {cell[1]}",
                    "**this engine**",
                    "yes",
                    _votes(at),
                    seconds(at["seconds_mean"]),
                    f"{at['efficiency']:.2f}",
                    "0%",
                    "1 (fitted)",
                )
            )
        lines += [_peer(peer, row) for peer in _sorted(rows["peers"], cell)]
    note = (
        "\n10 a minute. *Matched*: its threshold is moved to one false alarm a key-year, as near as it goes; else it "
        "stands as published, with the false alarms it has. CUSUM is told both rates, the tuned run and ratio "
        "the healthy one; river's learn it from 2,000 votes, as does the engine from weeks."
    )
    head = ("approval", "detector", "matched", "votes", "time", "efficiency", "missed", "false alarms a key-year")
    return _table("Peers", head, lines if rows["peers"] else [], note)


def _sorted(rows: Rows, cell: tuple[float, float]) -> Rows:
    mine = [row for row in rows if (row["p0"], row["p1"]) == cell]
    return sorted(mine, key=lambda row: (not row["matched"], row["votes_mean"]))


def _peer(peer: dict[str, Any], row: dict[str, Any] | None) -> tuple[str, ...]:
    mean = peer["votes_mean"]
    efficiency = f"{row['bound_votes'] / mean:.2f}" if row and peer["matched"] else ""
    return (
        f"{peer['p0']} -> {peer['p1']}",
        peer["name"],
        "yes" if peer["matched"] else "no",
        _votes(peer),
        seconds(mean / peer["per_minute"] * 60),
        efficiency,
        f"{peer['missed']:.0%}",
        f"{peer['false_alarms_per_key_year']:.3g}" if peer.get("exact") else rate(peer["alarms"], peer["key_years"]),
    )


def rate(count: int, years: float) -> str:
    """Events a year with the exact 95 % interval of a Poisson count (Garwood 1936)."""
    low, high = interval(count)
    return f"{count / years:.3g} ({low / years:.2g} to {high / years:.2g}; {count} in {years:.3g} y)"


def interval(count: int) -> tuple[float, float]:
    """Of the mean of a Poisson count; by halving, for want of a chi-square."""
    return (
        _solve(lambda mean: 1 - _below(count, mean), 0.025, count) if count else 0.0,
        _solve(lambda mean: 1 - _below(count + 1, mean), 0.975, count),
    )


def _below(count: int, mean: float) -> float:
    """P(N < count)."""
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count))


def _solve(rising: Any, share: float, count: int) -> float:
    low, high = 1e-9, 4.0 * count + 20
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < share else (low, middle)
    return high


def _traps(rows: Rows) -> str:
    running = [
        (row["trap"], row["setting"], rate(row["pages"], row["key_years"]), _channels(row))
        for row in rows
        if row["strikes"] is None
    ]
    striking = [
        (
            row["trap"],
            row["setting"],
            f"{row['pages']} of {row['strikes']} ({row['pages'] / row['strikes']:.1%})",
            _told(row),
        )
        for row in rows
        if row["strikes"]
    ]
    one = _table(
        "Traps that run all the time",
        ("trap", "setting", "pages a key-year", "by channel"),
        running,
        "\nAt the shipped bar; any of the three channels that page. Interval: exact Poisson, 95 %.",
    )
    two = _table(
        "Traps that strike",
        ("trap", "setting", "bank pages", "besides"),
        striking,
        "\nWith the merchant gate as the Judge asks it; that a merchant is blamed is no page.",
    )
    return one + "\n\n" + two


def _channels(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in row["by_channel"].items())


def _told(row: dict[str, Any]) -> str:
    if "by_channel" in row:
        after = row["outage_seconds_mean"]
        return f"{_channels(row)}; a true outage: {row['outage_found']} found, {after} s"
    first = f"page after {row['seconds_mean']} s on average; " if row["seconds_mean"] is not None else ""
    return f"{first}merchant blamed in {row['blamed']}"


def _localise(rows: Rows) -> str:
    lines = [
        (
            row["injected"],
            "wrong" if row["wrong_baseline"] else "true",
            f"{row['pages']:.2f}",
            f"{row['exact']:.0%}",
            f"{row['ms_median']:.1f}",
            str(row["trials"]),
        )
        for row in rows
    ]
    return _table("One fault, one cause", ("injected", "baseline", "pages", "exact", "ms", "trials"), lines)


def _limits(rows: Rows) -> str:
    lines = [
        (
            f"{row['leaves']:,}",
            f"{row['one_channel_ms']:.2f}",
            f"{row['all_channels_ms']:.2f}",
            f"{row['one_channel_ms'] / row['numpy_one_channel_ms']:.2f}",
        )
        for row in rows
        if row["what"] == "boundary"
    ]
    memory = [
        f"{row['gigabytes']:.2f} GB at {row['leaves']:,} leaves and {row['sources']} sources, each with one pane of "
        "every leaf."
        for row in rows
        if row["what"] == "memory"
    ]
    note = "\nMilliseconds of CPU, median. Memory: " + (memory[0] if memory else "not run.")
    return _table("Limits", ("leaves", "one channel", "all channels", "one channel ÷ numpy"), lines, note)


def _how(kept: Kept) -> str:
    ran = ", ".join(f"{name}: {kept['mode'][name]}, {kept['minutes'].get(name, '?')} min" for name in kept["mode"])
    return f"## How it was run\n\n{ran}. `--only NAME` runs a part again; goals are worked out from `detection.json`."
