"""The reference decoder: one event at a time, patiently, with a reason in words for every one that is refused.

msgspec decides what is taken, pydantic finds the words for what is not. Slow and thorough: it settles what the
scanner leaves, and is what the scanner is checked against. Knows nothing of Kafka, panes or the ledger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from pydantic import ValidationError

from detector.arrays import Int64s
from detector.contracts.card import card_like
from detector.contracts.models import OrderEvent, PaymentEvent
from detector.contracts.moments import epoch_ms
from detector.contracts.policy import IGNORE, Policy
from detector.contracts.words import AMOUNT_MAX, EVENT_BYTES_MAX, TEXT_CHARACTERS_MAX
from detector.counting.columns import (
    CONFIRMED,
    NONE,
    ORDER_CANCELLED,
    PAYMENT,
    PENDING,
    PLACED,
    STATUSES,
    Columns,
    log_times_of,
)  # fmt: skip
from detector.counting.guard import DEPTH_MAX
from detector.counting.hashing import hash_text
from detector.counting.names import ABSENT, UNKNOWN, Names
from detector.counting.rejects import Reason, Rejects

Topic: TypeAlias = Literal["payments", "orders", "mixed"]
"""What a batch holds; `mixed` is a file: an object with `payment_id` is a payment event, any other an order event."""

ORDER_KINDS = {"placed": PLACED, "confirmed": CONFIRMED, "cancelled": ORDER_CANCELLED}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an event; `field` is empty where it is not about one. No words of the event."""

    reason: Reason
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch came to; `columns` holds what was neither refused nor ignored, in order.

    `card_like[field]` counts values that look like card numbers, in events that were not refused.
    """

    columns: Columns
    rejects: Rejects
    ignored: int
    card_like: dict[str, int]


class Row(NamedTuple):
    """One event as `Columns` has it, in its order, without log time and offset."""

    kind: int
    status: int
    leaf: int
    code: int
    payment: int
    order: int
    shopper: int
    merchant: int
    occurred_at: int
    started_at: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event that is taken; `row` is None where the policy ignores its status."""

    row: Row | None
    card_like: tuple[str, ...] = ()


_Word = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+\Z"),
]
_Amount = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]
_Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]


class _Payment(msgspec.Struct, gc=False):
    payment_id: _Word
    order_id: _Word
    bank: _Word
    method: _Word
    status: _Word
    occurred_at: int | str
    started_at: int | str | None = None
    merchant_id: _Word | None = None
    shopper_id: _Word | None = None
    instrument_id: _Word | None = None
    amount: _Amount | None = None
    currency: _Currency | None = None
    code: _Word | None = None
    network: _Word | None = None
    psp: _Word | None = None
    country: _Word | None = None
    channel: _Word | None = None


