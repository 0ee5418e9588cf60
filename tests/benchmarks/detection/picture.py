"""Delay against false alarms: the engine as a curve over its bars, peers as points, the limit as a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from tests.benchmarks.detection.bound import YEAR_MIN, delay
from tests.benchmarks.detection.goals import engine_row
from tests.benchmarks.detection.grid import MAIN, matched

mpl.use("Agg")

RATES = 10.0 ** np.arange(-1, 1.6, 0.25)
"""False alarms a key-year."""


def draw(file: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Both main cells, side by side."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), constrained_layout=True)
    for axis, cell in zip(axes, MAIN, strict=True):
        _cell(axis, cell, rows)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=7.5, frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _cell(axis: Any, cell: tuple[float, float], rows: dict[str, list[dict[str, Any]]]) -> None:
    axis.plot(
        RATES, [delay(*cell, 10 * YEAR_MIN / rate) for rate in RATES], "k--", lw=1, label="exact limit, told both rates"
    )
    row = engine_row(rows["cells"], cell)
    points = [(rate, matched(row, float(rate))) for rate in RATES] if row else []
    found = [(rate, at["votes_mean"]) for rate, at in points if at]
    axis.plot(*zip(*found, strict=True), color="tab:red", lw=2.5, label="this engine")
    peers = [peer for peer in rows["peers"] if (peer["p0"], peer["p1"]) == cell and peer["matched"]]
    for number, peer in enumerate(sorted(peers, key=lambda peer: str(peer["name"]))):
        rate = max(peer["false_alarms_per_key_year"], RATES[0])
        axis.plot(
            rate, peer["votes_mean"], "o^sDvP*Xh<>"[number % 11], color=f"C{number % 10}", ms=7, label=peer["name"]
        )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="false alarms a key-year (threshold moved to 1)",
        ylabel="mean votes until the alarm",
        title=f"approval {cell[0]} to {cell[1]}, 10 votes a minute",
    )
    axis.grid(alpha=0.3, which="both")
