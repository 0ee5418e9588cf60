"""`pastille kafka`: the embedded Kafka in the foreground, for trying things out.

It words, prints and waits; starting and ending are `streams.embedded`'s.
"""

import json
import signal
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from streams.embedded import EmbeddedKafka

__all__ = ["register"]

CHECK_S = 1.0

Brokers = Annotated[int, typer.Option(help="1, or 3 with everything replicated three times.")]
Tls = Annotated[bool, typer.Option("--tls", help="Listen with TLS and a SCRAM user; both are made for this run.")]
Port = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port of the first broker; default: a free one.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object once it is ready.")]


def register(app: typer.Typer) -> None:
    """Add the `kafka` command."""
    app.command()(kafka)


def kafka(brokers: Brokers = 1, tls: Tls = False, port: Port = None, as_json: AsJson = False) -> None:
    """Run a real Apache Kafka on this machine until Ctrl-C: loopback only, own temporary folder, nothing left behind.

    The first start fetches Kafka (45 MB) into the user's cache folder; later ones need no network.

    [bold]Example[/]: pastille kafka --brokers 3 --tls
    """
    # SIGTERM ends it as Ctrl-C does, also in the middle of a start; a shell's background job has SIGINT ignored.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    errors = Console(stderr=True)
    errors.print("starting Kafka …")
    try:
        with EmbeddedKafka(brokers, tls=tls, port=port) as cluster:
            _print(cluster, as_json)
            _watch(cluster)
    except KeyboardInterrupt:
        errors.print("stopped; nothing is left behind")


def _watch(cluster: EmbeddedKafka) -> None:
    while True:
        cluster.check()
        time.sleep(CHECK_S)


def _print(cluster: EmbeddedKafka, as_json: bool) -> None:
    variables = cluster.environment()
    if as_json:
        place = {"folder": str(cluster.folder), "pids": cluster.pids}
        typer.echo(json.dumps({"bootstrap": cluster.bootstrap, "environment": variables, **place}))
    else:
        typer.echo(f"Kafka is ready at {cluster.bootstrap}. In another terminal:")
        for name, value in variables.items():
            typer.echo(f"  export {name}={value}")
        typer.echo("Ctrl-C ends it.")
    sys.stdout.flush()
