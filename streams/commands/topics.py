"""`pastille topics create` and `check`: the topics a worker needs, made and looked at.

It words and prints; what the topics are is `streams.topics`'s.
"""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streams.commands import Exit
from streams.policy_file import read_policy
from streams.settings import Settings, load_settings
from streams.topics import FEED_PARTITIONS, Finding, Made, check_topics, create_topics

__all__ = ["register"]

Broker = Annotated[
    str | None, typer.Option(help="Bootstrap servers; default: PASTILLE_BROKER, or 127.0.0.1:9092.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Partitions = Annotated[int, typer.Option(min=1, max=1024, help="Of each feed's topics.")]
Replication = Annotated[
    int | None, typer.Option(min=1, max=9, help="Copies of each partition; default: the brokers' own.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Ask the brokers whether they would, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the `topics` commands."""
    topics = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    topics.command()(create)
    topics.command()(check)
    app.add_typer(topics, name="topics", help="Create and check the topics that Pastille needs.")


def create(
    partitions: Partitions = FEED_PARTITIONS,
    replication: Replication = None,
    dry_run: DryRun = False,
    broker: Broker = None,
    as_json: AsJson = False,
) -> None:
    """Make the topics that are missing; those that are there stay as they are. Twice does no harm.

    Exit code 0: all are there, in the right shape. 1: one that was there has the wrong shape. 2: it could not be done.

    [bold]Example[/]: pastille topics create --broker kafka-1:9092 --partitions 8 --replication 3
    """
    settings = load_settings(broker=broker)
    made = create_topics(settings, partitions, replication, dry_run=dry_run)
    findings = [finding for finding in _found(settings) if not (dry_run and finding.problem == "missing")]
    _print(made, findings, as_json)


def check(broker: Broker = None, as_json: AsJson = False) -> None:
    """List what is missing or has the wrong number of partitions, cleanup policy or retention.

    Exit code 0: all is well. 1: something was found. 2: Kafka could not be asked.

    [bold]Example[/]: pastille topics check --broker kafka-1:9092 --json
    """
    _print([], _found(load_settings(broker=broker)), as_json)


def _found(settings: Settings) -> list[Finding]:
    return check_topics(settings, read_policy(settings.policy))


def _print(made: list[Made], findings: list[Finding], as_json: bool) -> None:
    if as_json:
        facts = {"topics": [asdict(one) for one in made], "findings": [asdict(one) for one in findings]}
        typer.echo(json.dumps(facts))
    else:
        _print_table(made, findings)
    if findings:
        raise typer.Exit(Exit.FOUND)


def _print_table(made: list[Made], findings: list[Finding]) -> None:
    console = Console(soft_wrap=True)
    if made:
        table = Table("topic", "partitions", "")
        for one in made:
            table.add_row(one.topic, str(one.partitions), one.result)
        console.print(table)
    for finding in findings:
        console.print(f"{finding.problem}: {finding.message}", style="yellow", markup=False, highlight=False)
    if not findings and not any(one.result == "would create" for one in made):
        console.print("all topics are well", style="green")
