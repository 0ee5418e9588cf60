"""The pure parts of the intake: what is read, the bound on dead letters, packed tallies."""

from __future__ import annotations

import json
import struct
from collections import Counter as Count
from types import SimpleNamespace
from typing import Any

import cramjam
import numpy as np
import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition

from detector.contracts.policy import DEFAULT
from detector.counting.counter import Counter
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Cells, Marker, Source, Tally
from detector.records.unpack import Unpacker
from streams.deadletters import HEADER_BYTES_MAX, HEADERS_MAX, KEY_BYTES_MAX, WORD_CHARACTERS_MAX
from streams.errors import UserError
from streams.intake.codec import inflate
from streams.intake.deadletters import RateLimit
from streams.intake.lane import Lane
from streams.intake.placing import ORDERS, PAYMENTS, KeyCheck, place
from streams.intake.raw import Raw
from streams.intake.recovery import Begin
from streams.intake.session import Session
from streams.intake.turn import TOLD_BYTES, count_parts, parts_of
from streams.settings import Feed
from streams.tallylog import COMPRESSED_BYTES_MIN, PACK_MAX, PLAIN_BYTES_MAX, encoded, pack, unpack
from tests.property.batches import Batch
from tests.unit.bad_records import GOOD

FEED = Feed()


def test_both_topics_of_a_feed_are_read() -> None:
    """Equal partitions: payments and orders, no warning."""
    placing = place([FEED], {"payments": 4, "orders": 4})
    assert placing.kinds("default") == {"payments": PAYMENTS, "orders": ORDERS}
    assert (placing.layout, placing.warnings) == ({"default": 4}, ())


@pytest.mark.parametrize("partitions", [{"payments": 4, "orders": 2}, {"payments": 4}])
def test_odd_orders_are_left_out_and_said(partitions: dict[str, int]) -> None:
    """Unequal partitions, or no orders topic: payments alone, with a sentence."""
    placing = place([FEED], partitions)
    assert placing.kinds("default") == {"payments": PAYMENTS}
    assert "without half green orders" in placing.warnings[0]


def test_a_feed_without_payments_is_an_error() -> None:
    """No payments topic: said with its name and the mend."""
    with pytest.raises(UserError, match=r"payments.*topics create"):
        place([FEED], {"orders": 4})


def test_wrong_keys_are_noticed_above_one_percent() -> None:
    """A hundred records with the right key in the right partition are well; two wrong ones are too many."""
    check, value = KeyCheck(), b'{"order_id": "o-1"}'
    for _ in range(25):
        check.look([(value, b"o-1")] * 4, 0, 1)
    assert not check.is_wrong
    check.look([(value, b"p-1")] * 2, 0, 1)
    assert check.is_wrong


def test_what_was_keyed_wrongly_long_ago_is_forgotten() -> None:
    """Half of a day's records lie where they belonged before partitions were added: after some thousand that lie where
    they belong now nothing is wrong any more."""
    check, value = KeyCheck(), b'{"order_id": "o-1"}'
    for _ in range(20_000):
        check.look([(value, b"p-1"), (value, b"o-1")], 0, 1)
    assert check.is_wrong
    for _ in range(5_000):
        check.look([(value, b"o-1")] * 2, 0, 1)
    assert not check.is_wrong


