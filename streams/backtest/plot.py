"""The picture of a back-test: approval rates and payments over the day, what was known and what was raised shaded.

    approval rate   lines, baseline band; incidents and outages shaded
    evidence        on a log axis, where there is any
    lanes           incidents above outages
    payments        bars

Needs matplotlib, which only this picture does: `pastille[plot]`. Does not know how rates are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from detector.arrays import Float64s, Int64s
from detector.contracts.moments import rfc3339
from detector.contracts.scope import PLATFORM, Scope
from detector.counting.rows import DAY_MS
from detector.rehearsal.panes import MINUTE_MS, Panes, approval_rate
from detector.rehearsal.raised import Raised
from detector.rehearsal.score import Score
from streams.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Band", "Line", "Picture", "check_plot", "draw", "picture_of"]

SUFFIXES: Final = (".png", ".svg", ".pdf")
LINES_MAX: Final = 8
LEGEND_COLUMNS_MAX: Final = 5
STEPS_MIN: Final = (1, 5, 15, 60, 360, 1440)
POINTS_MAX: Final = 2_000
"""More would be finer than the picture's dots: the step becomes longer."""

# Okabe and Ito's colours, which people of any colour vision tell apart; what is shaded has none of the lines'.
_LINES: Final = ("#000000", "#0072B2", "#D55E00", "#009E73")
_DASHES: Final = ("-", "--")
_INCIDENT, _OUTAGE, _SHADE = "#E69F00", "#56B4E9", 0.25

Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A named series over time; `times[point]` epoch ms, `values[point]`, not a number where there is none."""

    name: str
    times: Int64s
    values: Float64s


@dataclass(frozen=True, slots=True)
class Band:
    """From what to what is usual at each time."""

    times: Int64s
    low: Float64s
    high: Float64s


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn. Spans are (from, to) in epoch ms; `left_out`: scopes for which there was no line left."""

    title: str
    step_min: int
    rates: Sequence[Line]
    payments: Line
    incidents: Sequence[Span]
    outages: Sequence[Span]
    left_out: int = 0
    baseline: Band | None = None
    evidence: Sequence[Line] = ()


def check_plot(path: Path) -> None:
    """Say before the work begins what would keep the picture from being drawn. Raises UserError."""
    if find_spec("matplotlib") is None:
        raise UserError("--plot needs matplotlib; got none in this environment; pip install 'pastille[plot]'")
    if path.suffix not in SUFFIXES:
        raise UserError(f"--plot draws {', '.join(SUFFIXES)}; got {path.name}; choose one of these endings")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--plot needs a folder that exists; got {path.parent}; make it, or choose another")


def picture_of(title: str, score: Score, outages: Sequence[Raised], panes: Panes) -> Picture:
    """The picture of a scored day: the platform, and each bank or method that something befell."""
    day = score.day
    minutes = day.last_ms // MINUTE_MS - day.first_ms // MINUTE_MS + 1
    step_min = next((step for step in STEPS_MIN if minutes <= step * POINTS_MAX), STEPS_MIN[-1])
    lines, left_out = [], 0
    whole = _counts(panes, PLATFORM, day.first_ms, day.last_ms, step_min)
    drawn: list[Int64s] = []
    for scope in _befallen(score, outages):
        counts = _counts(panes, scope, day.first_ms, day.last_ms, step_min)
        if any(np.array_equal(counts, other) for other in drawn):
            continue  # a platform of one bank: the same line twice says nothing
        if len(drawn) == LINES_MAX:
            left_out += 1
            continue
        drawn.append(counts)
        lines.append(_line(scope.key, approval_rate(counts), day.first_ms, step_min))
    return Picture(
        title, step_min, lines, _line("payments", whole.sum(axis=1) / step_min, day.first_ms, step_min),
        [(outcome.incident.start_ms, outcome.incident.end_ms) for outcome in score.outcomes],
        [(outage.began_ms, day.last_ms if outage.ended_ms is None else outage.ended_ms) for outage in outages],
        left_out,
    )  # fmt: skip


def _befallen(score: Score, outages: Sequence[Raised]) -> list[Scope]:
    scopes = [outcome.incident.scope for outcome in score.outcomes] + [outage.scope for outage in outages]
    return list(dict.fromkeys([PLATFORM, *(Scope(scope.values[:1]) for scope in scopes)]))


def _counts(panes: Panes, scope: Scope, first_ms: int, last_ms: int, step_min: int) -> Int64s:
    """Counts by step and status; the last step is filled up with nothing."""
    counts = panes.by_minute(scope, first_ms, last_ms + 1)
    missing = -len(counts) % step_min
    filled = np.concatenate([counts, np.zeros((missing, counts.shape[1]), np.int64)])
    summed: Int64s = filled.reshape(-1, step_min, counts.shape[1]).sum(axis=1)
    return summed


