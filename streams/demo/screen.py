"""The demo's terminal view, drawn from a `Board`: lights and bars of banks and methods, outages as they happen.

Draws only; does not know where a board comes from. Every light has a sign and a word beside its colour.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.console.board import Board, Light, Line, Row

__all__ = ["draw"]

BAR_CELLS: Final = 20
LINES_SHOWN: Final = 5
_LOOKS: Final = {
    Light.UP: ("●", "green"), Light.WEAK: ("◐", "yellow"), Light.SUSPECTED: ("◐", "yellow"),
    Light.RECOVERING: ("◐", "cyan"), Light.DOWN: ("■", "bold red"), Light.QUIET: ("○", "dim"),
    Light.MAINTENANCE: ("◇", "dim"),
}  # fmt: skip


def draw(board: Board, title: str, note: str, now: str) -> RenderableType:
    """The whole view; `title`, `note` and `now` are sentences above it."""
    # What matters most comes first: a low terminal cuts off the end.
    return Group(Text(title, style="bold"), Text(now), Text(note, style="dim"), _open(board), _methods(board),
                 _banks(board), _lines(board))  # fmt: skip


def _banks(board: Board) -> Table:
    rows = board.banks()
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for name in ("bank", "state", "approved of answered, 1 min"):
        table.add_column(name, no_wrap=True)
    for name, _ in rows[0].parts if rows else ():
        table.add_column(name, justify="center", no_wrap=True)
    for row in rows:
        table.add_row(row.name, _word(row.light), _bar(row), *(_dot(light) for _, light in row.parts))
    return table


def _methods(board: Board) -> Text:
    return Text("   ").join(
        Text.assemble(_dot(row.light), f" {row.name} ", _percent(row.rate)) for row in board.methods()
    )


def _open(board: Board) -> RenderableType:
    if not board.open:
        return Panel(Text("no open outage", style="green"), border_style="dim")
    texts = [Text.assemble((f"{line.scope}: {line.kind.replace('_', ' ')}\n", "bold red"), line.explanation)
             for line in board.open.values()]  # fmt: skip
    return Panel(Group(*texts), title="open outages", border_style="red")


def _lines(board: Board) -> RenderableType:
    return Group(*(Text(line_text(line), style="dim", no_wrap=True) for line in list(board.lines)[-LINES_SHOWN:]))


def line_text(line: Line) -> str:
    """An outage event in one short line, in local time."""
    at = datetime.fromtimestamp(line.at_ms / 1000)
    return f"{at:%H:%M:%S}  {line.scope} {line.kind.replace('_', ' ')} {line.change}"


def _word(light: Light) -> Text:
    sign, style = _LOOKS[light]
    return Text(f"{sign} {light.value}", style=style)


def _dot(light: Light) -> Text:
    return Text(*_LOOKS[light])


def _bar(row: Row) -> Text:
    full = round((row.rate or 0.0) * BAR_CELLS)
    return Text.assemble(("█" * full, _LOOKS[row.light][1]), ("·" * (BAR_CELLS - full), "dim"), " ", _percent(row.rate))


def _percent(rate: float | None) -> str:
    return "   –" if rate is None else f"{rate:4.0%}"
