"""The decoder of the worker and of replay: the scanner takes what it understands, the reference settles the rest.

Same result as the reference alone, whatever the events are. Knows nothing of Kafka or the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from detector.contracts.policy import IGNORE as IGNORED_WORD
from detector.contracts.policy import Policy
from detector.counting.columns import STATUSES, Columns, Int64s, UInt8s
from detector.counting.fields import FIELDS
from detector.counting.guard import SPARE
from detector.counting.hashing import hash_text, word_view
from detector.counting.names import Index, Names
from detector.counting.reference import ORDER_KINDS, Decoded, Fault, Reference, Reject, Topic, count_cards
from detector.counting.scan import (
    ASKED,
    IGNORE,
    IGNORED,
    MIXED,
    ORDERS_TOPIC,
    PAYMENTS_TOPIC,
    TAKEN,
    Rows,
    Tables,
    new_scratch,
    scan,
)  # fmt: skip

_TOPICS = {"payments": PAYMENTS_TOPIC, "orders": ORDERS_TOPIC, "mixed": MIXED}


class Decoder:
    """Batches of events as columns, with one policy and the names of one worker; not for two threads at once."""

    def __init__(self, policy: Policy, names: Names) -> None:
        self._names = names
        self._reference = Reference(policy, names)
        self._statuses = _index(
            {word: IGNORE if status == IGNORED_WORD else STATUSES.index(status)
             for word, status in policy.statuses.items()}
        )  # fmt: skip
        self._orders = _index(ORDER_KINDS)
        self._dimensions = np.array([FIELDS.index(dimension) for dimension in policy.dimensions], np.int64)
        self._scratch = new_scratch()

    def decode(self, values: Sequence[bytes], topic: Topic, log_times: Int64s | None, offsets: Int64s) -> Decoded:
        """The batch as columns; `log_times[event]` None: that of an event is its `occurred_at` (a file)."""
        rows = _new_rows(len(values))
        found = np.zeros(len(FIELDS), np.int64)
        self._scan(values, topic, rows, found)
        cards = {FIELDS[field]: int(found[field]) for field in np.flatnonzero(found)}
        rejects = self._settle(values, topic, rows, cards)
        ignored = int(np.count_nonzero(rows.fate == IGNORED))
        return Decoded(_columns(rows, log_times, offsets), rejects, ignored, cards)

    def _scan(self, values: Sequence[bytes], topic: Topic, rows: Rows, cards: Int64s) -> None:
        """One buffer of all events, each ended by a line feed, which no value of JSON reaches across."""
        buffer = b"\n".join(values) + b"\n" * SPARE
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        stops = np.cumsum(lengths + 1) - 1
        text = np.frombuffer(buffer, np.uint8)
        scan(text, word_view(buffer), stops - lengths, stops, _TOPICS[topic], self._tables(), rows, cards,
             self._scratch)  # fmt: skip

    def _tables(self) -> Tables:
        names = self._names
        leaves, codes, merchants = names.leaf_index, names.code_index, names.merchant_index
        return Tables(
            leaves.keys, leaves.numbers, leaves.otherwise,
            codes.keys, codes.numbers, codes.otherwise,
            merchants.keys, merchants.numbers, merchants.otherwise,
            self._statuses.keys, self._statuses.numbers,
            self._orders.keys, self._orders.numbers,
            self._dimensions,
        )  # fmt: skip

    def _settle(self, values: Sequence[bytes], topic: Topic, rows: Rows, cards: dict[str, int]) -> list[Reject]:
        """Let the reference read what the scanner left."""
        rejects: list[Reject] = []
        for index in map(int, np.flatnonzero(rows.fate == ASKED)):
            event = self._reference.read(values[index], topic)
            if isinstance(event, Fault):
                rejects.append(Reject(index, event.reason, event.field, event.message))
                continue
            count_cards(cards, event)
            rows.fate[index] = IGNORED if event.row is None else TAKEN
            if event.row is not None:
                for column, value in zip(rows[: len(event.row)], event.row, strict=True):
                    column[index] = value
        return rejects


def _index(numbers: Mapping[str, int]) -> Index:
    index = Index(len(numbers))
    for word, number in numbers.items():
        index.put(hash_text(word), number)
    return index


def _new_rows(count: int) -> Rows:
    bytes_ = np.empty((3, count), np.uint8)
    numbers = np.empty((2, count), np.int32)
    hashes = np.empty((4, count), np.uint64)
    times = np.empty((2, count), np.int64)
    fate: UInt8s = bytes_[2]
    return Rows(
        bytes_[0], bytes_[1], numbers[0], numbers[1], hashes[0], hashes[1], hashes[2], hashes[3],
        times[0], times[1], fate,
    )  # fmt: skip


def _columns(rows: Rows, log_times: Int64s | None, offsets: Int64s) -> Columns:
    """The rows that were taken; arrays of their own, or views where all were."""
    columns = Columns(*rows[:-1], rows.occurred_at.copy() if log_times is None else log_times, offsets)
    taken = rows.fate == TAKEN
    return columns if taken.all() else columns.pick(np.flatnonzero(taken))
