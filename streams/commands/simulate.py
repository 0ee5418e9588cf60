"""`pastille simulate`: seeded shops that send their events to a file, to standard output or to Kafka.

Owns real time and the producer; what the events are is the business of `detector.rehearsal`.
"""

from __future__ import annotations

import gzip
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
import typer

from detector.rehearsal.fault import Fault, parse_duration, parse_fault
from detector.rehearsal.line import Lines, is_order
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import Events, simulate
from streams.errors import UserError
from streams.settings import Settings, load_settings

__all__ = ["register"]

FILE_START_MS = 1_704_067_200_000
"""2024-01-01 00:00 UTC: files start there, so that the same call gives the same bytes."""

SLICE_S = 0.1
METADATA_MS_MAX = 10_000
SCENARIO_BYTES_MAX = 1_000_000

_EXAMPLE = 'Example: pastille simulate --for 10m --fault "bank:bnp all_red 2m 7m" --to shops.jsonl'


def register(app: typer.Typer) -> None:
    """Add `simulate` to the command line."""
    app.command("simulate", epilog=_EXAMPLE)(_simulate)


def _simulate(
    seed: Annotated[int, typer.Option(help="The same seed and options give the same events, byte for byte.")] = 1,
    rate: Annotated[float, typer.Option(help="Orders a second that go on to pay, mean over a day.")] = 50.0,
    duration: Annotated[str, typer.Option("--for", help="How much event time: 90s, 1h30m, or forever.")] = "10m",
    start: Annotated[str, typer.Option(help="RFC 3339 or epoch ms; else 2024 in files, now in Kafka.")] = "",
    banks: Annotated[int, typer.Option(help="Banks; the first has most of the volume.")] = 20,
    merchants: Annotated[int, typer.Option(help="Shops.")] = 200,
    shoppers: Annotated[int, typer.Option(help="People who buy.")] = 100_000,
    day: Annotated[str, typer.Option(help="Length of the daily cycle.")] = "24h",
    swing: Annotated[float, typer.Option(help="How far the cycle departs from the mean, 0 to 1.")] = 0.5,
    retries: Annotated[float, typer.Option(help="Share of refused payments that the shopper tries again.")] = 0.5,
    fault: Annotated[
        list[str] | None, typer.Option(help='"SCOPE KIND FROM TO", and leak=0.04 and the like; repeatable.')
    ] = None,
    scenario: Annotated[Path | None, typer.Option(help="A file of faults, one a line; # starts a comment.")] = None,
    to: Annotated[str, typer.Option(help="A file (.gz is packed), - for standard output, or kafka.")] = "-",
    broker: Annotated[str | None, typer.Option(help="host:port, with --to kafka; else PASTILLE_BROKER.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="With --to kafka: times real time, 1 by default; 0 is as fast as it goes.")
    ] = None,
) -> None:
    """Seeded shop platform: banks, methods, shops, retries, a daily cycle, and faults where you want them.

    Kinds of fault: all_red, all_pending, errors (share=0.3), slow (factor=20), stall.
    A scope is platform, bank:NAME, method:NAME, merchant:NAME or several joined by commas.
    """
    _check_where(to, broker, speed)
    times = 1.0 if speed is None else speed
    try:
        duration_ms = None if duration == "forever" else parse_duration(duration)
        faults = _faults(fault or [], scenario, duration_ms)
        shops = Shops(seed, _start_ms(start, to, duration_ms, times), rate, banks, merchants, shoppers,
                      parse_duration(day), swing, retries, faults=faults)  # fmt: skip
    except ValueError as error:
        raise UserError(str(error)) from None
    if to == "kafka":
        _to_kafka(shops, duration_ms, times, load_settings(broker=broker))
    else:
        _to_file(shops, duration_ms, to)


def _check_where(to: str, broker: str | None, speed: float | None) -> None:
    """UserError for a speed that cannot be, and for what would change nothing: it is a slip, or a forgotten --to."""
    for name, value in (("--broker", broker), ("--speed", speed)):
        if value is not None and to != "kafka":
            raise UserError(f"{name} is of --to kafka alone; got {name} {value} and --to {to}; leave one out")
    if speed is not None and speed < 0:
        raise UserError(f"speed must not be below 0; got {speed}; use 1 for real time, 0 for as fast as it goes")


def _faults(options: list[str], scenario: Path | None, duration_ms: int | None) -> tuple[Fault, ...]:
    lines = list(options)
    if scenario is not None:
        try:
            with scenario.open(encoding="utf-8") as file:
                lines += file.read(SCENARIO_BYTES_MAX).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the scenario cannot be read; got {error}; give a UTF-8 text file") from None
    texts = (line.partition("#")[0].strip() for line in lines)
    return tuple(_fault(text, duration_ms) for text in texts if text)


def _fault(text: str, duration_ms: int | None) -> Fault:
    """The fault as it is written; ValueError also for one that would never begin."""
    fault = parse_fault(text)
    if duration_ms is not None and fault.from_ms >= duration_ms:
        raise ValueError(
            f'a fault begins within --for; got "{text}" and {duration_ms / 1000:g} s; let it begin sooner, or raise '
            "--for"
        )
    return fault


def _start_ms(text: str, to: str, duration_ms: int | None, speed: float) -> int:
    if text.isdigit():
        return int(text)
    if text:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(f'a start has a zone; got "{text}"; write it like {text}Z')
        return round(at.timestamp() * 1000)
    if to != "kafka":
        return FILE_START_MS
    now_ms = time.time_ns() // 1_000_000
    # What is sent at once must lie in the past, or the worker would take it for a clock that is ahead.
    return now_ms if speed == 1 else now_ms - (duration_ms or 0)


def _to_file(shops: Shops, duration_ms: int | None, to: str) -> None:
    lines = Lines(shops)
    try:
        with _opened(to) as out:
            for events in simulate(shops, duration_ms):
                if len(events):
                    out.write(("\n".join(lines.values(events)) + "\n").encode())
            out.flush()
    except BrokenPipeError:
        # The reader has seen enough; Python would complain once more when it closes standard output.
        sys.stdout = None
    except OSError as error:
        raise UserError(f"the events cannot be written; got {error}; choose another --to") from None


@contextmanager
def _opened(to: str) -> Iterator[BinaryIO | gzip.GzipFile]:
    if to == "-":
        yield sys.stdout.buffer
    elif to.endswith(".gz"):
        # Without a time of making and a name, the same seed gives the same bytes.
        with open(to, "wb") as file, gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            yield packed
    else:
        with open(to, "wb") as plain:
            yield plain


def _to_kafka(shops: Shops, duration_ms: int | None, speed: float, settings: Settings) -> None:
    # Told to end, by a person or by what runs us, it sends what is on its way first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sender = _Sender(shops, settings)
    pace = _Pace(shops.start_ms, speed)
    try:
        for events in simulate(shops, duration_ms):
            for some in pace.slices(events):
                sender.send(some)
    except KeyboardInterrupt:
        pass
    finally:
        sender.close()
    typer.echo(f"sent {sender.sent} events", err=True)


class _Pace:
    """Lets events through when their time has come, at `speed` times real time from the moment it is made."""

    def __init__(self, start_ms: int, speed: float) -> None:
        self._start_ms = start_ms
        self._speed = speed
        self._began = time.monotonic()

    def slices(self, events: Events) -> Iterator[Events]:
        """The events in order, in pieces, each as soon as all of it is due."""
        done = 0
        while done < len(events):
            stop = len(events) if self._speed == 0 else self._due(events)
            if stop == done:
                time.sleep(SLICE_S)
                continue
            yield events[done:stop]
            done = stop

    def _due(self, events: Events) -> int:
        now_ms = self._start_ms + (time.monotonic() - self._began) * 1000 * self._speed
        return int(np.searchsorted(events["at"], now_ms, side="right"))


def _require(topics: list[str], settings: Settings) -> None:
    """UserError where the broker cannot be reached or has not all of the topics; a producer would wait for them, and
    not say why."""
    from streams.admin import admin_client  # as Kafka's client, only who sends pays for the import

    with admin_client(settings) as admin:
        missing = sorted(set(topics) - set(admin.list_topics()))
    if missing:
        raise UserError(f"topics are missing; got none named {', '.join(missing)}; run 'pastille topics create'")


class _Sender:
    """Sends events as any shop platform would: keyed by `order_id`, with Kafka's own partitioner."""

    def __init__(self, shops: Shops, settings: Settings) -> None:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        feed = settings.feeds[0]
        self._errors: type[Exception] = KafkaError
        self._topics = (feed.payments, feed.orders)
        self._lines = Lines(shops)
        self.sent = 0
        _require(list(filter(None, self._topics)), settings)
        self._producer = KafkaProducer(**settings.kafka_python(), linger_ms=20, max_block_ms=METADATA_MS_MAX,
                                       batch_size=131_072)  # fmt: skip

    def send(self, events: Events) -> None:
        """Hand the events to the producer, each with its own time as the record's."""
        times = events["at"].tolist()
        for key, value, at, for_orders in zip(
            self._lines.keys(events), self._lines.values(events), times, is_order(events), strict=True
        ):
            topic = self._topics[for_orders]
            if topic is not None:
                self._send(topic, key.encode(), value.encode(), at)
                self.sent += 1

    def _send(self, topic: str, key: bytes, value: bytes, at_ms: int) -> None:
        try:
            self._producer.send(topic, key=key, value=value, timestamp_ms=at_ms)
        except self._errors as error:
            raise UserError(f"the broker takes no more; got {type(error).__name__}; look at its log") from None

    def close(self) -> None:
        """Wait until the broker has what was sent."""
        try:
            self._producer.flush(timeout=10)
        except self._errors as error:
            raise UserError(f"the broker took not all events; got {error}; look at its log") from None
        finally:
            self._producer.close(timeout=1)
