"""`pastille replay`: recorded events through the worker's Counter and Judge, as fast as it goes, without Kafka.

Owns files, standard streams and progress; what the events come to is the business of `detector.rehearsal.replay`.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO, cast

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from detector.contracts.models import cloud_event, rfc3339
from detector.counting.packed import Packed
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay, Seen
from streams.errors import UserError
from streams.policy_file import read_policy
from streams.settings import load_settings

__all__ = ["blocks_of", "event_line", "register"]

BLOCK_BYTES = 1 << 18
LINE_BYTES_MAX = 16 << 20
PROGRESS_S = 0.1

_EXAMPLE = "Example: pastille replay monday.jsonl.gz --sources 8 > outages.jsonl"


def register(app: typer.Typer) -> None:
    """Add `replay` to the command line."""
    app.command("replay", epilog=_EXAMPLE)(_replay)


def _replay(
    files: Annotated[list[str], typer.Argument(help="JSON lines in the order of time; .gz is read, - is stdin.")],
    sources: Annotated[int, typer.Option(help="Count as a topic with this many partitions is counted.")] = 1,
    policy: Annotated[Path | None, typer.Option(help="A policy file; else PASTILLE_POLICY, else the defaults.")] = None,
    rejects: Annotated[Path | None, typer.Option(help="Write bad lines' numbers and reasons to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary on stderr as JSON.")] = False,
) -> None:
    """Play recorded events through the detector in event time: outage events come out on stdout, one a line.

    One JSON object a line; a line with payment_id is a payment event, any other an order event.
    Bad lines are counted by reason and left out. The exit code is 0 however many outages there are, 2 for wrong usage.
    """
    try:
        replay = Replay(read_policy(policy or load_settings().policy), sources)
    except ValueError as error:
        raise UserError(str(error)) from None
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            watch = stack.enter_context(_watch(replay))
            bad = None if rejects is None else stack.enter_context(rejects.open("w", encoding="utf-8"))
            _play(files, replay, watch, bad)
    except BrokenPipeError:
        sys.stdout = cast(Any, None)  # the reader has seen enough; closing it would only complain once more
        return
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"a file cannot be used; got {error}; give JSON lines, plain or .gz") from None
    _summarise(replay, time.monotonic() - began, as_json)


def _play(files: Sequence[str], replay: Replay, watch: _Watch, bad: TextIO | None) -> None:
    for file in files:
        with _opened(file) as source:
            for lines in blocks_of(source):
                _print(replay.feed(lines))
                _write_bad_lines(bad, replay)
                watch.look()
    _print(replay.finish())
    _write_bad_lines(bad, replay)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO | gzip.GzipFile]:
    if file == "-":
        yield sys.stdin.buffer
    elif file.endswith(".gz"):
        with gzip.open(file, "rb") as packed:
            yield packed
    else:
        with open(file, "rb", buffering=0) as plain:
            yield cast(BinaryIO, plain)


def blocks_of(source: BinaryIO | gzip.GzipFile) -> Iterator[Packed]:
    """The lines of a stream in blocks of a quarter MiB, without their ends. Raises UserError where one never ends."""
    rest = b""
    while block := source.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield Packed.lines(rest + block[:end])
            rest = b""
        rest += block[end:]
        if len(rest) > LINE_BYTES_MAX:
            raise UserError(f"a line is longer than {LINE_BYTES_MAX} bytes; give one JSON object a line")
    if rest:
        yield Packed.lines(rest)


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


class _Watch:
    """Shows on a terminal how far the replay is, some times a second."""

    def __init__(self, replay: Replay, progress: Progress | None) -> None:
        self._replay = replay
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None
        self._next = 0.0

    def look(self) -> None:
        """Show the state, unless it was shown a moment ago."""
        now = time.monotonic()
        if self._progress is None or self._task is None or now < self._next:
            return
        self._next = now + PROGRESS_S
        seen = self._replay.seen
        self._progress.update(self._task, description=f"{seen.lines:,} lines, up to {rfc3339(seen.last_ms)}")


@contextmanager
def _watch(replay: Replay) -> Iterator[_Watch]:
    if not sys.stderr.isatty():
        yield _Watch(replay, None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield _Watch(replay, progress)


def _summarise(replay: Replay, seconds: float, as_json: bool) -> None:
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


def _facts(seen: Seen, seconds: float) -> dict[str, Any]:
    span_s = (seen.last_ms - seen.first_ms) / 1000
    return {
        "lines": seen.lines, "events": seen.events, "ignored": seen.ignored,
        "rejects": {str(reason): count for reason, count in sorted(seen.reasons.items())},
        "first": rfc3339(seen.first_ms), "last": rfc3339(seen.last_ms), "event_time_s": span_s,
        "seconds": round(seconds, 3), "times_real_time": round(span_s / seconds),
        "events_per_s": round(seen.events / seconds),
    }  # fmt: skip
