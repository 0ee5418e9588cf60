"""Record batches opened by our loops and by the Kafka client: the same records, and the same ones refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random

import numba
import numpy as np
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c, decode_varint
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from detector.contracts.policy import DEFAULT
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.reference import ReferenceDecoder, Topic
from detector.records import unpack as unpacking
from detector.records.checksum import crc32c, crc32c_by_table
from detector.records.unpack import PART_BYTES, CorruptBatch, Records, Unpacker, span
from streams.intake.codec import inflate
from tests.property.batches import (
    APPEND_TIME,
    HEADER_BYTES,
    Batch,
    Row,
    Written,
    as_client_reads,
    goes_on,
    keeps_to_its_offsets,
    marker,
    mended,
    without_records,
)
from tests.property.test_decoder import HOSTILE, TOPICS, named, records

EXAMPLES = 15 if getattr(numba.config, "DISABLE_JIT", 0) else 150
"""As plain Python the loops take a hundred times as long."""
COMMON = settings(max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
TIMES = st.sampled_from((0, 1, 1_772_000_000_000, 1_772_000_000_001)) | st.integers(0, 2**45)
BYTES = st.none() | st.binary(max_size=6) | st.sampled_from((b"x" * 63, b"y" * 64, b"z" * 9000, b""))
HEADERS = st.lists(st.tuples(st.text(max_size=3), BYTES), max_size=2)
WRITTEN: st.SearchStrategy[Written] = st.tuples(TIMES, BYTES, BYTES, HEADERS)


@st.composite
def fetches(draw: st.DrawFn) -> tuple[list[bytes], int, list[tuple[int, int]]]:
    """Batches of a partition, some of transactions that end well or not; a position; what the broker says of it."""
    base, batches, open_at, aborted = draw(st.integers(0, 50)), [], {}, []  # these by the offset after them
    for _ in range(draw(st.integers(0, 6))):
        producer = draw(st.sampled_from((-1, -1, 7, 8)))
        if producer in open_at and draw(st.booleans()):
            commit = draw(st.booleans())
            if not commit:
                aborted.append((base + 1, (producer, open_at[producer])))
            del open_at[producer]
            batches.append((base + 1, marker(base, producer, commit).data()))
            base += 1
            continue
        records = draw(st.lists(WRITTEN, min_size=1, max_size=4))
        if producer >= 0:
            open_at.setdefault(producer, base)
        holes = draw(st.frozensets(st.integers(0, len(records) - 1), max_size=2))
        attributes = draw(st.sampled_from((0, 0, APPEND_TIME)))
        codec = draw(st.integers(0, 4)) if len(holes) < len(records) else 0
        batch = Batch(base, records, codec, producer, producer >= 0, attributes, holes)
        batches.append((base + len(records), batch.data()))
        base += len(records) + draw(st.sampled_from((0, 0, 3)))
    position = draw(st.integers(0, base + 2))
    behind, ended = ([one for after, one in found if after > position] for found in (batches, aborted))
    return behind, position, ended


def row(part: Records, at: int) -> Row:
    """All that a part knows of a record."""
    return int(part.offsets[at]), int(part.times[at]), part.key(at), part.values[at], tuple(part.headers(at))


@contextmanager
def in_place(from_bytes: int) -> Iterator[None]:
    """Fetches of so many bytes are read where they are."""
    before, unpacking.IN_PLACE_BYTES = unpacking.IN_PLACE_BYTES, from_bytes
    try:
        yield
    finally:
        unpacking.IN_PLACE_BYTES = before


def read(raw: bytes, position: int, aborted: Sequence[tuple[int, int]]) -> tuple[list[Row], bool]:
    """Our records, and whether something is wrong after these; the same where they are read in place."""
    found = []
    for from_bytes in (0, len(raw) + 1):
        rows: list[Row] = []
        wrong = False
        try:
            with in_place(from_bytes):
                for part in Unpacker(inflate).parts(raw, position, aborted):
                    rows += [row(part, at) for at in range(len(part))]
        except CorruptBatch:
            wrong = True
        found.append((rows, wrong))
    assert found[0] == found[1]
    return found[0]


@COMMON
@given(fetch=fetches(), cut=st.integers(0, 200))
def test_records_are_the_clients(fetch: tuple[list[bytes], int, list[tuple[int, int]]], cut: int) -> None:
    """Every codec, compaction, transactions, append times, a position within a batch, an end that is cut off: the same
    records with keys, headers and times, and the same offset to read on from."""
    batches, position, aborted = fetch
    raw = b"".join(batches)
    raw = raw[: max(0, len(raw) - cut)]
    rows, following, wrong = as_client_reads(raw, position, aborted)
    assert read(raw, position, aborted) == (rows, wrong)
    assert not wrong
    assert span(raw, position) == following


@COMMON
@given(
    fetch=fetches(), sizes=st.tuples(st.integers(1, 3), st.sampled_from((64, 500, 9000))),
    large=st.sampled_from((0, 1 << 20)),
)  # fmt: skip
def test_parts_do_not_matter(
    fetch: tuple[list[bytes], int, list[tuple[int, int]]], sizes: tuple[int, int], large: int
) -> None:
    """However small a part must be, the records together are the same."""
    batches, position, aborted = fetch
    raw = b"".join(batches)
    before = unpacking.PART_RECORDS, unpacking.PART_BYTES
    try:
        unpacking.PART_RECORDS, unpacking.PART_BYTES = sizes
        small, unpacker = [], Unpacker(inflate)
        with in_place(large):
            for part in unpacker.parts(raw, position, aborted):
                assert 0 < len(part) <= sizes[0]
                small += part.offsets.tolist()
    finally:
        unpacking.PART_RECORDS, unpacking.PART_BYTES = before
    assert small == [row[0] for row in read(raw, position, aborted)[0]]


def agrees(raw: bytes, position: int, aborted: list[tuple[int, int]]) -> None:
    """Ours refuses exactly what the client refuses, and an offset that goes back; it gives no record before that which
    the client does not give."""
    if span(raw, position) is None:
        return  # the client reads it
    rows, _, wrong = as_client_reads(raw, position, aborted)
    wrong = wrong or not goes_on(raw, position)
    ours, refused = read(raw, position, aborted)
    assert refused == wrong, raw.hex()
    assert ours == (rows[: len(ours)] if wrong else rows), raw.hex()


@COMMON
@given(fetch=fetches(), data=st.data())
def test_broken_bytes_are_refused_where_the_client_refuses_them(
    fetch: tuple[list[bytes], int, list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Bytes changed anywhere in a fetch: nothing crashes, and the checksum tells."""
    batches, position, aborted = fetch
    raw = bytearray(b"".join(batches))
    assume(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    agrees(bytes(raw), position, aborted)


@COMMON
@given(
    records=st.lists(st.tuples(TIMES, BYTES, BYTES, st.lists(st.tuples(st.just("h"), BYTES), max_size=2)),
                     min_size=1, max_size=4),
    data=st.data(),
)  # fmt: skip
def test_lies_within_a_batch_are_refused(records: list[Written], data: st.DataObject) -> None:
    """Bytes changed, put in or taken out of a batch whose checksum is then right: lengths that lie, numbers too long,
    counts too high. Only names of headers are not looked at, nor attributes, which the client takes for a varint."""
    batch = bytearray(Batch(0, records).data())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(23, len(batch) - 1))
        new = data.draw(st.binary(max_size=3) | st.sampled_from((b"\xff" * 9, b"\x80" * 10 + b"\1", b"\1", b"\x7f")))
        batch[place : place + data.draw(st.integers(0, 2))] = new
        if len(batch) <= HEADER_BYTES:
            return
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    for at in attributes_of(batch):
        batch[at] &= 0x7F
    raw = mended(batch)
    ours, refused = read(raw, 0, ())
    rows, _, wrong = as_client_reads(raw, 0, ())
    wrong = wrong or not keeps_to_its_offsets(raw)
    assert refused == wrong or (wrong and any("\ufffd" in name for row in ours for name, _ in row[4])), raw.hex()
    assert refused or wrong or ours == rows, raw.hex()


