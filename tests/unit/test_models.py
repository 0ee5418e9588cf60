"""The contracts: which records are right, and how times, scopes and envelopes are written."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from detector.contracts.models import (
    CONTRACTS,
    DeadLetter,
    HealthRecord,
    OrderEvent,
    OutageEvent,
    PaymentEvent,
    ScopeFields,
    cloud_event,
)
from detector.contracts.moments import epoch_ms, rfc3339
from detector.contracts.policy import DEFAULT
from detector.contracts.policy_keys import DIMENSIONS, FIVE
from detector.contracts.schemas import EXAMPLES
from detector.contracts.scope import PLATFORM, Scope
from detector.counting.columns import STATUSES

PAYMENT = {
    "payment_id": "p1", "order_id": "o1", "bank": "bnp", "method": "card", "status": "declined", "occurred_at": 1000,
}  # fmt: skip
ORDER = {"order_id": "o1", "status": "placed", "occurred_at": "2026-01-01T00:00:00Z"}


def wrong_field(model: type[PaymentEvent] | type[OrderEvent], record: dict[str, Any], **context: Any) -> str:
    """The name of the one field that a record has wrong."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(record, context=context or None)
    (error,) = caught.value.errors()
    return str(error["loc"][0])


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00Z", 1_767_225_600_000),
        ("2026-01-01t01:00:00.5+01:00", 1_767_225_600_500),
        ("2025-12-31 19:30:00.123999-04:30", 1_767_225_600_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),  # a leap second is the second after
        ("2024-02-29T12:00:00.000000001Z", 1_709_208_000_000),
    ],
)
def test_times_as_text(text: str, ms: int) -> None:
    """RFC 3339 text with a zone is the epoch ms it names; what is below a ms is cut off."""
    assert epoch_ms(text) == ms


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01T00:00:00", "2026-01-01", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Z\n", " 2026-01-01T00:00:00Z", "1767225600000", "now", "",
        "1969-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "٢٠٢٦-01-01T00:00:00Z",
        -1, 1.5, 1e12, True, None, 10**30, [], {}, b"2026-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_time(value: object) -> None:
    """A time without zone, a date that is not, a number outside 1970 to 9999: not a time."""
    with pytest.raises(ValueError, match="epoch milliseconds"):
        epoch_ms(value)


@given(st.integers(0, 253_402_300_799_999))
@settings(deadline=None, print_blob=True)
def test_time_round_trip(time_ms: int) -> None:
    """A time written as text is the same time."""
    assert epoch_ms(rfc3339(time_ms)) == time_ms


def test_smallest_payment() -> None:
    """The six required fields are enough; others are allowed and ignored."""
    event = PaymentEvent.model_validate({**PAYMENT, "of_another_system": {"deep": [1]}, "amount": None})
    assert (event.bank, event.occurred_at, event.started_at, event.amount) == ("bnp", 1000, None, None)


@pytest.mark.parametrize("field", list(PAYMENT))
@pytest.mark.parametrize("value", [None, 5.5, True, [], "", "x" * 129, "a\nb", "\x00", "\x7f", "\x85", "\ud800"])
def test_required_fields_of_a_payment(field: str, value: object) -> None:
    """Each required field must be there and be 1-128 characters without control characters."""
    assert wrong_field(PaymentEvent, {**PAYMENT, field: value}) == field
    assert wrong_field(PaymentEvent, {name: PAYMENT[name] for name in PAYMENT if name != field}) == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("started_at", "yesterday"), ("merchant_id", ""), ("shopper_id", 7), ("instrument_id", "x" * 129),
        ("amount", -1), ("amount", 1.0), ("amount", "1"), ("amount", True), ("amount", 10**400), ("currency", "eur"),
        ("currency", "EURO"), ("code", 5), ("network", "a\tb"), ("psp", []), ("country", {}), ("channel", ""),
    ],
)  # fmt: skip
def test_optional_fields_of_a_payment(field: str, value: object) -> None:
    """An optional field that is there must be right."""
    assert wrong_field(PaymentEvent, {**PAYMENT, field: value}) == field


