"""The topic of maintenances as a list: the newest word of each, read to its end; another one put on it.

Knows Kafka's clients; not what a person may say, nor how a command shows this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kafka import KafkaProducer

from detector.contracts.models import Maintenance
from streams.errors import UserError
from streams.maintenances import fold
from streams.reading import CONNECT_MS, RECORDS_MAX, Record, open_reader, worded_errors
from streams.settings import Settings

__all__ = ["is_seen", "read_topic", "write"]

SEND_S: Final = 30.0


def read_topic(settings: Settings) -> dict[str, Maintenance]:
    """Every maintenance by its id, as the topic says it now. Raises UserError where it cannot be read."""
    topic = settings.topics.maintenances
    with open_reader(settings) as reader:
        if topic not in reader.partitions():
            raise UserError(f"the topic of maintenances does not exist; got no {topic}; run `pastille topics create`")
        newest = reader.newest([topic], RECORDS_MAX)
    if newest.cut_short:
        raise UserError(f"{topic} could not be read to its end in time; got a part; try again")
    return _folded(newest.records[topic])


def _folded(records: Iterable[Record]) -> dict[str, Maintenance]:
    known: dict[str, Maintenance] = {}
    for record in records:
        try:
            fold(known, record.key, record.value)
        except ValueError:
            continue  # the worker's log says so; here it is nothing that can be listed
    return known


def is_seen(settings: Settings, scope: str) -> bool:
    """Whether the Judge has told of a scope's health; also where it has told of none, or that cannot be read."""
    topic = settings.topics.health
    with open_reader(settings) as reader:
        if topic not in reader.partitions():
            return True
        newest = reader.newest([topic], RECORDS_MAX)
    told = {record.key for record in newest.records[topic]}
    return not told or newest.cut_short or scope.encode() in told


def write(settings: Settings, said: Maintenance, forgotten: Iterable[str] = ()) -> None:
    """Write one, acknowledged by every copy, and let Kafka drop those forgotten. Raises UserError where it refuses."""
    topic = settings.topics.maintenances
    with worded_errors(settings):
        producer = KafkaProducer(**settings.kafka_python(), acks="all", bootstrap_timeout_ms=CONNECT_MS)
        try:
            sent = [producer.send(topic, said.model_dump_json().encode(), said.maintenance_id.encode(), partition=0)]
            sent += [producer.send(topic, None, name.encode(), partition=0) for name in forgotten]
            for future in sent:
                future.get(timeout=SEND_S)
        finally:
            producer.close(timeout=SEND_S)
