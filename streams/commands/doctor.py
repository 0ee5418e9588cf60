"""`pastille doctor`: take a sample of what flows, run the checks, print what they find. It changes nothing."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from streams.commands import Exit
from streams.doctor.checks import examine
from streams.doctor.checkup import Checkup, take_checkup
from streams.doctor.finding import Finding
from streams.policy_file import read_policy
from streams.reading import open_reader
from streams.settings import Settings, load_settings

SAMPLE = 2_000
MINUTES_SAMPLE = 20_000
"""With --minutes: still at most so many records a partition."""
_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("doctor", epilog="Example: pastille doctor --broker kafka-1:9092 --minutes 30")(doctor)


def doctor(
    broker: Annotated[str | None, typer.Option(help="host:port, several by commas (PASTILLE_BROKER).")] = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=10_080, help="Look at the last so many minutes (Kafka's time).")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=100_000, help=f"The newest N records a partition (default {SAMPLE}).")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Read at most so long.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at what really flows through Kafka and say which mistakes are in it, and the mend.

    Exit code 0: nothing that costs an outage; 1: errors or warnings; 2: cannot connect, or wrong usage.
    """
    settings = load_settings(broker=broker)
    policy = read_policy(settings.policy)
    now_ms = time.time_ns() // 1_000_000
    since_ms = None if minutes is None else now_ms - minutes * 60_000
    most = sample or (SAMPLE if minutes is None else MINUTES_SAMPLE)
    with open_reader(settings, seconds) as reader:
        checkup = take_checkup(reader, settings, policy, now_ms, most, since_ms)
    findings = examine(checkup)
    if as_json:
        typer.echo(json.dumps(_summary(settings, checkup, findings), indent=2))
    else:
        _print(Console(), settings, checkup, findings)
    if any(finding.severity != "info" for finding in findings):
        raise typer.Exit(Exit.FOUND)


def _summary(settings: Settings, checkup: Checkup, findings: list[Finding]) -> dict[str, Any]:
    return {
        "broker": settings.broker,
        "read": {topic.name: topic.read for feed in checkup.feeds for topic in feed.topics},
        "cut_short": checkup.cut_short,
        "findings": [finding.as_dict() for finding in findings],
    }


def _print(console: Console, settings: Settings, checkup: Checkup, findings: list[Finding]) -> None:
    read = ", ".join(f"{topic.name} {topic.read}" for feed in checkup.feeds for topic in feed.topics)
    console.print(f"looked at {settings.broker}; records read: {escape(read)}", highlight=False, soft_wrap=True)
    if checkup.cut_short:
        console.print("[yellow]time was up before all of the sample was read; allow more with --seconds[/]")
    for finding in findings:
        _print_finding(console, finding)
    if not findings:
        console.print("[bold green]nothing found[/]")


def _print_finding(console: Console, finding: Finding) -> None:
    colour = _COLOURS[finding.severity]
    where = f" ({finding.where})" if finding.where else ""
    console.print(f"\n[{colour}]{finding.severity}[/] [bold]{finding.check}[/]{escape(where)}: {escape(finding.what)}",
                  highlight=False)  # fmt: skip
    lines = [("got", finding.got), ("do", finding.do), ("see", f"docs/DOCTOR.md#{finding.check}")]
    if finding.example is not None:
        lines.insert(1, ("at", str(finding.example)))
    for word, text in lines:
        console.print(f"  [dim]{word:4}[/]{escape(text)}", highlight=False, soft_wrap=True)
