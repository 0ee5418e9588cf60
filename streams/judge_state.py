"""The Judge as its newest snapshot has it, read from the table's changelog: no worker need run.

Knows where snapshots stand; does not know what is asked of the Judge.
"""

from __future__ import annotations

from typing import Final

import msgspec

from detector.judging.judge import Judge
from detector.judging.state import OtherVersion
from streams.errors import UserError
from streams.reading import RECORDS_MAX, open_reader
from streams.settings import Settings
from streams.topics import changelog_topic
from streams.verdict.snapshot import Snapshot, newest

__all__ = ["newest_judge", "newest_snapshot"]

_TAILS: Final = (64, 2_048, RECORDS_MAX)
"""The newest snapshot is among the last records; only where it is not are more of them read."""


def newest_judge(settings: Settings) -> Judge | None:
    """The newest whole snapshot's Judge, without its ring; None where none was written yet. Raises UserError."""
    snapshot = newest_snapshot(settings)
    if snapshot is None:
        return None
    try:
        return Judge.restore(msgspec.msgpack.decode(snapshot.state))
    except OtherVersion as error:
        raise UserError(f"the newest snapshot is of another version of Pastille; got: {error}; let a worker of this "
                        "version judge for a minute") from None  # fmt: skip


def newest_snapshot(settings: Settings) -> Snapshot | None:
    """The newest whole snapshot; None where none was written yet. Raises UserError."""
    topic = changelog_topic(settings)
    with open_reader(settings) as reader:
        if topic not in reader.partitions():
            raise UserError(f"the topic of snapshots does not exist; got no {topic}; run `pastille topics create`")
        for most in _TAILS:
            found = reader.newest([topic], most)
            table = {record.key: record.value for record in found.records[topic] if record.key}
            snapshot = newest({key: value for key, value in table.items() if value is not None})
            if snapshot is not None or most >= found.stored[topic]:
                return snapshot
    raise UserError(f"{topic} could not be read to its end in time; got a part; try again")
