"""The decoder of the worker and of replay: the scanner takes what it understands, loops refuse what is surely wrong,
and the reference settles the rest.

Same result as the reference alone, whatever the events are. Knows nothing of Kafka or the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from detector.arrays import Bools, Int32s, Int64s, UInt64s
from detector.contracts.policy import IGNORE as IGNORED_WORD
from detector.contracts.policy import Policy
from detector.contracts.words import EVENT_BYTES_MAX
from detector.counting.columns import PAYMENT, STATUSES, Columns, log_times_of
from detector.counting.fields import CODE, FIELDS, MERCHANT_ID, ORDER_ID, PAYMENT_ID, SHOPPER_ID
from detector.counting.hashing import hash_text
from detector.counting.names import ABSENT, UNKNOWN, Index, Names
from detector.counting.reference import ORDER_KINDS, Decoded, Fault, Reference, Row, Topic, add_cards
from detector.counting.refuse import NOTHING_SAID, refuse
from detector.counting.rejects import Reason, Rejects, fault_number
from detector.counting.scan import (
    ASKED,
    CARDS,
    IGNORE,
    IGNORED,
    MIXED,
    ORDERS_TOPIC,
    PAYMENTS_TOPIC,
    TAKEN,
    TEXTS,
    count_cards,
    scan_objects,
    settle_codes,
    settle_contracts,
    settle_ids,
    settle_leaves,
    settle_statuses,
)  # fmt: skip
from detector.packed import Packed

_TOO_LONG = fault_number(Reason.TOO_LONG, "")
_ODD = np.uint64(0x9E3779B97F4A7C15)
_NAMELESS_FEW = 100
"""So many events have their names met one by one without a look at which are the same."""
_NAMELESS_MANY = 1_000
"""Where more events than these lack something, as all do in a worker's first batch, of which no name is known, the
names in so many of the batch's first events are met before the rest: few lack one then, and few must be asked what may
be wrong with them."""
_NO_REJECTS = Rejects(np.zeros(0, np.int64), np.zeros(0, np.int32))
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
        named = {*policy.dimensions, "code", "merchant_id"}
        # Of an event whose fields are known to be sound, and perhaps odd where they are not of its contract.
        self._said = msgspec.json.Decoder(msgspec.defstruct("_Said", [(name, Any, None) for name in sorted(named)]))

    def decode(self, values: Sequence[bytes], topic: Topic, log_times: Int64s | None, offsets: Int64s) -> Decoded:
        """The batch as columns; `log_times[event]` as `log_times_of` takes them."""
        values = values if isinstance(values, Packed) else Packed.of(values)
        batch = _Batch(len(values))
        _scan(values, _TOPICS[topic], batch)
        understood = batch.fate == TAKEN
        self._settle(_TOPICS[topic], batch)
        asks = (batch.fate == ASKED).any()
        said = self._say(values, _TOPICS[topic], batch, understood) if asks else None
        cards = batch.cards()
        rejects = _NO_REJECTS if said is None else self._ask(values, topic, batch, said, cards)
        ignored = int(np.count_nonzero(batch.fate == IGNORED))
        return Decoded(batch.columns(log_times, offsets), rejects, ignored, cards)

    def _say(self, values: Packed, topic: int, batch: _Batch, understood: Bools) -> Int32s:
        """Meet the names that events lack, and say what is surely wrong with those that are asked about still."""
        said = np.full(len(values), NOTHING_SAID, np.int32)
        many = np.count_nonzero(understood & (batch.fate == ASKED)) > _NAMELESS_MANY
        for stop in (_NAMELESS_MANY, len(values)) if many else (len(values),):
            self._refuse(values, topic, batch, said[:stop])
            nameless = np.flatnonzero((understood & (batch.fate == ASKED))[:stop] & (said[:stop] == NOTHING_SAID))
            if len(nameless):
                self._learn(values, batch, nameless)
                batch.fate[:] = np.where(understood, TAKEN, ASKED)
                self._settle(topic, batch)
        said[values.stops - values.starts > EVENT_BYTES_MAX] = _TOO_LONG
        return said

    def _settle(self, topic: int, batch: _Batch) -> None:
        """Numbers for the hashes; the order of the steps is that in which they leave events to the reference."""
        masks, hashes, kind, fate = batch.masks, batch.hashes, batch.kind, batch.fate
        leaves, codes, merchants = self._names.leaf_index, self._names.code_index, self._names.merchant_index
        words, orders = self._statuses, self._orders
        settle_contracts(topic, masks, batch.times, kind, fate)
        settle_statuses(words.keys, words.numbers, orders.keys, orders.numbers, hashes, kind, batch.status, fate)
        settle_leaves(
            leaves.keys, leaves.numbers, leaves.otherwise, self._dimensions, masks, hashes, kind, batch.leaf, fate
        )
        settle_codes(codes.keys, codes.numbers, codes.otherwise, masks, hashes, batch.code, fate)
        settle_ids(merchants.keys, merchants.numbers, merchants.otherwise, masks, hashes, kind, fate)

    def _learn(self, values: Packed, batch: _Batch, rows: Int64s) -> None:
        """Meet the names of events that are whole but for these, each name once where there are many."""
        if len(rows) > _NAMELESS_FEW:
            leaf = np.zeros(len(rows), np.uint64)
            for field in self._dimensions.tolist():
                leaf = leaf * _ODD + batch.said(field, rows)
            names = leaf, batch.said(MERCHANT_ID, rows), batch.said(CODE, rows)
            firsts = [np.unique(name, return_index=True)[1] for name in names]
            rows = rows[np.unique(np.concatenate(firsts))]
        for index in rows.tolist():
            self._meet(self._said.decode(values[index]), int(batch.masks[TEXTS, index]), batch.kind[index] == PAYMENT)

    def _meet(self, said: Any, texts: int, is_payment: bool) -> None:
        """Meet the names of one event, as the reference does; `texts` has a bit for each field that says something."""
        words = [getattr(said, FIELDS[field]) if texts >> field & 1 else None for field in self._dimensions.tolist()]
        if is_payment or None not in words:
            self._names.leaf(tuple(word or ABSENT for word in words))
        if is_payment and texts >> CODE & 1:
            self._names.code(said.code)
        self._names.merchant(said.merchant_id if texts >> MERCHANT_ID & 1 else UNKNOWN)

    def _refuse(self, values: Packed, topic: int, batch: _Batch, said: Int32s) -> None:
        """Say what is surely wrong with those of the first events that the scanner left."""
        words, orders, first = self._statuses, self._orders, slice(0, len(said))
        if (batch.fate[first] == ASKED).any():
            refuse(
                topic, words.keys, words.numbers, orders.keys, orders.numbers, np.frombuffer(values.buffer, np.uint8),
                values.starts[first], values.stops[first], batch.fate[first], said,
            )  # fmt: skip

    def _ask(self, values: Packed, topic: Topic, batch: _Batch, said: Int32s, cards: dict[str, int]) -> Rejects:
        """Refuse what is surely wrong, and let the reference read what is left."""
        for index in np.flatnonzero((batch.fate == ASKED) & (said == NOTHING_SAID)).tolist():
            event = self._reference.read(values[index], topic)
            if isinstance(event, Fault):
                said[index] = fault_number(event.reason, event.field)
                continue
            add_cards(cards, event)
            batch.fate[index] = IGNORED if event.row is None else TAKEN
            if event.row is not None:
                batch.put(index, event.row)
        refused = np.flatnonzero(batch.fate == ASKED)
        return Rejects(refused, said[refused])


class _Batch:
    """What is known of a batch while it is decoded; the loops write all that is read."""

    def __init__(self, count: int) -> None:
        self.masks = np.empty((3, count), np.int64)
        self.hashes = np.empty((len(FIELDS), count), np.uint64)
        self.times = np.empty((2, count), np.int64)
        self.kind, self.status, self.fate = np.empty((3, count), np.uint8)
        self.leaf, self.code = np.empty((2, count), np.int32)

    def cards(self) -> dict[str, int]:
        """How many values of each field look like a card number, in what the scanner took."""
        found = np.zeros(len(FIELDS), np.int64)
        if self.masks[CARDS].any():
            count_cards(self.masks, self.fate, found)
        return {FIELDS[field]: int(found[field]) for field in np.flatnonzero(found)}

    def said(self, field: int, rows: Int64s) -> UInt64s:
        """The hashes of a text in some events, 0 where one does not say it."""
        return np.where(self.masks[TEXTS, rows] >> field & 1, self.hashes[field, rows], np.uint64(0))

    def put(self, index: int, row: Row) -> None:
        """Write the reference's row."""
        for column, value in zip(self._by_row(), row, strict=True):
            column[index] = value

    def columns(self, log_times: Int64s | None, offsets: Int64s) -> Columns:
        """The events that are taken: views where all are."""
        by_row = self._by_row()
        columns = Columns(*(*by_row, log_times_of(log_times, self.times[0]), offsets))
        taken = self.fate == TAKEN
        return columns if taken.all() else columns.pick(np.flatnonzero(taken))

    def _by_row(self) -> tuple[Any, ...]:
        """The arrays in the order of `Row`, which is that of `Columns`."""
        payment, order = self.hashes[PAYMENT_ID], self.hashes[ORDER_ID]
        shopper, merchant = self.hashes[SHOPPER_ID], self.hashes[MERCHANT_ID]
        return (self.kind, self.status, self.leaf, self.code, payment, order, shopper, merchant, *self.times)


def _scan(values: Packed, topic: int, batch: _Batch) -> None:
    scan_objects(
        topic, np.frombuffer(values.buffer, np.uint8), values.starts, values.stops,
        batch.masks, batch.hashes, batch.times, batch.fate,
    )  # fmt: skip


def _index(numbers: Mapping[str, int]) -> Index:
    index = Index(len(numbers))
    for word, number in numbers.items():
        index.put(hash_text(word), number)
    return index
