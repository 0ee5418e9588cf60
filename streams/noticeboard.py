"""The topic of maintenances as a list: the newest word of each, read to its end; another one put on it.

Knows Kafka's clients; not what a person may say, nor how a command shows this.
"""

from __future__ import annotations

from collections.abc import Iterable

from detector.contracts.models import Maintenance
from streams import compacted
from streams.maintenances import fold
from streams.reading import RECORDS_MAX, open_reader
from streams.settings import Settings

__all__ = ["is_seen", "read_topic", "write"]

def read_topic(settings: Settings) -> dict[str, Maintenance]:
    """Every maintenance by its id, as the topic says it now. Raises UserError where it cannot be read."""
    return compacted.read(settings, settings.topics.maintenances, "maintenances", fold)


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
    compacted.write(settings, settings.topics.maintenances, [(said.maintenance_id, said)], forgotten)
