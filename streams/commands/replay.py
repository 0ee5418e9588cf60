"""`pastille replay`: recorded events through the worker's Counter and Judge, as fast as it goes, without Kafka.

Owns standard output and the summary; how files are read is `streams.recording`'s, what the events come to is the
business of `detector.rehearsal.replay`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer

from detector.contracts.models import cloud_event
from detector.contracts.moments import rfc3339
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay, Seen
from streams.errors import UserError
from streams.learning import trained
from streams.maintenances import read_file, unjudged
from streams.policy_file import read_policy
from streams.recording import out_of_order, played, require_events
from streams.settings import load_settings

__all__ = ["event_line", "register"]

_EXAMPLE = "Example: pastille replay monday.jsonl.gz --sources 8 > outages.jsonl"


def register(app: typer.Typer) -> None:
    """Add `replay` to the command line."""
    app.command("replay", epilog=_EXAMPLE)(_replay)


def _replay(
    files: Annotated[list[str], typer.Argument(help="JSON lines in the order of time; .gz is read, - is stdin.")],
    sources: Annotated[int, typer.Option(help="Count as a topic with this many partitions is counted.")] = 1,
    policy: Annotated[Path | None, typer.Option(help="A policy file; else PASTILLE_POLICY, else the defaults.")] = None,
    rejects: Annotated[Path | None, typer.Option(help="Write bad lines' numbers and reasons to this file.")] = None,
    maintenances: Annotated[Path | None, typer.Option(help="Announced maintenances, JSON lines.")] = None,
    train: Annotated[
        str | None, typer.Option(help="Another recorded file, or one of `baseline learn --out`: what is usual.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary on stderr as JSON.")] = False,
) -> None:
    """Play recorded events through the detector in event time: outage events come out on stdout, one a line.

    One JSON object a line; a line with payment_id is a payment event, any other an order event.
    A line of --maintenances is like a record of their topic (maintenance_id, scope, starts_at, ends_at), and is known
    from its declared_at on; without one, from the beginning. A later line of the same id changes it.
    Bad lines are counted by reason and left out, and so is what comes too late because lines are out of order.
    The exit code is 0 however many outages there are, 2 for wrong usage and where no line is an event.
    """
    try:
        announced = [] if maintenances is None else read_file(maintenances)
        rules = read_policy(policy or load_settings().policy)
        learned = None if train is None else trained(train, rules)
        replay = Replay(rules, sources, maintenances=announced, learned=learned)
    except ValueError as error:
        raise UserError(str(error)) from None
    for odd in sorted(filter(None, {unjudged(said, rules) for said in announced})):
        typer.echo(f"warning: {odd}; no outage will be in it", err=True)
    _require_apart(rejects, files)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            bad = None if rejects is None else stack.enter_context(rejects.open("w", encoding="utf-8"))
            for changes in played(files, replay):
                _print(changes)
                _write_bad_lines(bad, replay)
    except BrokenPipeError:
        sys.stdout = cast(Any, None)  # the reader has seen enough; closing it would only complain once more
        return
    except OSError as error:
        raise UserError(f"the output cannot be written; got {error}; look at --rejects and standard output") from None
    _summarise(replay, time.monotonic() - began, as_json, out_of_order(replay.seen, rules))
    require_events(replay.seen, files, "a replay")


def _require_apart(rejects: Path | None, files: Sequence[str]) -> None:
    """UserError where --rejects would empty what is to be read."""
    for file in files:
        if rejects is not None and rejects.exists() and Path(file).exists() and rejects.samefile(file):
            raise UserError(f"--rejects is a file of its own; got {file}, which is read; choose another")


def event_line(change: Change) -> str:
    """The outage event as one line of JSON; its time is the event time it was judged at, its id says which it is."""
    data = change.data
    event = cloud_event(data, change.type, f"{data.outage_id}-{data.sequence}", data.input.boundary)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _print(changes: Sequence[Change]) -> None:
    for change in changes:
        sys.stdout.write(event_line(change) + "\n")
    if changes:
        sys.stdout.flush()


def _write_bad_lines(out: TextIO | None, replay: Replay) -> None:
    """The line's number and why; never its text, which may hold what must be kept nowhere."""
    if out is not None:
        out.writelines(json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in replay.bad_lines)


def _summarise(replay: Replay, seconds: float, as_json: bool, disorder: str) -> None:
    facts = _facts(replay.seen, seconds)
    if as_json:
        typer.echo(json.dumps(facts), err=True)
        return
    span_s = facts["event_time_s"]
    text = f"{facts['events']:,} events of {span_s:,.0f} s of event time in {seconds:.1f} s"
    if span_s:
        text += f": {facts['times_real_time']:,.0f} times real time, {facts['events_per_s']:,.0f} events/s"
    typer.echo(text, err=True)
    for reason, count in facts["rejects"].items():
        typer.echo(f"  {count:,} bad lines: {reason}", err=True)
    if facts["ignored"]:
        typer.echo(f"  {facts['ignored']:,} ignored: the policy says so of their status", err=True)
    if disorder:
        typer.echo(f"  {disorder}", err=True)


def _facts(seen: Seen, seconds: float) -> dict[str, Any]:
    span_s = (seen.last_ms - seen.first_ms) / 1000
    return {
        "lines": seen.lines, "events": seen.events, "ignored": seen.ignored, "too_late": seen.too_late,
        "rejects": {str(reason): count for reason, count in sorted(seen.reasons.items())},
        "first": rfc3339(seen.first_ms), "last": rfc3339(seen.last_ms), "event_time_s": span_s,
        "seconds": round(seconds, 3), "times_real_time": round(span_s / seconds),
        "events_per_s": round(seen.events / seconds),
    }  # fmt: skip
