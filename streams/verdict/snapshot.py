"""The Judge's snapshot as small records of a table: chunks that carry (epoch, offset), a manifest with their hash last.

Two slots are written in turn, so that a crash half way leaves the older one whole. Pure: knows neither Faust nor Kafka.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

__all__ = ["CHUNK_BYTES_MAX", "Snapshot", "newest", "pack", "slot_after"]

CHUNK_BYTES_MAX = 512 * 1024
CHUNKS_MAX = 1_024
SLOTS = 2
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The Judge after the record before `offset` of the tallies log.

    `epoch` grows with every owner of the Judge; `time_ms` is the wall time of the newest record it had taken (Kafka's
    timestamp), from which the hour before is found again. `state` is the Judge's `export`, packed.
    """

    epoch: int
    offset: int
    time_ms: int
    boundary_ms: int
    state: bytes


class _Manifest(msgspec.Struct, array_like=True):
    format: int
    epoch: int
    offset: int
    time_ms: int
    boundary_ms: int
    chunks: int
    digest: bytes


class _Chunk(msgspec.Struct, array_like=True):
    epoch: int
    offset: int
    data: bytes


_encode = msgspec.msgpack.encode
_manifest = msgspec.msgpack.Decoder(_Manifest)
_chunk = msgspec.msgpack.Decoder(_Chunk)


def pack(snapshot: Snapshot, slot: int) -> Iterator[tuple[bytes, bytes]]:
    """The table's records of a snapshot, in the order they must be written: the manifest last."""
    state = snapshot.state
    chunks = [state[at : at + CHUNK_BYTES_MAX] for at in range(0, len(state), CHUNK_BYTES_MAX)]
    assert len(chunks) <= CHUNKS_MAX, f"a snapshot has at most {CHUNKS_MAX} chunks"
    for number, data in enumerate(chunks):
        yield _chunk_key(slot, number), _encode(_Chunk(snapshot.epoch, snapshot.offset, data))
    digest = hashlib.sha256(state).digest()
    manifest = _Manifest(
        FORMAT, snapshot.epoch, snapshot.offset, snapshot.time_ms, snapshot.boundary_ms, len(chunks), digest
    )
    yield _manifest_key(slot), _encode(manifest)


def newest(table: Mapping[bytes, bytes]) -> Snapshot | None:
    """The newest whole snapshot: by epoch, then by offset; None where there is none."""
    whole = [found for slot in range(SLOTS) if (found := _read(table, slot)) is not None]
    return max(whole, key=lambda snapshot: (snapshot.epoch, snapshot.offset), default=None)


def newest_head(table: Mapping[bytes, bytes]) -> tuple[int, int] | None:
    """Epoch and offset of the newest snapshot by its manifest, which is written last: a quick look, that does not say
    whether the rest of it is whole."""
    heads = [(found.epoch, found.offset) for slot in range(SLOTS) if (found := _manifest_of(table, slot)) is not None]
    return max(heads, default=None)


def slot_after(table: Mapping[bytes, bytes]) -> int:
    """The slot to write next: not that of the newest whole snapshot."""
    kept = newest(table)
    if kept is None:
        return 0
    return 1 if _read(table, 0) == kept else 0  # both may hold it: nothing came since it was written


def _read(table: Mapping[bytes, bytes], slot: int) -> Snapshot | None:
    manifest = _manifest_of(table, slot)
    if manifest is None:
        return None
    try:
        chunks = [_chunk.decode(table.get(_chunk_key(slot, number)) or b"") for number in range(manifest.chunks)]
    except msgspec.DecodeError:
        return None
    state = b"".join(chunk.data for chunk in chunks)
    ours = all((chunk.epoch, chunk.offset) == (manifest.epoch, manifest.offset) for chunk in chunks)
    if not ours or hashlib.sha256(state).digest() != manifest.digest:
        return None
    return Snapshot(manifest.epoch, manifest.offset, manifest.time_ms, manifest.boundary_ms, state)


def _manifest_of(table: Mapping[bytes, bytes], slot: int) -> _Manifest | None:
    try:
        manifest = _manifest.decode(table.get(_manifest_key(slot)) or b"")
    except msgspec.DecodeError:
        return None
    return manifest if manifest.format == FORMAT and 0 <= manifest.chunks <= CHUNKS_MAX else None


def _chunk_key(slot: int, number: int) -> bytes:
    return b"%d/%04d" % (slot, number)


def _manifest_key(slot: int) -> bytes:
    return b"%d/manifest" % slot
