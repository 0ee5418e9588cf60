"""Every name of Faust and aiokafka that is private, or that we lean on beyond their documentation, is still there."""

from __future__ import annotations

import inspect

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.partitioner import murmur2
from aiokafka.producer import sender
from aiokafka.producer.sender import Sender, SendProduceReqHandler
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.logs import SENDER
from streams.settings import load_settings
from streams.topics import changelog_topic
from streams.verdict.membership import build_app, read_along, snapshot_table


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory) -> faust.App:
    """The worker's app, not started."""
    return build_app(load_settings(), str(tmp_path_factory.mktemp("faust")))


def test_versions_are_the_pinned_ones() -> None:
    """The names below were read in these versions; another one needs reading again."""
    assert (faust.__version__, aiokafka.__version__) == ("0.15.3", "0.14.0")


def test_a_consumer_has_the_parts_that_the_reader_asks() -> None:
    """`_coordinator` and `_subscription` of a consumer, set where we expect them."""
    source = inspect.getsource(aiokafka.AIOKafkaConsumer)
    assert "self._coordinator = GroupCoordinator(" in source
    assert "self._subscription" in source


@pytest.mark.parametrize("name", ["fetch_committed_offsets", "ensure_coordinator_known", "_do_commit_offsets"])
def test_the_coordinator_commits_and_tells(name: str) -> None:
    """One try at a commit, and committed offsets with their notes: awaitable, with the arguments that we pass."""
    method = getattr(GroupCoordinator, name)
    assert inspect.iscoroutinefunction(method)
    wanted = {"fetch_committed_offsets": ["partitions"], "_do_commit_offsets": ["assignment", "offsets"]}
    assert list(inspect.signature(method).parameters)[1:] == wanted.get(name, [])


def test_a_commit_takes_the_generation_when_it_is_sent() -> None:
    """Between our look at the generation and its use nothing is awaited, or a stale commit could pass."""
    body = inspect.getsource(GroupCoordinator._do_commit_offsets)
    assert "self.generation" in body[: body.index("await ")]


def test_the_coordinator_has_a_generation() -> None:
    """`generation` is an attribute that the coordinator sets."""
    assert "self.generation = " in inspect.getsource(GroupCoordinator)


def test_a_partition_has_position_and_end() -> None:
    """`position`, `has_valid_position`, `highwater`, `lso`, `timestamp` of a partition's state, by `state_value`."""
    source = inspect.getsource(TopicPartitionState)
    assert all(f"self.{name}" in source for name in ("highwater", "lso", "timestamp", "_position"))
    assert isinstance(inspect.getattr_static(TopicPartitionState, "has_valid_position"), property)
    assert isinstance(inspect.getattr_static(TopicPartitionState, "position"), property)
    assert isinstance(inspect.getattr_static(SubscriptionState, "subscription"), property)


def test_an_answered_fetch_is_noted() -> None:
    """Beside the end of a partition stands when a broker last told it: an end is known no longer than that."""
    source = inspect.getsource(Fetcher)
    assert source.index("tp_state.highwater = highwater") < source.index("tp_state.timestamp = now_ms")


def test_a_producer_can_be_given_up() -> None:
    """`_sender.close()` and `client.close()` end a producer whose queue no broker takes."""
    assert inspect.iscoroutinefunction(Sender.close)
    source = inspect.getsource(aiokafka.AIOKafkaProducer)
    assert "self._sender = Sender(" in source
    assert "await self._sender.close()" in source
    assert "await self.client.close()" in source


def test_a_refused_write_is_told_in_the_log() -> None:
    """The producer tries again for ever, and names the error's class in the arguments of its warning alone."""
    source = inspect.getsource(SendProduceReqHandler)
    assert "retrying. Error: %s" in source
    assert sender.__name__ == SENDER


def test_stale_members_are_told_by_these_errors() -> None:
    """The three errors that mean "the group has moved on" are errors of Kafka's."""
    assert all(issubclass(error, aiokafka.errors.KafkaError)
               for error in (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError))  # fmt: skip