def test_128_characters_of_any_script_pass() -> None:
    """Length is counted in characters, not bytes."""
    assert PaymentEvent.model_validate({**PAYMENT, "bank": "é" * 128}).bank == "é" * 128


def test_statuses_are_the_platforms_words() -> None:
    """With the policy's words at hand a word that is not mapped is wrong; without, any word passes."""
    assert PaymentEvent.model_validate({**PAYMENT, "status": "captured"}, context={"statuses": DEFAULT.statuses})
    assert wrong_field(PaymentEvent, {**PAYMENT, "status": "paid"}, statuses=DEFAULT.statuses) == "status"
    assert PaymentEvent.model_validate({**PAYMENT, "status": "paid"}).status == "paid"


def test_orders() -> None:
    """An order's status is one of three; bank and method may be missing."""
    assert OrderEvent.model_validate(ORDER).occurred_at == 1_767_225_600_000
    assert wrong_field(OrderEvent, {**ORDER, "status": "approved"}) == "status"
    assert wrong_field(OrderEvent, {**ORDER, "bank": ""}) == "bank"


@pytest.mark.parametrize(
    "scope",
    [PLATFORM, Scope((("bank", "b:n,p"),)), Scope((("bank", "bnp"), ("method", "card"), ("country", "FR"))),
     Scope((("merchant", "shop-1"),))],
)  # fmt: skip
def test_scope_fields_round_trip(scope: Scope) -> None:
    """A scope written as fields is the same scope."""
    assert ScopeFields.of(scope).to_scope() == scope
    assert ScopeFields.of(scope).dimension == scope.dimension


def test_an_unknown_dimension_is_refused() -> None:
    """A dimension that the contract does not have cannot be lost in silence."""
    with pytest.raises(ValueError, match="planet"):
        ScopeFields.of(Scope((("planet", "mars"),)))


def test_every_dimension_has_a_field() -> None:
    """Whatever dimension a policy may add, an outage event can say its value."""
    assert set(DIMENSIONS) < set(ScopeFields.model_fields)


def test_cloud_event() -> None:
    """The envelope is CloudEvents 1.0: type with version, subject the scope's key, time in RFC 3339."""
    data = OutageEvent.model_validate(EXAMPLES["outage"]).data
    event = cloud_event(data, "resolved", "id-7", 1_767_225_600_123)
    assert {name: event[name] for name in event if name != "data"} == {
        "specversion": "1.0", "id": "id-7", "source": "/pastille", "type": "pastille.outage.resolved.v1",
        "subject": "bank:bnp", "time": "2026-01-01T00:00:00.123Z", "datacontenttype": "application/json",
    }  # fmt: skip
    assert OutageEvent.model_validate(event).data == data


def test_outage_data_has_the_fields_of_the_design() -> None:
    """Field for field what the design lists, what marks shadow mode, and what a limit on children left out."""
    listed = (
        "outage_id sequence scope kind trigger severity fault_domain began_at detected_at updated_at ended_at "
        "scheduled catching_up reason window evidence top_codes impact parent_id children maintenance_id "
        "policy_version input explanation"
    )
    assert set(EXAMPLES["outage"]["data"]) == {*listed.split(), "shadow", "children_left_out", "continues_id"}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_examples_are_right(name: str) -> None:
    """Each documented example is a valid record, and written again it is the same."""
    record = CONTRACTS[name].model_validate(EXAMPLES[name])
    assert record.model_dump(mode="json", exclude_unset=True).keys() == EXAMPLES[name].keys()


def test_numbers_that_json_does_not_have() -> None:
    """Not-a-number and infinity never reach a topic."""
    with pytest.raises(ValidationError):
        HealthRecord.model_validate({**EXAMPLES["health"], "approval_rate": float("nan")})


def test_a_dead_letter_may_say_little() -> None:
    """Key, field and payload of a dead letter may be left out."""
    letter = DeadLetter(topic="payments", partition=0, offset=0, reason="not_json", received_at=0)
    assert (letter.key, letter.field, letter.payload) == (None, None, None)


def test_the_five_statuses_are_the_same_everywhere() -> None:
    """What a policy may map to is what is counted, in the same order."""
    assert FIVE == STATUSES
