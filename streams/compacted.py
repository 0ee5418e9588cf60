"""A compacted topic as a table of what people said: the newest word of each key counts, one without a value is none.

Knows Kafka's clients and the contract of a record; not what is said, nor what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias, TypeVar

from kafka import KafkaProducer
from pydantic import BaseModel, ValidationError

from streams.errors import UserError
from streams.reading import CONNECT_MS, RECORDS_MAX, open_reader, worded_errors
from streams.settings import Settings

__all__ = ["fold", "parse", "read", "unquoted", "write"]

Said = TypeVar("Said", bound=BaseModel)
Take: TypeAlias = Callable[[dict[str, Said], bytes | None, bytes | None], None]

SEND_S: Final = 60.0
LINGER_MS: Final = 20


def parse(contract: type[Said], value: bytes) -> Said:
    """One record. Raises ValueError with what is wrong, and in which field."""
    try:
        return contract.model_validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: " * bool(where) + first["msg"].removeprefix("Value error, ")) from None


def fold(known: dict[str, Said], key: bytes | None, value: bytes | None, read_one: Callable[[bytes], Said],
         name: str) -> None:  # fmt: skip
    """Take a record into the table. Raises ValueError for one that `read_one` refuses, or whose key is not its field
    `name`."""
    said_key = (key or b"").decode("utf-8", "replace")
    if value is None:
        known.pop(said_key, None)
        return
    said = read_one(value)
    if said_key != getattr(said, name):
        raise ValueError(f"the key is the {name}; got {said_key!r} and {getattr(said, name)!r}")
    known[said_key] = said


def unquoted(error: ValueError) -> str:
    """What is wrong with a record, as a log may say it: what was got may name a merchant."""
    return str(error).partition("; got")[0]


def read(settings: Settings, topic: str, called: str, take: Take[Said]) -> dict[str, Said]:
    """The table as the topic holds it now. Raises UserError where it cannot be read."""
    with open_reader(settings) as reader:
        if topic not in reader.partitions():
            raise UserError(f"the topic of {called} does not exist; got no {topic}; run `pastille topics create`")
        newest = reader.newest([topic], RECORDS_MAX)
    if newest.cut_short:
        raise UserError(f"{topic} could not be read to its end in time; got a part; try again")
    known: dict[str, Said] = {}
    for record in newest.records[topic]:
        try:
            take(known, record.key, record.value)
        except ValueError:
            continue  # the worker's log says so; here it is nothing that can be listed
    return known


def write(settings: Settings, topic: str, said: Sequence[tuple[str, BaseModel]], forgotten: Iterable[str] = ()) -> None:
    """Write words by their keys in as few requests as Kafka takes, acknowledged by every copy, and let it drop those
    forgotten. Raises UserError where it refuses."""
    with worded_errors(settings):
        producer = KafkaProducer(
            **settings.kafka_python(), acks="all", bootstrap_timeout_ms=CONNECT_MS, linger_ms=LINGER_MS
        )
        try:
            sent = [producer.send(topic, one.model_dump_json().encode(), key.encode(), partition=0)
                    for key, one in said]  # fmt: skip
            sent += [producer.send(topic, None, key.encode(), partition=0) for key in forgotten]
            producer.flush(timeout=SEND_S)
            for future in sent:
                future.get(timeout=SEND_S)
        finally:
            producer.close(timeout=SEND_S)
