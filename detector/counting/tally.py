"""What a Counter tells the Judge: absolute counts a source holds, and the markers that explain what a clock decided.

Knows the wire form (MessagePack with the columns as bytes), not how counts are made or judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from detector.arrays import Int32s, Int64s, UInt8s, UInt64s
from detector.contracts.moments import EPOCH_MS_MAX
from detector.contracts.scope import Leaf
from detector.counting.ages import BINS
from detector.counting.columns import APPROVED, ERROR

COUNTS = ("pending", "approved", "declined", "error", "cancelled", "cancelled_late")
"""Columns of `counts` and `votes`; a payment cancelled after waiting `answer_s` is `cancelled_late` only."""

ORDERS = ("hit", "hit_recovered", "waiting", "waiting_recovered")
"""Columns of `orders`: orders that count in the cell by a payment that went wrong, or by one that waits."""

HASHES = ("bad_voters", "pending_voters", "bad_merchants", "pending_merchants", "approved_voters")
"""Kinds of smallest-hash sets of a cell. Bad here: declined, error, cancelled_late.
Whether a pending is overdue is for the Judge to say."""

FIRST, UNSAID = -1, -2
"""In `Tally.after_ms`: there is none before it in its term; an older record does not say."""

Layout: TypeAlias = Mapping[str, int]
"""Partitions a feed, for every feed: which sources exist."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One partition index of a feed."""

    feed: str
    partition: int

    def __str__(self) -> str:
        return f"{self.feed}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Cells:
    """Absolute values of some (leaf, pane) cells of one source.

    `leaf[cell]` numbers `leaves`; `pane[cell]` = start_ms // pane_ms; `counts[cell, 6]`, `votes[cell, 6]` as COUNTS;
    `late[cell, 5]`: late answers whose `occurred_at` lies in the pane, by STATUSES; `late_start[cell]`: newest start
    among the approved of them, -1 without one; `lengths[cell, 5]` says how many entries of `hashes` each kind of
    HASHES has, cell after cell, each run sorted ascending. `technical[cell]`: how many of the votes are refused for a
    technical reason: an `error`, or `declined` with a code that says so (`contracts.codes`). `orders[cell, 4]` as
    ORDERS, see `impact`. `late_ages`: how old the payment was at each late answer, as a bin of `ages`; of each cell
    first those of the approved, then those of the declined and errors, each run sorted ascending; how many follows
    from `late`. The three are empty where nobody counted them.
    """

    leaves: tuple[Leaf, ...]
    leaf: Int32s
    pane: Int64s
    counts: Int32s
    votes: Int32s
    late: Int32s
    late_start: Int64s
    lengths: UInt8s
    hashes: UInt64s
    technical: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    orders: Int32s = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    late_ages: UInt8s = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __post_init__(self) -> None:
        """A value: nobody writes into it, wherever it comes from. To compiled loops what can be written is another
        type, for which they would be compiled once more."""
        for name, *_ in _CELLS:
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.leaf)

    def without_hashes(self) -> Cells:
        """The same of nobody known."""
        return replace(self, lengths=np.zeros_like(self.lengths), hashes=np.zeros(0, np.uint64))


@dataclass(frozen=True, slots=True)
class Details:
    """For evidence and explanations, never for the policy; what the open panes of a source hold now.

    Per (leaf, merchant), for the `merchants_detail_max` pairs with most votes, each red adding `top.RED_VOTES`: `votes,
    approved, red, overdue` as `merchant_counts[row, 4]`, and `merchant_technical[row]`: reds for a technical reason,
    empty where nobody counted them. Per (leaf, code): how many reds.
    """

    leaves: tuple[Leaf, ...] = ()
    merchants: tuple[str, ...] = ()
    merchant_leaf: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    merchant: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    merchant_counts: Int32s = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    codes: tuple[str, ...] = ()
    code_leaf: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    code: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    code_count: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    merchant_technical: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True)
class Tally:
    """One record of one source at one boundary; also when there is little to say.

    `after_ms`: the boundary of the one before it in its term, which says that none between them was lost.
    """

    source: Source
    layout: Layout
    term: int
    boundary_ms: int
    newest_start_ms: int  # newest payment start seen before the boundary; -1: none yet
    offset: int  # of the newest event counted, for the outage's `input`
    cells: Cells
    first_pane: int = -1  # a snapshot: every cell from this pane on that is not here is empty
    details: Details | None = None
    after_ms: int = UNSAID