def attributes_of(batch: bytearray) -> Iterator[int]:
    """Where the attributes of each record stand, as far as there are records."""
    at = HEADER_BYTES
    with suppress(IndexError, ValueError):
        while at < len(batch):
            size, at = decode_varint(batch, at)
            if size <= 0 or at >= len(batch):
                return
            yield at
            at += size


def test_attributes_are_a_byte() -> None:
    """Whatever it says: Kafka has no use for it yet."""
    batch = bytearray(Batch(0, [(0, b"k", b"v", [])]).data())
    (at,) = attributes_of(batch)
    batch[at] = 0x80
    assert read(mended(batch), 0, ()) == ([(0, 0, b"k", b"v", ())], False)


@pytest.mark.parametrize("delta", [1 << 30, 3, -1])
def test_an_offset_that_is_not_of_its_batch_is_refused(delta: int) -> None:
    """Brokers keep such a record, and all that is known by offsets would be wrong: where to read on, what was told."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, 0, 0, 1 << 30)
    for at in (0, delta, 2):
        builder.append(at, 1, b"k", b"v", [])
    batch = bytearray(builder.build())
    struct.pack_into(">q", batch, 0, 5)
    struct.pack_into(">i", batch, 23, 2)
    ours, refused = read(mended(batch), 0, ())
    assert ([row[0] for row in ours], refused) == ([5], True)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_offset_that_goes_back_is_refused(place: int) -> None:
    """No checksum covers a batch's own offset: passed over for what was read before, its events would be lost."""
    batches = [bytearray(Batch(base, [(0, b"k", b"v", [])] * 3).data()) for base in (100, 103, 106)]
    struct.pack_into(">q", batches[place], 0, 3)
    ours, refused = read(b"".join(map(bytes, batches)), 101, ())
    assert ([row[0] for row in ours], refused) == ([101, 102, 103, 104, 105][: max(0, 3 * place - 1)], True)


