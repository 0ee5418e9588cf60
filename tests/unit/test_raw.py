"""The private names by which fetched bytes are taken from the Kafka client, and the way out where they are not so."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as client
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from detector.records.unpack import Unpacker
from streams.intake import raw
from streams.intake.codec import inflate
from streams.intake.fetch import Listed, fetched
from streams.intake.raw import Raw, take_bytes, unexpected
from tests.property.batches import Batch, mended

AT = TopicPartition("t", 0)
ONE = Batch(7, [(1, b"k", b"v", [("h", b"1")]), (2, None, None, [])]).data()


def test_the_names_are_there() -> None:
    """The method that takes an answer apart makes the two objects that we replace, from the arguments that we know."""
    assert unexpected() is None
    body = inspect.getsource(getattr(client.Fetcher, raw.METHOD))
    assert "records = MemoryRecords(part_data[-1])" in body
    assert "partition_records = PartitionRecords(" in body
    assert sum(body.count(f"{name}(") for name in raw.REPLACED) == 2
    assert "if records.has_next():" in body
    assert "records.size_in_bytes() > 0" in body


def test_the_consumer_has_its_fetcher_under_that_name() -> None:
    """`_fetcher` of a consumer, made by `start`, and asked through the method on the object, not on the class."""
    assert "self._fetcher = Fetcher(" in inspect.getsource(AIOKafkaConsumer.start)
    assert "self._proc_fetch_request(" in inspect.getsource(client.Fetcher._fetch_requests_routine)


def test_a_fetch_is_handed_on_whole() -> None:
    """What is iterated is what `getmany` gives, and the position after it is asked when the iteration is over."""
    body = inspect.getsource(FetchResult.getall)
    assert body.index("for msg in self._partition_records") < body.index("else:\n            self._update_position()")
    assert "consumed_to(self._partition_records.next_fetch_offset)" in inspect.getsource(FetchResult._update_position)
    assert "self._partition_records.next_fetch_offset" in inspect.getsource(FetchResult.check_assignment)
    assert "res_or_error.getall(max_records)" in inspect.getsource(client.Fetcher.fetched_records)


def test_the_clients_records_are_asked_by_these_names() -> None:
    """`MemoryRecords` says whether there is a whole batch, and how many bytes there are."""
    whole, cut = MemoryRecords(ONE), MemoryRecords(ONE[:-1])
    assert (whole.has_next(), cut.has_next(), cut.size_in_bytes()) == (True, False, len(ONE) - 1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (raw.METHOD, None, "no _proc_fetch_request"),
        (raw.METHOD, client.Fetcher.close, "does not use MemoryRecords and PartitionRecords"),
    ],
)
def test_another_method_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, value: Any, said: str) -> None:
    """A client that is made otherwise is left alone, and the reason is said."""
    monkeypatch.setattr(client.Fetcher, name, value)
    assert said in str(unexpected())


def test_other_arguments_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So are arguments that we would not understand."""
    monkeypatch.setattr(client.PartitionRecords, "__init__", lambda self, tp, data: None)
    assert unexpected() == "PartitionRecords takes self, tp, data"


def test_a_consumer_that_is_not_started_is_left_alone() -> None:
    """Without a Fetcher there is nothing to take bytes from."""
    assert take_bytes(object()) == "the consumer has no Fetcher"  # type: ignore[arg-type]


def partition_records(data: bytes, position: int) -> Any:
    """What stands in for the client's `PartitionRecords`."""
    return raw._partition_records(AT, raw._Bytes(data), [(1, 5)], position, None, None, True, 1)


def test_the_position_is_after_the_last_whole_batch() -> None:
    """Before the bytes are taken it is where they were asked for; then after the last batch that is whole."""
    records = partition_records(ONE + ONE[:-1], 7)
    assert records.next_fetch_offset == 7
    assert list(records) == [Raw(ONE + ONE[:-1], 7, [(1, 5)])]
    assert records.next_fetch_offset == 9


def test_other_formats_are_the_clients() -> None:
    """A batch that our loops do not know makes the whole fetch the client's own."""
    old = bytearray(ONE)
    old[16] = 3
    assert type(partition_records(bytes(old), 7)) is client.PartitionRecords
    assert type(partition_records(ONE + bytes(old), 7)) is client.PartitionRecords


def test_both_ways_give_the_same_parts() -> None:
    """Bytes and the client's records: values, offsets, times, keys, headers, and those picked to be kept."""
    ours = list(fetched([Raw(ONE, 7, [])], Unpacker(inflate)))
    theirs = list(fetched(list(client.PartitionRecords(AT, MemoryRecords(ONE), [], 7, None, None, True, 1)),
                          Unpacker(inflate)))  # fmt: skip
    assert isinstance(theirs[0], Listed)
    for parts in (ours, theirs):
        (part,) = parts
        for found in (part, part.pick(np.arange(2))):
            assert list(found.values) == [b"v", b""]
            assert (found.offsets.tolist(), found.times.tolist()) == ([7, 8], [1, 2])
            assert ([found.key(at) for at in (0, 1)], list(found.headers(0)), list(found.headers(1))) == (
                [b"k", None], [("h", b"1")], []
            )  # fmt: skip
        assert list(part.pick(np.array([1])).values) == [b""]


def test_a_broken_batch_does_not_move_the_client() -> None:
    """A checksum that is wrong is found by whoever opens the bytes, not by the client: the bytes are handed on."""
    broken = bytearray(mended(ONE))
    broken[-1] ^= 1
    assert [found.data for found in partition_records(bytes(broken), 7)] == [bytes(broken)]