def test_a_burst_passes_and_a_flood_does_not() -> None:
    """A bucket of 5 that gains 1 a second."""
    limit = RateLimit(1.0, 5.0)
    assert [limit.admit(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert limit.room(2.0) == 2
    assert [limit.admit(2.0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("count", [1, 2, PACK_MAX, PACK_MAX + 1])
def test_packed_records_come_back_in_order(count: int) -> None:
    """However many: the same records, in order, in no more Kafka records than needed."""
    records = [Marker("stuck", Source("default", number)) for number in range(count)]
    values = list(pack(records))
    assert [record for value in values for record in unpack(value)] == records
    assert len(values) == -(-count // PACK_MAX)


def test_a_large_record_is_compressed_alone_too() -> None:
    """A record of some size takes less room on the log than it is long, and comes back whole."""
    text = "a" * 2 * COMPRESSED_BYTES_MIN
    (value,) = pack([Marker("policy", text=text)])
    assert len(value) < COMPRESSED_BYTES_MIN
    assert unpack(value) == [Marker("policy", text=text)]
    assert text.encode() in encoded(value)[0]


def compressed(data: bytes, size: int | None = None) -> bytes:
    """A record as it stands on the log, with the length that it claims."""
    length = len(data) if size is None else size
    return struct.pack("<BI", 0xC1, length) + bytes(cramjam.zstd.compress(data, 1))


@pytest.mark.parametrize("size", [PLAIN_BYTES_MAX + 1, 64])
def test_what_would_fill_the_memory_is_refused(size: int) -> None:
    """A value that decompresses to more than Pastille would ever write, or than it says, is left at that."""
    with pytest.raises(ValueError, match="a record of the tallies log decompresses"):
        unpack(compressed(bytes(65_536), size))


def snapshot(leaves: int) -> Tally:
    """A source's snapshot with a payment of every leaf in each open pane, and who paid."""
    panes, random = DEFAULT.open_ms // DEFAULT.pane_ms + 1, np.random.default_rng(1)
    cells = leaves * panes
    leaf, pane = np.tile(np.arange(leaves, dtype=np.int32), panes), np.repeat(np.arange(panes), leaves)
    ones, lengths = np.ones((cells, 6), np.int32), np.tile(np.array([1, 0, 1, 0, 0], np.uint8), (cells, 1))
    said = Cells(
        tuple((f"bank {n}", "card") for n in range(leaves)), leaf, pane, ones, ones, np.zeros((cells, 5), np.int32),
        np.full(cells, -1), lengths, random.integers(1, 1 << 62, 2 * cells).astype(np.uint64),
        orders=np.zeros((cells, 4), np.int32), technical=np.zeros(cells, np.int32),
    )  # fmt: skip
    return Tally(Source("default", 0), {"default": 1}, 2, 1_000, 900, 7, said, first_pane=0)


def test_a_snapshot_of_as_many_leaves_as_the_policy_takes_is_read_again() -> None:
    """However long it is before it is compressed."""
    written = snapshot(DEFAULT.leaves_max)
    (value,) = pack([written])
    assert len(encoded(value)[0]) > 64 << 20
    (read,) = unpack(value)
    assert isinstance(read, Tally)
    assert len(read.cells) == len(written.cells)
    assert read.cells.hashes.tobytes() == written.cells.hashes.tobytes()


def test_a_snapshot_that_kafka_would_not_take_goes_without_hashes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The counts are told all the same, and why the voters are not is in the log."""
    written = snapshot(50)
    (whole,) = pack([written])
    monkeypatch.setattr("streams.tallylog.RECORD_BYTES_MAX", len(whole) - 1)
    (value,) = pack([written])
    assert len(value) < len(whole)
    (read,) = unpack(value)
    assert isinstance(read, Tally)
    assert read.cells.counts.tobytes() == written.cells.counts.tobytes()
    assert not len(read.cells.hashes)
    assert not read.cells.lengths.any()
    assert "default/0: what is told of" in caplog.text
    assert "leaves_max" in caplog.text


_CUT = compressed(b"\x91\xc4\x01a")[:-2]
_SHORT = compressed(b"\x91\xc4\x01a", 9)
_NO_LIST = compressed(b"\xc0")


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\xc1\x91\xc0", _CUT, _SHORT, _NO_LIST, b"text", b"\x90"])
def test_foreign_bytes_are_refused(value: bytes) -> None:
    """What Pastille did not write is a ValueError, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec's errors are ValueErrors with words of their own
        unpack(value)


AT = TopicPartition("payments", 0)


def lane() -> Lane:
    """A source of payments alone, from its beginning."""
    names = Names(DEFAULT)
    counter = Counter(DEFAULT, names, Source("default", 0), {"default": 1})
    return Lane(counter, Decoder(DEFAULT, names), Begin(1, None, {"payments": 0}, {"payments": 0}), {"payments": 0})


def count(lane: Lane, data: bytes, corrupt: Count[str], room: int = 1_000) -> Any:
    """What a session does with a fetch, in the counting thread."""
    return count_parts(parts_of({AT: [Raw(data, 0, ())]}, lambda _: lane, Unpacker(inflate), corrupt), room)


def test_a_fetch_is_counted_from_its_bytes() -> None:
    """Good events are counted; a bad one is told with its key, headers and value, though its bytes are overwritten."""
    good, at_ms = json.dumps(GOOD).encode(), GOOD["occurred_at"]
    written = [(at_ms, b"ord-1", good, []), (at_ms, b"key", b"no event", [("h", b"1")]), (at_ms, None, None, [])]
    one = lane()
    counted, more = count(one, Batch(0, written, 4).data(), Count())
    count(one, Batch(3, [(at_ms, b"ord-1", good, [])] * 50).data(), Count())
    assert (more, one.halves["payments"].next) == (False, 53)
    assert [(bad.offset, bad.key, list(bad.headers), bad.value, bad.reason) for bad in counted.bad] == [
        (1, b"key", [("h", b"1")], b"no event", "not_json"), (2, None, [], b"", "not_json"),
    ]  # fmt: skip
    assert one.totals().events["default", "payments", "counted"] == 51


def test_where_there_is_no_room_bad_records_are_a_sum() -> None:
    """Of three bad records the first fits; of the other two is said where they begin and how many of each reason."""
    bad: list[Any] = [(1, b"k", value, []) for value in (b"no event", b"[]", b"\xff")]
    counted, _ = count(lane(), Batch(5, bad).data(), Count(), room=1)
    assert [one.offset for one in counted.bad] == [5]
    assert [(one.offset, one.reasons) for one in counted.floods] == [(6, {"not_an_object": 1, "not_utf8": 1})]


def test_large_bad_records_are_written_before_more_is_counted() -> None:
    """A few kilobytes inflate to bad records of many megabytes each: a turn ends with the part whose are too much to
    hold beside others, and the next one goes on behind them."""
    one, large = lane(), (1, b"k", bytes(TOLD_BYTES // 2 + 1), [])
    raw = b"".join(Batch(offset, [large], 4).data() for offset in range(5))
    parts, turns, more = parts_of({AT: [Raw(raw, 0, ())]}, lambda _: one, Unpacker(inflate), Count()), [], True
    while more:
        counted, more = count_parts(parts, 1_000)
        turns.append([bad.offset for bad in counted.bad])
    assert turns == [[0, 1, 2], [3, 4], []]


def test_of_many_headers_a_letter_has_the_first() -> None:
    """Nobody makes an object of each of the others."""
    headers: Any = [(str(n), b"") for n in range(HEADERS_MAX + 1)]
    counted, _ = count(lane(), Batch(0, [(1, b"k", b"no event", headers)]).data(), Count())
    assert list(counted.bad[0].headers) == headers[:HEADERS_MAX]


def test_of_a_long_key_and_long_headers_nothing_is_held() -> None:
    """Twenty kilobytes may inflate to a key of 30 MiB in each of twenty bad records, and no letter has room for one."""
    headers: Any = [("a", b"v" * (HEADER_BYTES_MAX + 1)), ("n" * (WORD_CHARACTERS_MAX + 1), b"v"), ("b", b"v")]
    (bad,) = count(lane(), Batch(0, [(1, b"k" * (KEY_BYTES_MAX + 1), b"no event", headers)], 4).data(), Count())[0].bad
    assert (bad.key, bad.headers, bad.size) == (None, (("a", None), ("b", b"v")), len(b"no event") + 3)


def test_a_turn_ends_at_so_many_bytes_of_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are held like the value."""
    monkeypatch.setattr("streams.intake.turn.TOLD_BYTES", 3 * HEADER_BYTES_MAX)
    headers: Any = [("a", b"v" * HEADER_BYTES_MAX)]
    raw = b"".join(Batch(offset, [(1, b"k", b"", headers)], 4).data() for offset in range(4))
    monkeypatch.setattr("detector.records.unpack.PART_RECORDS", 1)
    one = lane()
    parts = parts_of({AT: [Raw(raw, 0, ())]}, lambda _: one, Unpacker(inflate), Count())
    assert len(count_parts(parts, 1_000)[0].bad) == 3


def good_and_bad() -> list[Any]:
    """Thirty payments, a second apart, and one record that is none."""
    times = [GOOD["occurred_at"] + 1000 * at_s for at_s in range(30)]
    return [*((at_ms, b"o", json.dumps(GOOD | {"occurred_at": at_ms}).encode(), []) for at_ms in times),
            (1, b"k", b"no event", [])]  # fmt: skip


def test_broken_bytes_end_the_session() -> None:
    """A record batch that is broken is an error of Kafka's that says where it is and what to do, and is counted; what
    lies before it is told first, and what lies behind it is not read."""
    broken = bytearray(Batch(31, [(1, b"k", b"v", [])]).data())
    broken[-1] ^= 1
    corrupt: Count[str] = Count()
    one = lane()
    data = Batch(0, good_and_bad()).data() + bytes(broken) + Batch(32, [(1, b"k", b"", [])]).data()
    parts = parts_of({AT: [Raw(data, 0, ())]}, lambda _: one, Unpacker(inflate), corrupt)
    counted, more = count_parts(parts, 1_000)
    assert (len(counted.tallies), [bad.offset for bad in counted.bad], more) == (29, [30], True)
    with pytest.raises(CorruptRecordException, match=r"payments partition 0: .* offset 31 .* checksum .* kafka-delete"):
        count_parts(parts, 1_000)
    assert corrupt == {"payments": 1}
    assert one.halves["payments"].next == 31


def test_one_turn_serves_all_partitions() -> None:
    """Each lane counts its own records and tells of its own bad ones, with room for so many in all."""
    other, bad = TopicPartition("payments", 1), (1, b"k", b"no event", [])
    good = (GOOD["occurred_at"], b"ord-1", json.dumps(GOOD).encode(), [])
    lanes = {AT: lane(), other: lane()}
    fetches = {AT: [Raw(Batch(0, [good, bad]).data(), 0, ())], other: [Raw(Batch(5, [bad, good, good]).data(), 5, ())]}
    counted, more = count_parts(parts_of(fetches, lanes.__getitem__, Unpacker(inflate), Count()), 1)
    assert not more
    for one in lanes.values():
        one.finish()
    assert [(one.halves["payments"].next, one.halves["payments"].results["counted"]) for one in lanes.values()] == [
        (2, 1), (8, 2),
    ]  # fmt: skip
    assert [one.offset for one in counted.bad] == [1]
    assert [one.offset for one in counted.floods] == [5]


def test_half_a_source_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    """A placing that knew nothing of one topic for a moment: the source waits for the next, and readiness says so."""
    placing = place([FEED], {FEED.payments: 2, str(FEED.orders): 2})
    session: Any = SimpleNamespace(_placing=placing, lanes={})
    both = [TopicPartition(topic, 0) for topic in (FEED.payments, str(FEED.orders))]
    placed = Session._placed(session, [*both, TopicPartition(FEED.payments, 1)])
    assert placed == {Source(FEED.name, 0): sorted(both)}
    assert "default/1 is not read: one of its topics is placed alone" in caplog.text
    assert Session._say(session) == "placed with one topic alone, or newer than this worker: default/1"


def test_a_source_newer_than_the_worker_is_not_read() -> None:
    """Both topics got partitions while it ran, and the group places them before the worker has begun anew."""
    session: Any = SimpleNamespace(_placing=place([FEED], {FEED.payments: 1, str(FEED.orders): 1}), lanes={})
    both = [TopicPartition(topic, at) for topic in (FEED.payments, str(FEED.orders)) for at in (0, 1)]
    assert set(Session._placed(session, both)) == {Source(FEED.name, 0)}


@pytest.mark.parametrize(
    ("payments", "orders", "said"),
    [
        (2, 2, None), (0, 2, None), (2, 0, None), (4, 2, "payments has 4 partitions, orders has 2 partitions"),
        (4, 4, "payments has 4 partitions, orders has 4 partitions"),
    ],
)  # fmt: skip
def test_other_partitions_are_noticed(payments: int, orders: int, said: str | None) -> None:
    """None where a topic is not known just now: it is on its way, or nobody answers."""
    counts = {FEED.payments: payments, str(FEED.orders): orders}
    known = {topic: count for topic, count in counts.items() if count}
    assert place([FEED], {FEED.payments: 2, str(FEED.orders): 2}).changed([FEED], known) == said