@COMMON
@given(records=st.lists(WRITTEN, min_size=1, max_size=9), codec=st.integers(0, 7), data=st.data())
def test_compressed_lies_are_refused(records: list[Written], codec: int, data: st.DataObject) -> None:
    """Compressed bytes that are cut, changed or of another codec than they say: refused where the client refuses."""
    batch = bytearray(Batch(0, records, data.draw(st.integers(1, 4))).data())
    place = data.draw(st.integers(HEADER_BYTES, len(batch) - 1))
    batch[place : place + 2] = data.draw(st.binary(max_size=3))
    batch[22] = batch[22] & ~7 | codec
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    raw = mended(batch)
    ours, refused = read(raw, 0, ())
    rows, _, wrong = as_client_reads(raw, 0, ())
    if any("\ufffd" in name for row in ours for name, _ in row[4]):
        return  # snappy has no sum of its own, and the client alone looks at the names of headers
    wrong = wrong or not keeps_to_its_offsets(raw)
    assert refused == wrong, raw.hex()
    assert ours == (rows[: len(ours)] if wrong else rows), raw.hex()


BETWEEN = st.lists(st.tuples(st.sampled_from(("h", '"bank":"x"', "a" * 40)), st.just(b'{"a":"b" ' * 5)), max_size=2)


