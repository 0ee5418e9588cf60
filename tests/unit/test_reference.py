"""What the decoders take, refuse and say; every test holds for the reference alone and for the scanner before it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from detector.contracts.policy import DEFAULT, Policy, load_policy
from detector.contracts.words import EVENT_BYTES_MAX
from detector.counting.columns import (
    APPROVED,
    CANCELLED,
    CONFIRMED,
    DECLINED,
    NONE,
    ORDER_CANCELLED,
    PAYMENT,
    PENDING,
    PLACED,
    Columns,
)  # fmt: skip
from detector.counting.decoder import Decoder
from detector.counting.hashing import hash_text
from detector.counting.names import Names
from detector.counting.reference import Decoded, ReferenceDecoder, Topic, explain, words_of
from tests.unit.bad_records import BAD, GOOD, Bad, changed, order, spliced, without

CARD = "4111 1111-1111 1111"
"""The card schemes' own test number."""


@pytest.fixture(params=[Decoder, ReferenceDecoder])
def kind(request: pytest.FixtureRequest) -> Any:
    """Both decoders."""
    return request.param


def decode(kind: Any, values: list[bytes], topic: Topic = "payments", policy: Policy = DEFAULT,
           names: Names | None = None) -> Decoded:  # fmt: skip
    """A batch read in file mode; twice, so that names are new at first and then known."""
    decoder = kind(policy, names or Names(policy))
    offsets = np.arange(100, 100 + len(values))
    decoder.decode(values, topic, None, offsets)
    decoded: Decoded = decoder.decode(values, topic, None, offsets)
    return decoded


def one(kind: Any, value: bytes, topic: Topic = "payments", policy: Policy = DEFAULT) -> dict[str, int]:
    """The columns of the only event of a batch."""
    decoded = decode(kind, [value], topic, policy)
    assert decoded.rejects == []
    return {name: int(getattr(decoded.columns, name)[0]) for name in Columns.__slots__}


def test_payment_event(kind: Any) -> None:
    """Every field of a payment event ends in its column."""
    value = changed(started_at=1_771_999_990_000, shopper_id="ann", code="05", instrument_id="token", network="visa")
    assert one(kind, value) == {
        "kind": PAYMENT, "status": APPROVED, "leaf": 0, "code": 0,
        "payment": hash_text("pay-1"), "order": hash_text("ord-1"),
        "shopper": hash_text("ann"), "merchant": hash_text("shop-1"),
        "occurred_at": 1_772_000_000_000, "started_at": 1_771_999_990_000,
        "log_time": 1_772_000_000_000, "offset": 100,
    }  # fmt: skip


