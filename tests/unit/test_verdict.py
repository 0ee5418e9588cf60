"""The pure parts of the verdict: snapshots in pieces, what is written already, what only a clock can see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.counting.tally import Marker, Source
from streams.verdict.clock import SILENT_S, Watch
from streams.verdict.snapshot import CHUNK_BYTES_MAX, Snapshot, newest, pack, slot_after

STATE = bytes(range(256)) * (CHUNK_BYTES_MAX // 100)
FIRST = Snapshot(1, 100, 5_000, 4_000, STATE)
SECOND = replace(FIRST, offset=200, state=STATE[::-1])
SOURCES = [Source("default", 0), Source("default", 1)]


def table(*snapshots: Snapshot) -> dict[bytes, bytes]:
    """A table with these written one after the other."""
    held: dict[bytes, bytes] = {}
    for snapshot in snapshots:
        held |= pack(snapshot, slot_after(held))
    return held


def test_a_snapshot_comes_back_whole() -> None:
    """In chunks below the limit, the manifest last."""
    records = list(pack(FIRST, 0))
    assert len(records) > 3
    assert max(len(value) for _, value in records) < CHUNK_BYTES_MAX + 100
    assert records[-1][0].endswith(b"manifest")
    assert newest(dict(records)) == FIRST


def test_the_newest_whole_one_counts() -> None:
    """Of two the later; a later owner's before a higher offset of an earlier one."""
    assert newest({}) is None
    assert newest(table(FIRST, SECOND)) == SECOND
    assert newest(table(SECOND, replace(FIRST, epoch=2))) == replace(FIRST, epoch=2)


@pytest.mark.parametrize("written", range(4))
def test_a_crash_half_way_leaves_the_older_one(written: int) -> None:
    """However many records of the third snapshot were written, the second is read."""
    held = table(FIRST, SECOND)
    third = list(pack(replace(FIRST, offset=300), slot_after(held)))
    assert written < len(third)
    held |= dict(third[:written])
    assert newest(held) == SECOND


def test_a_snapshot_may_be_written_again() -> None:
    """Where nothing came since, both slots hold it; a crash half way through the next leaves one of them."""
    held = table(SECOND, SECOND)
    third = list(pack(replace(FIRST, offset=300), slot_after(held)))
    assert newest(held | dict(third[:1])) == SECOND
    assert newest(held | dict(third)) == newest(dict(third))


def test_bytes_that_changed_are_not_believed() -> None:
    """One wrong byte in a chunk: the snapshot is not whole."""
    held = table(FIRST)
    key = next(key for key in held if not key.endswith(b"manifest"))
    held[key] = held[key][:-1] + bytes([held[key][-1] ^ 1])
    assert newest(held) is None


def test_a_silent_source_is_stuck_once_until_read_back() -> None:
    """Nothing for 30 s: one marker, and not again at the next look."""
    watch = Watch(0.0)
    assert list(watch.silent(SOURCES, SILENT_S - 1)) == []
    assert list(watch.silent(SOURCES[:1], SILENT_S)) == [Marker("stuck", SOURCES[0])]
    assert list(watch.silent(SOURCES[:1], SILENT_S + 1)) == []


def test_a_source_that_speaks_is_not_stuck() -> None:
    """Its record starts the 30 s anew."""
    watch = Watch(0.0)
    watch.taken(SOURCES[:1], 20.0)
    assert list(watch.silent(SOURCES[:1], SILENT_S + 10)) == []
    assert list(watch.silent(SOURCES[:1], SILENT_S + 20)) == [Marker("stuck", SOURCES[0])]


@pytest.mark.parametrize(
    ("behind_ms", "is_catching_up", "said"),
    [(121_000, False, ["catching_up"]), (121_000, True, []), (1_000, True, ["caught_up"]), (1_000, False, [])],
)
def test_two_minutes_behind_is_catching_up(behind_ms: int, is_catching_up: bool, said: list[str]) -> None:
    """Told when it changes, in both directions."""
    wall_ms = 10_000_000
    found = Watch(0.0).behind(wall_ms - behind_ms, is_catching_up, wall_ms, 1.0)
    assert [marker.kind for marker in found] == said