@dataclass(frozen=True, slots=True)
class Marker:
    """What a clock or a person decided, written to the log before it is obeyed.

    `stuck`: `source` has been silent or rebuilding for 30 s and leaves the minimum until its next record.
    `ended`: `source` was read to its end and time is made of events alone: it leaves the minimum likewise.
    `catching_up` / `caught_up`: the Judge is / is no longer more than 2 min behind the clock.
    `policy`: `text` is the canonical policy (JSON) that holds from here on.
    `maintenance`: `text` is a maintenance (JSON of the contract), declared or changed.
    `baseline`: `text` is a lesson (JSON of the contract): what is usual for a scope, or that it begins anew.
    """

    kind: Literal["stuck", "ended", "catching_up", "caught_up", "policy", "maintenance", "baseline"]
    source: Source | None = None
    text: str = ""


class _Wire(msgspec.Struct, array_like=True, omit_defaults=True):
    """A tally or marker on the wire; columns are little-endian bytes."""

    kind: str
    feed: str = ""
    partition: int = 0
    text: str = ""
    layout: dict[str, int] = {}
    term: int = 0
    boundary_ms: int = 0
    newest_start_ms: int = -1
    offset: int = -1
    first_pane: int = -1
    leaves: list[tuple[str, ...]] = []
    cells: list[bytes] = []
    details: list[bytes] | None = None
    detail_names: list[list[tuple[str, ...]]] = []
    after_ms: int = UNSAID


_CELLS = (("leaf", np.int32, ()), ("pane", np.int64, ()), ("counts", np.int32, (6,)), ("votes", np.int32, (6,)),
          ("late", np.int32, (5,)), ("late_start", np.int64, ()), ("lengths", np.uint8, (5,)),
          ("hashes", np.uint64, ()), ("technical", np.int32, ()), ("orders", np.int32, (4,)),
          ("late_ages", np.uint8, ()))
"""What is new goes to the end: an older record ends before it, and of a newer one what is not known is left out."""
_DETAILS = (("merchant_leaf", np.int32, ()), ("merchant", np.int32, ()), ("merchant_counts", np.int32, (4,)),
            ("code_leaf", np.int32, ()), ("code", np.int32, ()), ("code_count", np.int32, ()),
            ("merchant_technical", np.int32, ()))

_COUNTED = tuple((place, np.dtype(dtype).itemsize) for place, (name, dtype, _) in enumerate(_CELLS)
                 if name in {"pane", "counts", "votes", "late", "technical", "orders"})  # fmt: skip
"""Which columns are never below 0, and how many bytes a number of theirs has."""

NO_CELLS = Cells((), *(np.zeros((0, *shape), dtype) for _, dtype, shape in _CELLS))
"""Of a boundary at which nothing changed."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode(record: Tally | Marker) -> bytes:
    """The record as it stands on the tallies topic."""
    if isinstance(record, Marker):
        feed, partition = (record.source.feed, record.source.partition) if record.source else ("", 0)
        return _encoder.encode(_Wire(record.kind, feed, partition, record.text))
    details = record.details
    wire = _Wire("tally", record.source.feed, record.source.partition, "", dict(record.layout), record.term,
                 record.boundary_ms, record.newest_start_ms, record.offset, record.first_pane,
                 list(record.cells.leaves), _bytes(record.cells, _CELLS), after_ms=record.after_ms)
    if details is not None:
        wire.details = _bytes(details, _DETAILS)
        wire.detail_names = [list(details.leaves), [details.merchants], [details.codes]]
    return _encoder.encode(wire)


def decode(data: bytes) -> Tally | Marker:
    """Read `encode`'s bytes. Raises msgspec.DecodeError or ValueError on anything else."""
    wire = _decoder.decode(data)
    source = Source(wire.feed, wire.partition) if wire.feed else None
    if wire.kind != "tally":
        return msgspec.convert({"kind": wire.kind, "source": source, "text": wire.text}, Marker)
    if source is None:
        raise ValueError('a tally names its source; got ""')
    details = None
    if wire.details is not None:
        leaves, (merchants,), (codes,) = wire.detail_names
        details = Details(tuple(leaves), merchants=merchants, codes=codes, **_arrays(wire.details, _DETAILS, 6))
    cells = _cells_of(wire)
    if details is not None:
        _check_details(details)
    if not 0 <= wire.boundary_ms <= EPOCH_MS_MAX:
        raise _unfit(f"a boundary at {wire.boundary_ms} ms")
    return Tally(source, wire.layout, wire.term, wire.boundary_ms, wire.newest_start_ms, wire.offset, cells,
                 wire.first_pane, details, wire.after_ms)


