"""`pastille topics`: what is needed is made once, and what is wrong is found, on a real broker."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from kafka import KafkaProducer
from kafka.admin import NewTopic

from detector.contracts.policy import DEFAULT
from streams.admin import admin_client
from streams.commands import main
from streams.embedded import EmbeddedKafka
from streams.errors import UserError
from streams.settings import Settings
from streams.topics import (
    HOUR_MS,
    TALLIES_BYTES_MAX,
    changelog_topic,
    check_topics,
    create_topics,
    needed_topics,
    require_topics,
)
from tests.broker import applied

pytestmark = pytest.mark.kafka

GONE_S_MAX = 30
KINDS = ("tallies", "outages", "health", "dead_letters", "maintenances", "baselines")


def _names(stem: str) -> dict[str, object]:
    feed = {"name": "default", "payments": f"{stem}.payments", "orders": f"{stem}.orders"}
    return {"app_id": stem, "feeds": [feed], "topics": {kind: f"{stem}.{kind}" for kind in KINDS}}


@pytest.fixture
def settings(kafka: EmbeddedKafka) -> Settings:
    """Settings whose topics are nobody else's."""
    return kafka.settings(**_names(f"t{secrets.token_hex(4)}"))


def _replace(settings: Settings, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
    """Make the topic anew, in a shape that is wrong."""
    with admin_client(settings) as admin:
        if name in admin.list_topics():
            _delete(settings, name)
        sizes = {"max.message.bytes": str(TALLIES_BYTES_MAX)}
        configs = {"message.timestamp.type": "LogAppendTime", **sizes, **(config or {})}
        admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
        admin.wait_for_topics([name])


def _delete(settings: Settings, name: str) -> None:
    """Delete a topic, and wait until the broker knows."""
    with admin_client(settings) as admin:
        admin.delete_topics([name])
    applied(settings)


def _problems(settings: Settings) -> list[tuple[str, str]]:
    return [(finding.topic, finding.problem) for finding in check_topics(settings, DEFAULT)]


def test_create_twice_makes_once(settings: Settings) -> None:
    """The first `create` makes every topic in the right shape, the second makes none, and says what there is."""
    assert {made.result for made in create_topics(settings, partitions=3)} == {"created"}
    assert check_topics(settings, DEFAULT) == []
    again = create_topics(settings, partitions=5)
    assert {(made.result, made.partitions) for made in again} == {("exists", 3), ("exists", 1)}
    assert check_topics(settings, DEFAULT) == []
    require_topics(settings)


def test_feeds_get_the_partitions_asked_for(settings: Settings) -> None:
    """The feeds' topics have as many partitions as asked for, our own exactly one."""
    create_topics(settings, partitions=3)
    wanted = {topic.name: topic.partitions for topic in needed_topics(settings, 3)}
    with admin_client(settings) as admin:
        described = admin.describe_topics(list(wanted))
    assert {topic["name"]: len(topic["partitions"]) for topic in described} == wanted
    assert sorted(wanted.values()) == [1, 1, 1, 1, 1, 1, 1, 3, 3]


def test_a_dry_run_changes_nothing(settings: Settings) -> None:
    """A dry run says of each topic that it would be made, and makes none."""
    assert {made.result for made in create_topics(settings, dry_run=True)} == {"would create"}
    assert {problem for _, problem in _problems(settings)} == {"missing"}


def test_a_missing_topic_is_found(settings: Settings) -> None:
    """Of all topics but one, `check` names the one, and a worker would not start."""
    create_topics(settings)
    _delete(settings, changelog_topic(settings))
    assert _problems(settings) == [(changelog_topic(settings), "missing")]
    with pytest.raises(UserError, match=f"got none named {changelog_topic(settings)}; run 'pastille topics create'"):
        require_topics(settings)


def test_unequal_partitions_are_found(settings: Settings) -> None:
    """Payments and orders with different numbers of partitions are named with both numbers; a worker starts."""
    _replace(settings, settings.feeds[0].topics[1], partitions=2)
    create_topics(settings, partitions=3)
    found = check_topics(settings, DEFAULT)
    assert [(one.topic, one.problem) for one in found] == [(settings.feeds[0].topics[1], "unequal partitions")]
    assert "got 3 and 2" in found[0].message
    require_topics(settings)


def test_who_is_hours_ahead_may_write(settings: Settings) -> None:
    """Kafka refuses a record from more than an hour ahead; our topics take it from a worker whose clock is wrong."""
    create_topics(settings)
    own = [topic.name for topic in needed_topics(settings) if not topic.is_feed]
    ahead_ms = time.time_ns() // 10**6 + 3 * HOUR_MS
    producer = KafkaProducer(**settings.kafka_python(), acks="all")
    try:
        sent = [producer.send(name, b"{}", b"key", timestamp_ms=ahead_ms) for name in own]
        written_ms = [future.get(timeout=GONE_S_MAX).timestamp for future in sent]
    finally:
        producer.close(timeout=GONE_S_MAX)
    assert max(written_ms) < ahead_ms - HOUR_MS


@pytest.mark.parametrize(
    ("kind", "partitions", "config", "problem"),
    [
        ("tallies", 2, {}, "partitions"),
        ("tallies", 1, {"retention.ms": "60000"}, "retention"),
        ("tallies", 1, {"cleanup.policy": "compact"}, "cleanup policy"),
        ("health", 1, {}, "cleanup policy"),
        ("outages", 1, {"message.timestamp.type": "CreateTime"}, "time stamps"),
        ("dead_letters", 1, {"max.message.bytes": "20000"}, "record size"),
        ("tallies", 1, {"max.message.bytes": "1048588"}, "record size"),
    ],
)
def test_a_wrong_shape_is_found(
    settings: Settings, kind: str, partitions: int, config: dict[str, str], problem: str
) -> None:
    """One topic of ours in a wrong shape is found, `create` leaves it alone, and nothing else is blamed."""
    name = getattr(settings.topics, kind)
    _replace(settings, name, partitions, config)
    create_topics(settings)
    assert _problems(settings) == [(name, problem)]


def test_a_policy_says_how_long_records_must_be_kept(settings: Settings) -> None:
    """Four hours are enough by default, and too few where payments may be answered after two."""
    for name in (settings.feeds[0].payments, settings.topics.tallies):
        _replace(settings, name, 1, {"retention.ms": str(4 * HOUR_MS)})
    create_topics(settings, partitions=1)
    assert check_topics(settings, DEFAULT) == []
    slow = replace(DEFAULT, horizon_ms=2 * HOUR_MS, ring_ms=4 * HOUR_MS)
    found = check_topics(settings, slow)
    assert {one.topic: one.problem for one in found} == {
        settings.feeds[0].payments: "retention", settings.topics.tallies: "retention"
    }  # fmt: skip
    needed_ms = slow.reach_ms + HOUR_MS
    assert all(f"retention.ms of at least {needed_ms}; got {4 * HOUR_MS}" in one.message for one in found)


def test_more_copies_than_brokers_are_refused(settings: Settings) -> None:
    """A replication that the cluster cannot give ends in an error that names the topic and the option."""
    with pytest.raises(UserError, match=r"cannot be created; got: .*change --partitions or --replication"):
        create_topics(settings, replication=3)


def test_exit_codes_and_json(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` ends with 1 before `create` and with 0 after it, and each prints one JSON object."""
    names = _names(f"t{secrets.token_hex(4)}")
    for name, value in names.items():
        monkeypatch.setenv(f"PASTILLE_{name.upper()}", value if isinstance(value, str) else json.dumps(value))
    broker = ["--broker", kafka.bootstrap, "--json"]
    ends, facts = [], []
    for command in ("check", "create", "create", "check"):
        with pytest.raises(SystemExit) as end:
            main(["topics", command, *broker])
        ends.append(end.value.code)
        facts.append(json.loads(capsys.readouterr().out))
    assert ends == [1, 0, 0, 0]
    assert [len(one["findings"]) for one in facts] == [9, 0, 0, 0]
    assert [{made["result"] for made in one["topics"]} for one in facts] == [set(), {"created"}, {"exists"}, set()]
