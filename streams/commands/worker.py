"""`pastille worker`: count the feeds and, when it is this worker's turn, judge.

Words, options and the exit code; the work is `streams.app`'s.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from streams.policy_file import read_policy
from streams.settings import load_settings

__all__ = ["register"]

Broker = Annotated[
    str | None, typer.Option(help="Bootstrap servers; default: PASTILLE_BROKER, or 127.0.0.1:9092.", show_default=False)
]
HttpPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Of /metrics and /health; 0: a free one, printed. Default: 8090.")
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="The TOML file of rules and limits.")]
From = Annotated[
    str | None,
    typer.Option("--from", help="earliest: on the very first start read all there is, not the last three horizons."),
]


def register(app: typer.Typer) -> None:
    """Add the `worker` command."""
    app.command()(worker)


def worker(
    broker: Broker = None, http_port: HttpPort = None, policy: PolicyFile = None, from_: From = None
) -> None:
    """Count payments and orders from Kafka, and judge when it is this worker's turn. Start more to share the work.

    Prints one JSON line with the address of its metrics, logs to standard error, ends on SIGTERM within seconds.
    Exit code 0: told to stop. 1: it could not go on, or another worker judges in its place. 2: wrong settings.

    [bold]Example[/]: pastille worker --broker kafka-1:9092 --policy policy.toml
    """
    settings = load_settings(broker=broker, http_port=http_port, policy=policy, from_=from_)
    rules = read_policy(settings.policy)
    # Late: Faust and the compiled loops take a second to import, and a mistake in the settings is told before.
    from streams.app import Worker, where_to_read
    from streams.fixed import require_as_judged
    from streams.logs import set_up_logging

    placing = where_to_read(settings)
    require_as_judged(settings, rules)
    asyncio.run(Worker(settings, rules, placing, set_up_logging()).run())