class _Order(msgspec.Struct, gc=False):
    order_id: _Word
    status: Literal["placed", "confirmed", "cancelled"]
    occurred_at: int | str
    merchant_id: _Word | None = None
    bank: _Word | None = None
    method: _Word | None = None
    amount: _Amount | None = None
    currency: _Currency | None = None
    channel: _Word | None = None
    shopper_id: _Word | None = None


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every key it was written with."""


class _RefusedError(Exception):
    """An event that is no sound JSON object."""

    def __init__(self, reason: Reason, message: str, field: str = "") -> None:
        self.fault = Fault(reason, field, message)


def read_object(value: bytes) -> dict[str, Any]:
    """The event as a JSON object: not too long, UTF-8, at most DEPTH_MAX deep, every key once. Raises _RefusedError."""
    if len(value) > EVENT_BYTES_MAX:
        raise _RefusedError(Reason.TOO_LONG, f"an event has at most {EVENT_BYTES_MAX} bytes; got {len(value)}")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise _RefusedError(Reason.NOT_UTF8, f"byte {error.start} is not UTF-8; send JSON in UTF-8") from None
    if _depth(text) > DEPTH_MAX:
        raise _RefusedError(Reason.TOO_DEEP, f"objects and arrays go deeper than {DEPTH_MAX}; send flat events")
    try:
        plain = msgspec.json.decode(value)
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):  # of both readers; their words may quote the event
        raise _RefusedError(Reason.NOT_JSON, "the event is not JSON; send one JSON object an event") from None
    if not isinstance(plain, dict):
        raise _RefusedError(Reason.NOT_AN_OBJECT, "the event is JSON but not an object; send one JSON object an event")
    _check_keys([key for key, _ in pairs])
    return plain


_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def _depth(text: str) -> int:
    """How deep objects and arrays go, brackets inside strings aside; the text need not be sound."""
    if text.count("{") + text.count("[") <= DEPTH_MAX:
        return 0
    depth = deepest = 0
    for character in _STRING.sub("", text):
        depth += (character in "{[") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def _check_keys(keys: list[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            known = key if key in _Payment.__struct_fields__ else ""
            raise _RefusedError(Reason.DUPLICATE_KEY, "a key is there twice; send each field once", known)
        seen.add(key)


def is_payment(plain: dict[str, Any], topic: Topic) -> bool:
    """Whether an object is held against the contract of payment events."""
    return topic == "payments" or (topic == "mixed" and "payment_id" in plain)


def explain(value: bytes, topic: Topic, policy: Policy) -> list[Fault]:
    """Everything that is wrong with an event, in the order of the contract's fields; nothing of it is quoted."""
    try:
        plain = read_object(value)
    except _RefusedError as refused:
        return [refused.fault]
    try:
        if is_payment(plain, topic):
            PaymentEvent.model_validate(plain, context={"statuses": policy.statuses})
        else:
            OrderEvent.model_validate(plain)
    except ValidationError as error:
        return [_fault(item["type"], str(item["loc"][0]), item["msg"], plain)
                for item in error.errors(include_url=False, include_context=False, include_input=False)]  # fmt: skip
    return []


def words_of(value: bytes, topic: Topic, policy: Policy) -> str:
    """What is wrong first with an event that is refused, in words; nothing of it is quoted."""
    return _first_fault(value, topic, policy).message


def _first_fault(value: bytes, topic: Topic, policy: Policy) -> Fault:
    faults = explain(value, topic, policy)
    return faults[0] if faults else Fault(Reason.WRONG_TYPE, "", "the event does not keep the contract")


_TYPES_OF_ERROR = {
    "missing": Reason.MISSING_FIELD,
    "string_too_short": Reason.EMPTY,
    "string_too_long": Reason.TOO_LONG,
    "string_pattern_mismatch": Reason.CONTROL_CHARACTER,
    "string_unicode": Reason.CONTROL_CHARACTER,
    "greater_than_equal": Reason.OUT_OF_RANGE,
    "less_than_equal": Reason.OUT_OF_RANGE,
}


def _fault(kind: str, field: str, message: str, plain: dict[str, Any]) -> Fault:
    """pydantic's kind of error as one of our reasons."""
    value = plain.get(field)
    if field == "status" and kind in ("value_error", "literal_error") and isinstance(value, str):
        reason = Reason.UNKNOWN_STATUS
    elif kind == "value_error" and isinstance(value, str):
        reason = Reason.BAD_TIME
    elif kind == "value_error" and isinstance(value, int) and not isinstance(value, bool):
        reason = Reason.OUT_OF_RANGE
    elif field == "currency" and kind == "string_pattern_mismatch":
        reason = Reason.BAD_CURRENCY
    else:
        reason = _TYPES_OF_ERROR.get(kind, Reason.WRONG_TYPE)
    return Fault(reason, field, f"{field}: {message[:1].lower()}{message[1:]}")