def test_the_partitioner_is_kafkas() -> None:
    """murmur2 as Kafka's own tests have it."""
    found = {text: murmur2(text) & 0xFFFFFFFF for text in (b"21", b"foobar", b"a-little-bit-long-string")}
    assert found == {b"21": -973932308 & 0xFFFFFFFF, b"foobar": -790332482 & 0xFFFFFFFF,
                     b"a-little-bit-long-string": -985981536 & 0xFFFFFFFF}  # fmt: skip


def test_the_app_is_bridled(app: faust.App) -> None:
    """No topic declared, no leader topic, no web server, a session of 6 s: as the worker needs it."""
    conf = app.conf
    assert (conf.topic_allow_declare, conf.topic_disable_leader, conf.web_enabled) == (False, True, False)
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (6.0, 2.0)
    assert str(conf.store) == "memory:"
    assert app.conf.id == f"{load_settings().app_id}-judge"


def test_the_tables_changelog_is_the_topic_that_we_make(app: faust.App) -> None:
    """Faust's name for the changelog of our table is the one that `pastille topics create` uses."""
    table = snapshot_table(app, load_settings())
    assert table.changelog_topic.get_topic_name() == changelog_topic(load_settings())


def test_the_app_tells_when_a_table_is_whole(app: faust.App) -> None:
    """`tables.actives_ready` turns true after recovery; `rebalancing` and the two signals are there."""
    assert app.tables.actives_ready is False
    assert app.rebalancing is False
    assert "self.actives_ready = True" in inspect.getsource(TableManager.on_actives_ready)
    assert all(hasattr(signal, "connect") for signal in (app.on_partitions_assigned, app.on_partitions_revoked))


def test_one_worker_stands_by_for_the_table(app: faust.App) -> None:
    """Of a table's changelog one member that does not own it is told to read along, record by record, which is said by
    `is_standby`; the assignor gives it the partition where the owner is gone."""
    assert app.conf.table_standby_replicas == 1
    assert app.assignor.is_standby(TP(changelog_topic(load_settings()), 0)) is False
    assert "_standby_tps = self._assignment.standby_tps" in inspect.getsource(PartitionAssignor.on_assignment)
    placing = inspect.getsource(CopartitionedAssignor._assign_round_robin)
    assert placing.index("_find_promotable_standby") < placing.index("_find_round_robin_assignable")
    assert snapshot_table(app, load_settings()).standby_buffer_size == 1


def test_what_faust_remembers_of_a_changelog_can_be_forgotten(app: faust.App) -> None:
    """How many records it takes at once is looked up once a partition, as owner or as who stands by: `buffer_sizes`."""
    slurp = inspect.getsource(Recovery._slurp_changelogs.fun)
    assert "bufsize = buffer_sizes.get(tp)" in slurp
    assert "buffer_sizes[tp] = table.standby_buffer_size" in slurp
    app.tables.recovery.buffer_sizes[TP("changelog", 0)] = 1_000  # type: ignore[attr-defined]  # of the manager
    read_along(app)
    assert app.tables.recovery.buffer_sizes == {}  # type: ignore[attr-defined]  # of the manager


def test_the_first_start_only_makes_folders(app: faust.App) -> None:
    """What Faust does at its first start is to make its folders and nothing else: the worker leaves it out."""
    first_start, folders = inspect.getsource(faust.App.on_first_start), inspect.getsource(faust.App._create_directories)
    assert [line.strip() for line in first_start.splitlines()[2:]] == ["self._create_directories()"]
    assert folders.count(".mkdir(exist_ok=True)") == len(folders.splitlines()) - 1


def test_metadata_travels_with_an_offset() -> None:
    """A committed offset has a place for our note."""
    assert OffsetAndMetadata(1, "note").metadata == "note"
    assert TopicPartition("t", 0).topic == "t"
