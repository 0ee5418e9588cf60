"""`pastille backtest`: a recorded day through the replay, and its outages against the incidents that are known of it.

Owns the order of the steps; the figures are those of `detector.rehearsal.score`, files and words of `streams.backtest`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from detector.contracts.moments import rfc3339
from detector.contracts.policy import Policy
from detector.judging.learned import Learned
from detector.rehearsal.panes import Panes
from detector.rehearsal.raised import Raised, raised
from detector.rehearsal.replay import Replay
from detector.rehearsal.score import Day, Incident, Score, score
from streams.backtest.incidents import dataset_of, read_incidents
from streams.backtest.plot import check_plot, draw, picture_of
from streams.backtest.report import as_json as json_of
from streams.backtest.report import print_score
from streams.commands import Exit
from streams.errors import UserError
from streams.learning import trained
from streams.policy_file import read_policy
from streams.recording import bad_lines, out_of_order, played, require_events
from streams.settings import load_settings

__all__ = ["register"]

_EXAMPLE = "Example: pastille backtest monday.jsonl.gz --incidents incidents.csv --plot monday.png"


def register(app: typer.Typer) -> None:
    """Add `backtest` to the command line."""
    app.command("backtest", epilog=_EXAMPLE)(_backtest)


def _backtest(
    file: Annotated[str, typer.Argument(help="JSON lines in the order of time; .gz is read, - is stdin.")],
    incidents: Annotated[
        Path | None, typer.Option(help="CSV of what is known to have gone wrong; without it, nothing has.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Whose rows of --incidents; else the file's name up to the first dot.")
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Another recorded file, or one of `baseline learn --out`: what is usual.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="A policy file; else PASTILLE_POLICY, else the defaults.")] = None,
    sources: Annotated[int, typer.Option(help="Count as a topic with this many partitions is counted.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the day to this file: .png, .svg or .pdf.")] = None,
) -> None:
    """Replay a recorded day and score it: what was found and how fast, what was missed, what was false.

    Exit code 0: every incident was found, or could not be, and no page was false; 1: one was missed, or a page was
    false; 2: wrong usage.
    """
    if plot is not None:
        check_plot(plot)
    known = [] if incidents is None else read_incidents(incidents, dataset or dataset_of(file), dataset is not None)
    rules = read_policy(policy or load_settings().policy)
    learned = None if train is None else trained(train, rules)
    panes, day, outages, disorder = _played(file, rules, sources, learned)
    _check_incidents(known, panes, day, disorder)
    if disorder:
        typer.echo(f"warning: {disorder}: the figures are of the rest", err=True)
    result = score(known, outages, day)
    if as_json:
        typer.echo(json.dumps({"file": file, **json_of(result)}))
    else:
        _print(Console(), file, result)
    if plot is not None:  # last: a disk that is full costs the picture, not the figures
        draw(picture_of(dataset_of(file), result, outages, panes), plot)
    if not result.passed:
        raise typer.Exit(Exit.FOUND)


def _played(file: str, policy: Policy, sources: int, learned: Learned | None) -> tuple[Panes, Day, list[Raised], str]:
    """The file through the detector: what its panes held, what day it was, which outages were raised, and what is to
    be said of the order of its lines."""
    panes = Panes(policy)
    try:
        replay = Replay(policy, sources, panes.through, learned=learned)
    except ValueError as error:
        raise UserError(str(error)) from None
    changes = [change for some in played([file], replay) for change in some]
    seen = replay.seen
    require_events(seen, [file], "a back-test")
    if bad := bad_lines(seen):
        typer.echo(bad, err=True)
    day = Day(seen.first_ms, seen.last_ms, len(replay.scopes), policy, panes.votes)
    return panes, day, raised(changes), out_of_order(seen, policy)


def _check_incidents(incidents: Sequence[Incident], panes: Panes, day: Day, disorder: str) -> None:
    """An incident of a bank that does not exist, or of another week, is a mistake of whoever wrote it down; but where
    lines are out of order the bank may be among what came too late."""
    for incident in incidents:
        if not panes.has(incident.scope):
            if disorder:
                raise UserError(f"a back-test needs lines in the order of time; got no payment in time of "
                                f"{incident.scope.key}: {disorder}")  # fmt: skip
            raise UserError(
                f"an incident is of {incident.scope.key}; the file has no payment of it; mend its bank and method"
            )
    if incidents and all(one.start_ms > day.last_ms or one.end_ms <= day.first_ms for one in incidents):
        raise UserError(
            f"no incident lies in the time of the file; it is from {rfc3339(day.first_ms)} to {rfc3339(day.last_ms)}; "
            "mend their start and end, which are UTC"
        )


def _print(console: Console, file: str, result: Score) -> None:
    day = result.day
    length_h = (day.last_ms - day.first_ms) / 3_600_000
    text = f"{dataset_of(file)}: {length_h:.1f} h, {day.scopes} scopes, policy {day.policy.version}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    print_score(console, result)