class Reference:
    """Reads one event after the other into rows, with one policy and the names of one worker."""

    def __init__(self, policy: Policy, names: Names) -> None:
        self._policy = policy
        self._names = names
        self._statuses = {
            word: None if status == IGNORE else STATUSES.index(status) for word, status in policy.statuses.items()
        }

    def read(self, value: bytes, topic: Topic) -> Event | Fault:
        """The event, or why it is refused."""
        try:
            plain = read_object(value)
            if is_payment(plain, topic):
                return self._payment(msgspec.convert(plain, _Payment))
            return self._order(msgspec.convert(plain, _Order))
        except _RefusedError as refused:
            return refused.fault
        except (ValueError, KeyError):  # msgspec's ValidationError, a time, a status
            return _first_fault(value, topic, self._policy)

    def _payment(self, event: _Payment) -> Event:
        """Raises KeyError for an unknown status, ValueError for a time that is none."""
        occurred_at = epoch_ms(event.occurred_at)
        started_at = NONE if event.started_at is None else epoch_ms(event.started_at)
        status = self._statuses[event.status]
        cards = _card_like(event)
        if status is None:
            return Event(None, cards)
        names = self._names
        values = tuple(getattr(event, dimension) or ABSENT for dimension in self._policy.dimensions)
        row = Row(
            kind=PAYMENT,
            status=status,
            leaf=names.leaf(values),
            code=NONE if event.code is None else names.code(event.code),
            payment=hash_text(event.payment_id),
            order=hash_text(event.order_id),
            shopper=0 if event.shopper_id is None else hash_text(event.shopper_id),
            merchant=names.merchant(event.merchant_id or UNKNOWN),
            occurred_at=occurred_at,
            # A payment cannot have begun after something happened to it; and one wrong start in the far future would
            # make every pending payment of the platform look old.
            started_at=min(started_at, occurred_at),
        )
        return Event(row, cards)

    def _order(self, event: _Order) -> Event:
        """Raises ValueError for a time that is none."""
        occurred_at = epoch_ms(event.occurred_at)
        names = self._names
        said = [getattr(event, dimension, None) for dimension in self._policy.dimensions]
        values = tuple(value for value in said if value is not None)
        leaf = names.leaf(values) if len(values) == len(said) else NONE
        row = Row(
            kind=ORDER_KINDS[event.status],
            status=PENDING,
            leaf=leaf,
            code=NONE,
            payment=0,
            order=hash_text(event.order_id),
            shopper=0 if event.shopper_id is None else hash_text(event.shopper_id),
            merchant=names.merchant(event.merchant_id or UNKNOWN),
            occurred_at=occurred_at,
            started_at=NONE,
        )
        return Event(row, _card_like(event))


def _card_like(event: msgspec.Struct) -> tuple[str, ...]:
    values = ((name, getattr(event, name)) for name in event.__struct_fields__)
    return tuple(name for name, value in values if isinstance(value, str) and card_like(value))


class ReferenceDecoder:
    """Batches of events as columns, event by event; `Decoder` gives the same, faster."""

    def __init__(self, policy: Policy, names: Names) -> None:
        self._reference = Reference(policy, names)

    def decode(self, values: Sequence[bytes], topic: Topic, log_times: Int64s | None, offsets: Int64s) -> Decoded:
        """The batch as columns; `log_times[event]` as `log_times_of` takes them."""
        rejects: list[tuple[int, Reason, str]] = []
        kept: list[int] = []
        rows: list[Row] = []
        cards: dict[str, int] = {}
        ignored = 0
        for index, value in enumerate(values):
            event = self._reference.read(value, topic)
            if isinstance(event, Fault):
                rejects.append((index, event.reason, event.field))
                continue
            add_cards(cards, event)
            if event.row is None:
                ignored += 1
                continue
            kept.append(index)
            rows.append(event.row)
        return Decoded(_columns(rows, kept, log_times, offsets), Rejects.of(rejects), ignored, cards)


def add_cards(cards: dict[str, int], event: Event) -> None:
    """Add an event's card-like fields to the counts."""
    for field in event.card_like:
        cards[field] = cards.get(field, 0) + 1


_TYPES = (
    np.uint8, np.uint8, np.int32, np.int32, np.uint64, np.uint64, np.uint64, np.uint64, np.int64, np.int64,
)  # fmt: skip


def _columns(rows: list[Row], kept: list[int], log_times: Int64s | None, offsets: Int64s) -> Columns:
    fields = zip(*rows, strict=True) if rows else [()] * len(_TYPES)
    arrays: list[Any] = [np.array(values, dtype) for values, dtype in zip(fields, _TYPES, strict=True)]
    index = np.array(kept, np.intp)
    given = None if log_times is None else log_times[index]
    log_time = log_times_of(given, arrays[Row._fields.index("occurred_at")])
    return Columns(*[*arrays, log_time, offsets[index]])
