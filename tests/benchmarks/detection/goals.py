"""The goals, worked out from the rows. What was not measured is not met."""

from __future__ import annotations

import math
from typing import Any

from tests.benchmarks.detection.grid import MAIN, matched

Rows = list[dict[str, Any]]
EFFICIENCY = dict(zip(MAIN, (0.86, 0.80), strict=True))
RUNNING = ("retries", "wandering baseline", "young baseline", "clustered arrivals")
STRIKING = ("merchant bug", "card testing", "volume surge")
YEARS_MIN, STRIKES_MIN, STRIKES_SHARE = 20.0, 200, 0.01
EXACT_MIN, MEMORY_GB_MAX = 0.98, 4.0
BOUNDARY_MS = {5_000: 1.0, 50_000: 10.0}


def goals(rows: dict[str, Rows]) -> dict[str, dict[str, Any]]:
    """`{name: {goal, measured, met}}`."""
    found: dict[str, dict[str, Any]] = {}
    for cell in MAIN:
        for per_minute in (10, 100, 1, 0.1):
            _efficiency(found, rows["cells"], cell, per_minute)
        _peers(found, rows, cell)
    for trap in RUNNING:
        _running(found, [row for row in rows["traps"] if row["trap"] == trap and row.get("goal", True)], trap)
    for trap in STRIKING:
        _striking(found, [row for row in rows["traps"] if row["trap"] == trap and row.get("shipped", True)], trap)
    _localise(found, rows["localise"])
    _limits(found, rows["limits"])
    return found


def engine_row(rows: Rows, cell: tuple[float, float], per_minute: float = 10) -> dict[str, Any] | None:
    """The engine's row of a cell at a rate."""
    return next((r for r in rows if (r["p0"], r["p1"]) == cell and r["per_minute"] == per_minute), None)


def _set(found: dict[str, dict[str, Any]], name: str, goal: str, measured: str | None, met: bool) -> None:
    found[name] = {"goal": goal, "measured": measured or "not measured", "met": bool(measured and met)}


def _efficiency(found: dict[str, dict[str, Any]], rows: Rows, cell: tuple[float, float], per_minute: float) -> None:
    row = engine_row(rows, cell, per_minute)
    at = matched(row) if row else None
    least = EFFICIENCY[cell]
    _set(
        found,
        f"efficiency {cell[0]} -> {cell[1]}, {per_minute:g} a minute",
        f">= {least} of the exact limit, 1 false alarm a key-year",
        f"{at['efficiency']:.2f}" if at else None,
        bool(at and at["efficiency"] >= least),
    )


def _peers(found: dict[str, dict[str, Any]], rows: dict[str, Rows], cell: tuple[float, float]) -> None:
    row = engine_row(rows["cells"], cell)
    at = matched(row) if row else None
    peers = [
        peer
        for peer in rows["peers"]
        if (peer["p0"], peer["p1"]) == cell and peer["matched"] and peer["per_minute"] == 10 and not is_told(peer)
    ]
    best = min(peers, key=lambda peer: float(peer["votes_mean"]), default=None)
    measured = f"{at['votes_mean']:.1f} against {best['votes_mean']:.1f} ({best['name']})" if at and best else None
    _set(
        found,
        f"peers {cell[0]} -> {cell[1]}",
        "fewer payments than every peer at the same false alarms",
        measured,
        bool(at and best and at["votes_mean"] < best["votes_mean"]),
    )


def is_told(peer: dict[str, Any]) -> bool:
    """Whether it is told the rates, which no detector knows: a yardstick and no peer."""
    return str(peer["name"]).startswith("CUSUM")


def _running(found: dict[str, dict[str, Any]], rows: Rows, trap: str) -> None:
    pages, years = sum(row["pages"] for row in rows), sum(row["key_years"] for row in rows)
    _set(
        found,
        trap,
        f"0 pages in {YEARS_MIN:g} key-years",
        f"{pages} in {years:.1f}" if rows else None,
        pages == 0 and years >= YEARS_MIN,
    )


def _striking(found: dict[str, dict[str, Any]], rows: Rows, trap: str) -> None:
    pages, strikes = sum(row["pages"] for row in rows), sum(row["strikes"] for row in rows)
    worst = max((row["pages"] / row["strikes"] for row in rows), default=1.0)
    _set(
        found,
        trap,
        f"bank pages in at most {STRIKES_SHARE:.0%} of at least {STRIKES_MIN}, in every setting",
        f"{pages} in {strikes}, at worst {worst:.1%}" if rows else None,
        strikes >= STRIKES_MIN and worst <= STRIKES_SHARE,
    )


def _localise(found: dict[str, dict[str, Any]], rows: Rows) -> None:
    """Faults that are told by the votes there are: dead or platform-wide; of those to x0.65 some have too few."""
    true = [
        row for row in rows if not row["wrong_baseline"] and row["faults"] and not row["injected"].endswith("x0.65")
    ]
    pages = [row["pages"] / row["faults"] for row in true]
    exact = min((row["exact"] for row in true), default=0.0)
    _set(
        found,
        "localise",
        f"1.00 page a fault, >= {EXACT_MIN:.0%} exact, dead scopes, true baseline",
        f"{min(pages):.2f} to {max(pages):.2f} pages, {exact:.0%} exact at worst" if true else None,
        bool(true) and all(math.isclose(page, 1, abs_tol=0.005) for page in pages) and exact >= EXACT_MIN,
    )


def _limits(found: dict[str, dict[str, Any]], rows: Rows) -> None:
    times = {row["leaves"]: row for row in rows if row["what"] == "boundary"}
    for leaves, most in BOUNDARY_MS.items():
        row = times.get(leaves)
        for name, bound, key in (
            ("one channel", most, "one_channel_ms"),
            ("all channels", 5 * most, "all_channels_ms"),
        ):
            _set(
                found,
                f"{name}, {leaves:,} leaves",
                f"<= {bound:g} ms a boundary",
                f"{row[key]:.2f} ms (numpy, one channel: {row['numpy_one_channel_ms']:.2f} ms)" if row else None,
                bool(row and row[key] <= bound),
            )
    memory = next((row for row in rows if row["what"] == "memory"), None)
    _set(
        found,
        "memory",
        f"<= {MEMORY_GB_MAX:g} GB, 50,000 leaves x 64 sources",
        f"{memory['gigabytes']:.2f} GB" if memory else None,
        bool(memory and memory["gigabytes"] <= MEMORY_GB_MAX),
    )