def _cells_of(wire: _Wire) -> Cells:
    """What is told of cells; at night that is nothing at most boundaries."""
    if len(wire.cells) == len(_CELLS) and not any(wire.cells) and not wire.leaves:
        return NO_CELLS
    cells = Cells(tuple(wire.leaves), **_arrays(wire.cells, _CELLS, 8))
    _check_cells(cells)
    if any(_has_negative(wire.cells[place], width) for place, width in _COUNTED if place < len(wire.cells)):
        raise _unfit("counts below 0")
    return cells


def _unfit(what: str) -> ValueError:
    return ValueError(f"what a tally says fits together; got {what}; read it from the tallies topic")


def _check_cells(cells: Cells) -> None:
    """Loops trust that each cell has all that is said of one, and that nothing is fewer than none."""
    rows = len(cells)
    whole = {len(cells.pane), len(cells.counts), len(cells.votes), len(cells.late), len(cells.late_start),
             len(cells.lengths)}  # fmt: skip
    if whole != {rows} or {len(cells.technical), len(cells.orders)} - {0, rows}:
        raise _unfit(f"columns that are not all {rows} cells long")
    if not _all_named(cells.leaves, cells.leaf) or len(set(map(len, cells.leaves))) > 1:
        raise _unfit(f"cells of leaves that are not among its {len(cells.leaves)}, or leaves of several kinds")
    if int(cells.lengths.sum()) != len(cells.hashes):
        raise _unfit(f"{len(cells.hashes)} hashes where {int(cells.lengths.sum())} are said to be")
    _check_ages(cells)


def _check_ages(cells: Cells) -> None:
    """None at all, or one of each late answer."""
    ages = cells.late_ages
    if not len(ages):
        return
    answers = int(cells.late[:, APPROVED : ERROR + 1].sum())
    if len(ages) != answers or ages.max() >= BINS:
        raise _unfit(f"{len(ages)} late_ages, up to {ages.max()}, of {answers} late answers in {BINS} bins")


def _check_details(details: Details) -> None:
    """Numbers of names that there are, and of each row all that is said of one."""
    rows, codes = len(details.merchant), len(details.code)
    lengths = (len(details.merchant_leaf), len(details.merchant_counts), len(details.merchant_technical) or rows,
               len(details.code_leaf), len(details.code_count))  # fmt: skip
    if lengths != (rows, rows, rows, codes, codes):
        raise _unfit("details whose columns are not equally long")
    named = ((details.leaves, details.merchant_leaf), (details.leaves, details.code_leaf),
             (details.merchants, details.merchant), (details.codes, details.code))  # fmt: skip
    if not all(_all_named(names, numbers) for names, numbers in named):
        raise _unfit("details of leaves, merchants or codes that it does not name")


def _all_named(names: Sequence[object], numbers: Int32s) -> bool:
    """Whether each number is that of a name."""
    return not len(numbers) or bool(numbers.view(np.uint32).max() < len(names))  # below 0 is far beyond them then


def _has_negative(column: bytes, width: int) -> bool:
    """Whether a number is below 0: the last byte of each, little-endian, has the sign. Of most tallies a column is so
    short that an array's `min` takes twenty times as long."""
    return not column[width - 1 :: width].isascii()


_Spec: TypeAlias = tuple[tuple[str, type[np.generic], tuple[int, ...]], ...]


def _bytes(value: object, spec: _Spec) -> list[bytes]:
    return [np.ascontiguousarray(getattr(value, name), dtype).tobytes() for name, dtype, _ in spec]


def _arrays(columns: list[bytes], spec: _Spec, least: int) -> dict[str, Any]:
    """The columns by name; the `least` first were always there."""
    if len(columns) < least:
        raise ValueError(f"a tally has {least} columns or more; got {len(columns)}; read it from the tallies topic")
    return {name: np.frombuffer(data, dtype).reshape(-1, *shape) if shape else np.frombuffer(data, dtype)
            for data, (name, dtype, shape) in zip(columns, spec, strict=False)}
