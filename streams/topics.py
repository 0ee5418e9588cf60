"""The topics that Pastille needs: which, in what shape, made once and checked.

A topic that is missing stops Faust's sends for ever, so every worker asks `require_topics` before it starts.
This module does not know what is in the topics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError, for_code

from detector.contracts.policy import DEFAULT, Policy
from streams.admin import admin_client
from streams.deadletters import LETTER_BYTES_MAX
from streams.errors import UserError
from streams.settings import Feed, Settings

__all__ = [
    "SNAPSHOTS_TABLE",
    "Finding",
    "Made",
    "Topic",
    "changelog_topic",
    "check_topics",
    "create_topics",
    "needed_topics",
    "require_topics",
]

# The Faust table of the Judge's snapshots; its changelog topic is named after it.
SNAPSHOTS_TABLE: Final = "judge-snapshots"
FEED_PARTITIONS: Final = 8
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
RETENTION_MS_MIN: Final = 3 * HOUR_MS
"""By default a Counter goes up to 46 min back, a Judge an hour of tallies: this holds both, and a long stop between."""
STOP_MS: Final = HOUR_MS
"""How long a stop there must be room for, however far a policy makes them go back."""
FOREVER: Final = -1
TALLIES_BYTES_MAX: Final = 64 * 1024 * 1024
# Not the writer's: Kafka refuses a record from more than an hour ahead, and so all of a worker whose clock is wrong.
BROKERS_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
# Compacted within the hour, so that a new Judge does not read a week of old snapshots.
COMPACTED: Final = BROKERS_TIME | {
    "cleanup.policy": "compact", "segment.ms": str(HOUR_MS), "min.cleanable.dirty.ratio": "0.1",
}  # fmt: skip
CHECKED_CONFIG: Final = ("cleanup.policy", "retention.ms", "message.timestamp.type", "max.message.bytes")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be; `config` in Kafka's words, `is_feed` where it is the producers' and not ours.

    `partitions` of a feed's topic is a proposal; of our own it is a must.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    is_feed: bool = False

    @property
    def is_compacted(self) -> bool:
        """Whether only the newest record of a key is kept."""
        return self.config.get("cleanup.policy") == "compact"


@dataclass(frozen=True, slots=True)
class Actual:
    """A topic as it is."""

    partitions: int
    cleanup_policy: str
    retention_ms: int
    timestamp_type: str
    record_bytes_max: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a topic: a short name of the problem, and the sentence "what; got; do"."""

    topic: str
    problem: str
    message: str


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one topic: `created`, `exists`, or, in a dry run, `would create`; and the partitions it has."""

    topic: str
    partitions: int
    result: str


def changelog_topic(settings: Settings) -> str:
    """The changelog of the snapshots table, by Faust's naming."""
    return f"{settings.app_id}-{SNAPSHOTS_TABLE}-changelog"


def needed_topics(settings: Settings, partitions: int = FEED_PARTITIONS) -> tuple[Topic, ...]:
    """Every topic that must be there before a worker starts; `partitions` is for the feeds' topics."""
    feeds = [Topic(name, partitions, is_feed=True) for feed in settings.feeds for name in feed.topics]
    return (*feeds, *_own_topics(settings))


def _own_topics(settings: Settings) -> tuple[Topic, ...]:
    names = settings.topics
    return (
        # A record is small but for the snapshot of a source with thousands of leaves.
        Topic(names.tallies, 1, _kept(7 * DAY_MS) | {"max.message.bytes": str(TALLIES_BYTES_MAX)}),
        # Never deleted: the last ordinal of each scope's outages is read from it. It holds few records.
        Topic(names.outages, 1, _kept(FOREVER)),
        Topic(names.health, 1, COMPACTED),
        # The longest letter that any policy may ask for, whatever the brokers take by default.
        Topic(names.dead_letters, 1, _kept(14 * DAY_MS) | {"max.message.bytes": str(LETTER_BYTES_MAX)}),
        Topic(names.maintenances, 1, COMPACTED),
        Topic(names.baselines, 1, COMPACTED),
        Topic(changelog_topic(settings), 1, COMPACTED),  # as many partitions as the tallies: the table's source
    )


def _kept(retention_ms: int) -> dict[str, str]:
    return BROKERS_TIME | {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}


def create_topics(
    settings: Settings, partitions: int = FEED_PARTITIONS, replication: int | None = None, *, dry_run: bool = False
) -> list[Made]:
    """Make what is missing and leave alone what is there; `replication` none is the brokers' default.

    In a dry run the brokers only say whether they would. Raises UserError where they refuse.
    """
    with admin_client(settings) as admin:
        there = set(admin.list_topics())
        needed = needed_topics(settings, partitions)
        made = _create(admin, [topic for topic in needed if topic.name not in there], replication, dry_run)
        results = {topic.name: made.get(topic.name, "exists") for topic in needed}
        actual = _partitions(admin, [name for name, result in results.items() if result == "exists"])
    return [Made(topic.name, actual.get(topic.name, topic.partitions), results[topic.name]) for topic in needed]


