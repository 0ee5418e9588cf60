"""`pastille stress`: far more events than ever come, on your broker, and what held.

Options, the look once a second, words and the exit code; load, ground and verdict are `streams.stress`'s.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands import Exit
from streams.ending import Ending
from streams.errors import UserError

if TYPE_CHECKING:
    from streams.stress.ground import Ground
    from streams.stress.held import Held, Look
    from streams.stress.load import Load

__all__ = ["register"]

RATE_MAX = 370_000
"""More the shops do not make: written down here, since to ask them takes a second of imports."""
LOOK_S = 1.0
DRAIN_S_MAX = 60.0
END_S = 5.0

_EXAMPLE = "Example: pastille stress --rate 20000 --for 60 --broker kafka-1:9092"


def register(app: typer.Typer) -> None:
    """Add `stress` to the command line."""
    app.command("stress", epilog=_EXAMPLE)(stress)


def stress(
    rate: Annotated[float, typer.Option(min=1, max=RATE_MAX, help="Events a second: some times your peak.")],
    for_s: Annotated[float, typer.Option("--for", min=5, max=3_600, help="How many seconds of it.")] = 60.0,
    broker: Annotated[str | None, typer.Option(help="host:port, several by commas (PASTILLE_BROKER).")] = None,
    partitions: Annotated[int, typer.Option(min=1, max=256, help="Of each of the two feed topics.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes, all on this machine.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same shops.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict and every look as JSON.")] = False,
) -> None:
    """Load the broker with made-up events far above the expected peak, count them with real workers, say what held.

    Topics and groups have names of their own (pastille-stress-…) and are deleted in the end, also at Ctrl-C, SIGTERM
    and SIGHUP; your topics are not touched, but the broker is shared: expect its other clients to feel it.
    Exit code 0: everything held; 1: something saturated, and what was first is said; 2: it could not be run; 128 and
    the signal's number: it was ended before.
    """
    # Late: Kafka's clients and numpy take a second to import.
    from aiokafka.errors import KafkaError

    from streams.stress.ground import Ground
    from streams.stress.held import held
    from streams.stress.load import Load, even_shops

    ending = Ending()
    try:
        with ending:
            typer.echo("making topics, starting workers", err=True)
            with Ground(broker, partitions, workers, ending) as ground:
                load = Load(ground.settings, partitions, even_shops(rate, seed))
                looks, loaded_s = ending.run(_watched(ground, load, for_s))
    except KafkaError as error:
        raise UserError(f"the broker refuses the load; got {error!r}; look at its log, or lower --rate") from None
    except KeyboardInterrupt:
        raise typer.Exit(ending.exit_code) from None
    verdict = held(looks, rate, loaded_s)
    if as_json:
        typer.echo(json.dumps({"held": asdict(verdict), "looks": [asdict(look) for look in looks]}))
    else:
        _print(verdict)
    if verdict.first is not None:
        raise typer.Exit(Exit.FOUND)


async def _watched(ground: Ground, load: Load, for_s: float) -> tuple[list[Look], float]:
    """The looks under load and until all of it is counted, and how long the load went on."""
    from streams.stress.load import TooSlow

    before = (await asyncio.to_thread(ground.look)).counted
    sending = asyncio.create_task(load.run(for_s))
    try:
        looks, loaded_s = await _looks(ground, load, for_s, sending, before)
        if sending.done():
            with suppress(TooSlow):  # the verdict says so
                await sending  # its error, where it has one
        return looks, loaded_s
    finally:
        sending.cancel()
        await asyncio.wait([sending], timeout=END_S)


async def _looks(
    ground: Ground, load: Load, for_s: float, sending: asyncio.Task[None], before: int
) -> tuple[list[Look], float]:
    from streams.stress.held import is_behind

    looks: list[Look] = []
    begun = asyncio.create_task(load.begun.wait())
    await asyncio.wait([sending, begun], return_when=asyncio.FIRST_COMPLETED)
    began_s = time.monotonic()
    while not sending.done() and time.monotonic() - began_s < for_s:
        await asyncio.wait([sending], timeout=LOOK_S)
        looks.append(await _look(ground, load, began_s, before))
        _tell(looks[-1])
    loaded_s = time.monotonic() - began_s
    if looks and is_behind(looks[-1]):  # it did not hold: to send the rest would change nothing
        load.stop()
    until_s = time.monotonic() + DRAIN_S_MAX
    while time.monotonic() < until_s:
        over = sending.done()
        await asyncio.sleep(LOOK_S)
        looks.append(await _look(ground, load, began_s, before, over=over))
        if over and looks[-1].lag == 0:  # a lag is as old as the broker's last answer: by now all was in one
            break
    begun.cancel()
    return looks, loaded_s


async def _look(ground: Ground, load: Load, began_s: float, before: int, *, over: bool = False) -> Look:
    from streams.stress.held import Look

    seen = await asyncio.to_thread(ground.look)
    age_s = None if seen.boundary_s is None else time.time() - seen.boundary_s
    return Look(
        time.monotonic() - began_s, load.due, load.sent, load.lost, load.take_slowest_ms(), seen.counted - before,
        seen.lag, age_s, seen.memory_mb, seen.cpu_s, over,
    )  # fmt: skip


def _tell(look: Look) -> None:
    lag = "-" if look.lag is None else f"{look.lag:,}"
    lost = f"  given up {look.lost:,}" if look.lost else ""
    typer.echo(f"{look.at_s:5.0f} s  sent {look.sent:,}{lost}  counted {look.counted:,}  lag {lag}", err=True)


def _print(verdict: Held) -> None:
    """The verdict for a person."""
    lost = f"; {verdict.lost:,} events were given up" if verdict.lost else ""
    unsent = f"; {verdict.unsent:,} were due and never sent" if verdict.unsent else ""
    lines = [
        ("asked for", f"{verdict.rate:,.0f} events a second"),
        ("sent", f"{verdict.sent_per_s:,.0f} a second{lost}{unsent}"),
        ("counted", f"{verdict.counted_per_s:,.0f} a second"),
        ("lag", f"at most {verdict.lag_max:,} events; {_drained(verdict)}"),
        ("latency", _latency(verdict)),
        ("memory", "not known here" if verdict.memory_mb is None else f"at most {verdict.memory_mb:,.0f} MB"),
        ("CPU", "not known here" if verdict.cores is None else f"{verdict.cores:.2f} cores for the workers"),
    ]
    for name, value in lines:
        typer.echo(f"{name:<10} {value}")
    if verdict.first is None:
        typer.echo("everything held")
    else:
        typer.echo(f"first to saturate: {verdict.first.part}, after {verdict.first.at_s:.0f} s: {verdict.first.why}")


def _drained(verdict: Held) -> str:
    if verdict.drained_s is None:
        return f"not gone {DRAIN_S_MAX:.0f} s after the load"
    return f"gone {verdict.drained_s:.0f} s after the load"


def _latency(verdict: Held) -> str:
    if verdict.age_s is None or verdict.age_s_max is None:
        return "nothing was judged"
    return f"{verdict.age_s:.1f} s from an event to the judged boundary past it, at most {verdict.age_s_max:.1f} s"