def _line(name: str, values: Float64s, first_ms: int, step_min: int) -> Line:
    times = (first_ms // MINUTE_MS + step_min * np.arange(len(values))) * MINUTE_MS
    return Line(name, times, values)


def draw(picture: Picture, path: Path) -> None:
    """Write the picture to a file. Raises UserError where that is not possible."""
    from matplotlib.figure import Figure

    heights = [4.0, *([2.0] if picture.evidence else []), 0.5, 1.0]
    figure = Figure(figsize=(14, 2 + 1.2 * sum(heights)), dpi=120, layout="constrained")
    axes: list[Axes] = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    _draw_rates(axes[0], picture)
    if picture.evidence:
        _draw_evidence(axes[1], picture)
    _draw_lanes(axes[-2], picture)
    _draw_payments(axes[-1], picture)
    for panel in axes:
        _tidy(panel)
    for panel in axes[:-2]:
        _shade(panel, picture)
    _name_times(axes[-1], picture.payments.times)
    figure.align_ylabels([*axes[:-2], axes[-1]])
    _write_legend(figure, axes[0], picture)
    try:
        figure.savefig(path)
    except OSError as error:
        raise UserError(f"--plot cannot be written; got {error}; choose another file") from None


def _draw_rates(panel: Axes, picture: Picture) -> None:
    if picture.baseline is not None:
        band = picture.baseline
        panel.fill_between(_when(band.times), band.low, band.high, color="#999999", alpha=0.35, lw=0, label="usual")
    for place, line in enumerate(picture.rates):
        dash = _DASHES[place // len(_LINES)]
        panel.plot(_when(line.times), line.values, dash, color=_LINES[place % len(_LINES)], lw=0.9, label=line.name)
    panel.set_ylim(-0.02, 1.02)
    panel.set_ylabel(f"approval rate, {_per(picture)}")
    panel.set_title(picture.title, loc="left", fontsize=14, fontweight="bold")


def _draw_evidence(panel: Axes, picture: Picture) -> None:
    for place, line in enumerate(picture.evidence):
        dash = _DASHES[place // len(_LINES) % len(_DASHES)]
        panel.plot(_when(line.times), line.values, dash, color=_LINES[place % len(_LINES)], lw=0.9)
    panel.set_yscale("log")
    panel.set_ylabel("evidence, s")


def _draw_lanes(panel: Axes, picture: Picture) -> None:
    """What was known above what was raised: here each is seen where they lie over each other."""
    for place, (spans, colour) in enumerate(((picture.outages, _OUTAGE), (picture.incidents, _INCIDENT))):
        for span in spans:
            left, right = _when(np.array(span))
            panel.fill_between([left, right], place + 0.1, place + 0.9, color=colour, alpha=0.7, lw=1)
    panel.set_ylim(0, 2)
    panel.set_yticks([0.5, 1.5], ["outages", "incidents"])
    panel.tick_params(axis="y", length=0)


def _draw_payments(panel: Axes, picture: Picture) -> None:
    line = picture.payments
    end = line.times[-1:] + picture.step_min * MINUTE_MS
    times, values = np.concatenate([line.times, end]), np.concatenate([line.values, line.values[-1:]])
    panel.fill_between(_when(times), values, step="post", color="#777777", lw=0)
    panel.set_ylim(bottom=0)
    panel.set_ylabel("payments\na minute")
    panel.grid(axis="y", color="#dddddd", lw=0.6)


def _shade(panel: Axes, picture: Picture) -> None:
    """Over the whole height; an edge keeps two minutes of a day wide enough to be seen."""
    for spans, colour in ((picture.incidents, _INCIDENT), (picture.outages, _OUTAGE)):
        for span in _joined(spans):
            left, right = _when(np.array(span))
            panel.axvspan(left, right, facecolor=(colour, _SHADE), edgecolor=(colour, 0.6), lw=0.8, zorder=0)
    panel.grid(axis="y", color="#dddddd", lw=0.6)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans that overlap as one: three outages at a time are no darker than one."""
    joined: list[Span] = []
    for start_ms, end_ms in sorted(spans):
        if joined and start_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end_ms, joined[-1][1]))
        else:
            joined.append((start_ms, end_ms))
    return joined


def _tidy(panel: Axes) -> None:
    panel.margins(x=0.005)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _name_times(panel: Axes, times: Int64s) -> None:
    """Hours for a day or two, dates for more; the day it begins stands below once."""
    from matplotlib.dates import AutoDateLocator, DateFormatter

    days = (int(times[-1]) - int(times[0])) / DAY_MS
    panel.xaxis.set_major_locator(AutoDateLocator(tz=UTC, minticks=6, maxticks=14))
    panel.xaxis.set_major_formatter(DateFormatter("%H:%M" if days <= 2 else "%m-%d", tz=UTC))
    panel.set_xlabel(f"UTC, from {rfc3339(int(times[0]))[:10]}")


def _write_legend(figure: Figure, panel: Axes, picture: Picture) -> None:
    from matplotlib.patches import Patch

    lines, names = panel.get_legend_handles_labels()
    shades = ((f"incidents, as known ({len(picture.incidents)})", _INCIDENT),
              (f"outages, as raised ({len(picture.outages)})", _OUTAGE))  # fmt: skip
    handles = [*lines, *(Patch(facecolor=(colour, 0.7), label=name) for name, colour in shades)]
    rows = -(-len(handles) // LEGEND_COLUMNS_MAX)
    figure.legend(handles, [*names, *(name for name, _ in shades)], loc="outside upper center", frameon=False,
                  title=f"{picture.left_out} more scopes are not drawn" if picture.left_out else None,
                  ncols=-(-len(handles) // rows))  # fmt: skip


def _per(picture: Picture) -> str:
    return "by the minute" if picture.step_min == 1 else f"by {picture.step_min} minutes"


def _when(times: Int64s) -> Any:
    return times.astype("datetime64[ms]")
