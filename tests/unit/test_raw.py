"""The private names by which fetched bytes are taken from the Kafka client, and the way out where they are not so."""

from __future__ import annotations

import asyncio
import inspect
import struct
from collections import Counter as Count
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as client
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from detector.records.unpack import CorruptBatch, Unpacker
from detector.records.unpack import Records as Unpacked
from streams.intake import raw
from streams.intake.codec import inflate
from streams.intake.fetch import Listed, fetched
from streams.intake.lane import Lane
from streams.intake.raw import Raw, take_bytes, unexpected
from streams.intake.reader import Reader
from streams.intake.turn import parts_of
from streams.settings import Settings
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


OLDER = LegacyRecordBatchBuilder(1, 0, 1 << 20)
OLDER.append(9, timestamp=3, key=b"k", value=b"older")
OLD = bytes(OLDER.build())


def test_older_formats_are_the_clients() -> None:
    """A fetch that begins with a batch of an older format is the client's own, up to the first that is not; where it
    does not begin with it, the next fetch does."""
    new, at, seen = Batch(10, [(1, None, b"new", [])]).data(), 7, []
    for data in (ONE + OLD + new, OLD + new, new):
        records = partition_records(data, at)
        seen += [(type(part), list(part.values)) for part in fetched(list(records), Unpacker(inflate))]
        at = records.next_fetch_offset
    assert seen == [(Unpacked, [b"v", b""]), (Listed, [b"older"]), (Unpacked, [b"new"])]
    assert at == 11


def changed(batch: bytes, place: int, value: bytes) -> bytes:
    """The batch with other bytes there."""
    return batch[:place] + value + batch[place + len(value) :]


def open_all(records: list[Any], found: list[bytes], corrupt: Count[str]) -> None:
    """Read what the client gave of a partition."""
    for part in parts_of({AT: records}, lambda _: cast(Lane, None), Unpacker(inflate), corrupt):
        found += [] if part is None else list(part[2].values)


def take(fetches: list[tuple[int, bytes]], found: list[bytes], corrupt: Count[str]) -> None:
    """Read fetches one after another, each from the position where the one before ended."""
    following = fetches[0][0]
    for position, data in fetches:
        assert position == following
        records = partition_records(data, position)
        open_all(list(records), found, corrupt)
        following = records.next_fetch_offset


TWO = Batch(9, [(1, b"k", b"v", []), (2, None, b"w", [])]).data()
LENGTHS = [struct.pack(">i", length) for length in (-(1 << 31), -12, -1, 0, 4, 5, 14, 20, 48, len(TWO) - 13, 1 << 30)]


@pytest.mark.parametrize("before", [b"", ONE], ids=["first", "second"])
@pytest.mark.parametrize(
    ("place", "value"), [(16, bytes([magic])) for magic in (0, 1, 3, 6, 127, 128, 130, 255)] + [(8, n) for n in LENGTHS]
)
def test_a_wrong_format_or_length_is_told_with_its_offset(before: bytes, place: int, value: bytes) -> None:
    """One batch of three says that it is of another format, or lies about its length: what lies before it is read, and
    then it is refused as any that is broken, by its offset, and counted."""
    found: list[bytes] = []
    corrupt, data = Count[str](), changed(TWO, place, value) + ONE
    with pytest.raises(CorruptRecordException, match=r"t partition 0: the record batch at offset 9 cannot be read: "):
        take([(7, before + data), (9, data)] if before else [(9, data)], found, corrupt)
    assert (found, corrupt) == ([b"v", b""] if before else [], {"t": 1})


def test_both_ways_give_the_same_parts() -> None:
    """Bytes and the client's records: values, offsets, times, keys, headers."""
    ours = list(fetched([Raw(ONE, 7, [])], Unpacker(inflate)))
    theirs = list(fetched(list(client.PartitionRecords(AT, MemoryRecords(ONE), [], 7, None, None, True, 1)),
                          Unpacker(inflate)))  # fmt: skip
    assert isinstance(theirs[0], Listed)
    for parts in (ours, theirs):
        (part,) = parts
        assert list(part.values) == [b"v", b""]
        assert (part.offsets.tolist(), part.times.tolist()) == ([7, 8], [1, 2])
        assert ([part.key(at) for at in (0, 1)], list(part.headers(0)), list(part.headers(1))) == (
            [b"k", None], [("h", b"1")], []
        )  # fmt: skip


def test_a_broken_batch_does_not_move_the_client() -> None:
    """A checksum that is wrong is found by whoever opens the bytes, not by the client: the bytes are handed on."""
    broken = bytearray(mended(ONE))
    broken[-1] ^= 1
    assert [found.data for found in partition_records(bytes(broken), 7)] == [bytes(broken)]


def test_broken_records_of_the_client_are_counted_too() -> None:
    """PASTILLE_FETCH_AS=records: what lies before the batch is read, and then it is told with its offset, and counted,
    as where our loops read the bytes."""

    async def nothing() -> None:
        pass

    async def started() -> Any:
        reader: Any = Reader(Settings(fetch_as="records"), ["t"])
        await reader._consumer.stop()
        fetcher = client.Fetcher.__new__(client.Fetcher)
        reader._consumer = SimpleNamespace(_fetcher=fetcher, start=nothing, subscribe=lambda *_, **__: None)
        await reader.start()
        assert not reader.takes_bytes
        return getattr(fetcher, raw.METHOD).__globals__["PartitionRecords"]

    broken = bytearray(mended(TWO))
    broken[-1] ^= 1
    records = asyncio.run(started())(AT, MemoryRecords(ONE + bytes(broken)), [], 7, None, None, True, 1)
    found: list[bytes] = []
    corrupt = Count[str]()
    with pytest.raises(CorruptRecordException, match=r"t partition 0: the record batch at offset 9 cannot be read: "):
        open_all(list(records), found, corrupt)
    assert (found, corrupt) == ([b"v", b""], {"t": 1})


def test_offsets_that_go_back_are_refused() -> None:
    """So the client gives them where it makes the records: what follows is looked up by them."""
    listed = [SimpleNamespace(offset=offset, timestamp=1, value=b"v", key=None, headers=()) for offset in (3, 900, 4)]
    with pytest.raises(CorruptBatch, match="offset 3 cannot be read"):
        list(fetched(listed, Unpacker(inflate)))