@pytest.mark.parametrize("codec", [0, 4])
@COMMON
@given(values=st.lists(records() | HOSTILE, min_size=1, max_size=6), between=BETWEEN, topic=TOPICS)
def test_records_are_scanned_where_they_lie(
    codec: int, values: list[bytes], between: list[tuple[str, bytes | None]], topic: Topic
) -> None:
    """Hostile events side by side in a batch, keys and headers of JSON between them, in the fetch, in a copy of it, or
    inflated: the scanner makes of each what the reference makes of it alone."""
    written: list[Written] = [(at, b'"', value, between) for at, value in enumerate(values)]
    raw = b"".join(Batch(base, written, codec).data() for base in (0, len(values)))
    fast_names, slow_names = Names(DEFAULT), Names(DEFAULT)
    fast, slow = Decoder(DEFAULT, fast_names), ReferenceDecoder(DEFAULT, slow_names)
    with in_place(0):
        for part in Unpacker(inflate).parts(raw, 0):
            for _ in range(2):  # the second time, names are known
                ours = fast.decode(part.values, topic, part.times, part.offsets)
                theirs = slow.decode(values * (len(part) // len(values)), topic, part.times, part.offsets)
                assert named(ours, fast_names) == named(theirs, slow_names), values
                assert (ours.rejects, ours.ignored) == (theirs.rejects, theirs.ignored)
                assert ours.card_like == theirs.card_like


@COMMON
@given(raw=st.binary(max_size=300), head=st.sampled_from((b"", Batch(0, [(1, b"k", b"v", [])]).data()[:30])))
@example(raw=b"\xff" * 300, head=b"")
@example(raw=b"\x00" * 300, head=b"")
def test_any_bytes_at_all(raw: bytes, head: bytes) -> None:
    """What is no record batch is left to the client, or is refused as the client refuses it."""
    agrees(head + raw, 0, [])


@COMMON
@given(data=st.binary(max_size=80), cut=st.integers(0, 20), more=st.sampled_from((0, 3_071, 3_072, 3_100, 9_300)))
def test_checksums_by_all_ways(data: bytes, cut: int, more: int) -> None:
    """The instruction, the tables and the client sum the same, few bytes or so many that they are summed in pieces."""
    data += Random(more).randbytes(more)
    buffer = data + b"\0" * 8
    text, start = np.frombuffer(buffer, np.uint8), min(cut, len(data))
    expected = calc_crc32c(data[start:])
    assert crc32c(text, start, len(data)) == expected
    assert crc32c_by_table(text, start, len(data)) == expected


def test_a_large_fetch_is_read_where_it_is() -> None:
    """But for what is compressed, and for the last batch, which nothing follows: a scanner reads beyond it."""
    value, raw = b"v" * 7_000, b""
    for base, codec in enumerate((0, 0, 4, 0, 4, *[0] * 12)):
        raw += Batch(base, [(base, b"k", value, [])], codec).data()
    small = raw[: len(raw) // 3]
    with in_place(len(raw)):
        found = [(part.offsets.tolist(), part.values.buffer.obj is raw) for part in Unpacker(inflate).parts(raw, 0)]
        copied = [part.values.buffer.obj is small for part in Unpacker(inflate).parts(small, 0)]
    assert found == [([0, 1], True), ([2], False), ([3], True), ([4], False), ([*range(5, 16)], True), ([16], False)]
    assert copied == [False]
    assert unpacking.IN_PLACE_BYTES == 1 << 20


def test_a_large_batch_is_inflated_once() -> None:
    """What the first of them needed is kept for the others."""
    rooms: list[int] = []

    def inflates(_codec: int, packed: memoryview, room: memoryview) -> int:
        rooms.append(len(room))
        return inflate(_codec, packed, room)

    unpacker, value = Unpacker(inflates), bytes(PART_BYTES + PART_BYTES // 4)
    for offset in range(4):
        (part,) = unpacker.parts(Batch(offset, [(0, None, value, [])], 1).data(), offset)
        assert len(part.values[0]) == len(value)
    assert len(rooms) == 5


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, codec: int) -> None:
    """A batch that would inflate past the limit is refused, with its offset and the limit in the words; a large one
    below it is read."""
    monkeypatch.setattr(unpacking, "RECORDS_BYTES_MAX", 1 << 22)
    unpacker = Unpacker(inflate)
    with pytest.raises(CorruptBatch, match=f"offset 5 .* at most {1 << 22} bytes"):
        list(unpacker.parts(Batch(5, [(1, None, bytes(1 << 23), [])], codec).data(), 0))
    large = Batch(5, [(1, None, b"v" * 3_000_000, [])], codec).data()
    (part,) = unpacker.parts(large, 0)
    assert len(part.values[0]) == 3_000_000


def test_a_batch_without_records_moves_on() -> None:
    """What compaction leaves of a batch still says where the next one begins."""
    batch = without_records(Batch(10, [(1, b"k", b"v", [])] * 5))
    raw = batch.data()
    assert read(raw, 10, ()) == ([], False)
    assert span(raw, 10) == 15


def test_a_marker_that_compaction_emptied_is_passed_over() -> None:
    """What follows it is read."""
    emptied = without_records(marker(10, 7, False))
    raw = emptied.data() + Batch(11, [(1, b"k", b"v", [])]).data()
    assert [row[0] for row in read(raw, 10, ())[0]] == [11]
    assert not read(raw, 10, [(7, 10)])[1]