def test_absent_fields(kind: Any) -> None:
    """What is absent, or null, has the value that says so."""
    expected = {"code": NONE, "shopper": 0, "started_at": NONE, "merchant": hash_text("unknown")}
    for value in (without("merchant_id"), changed(merchant_id=None, shopper_id=None, code=None, started_at=None)):
        columns = one(kind, value)
        assert {name: columns[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("status", "expected"), [("placed", PLACED), ("confirmed", CONFIRMED), ("cancelled", ORDER_CANCELLED)]
)
def test_order_event(kind: Any, status: str, expected: int) -> None:
    """An order event says its kind and has no payment; without bank and method it has no leaf."""
    columns = one(kind, order(status=status, bank="bnp"), "orders")
    assert (columns["kind"], columns["payment"], columns["leaf"]) == (expected, 0, NONE)
    assert columns["order"] == hash_text("ord-1")


def test_order_with_bank_and_method(kind: Any) -> None:
    """An order that chose bank and method is on the leaf of payments that go there."""
    names = Names(DEFAULT)
    decoded = decode(kind, [changed(), order(bank="bnp", method="card")], "mixed", names=names)
    assert decoded.columns.leaf.tolist() == [0, 0]
    assert names.leaves == [("bnp", "card")]


def test_order_topic_ignores_fields_of_payments(kind: Any) -> None:
    """On the orders' topic fields that only payments have are extra fields, whatever they hold."""
    columns = one(kind, order(payment_id="pay-1", code="05", started_at=1), "orders")
    assert (columns["kind"], columns["payment"], columns["code"], columns["started_at"]) == (PLACED, 0, NONE, NONE)
    assert one(kind, order(payment_id=5, code=5, started_at="never"), "orders")["kind"] == PLACED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T02:30:00Z", 1_772_332_200_000),
        ("2026-03-01T02:30:00.5Z", 1_772_332_200_500),
        ("2026-03-01T02:30:00.123999+00:00", 1_772_332_200_123),
        ("2026-03-01T02:30:00.123456789012+02:00", 1_772_325_000_123),
        ("2026-02-28T23:30:00-03:00", 1_772_332_200_000),
        ("2026-03-01 02:30:00z", 1_772_332_200_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("2000-02-29T23:59:59.999Z", 951_868_799_999),
        ("1970-01-01T00:00:00Z", 0),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_time_as_text(kind: Any, text: str, expected: int) -> None:
    """RFC 3339 text with a zone is epoch ms, cut below the ms."""
    assert one(kind, changed(occurred_at=text))["occurred_at"] == expected


def test_start_after_the_event(kind: Any) -> None:
    """A start later than the event itself counts as the event's time: it cannot make other payments look old."""
    columns = one(kind, changed(started_at="2099-01-01T00:00:00Z"))
    assert columns["started_at"] == columns["occurred_at"] == 1_772_000_000_000


def test_extra_fields_are_ignored(kind: Any) -> None:
    """Whatever JSON an extra field holds, the event is the same without it."""
    extra = (
        b', "a": -0.5e-7, "b": [1, [2, {"c": []}], {}], "d": {"bank": "axis", "bank": 1}, "e": true, "f": null,'
        b' "g": "caf\xc3\xa9 \\u00e9 \\ud83d\\ude00 \\" \\\\ \x7f \xf0\x9f\x98\x80", "": false, "occurred": "2026"'
    )
    assert one(kind, spliced(extra)) == one(kind, changed())
    assert one(kind, spliced(b', "extra": ' + b"[" * 15 + b"]" * 15)) == one(kind, changed())


def test_an_event_that_is_too_long_is_refused(kind: Any) -> None:
    """By both decoders, whatever it holds: to read some of them patiently would take a minute."""
    longest = EVENT_BYTES_MAX - len(spliced(b', "extra": ""'))
    values = [spliced(b', "extra": "' + b"x" * (longest + more) + b'"') for more in (0, 1)]
    decoded = decode(kind, [*values, b"[]," * longest])
    assert len(decoded.columns) == 1
    assert [(one.index, one.reason, one.field) for one in decoded.rejects] == [(1, "too_long", ""), (2, "too_long", "")]


def test_spelling_of_json_does_not_matter(kind: Any) -> None:
    """Blanks, order of fields and escapes change nothing."""
    expected = one(kind, changed())
    backwards = json.dumps(dict(reversed(GOOD.items())), indent=2).encode() + b"\n\t "
    escaped = json.dumps(GOOD).replace("bnp", "\\u0062np").replace('"method"', '"\\u006dethod"').encode()
    assert one(kind, b"\r\n " + backwards) == one(kind, escaped) == expected


def test_names_beyond_ascii(kind: Any) -> None:
    """A text is hashed as UTF-8, and 128 characters are allowed however many bytes they take."""
    name = "Crédit Agricole ☕" + "é" * 111
    value = json.dumps({**GOOD, "merchant_id": name}, ensure_ascii=False).encode()
    assert one(kind, value)["merchant"] == hash_text(name)


def test_card_number_in_digits_of_another_script(kind: Any) -> None:
    """A card number is one in any digits and with any spaces."""
    arabic = CARD.translate({ord("0") + n: 0x0660 + n for n in range(10)})
    wide = CARD.replace(" ", "\u00a0")
    values = [json.dumps({**GOOD, "shopper_id": text}, ensure_ascii=False).encode() for text in (arabic, wide)]
    assert decode(kind, values).card_like == {"shopper_id": 2}


def test_own_words_of_a_platform(kind: Any) -> None:
    """The policy's words are statuses; a word it ignores is counted and not in the columns."""
    policy = load_policy('[statuses]\nKO = "declined"\nauthorised = "approved"\narchived = "ignore"\n')
    values = [changed(status=word) for word in ("KO", "authorised", "archived", "pending", "refunded", "cancelled")]
    decoded = decode(kind, values, policy=policy)
    assert decoded.columns.status.tolist() == [DECLINED, APPROVED, PENDING, CANCELLED]
    assert decoded.columns.offset.tolist() == [100, 101, 103, 105]
    assert (decoded.ignored, decoded.rejects) == (2, [])


def test_dimensions_of_the_policy(kind: Any) -> None:
    """A leaf has one value for each dimension; what a payment does not name is `none`, and so for orders."""
    policy = load_policy('dimensions = ["bank", "method", "psp", "channel"]\n')
    names = Names(policy)
    values = [changed(psp="adyen"), changed(channel="web"), order(bank="bnp", method="card", channel="web", psp="x")]
    decoded = decode(kind, values, "mixed", policy, names)
    leaves = [names.leaves[number] for number in decoded.columns.leaf]
    assert leaves == [("bnp", "card", "adyen", "none"), ("bnp", "card", "none", "web"), ("bnp", "card", "none", "web")]


def test_leaves_past_the_limit(kind: Any) -> None:
    """Past the limit on leaves every new one is `other`, and those that were there stay."""
    policy = load_policy("[limits]\nleaves_max = 2\n")
    names = Names(policy)
    decoded = decode(kind, [changed(bank=bank) for bank in ("a", "b", "c", "a", "d", "b")], policy=policy, names=names)
    expected = [("a", "card"), ("b", "card"), ("other", "other"), ("a", "card"), ("other", "other"), ("b", "card")]
    assert [names.leaves[number] for number in decoded.columns.leaf] == expected


def test_log_times(kind: Any) -> None:
    """From Kafka an event's log time is its record's, for every event that is kept."""
    values = [changed(), b"{", changed(status="refunded"), changed()]
    decoder = kind(DEFAULT, Names(DEFAULT))
    decoded = decoder.decode(values, "payments", np.array([11, 12, 13, 14]), np.array([5, 6, 7, 9]))
    assert (decoded.columns.log_time.tolist(), decoded.columns.offset.tolist()) == ([11, 14], [5, 9])
    decoded = decoder.decode(values, "payments", np.array([-1, 12, 13, 14]), np.array([5, 6, 7, 9]))
    assert decoded.columns.log_time.tolist() == [decoded.columns.occurred_at[0], 14]


def test_empty_batch(kind: Any) -> None:
    """No events make no columns."""
    decoded = decode(kind, [])
    assert (len(decoded.columns), decoded.rejects, decoded.ignored, decoded.card_like) == (0, [], 0, {})


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_bad_record(kind: Any, bad: Bad) -> None:
    """A bad record is refused alone, with its reason and field, and costs its neighbours nothing."""
    good = [order(), order(status="confirmed")] if bad.topic == "orders" else [changed(), changed(payment_id="pay-2")]
    topic: Any = bad.topic
    alone, between = decode(kind, [bad.value], topic), decode(kind, [good[0], bad.value, good[1]], topic)
    assert [(reject.index, reject.reason, reject.field) for reject in alone.rejects] == [(0, bad.reason, bad.field)]
    assert [(reject.index, reject.reason, reject.field) for reject in between.rejects] == [(1, bad.reason, bad.field)]
    assert between.columns.offset.tolist() == [100, 102]
    assert _lists(between.columns, skip="offset") == _lists(decode(kind, good, topic).columns, skip="offset")


def test_all_bad_records_at_once(kind: Any) -> None:
    """A batch of nothing but bad records refuses each of them."""
    values = [bad.value for bad in BAD if bad.topic == "payments"]
    decoded = decode(kind, values)
    assert [reject.index for reject in decoded.rejects] == list(range(len(values)))
    assert len(decoded.columns) == 0


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_words_of_a_refusal(bad: Bad) -> None:
    """A refusal is explained in words, first fault first, and without the value that was wrong."""
    topic: Any = bad.topic
    faults = explain(bad.value, topic, DEFAULT)
    assert (faults[0].reason, faults[0].field) == (bad.reason, bad.field)
    assert all(fault.message and not fault.message[0].isupper() for fault in faults)
    values = (value for value in _strings(bad.value) if len(value) > 3)
    assert not any(value in fault.message for value in values for fault in faults)


def test_card_numbers(kind: Any) -> None:
    """A value that looks like a card number is counted like any other, its event too, and its name is kept nowhere."""
    names = Names(DEFAULT)
    ids = ("payment_id", "order_id", "shopper_id", "instrument_id", "merchant_id")
    fields = (*ids, "bank", "method", "code", "network")
    values = [changed(**{field: CARD}) for field in fields]
    decoded = decode(kind, [*values, changed(merchant_id="4111111111111112")], names=names)
    assert (len(decoded.columns), decoded.rejects) == (len(fields) + 1, [])
    assert decoded.card_like == dict.fromkeys(fields, 1)
    assert int(decoded.columns.merchant[4]) == hash_text(CARD)
    hidden = f"card-like-{hash_text(CARD):016x}"
    assert names.merchant_name(hash_text(CARD)) == hidden
    assert set(names.leaves) == {("bnp", "card"), (hidden, "card"), ("bnp", hidden)}
    assert names.codes == [hidden]


def test_card_number_in_a_bad_event(kind: Any) -> None:
    """A refusal never quotes a card number, be it the status itself."""
    for value in (changed(status=CARD), changed(currency=CARD), changed(occurred_at=CARD), spliced(b', "bank": 1')):
        (reject,) = decode(kind, [value]).rejects
        assert "1111" not in f"{reject.field} {words_of(value, 'payments', DEFAULT)}"


def _lists(columns: Columns, skip: str) -> dict[str, list[int]]:
    return {name: getattr(columns, name).tolist() for name in Columns.__slots__ if name != skip}


def _strings(value: bytes) -> list[str]:
    """The texts that only this record holds."""
    try:
        plain = json.loads(value)
    except (ValueError, RecursionError):
        return []
    known = {str(item) for item in GOOD.values()} | {"placed"}
    return [item for item in (plain.values() if isinstance(plain, dict) else ()) if isinstance(item, str)
            and item not in known]  # fmt: skip
