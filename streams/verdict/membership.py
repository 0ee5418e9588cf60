"""The Faust app of the Judge: its group, its one topic, its one table. Does not know what is judged or by whom."""

from __future__ import annotations

from typing import Any, cast

import faust
from faust.tables.manager import TableManager
from faust.types import TopicT
from faust.types.tables import TableT

from streams.patience import HEARTBEAT_S, IDLE_MS, METADATA_MS, REQUEST_MS, SESSION_S
from streams.settings import Settings
from streams.topics import changelog_topic
from streams.verdict.mends import mend
from streams.verdict.snapshot import CHUNK_BYTES_MAX

__all__ = ["TABLE", "build_app", "read_along", "snapshot_table", "tallies_topic"]

FETCH_BYTES = 4 * 1024 * 1024
TABLE = "snapshots"
"""With the app's id in front, the table's changelog is the topic that `pastille topics` makes."""


def build_app(settings: Settings, datadir: str) -> faust.App:
    """The Faust app of the Judge: connected like every other client, it declares no topic and serves no web."""
    app = faust.App(
        settings.judge_group,
        broker=settings.faust_broker(),
        broker_credentials=settings.faust_credentials(),
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_rebalance_timeout=SESSION_S,
        broker_request_timeout=REQUEST_MS / 1000,
        broker_max_poll_interval=IDLE_MS / 1000,
        consumer_metadata_max_age_ms=METADATA_MS,
        producer_metadata_max_age_ms=METADATA_MS,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        producer_max_request_size=2 * CHUNK_BYTES_MAX,
        store="memory://",
        table_standby_replicas=1,
        datadir=datadir,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    mend(app)
    return app


def tallies_topic(app: faust.App, settings: Settings) -> TopicT:
    """The tallies log, as bytes."""
    return app.topic(
        settings.topics.tallies, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw",
        partitions=1, internal=False,
    )  # fmt: skip


def snapshot_table(app: faust.App, settings: Settings) -> TableT[Any, Any]:
    """The table of snapshots. A worker that stands by has each record when it comes, not when a thousand are there; all
    of the table it has when the seat is its own."""
    table = app.Table(
        TABLE, partitions=1, key_type=bytes, value_type=bytes, standby_buffer_size=1,
        help="Snapshots of the Judge, in chunks.",
    )  # fmt: skip
    changelog = table.changelog_topic.get_topic_name()
    assert changelog == changelog_topic(settings), "`pastille topics create` makes the table's changelog"
    return table


def read_along(app: faust.App) -> None:
    """After each dealing: Faust keeps, for a process's life, how many records of a changelog it takes at once, also
    where a worker that recovered a table of its own is to stand by for it."""
    cast(TableManager, app.tables).recovery.buffer_sizes.clear()