def _partitions(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    """How many partitions each of these topics has."""
    found = admin.describe_topics(names) if names else ()
    return {topic["name"]: len(topic["partitions"]) for topic in found}


def _create(admin: KafkaAdminClient, topics: Sequence[Topic], replication: int | None, dry_run: bool) -> dict[str, str]:
    """All in one request, then the wait for all of them; what became of each."""
    if not topics:
        return {}
    wanted: dict[str, Any] = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": replication or -1,
            "configs": dict(topic.config),
        }
        for topic in topics
    }
    answers = admin.create_topics(wanted, validate_only=dry_run, raise_errors=False)["topics"]
    by_name = {answer["name"]: answer for answer in answers}
    made = {topic.name: _made(topic, by_name[topic.name], dry_run) for topic in topics}
    created = [name for name, result in made.items() if result == "created"]
    if created:
        admin.wait_for_topics(created)
    return made


def _made(topic: Topic, answer: Mapping[str, Any], dry_run: bool) -> str:
    error = for_code(answer["error_code"])
    if error is TopicAlreadyExistsError:  # another `create` was quicker
        return "exists"
    if answer["error_code"]:
        reason = answer.get("error_message") or error.__name__
        raise UserError(
            f"topic {topic.name} cannot be created; got: {reason}; change --partitions or --replication, or the rights"
        )
    return "would create" if dry_run else "created"


def check_topics(settings: Settings, policy: Policy) -> list[Finding]:
    """What is missing or has the wrong shape, or is kept for less than the policy needs; empty where all is well."""
    topics, kept_ms = needed_topics(settings), _retention_ms_min(policy)
    with admin_client(settings) as admin:
        actual = _describe(admin, [topic.name for topic in topics])
    shapes = (finding for topic in topics for finding in _check_one(topic, actual.get(topic.name), kept_ms))
    pairs = (finding for feed in settings.feeds for finding in _check_pair(feed, actual))
    return [*shapes, *pairs]


def require_topics(settings: Settings) -> None:
    """UserError that lists the topics a worker would miss; other findings do not keep it from starting."""
    missing = [finding.topic for finding in check_topics(settings, DEFAULT) if finding.problem == "missing"]
    if missing:
        raise UserError(f"topics are missing; got none named {', '.join(missing)}; run 'pastille topics create'")


def _describe(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Actual]:
    there = set(admin.list_topics()).intersection(names)
    if not there:
        return {}
    wanted = dict.fromkeys(CHECKED_CONFIG)
    resources = [ConfigResource("topic", name, wanted) for name in sorted(there)]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    partitions = _partitions(admin, sorted(there))
    return {name: _actual(partitions[name], configs[name]) for name in there}


def _actual(partitions: int, config: Mapping[str, Mapping[str, Any]]) -> Actual:
    values = {name: config[name]["value"] for name in CHECKED_CONFIG}
    retention_ms, timestamp_type = int(values["retention.ms"]), str(values["message.timestamp.type"])
    record_bytes_max = int(values["max.message.bytes"])
    return Actual(partitions, str(values["cleanup.policy"]), retention_ms, timestamp_type, record_bytes_max)


def _retention_ms_min(policy: Policy) -> int:
    """How long records must be kept: what a Counter or a Judge that begins anew reads, and a stop before."""
    return max(RETENTION_MS_MIN, STOP_MS + max(policy.reach_ms, policy.ring_ms + policy.open_ms))


def _check_one(topic: Topic, actual: Actual | None, kept_ms: int) -> Iterator[Finding]:
    if actual is None:
        yield Finding(topic.name, "missing", f"topic {topic.name} is missing; got none; run 'pastille topics create'")
        return
    if not topic.is_feed and actual.partitions != topic.partitions:
        yield _wrong(topic, "partitions", f"{topic.partitions} partition(s)", str(actual.partitions))
    if ("compact" in actual.cleanup_policy) != topic.is_compacted:
        wanted = "compact" if topic.is_compacted else "delete"
        yield _wrong(topic, "cleanup policy", f"cleanup.policy={wanted}", actual.cleanup_policy)
    elif not topic.is_compacted and 0 <= actual.retention_ms < kept_ms:
        yield _wrong(topic, "retention", f"retention.ms of at least {kept_ms}", str(actual.retention_ms))
    wanted = topic.config.get("message.timestamp.type", actual.timestamp_type)
    if actual.timestamp_type != wanted:
        yield _wrong(topic, "time stamps", f"message.timestamp.type={wanted}", actual.timestamp_type)
    least = int(topic.config.get("max.message.bytes", 0))
    if actual.record_bytes_max < least:
        yield _wrong(topic, "record size", f"max.message.bytes of at least {least}", str(actual.record_bytes_max))


def _wrong(topic: Topic, problem: str, wanted: str, got: str) -> Finding:
    mend = "change it with kafka-configs" if problem != "partitions" else "delete it and run 'pastille topics create'"
    return Finding(topic.name, problem, f"topic {topic.name} must have {wanted}; got {got}; {mend}")


def _check_pair(feed: Feed, actual: Mapping[str, Actual]) -> Iterable[Finding]:
    if feed.orders is None or feed.payments not in actual or feed.orders not in actual:
        return
    payments, orders = actual[feed.payments].partitions, actual[feed.orders].partitions
    if payments != orders:
        yield Finding(
            feed.orders,
            "unequal partitions",
            f"{feed.payments} and {feed.orders} of feed {feed.name} must have equally many partitions; "
            f"got {payments} and {orders}; until then orders without a payment are not counted",
        )
