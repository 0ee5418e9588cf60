"""Hostile records: every way we know in which an event can be wrong, with the reason and field that its refusal names.

Each is a payment event unless the table says otherwise, built from `GOOD` by one change or written out.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

GOOD: dict[str, Any] = {
    "payment_id": "pay-1",
    "order_id": "ord-1",
    "bank": "bnp",
    "method": "card",
    "status": "approved",
    "occurred_at": 1_772_000_000_000,
    "merchant_id": "shop-1",
    "amount": 1999,
    "currency": "EUR",
}
GOOD_ORDER: dict[str, Any] = {"order_id": "ord-1", "status": "placed", "occurred_at": 1_772_000_000_000}


class Bad(NamedTuple):
    """A record that must be refused."""

    name: str
    value: bytes
    reason: str
    field: str = ""
    topic: str = "payments"


def changed(**fields: Any) -> bytes:
    """`GOOD` with other values."""
    return json.dumps({**GOOD, **fields}).encode()


def without(*names: str) -> bytes:
    """`GOOD` with fields left out."""
    return json.dumps({name: value for name, value in GOOD.items() if name not in names}).encode()


def order(**fields: Any) -> bytes:
    """`GOOD_ORDER` with other values."""
    return json.dumps({**GOOD_ORDER, **fields}).encode()


def spliced(extra: bytes) -> bytes:
    """`GOOD` with raw bytes before its closing brace."""
    return json.dumps(GOOD).encode()[:-1] + extra + b"}"


_GOOD = json.dumps(GOOD).encode()
_TIME = b'"occurred_at": 1772000000000'

BAD = (
    Bad("empty", b"", "not_json"),
    Bad("blank", b" \n ", "not_json"),
    Bad("words", b"approved by bnp", "not_json"),
    Bad("cut off", _GOOD[:-1], "not_json"),
    Bad("cut off in a string", _GOOD[: _GOOD.index(b"bnp") + 1], "not_json"),
    Bad("a quote too few", _GOOD.replace(b'"bnp"', b'"bnp'), "not_json"),
    Bad("two objects in one record", _GOOD + b"," + _GOOD, "not_json"),
    Bad("two objects on two lines", _GOOD + b"\n" + _GOOD, "not_json"),
    Bad("closes a list it is not in", _GOOD + b"]", "not_json"),
    Bad("opens a string for its neighbour", _GOOD + b',{"bank":"', "not_json"),
    Bad("trailing comma", spliced(b","), "not_json"),
    Bad("missing colon", spliced(b', "code" "05"'), "not_json"),
    Bad("key without quotes", spliced(b', code: "05"'), "not_json"),
    Bad("single quotes", _GOOD.replace(b'"', b"'"), "not_json"),
    Bad("a comment", spliced(b"/* late */"), "not_json"),
    Bad("NaN in an extra field", spliced(b', "score": NaN'), "not_json"),
    Bad("a leading zero in an extra field", spliced(b', "score": 01'), "not_json"),
    Bad("a bare point in an extra field", spliced(b', "score": 1.'), "not_json"),
    Bad("a wrong literal in an extra field", spliced(b', "vip": True'), "not_json"),
    Bad("a wrong escape in an extra field", spliced(b', "note": "\\x41"'), "not_json"),
    Bad("half a surrogate in an extra field", spliced(b', "note": "\\ud83d"'), "not_json"),
    Bad("a raw line feed in an extra field", spliced(b', "note": "a\nb"'), "not_json"),
    Bad("a raw NUL in an extra field", spliced(b', "note": "a\x00b"'), "not_json"),
    Bad("brackets closed crosswise", spliced(b', "extra": [{"a": 1]}'), "not_json"),
    Bad("a number past every reader in an extra field", spliced(b', "n": ' + b"9" * 5000), "not_json"),
    Bad("an endless exponent in an extra field", spliced(b', "n": 1e999'), "not_json"),
    Bad("byte order mark", b"\xef\xbb\xbf" + _GOOD, "not_json"),
    Bad("UTF-16", json.dumps(GOOD).encode("utf-16"), "not_utf8"),
    Bad("Latin-1 in a field", _GOOD.replace(b"bnp", b"cr\xe9dit"), "not_utf8"),
    Bad("Latin-1 in an extra field", spliced(b', "note": "caf\xe9"'), "not_utf8"),
    Bad("a surrogate in UTF-8", spliced(b', "note": "\xed\xa0\x80"'), "not_utf8"),
    Bad("an overlong slash", spliced(b', "note": "\xc0\xaf"'), "not_utf8"),
    Bad("past the last code point", spliced(b', "note": "\xf4\x90\x80\x80"'), "not_utf8"),
    Bad("a list", b"[" + _GOOD + b"]", "not_an_object"),
    Bad("a string", b'"approved"', "not_an_object"),
    Bad("null", b"null", "not_an_object"),
    Bad("a number", b"42", "not_an_object"),
    Bad("too deep in an extra field", spliced(b', "extra": ' + b"[" * 16 + b"]" * 16), "too_deep"),
    Bad("far too deep", b'{"a":' * 100_000, "too_deep"),
    Bad("far too deep in lists", b"[" * 100_000, "too_deep"),
    Bad("bank twice", spliced(b', "bank": "axis"'), "duplicate_key", "bank"),
    Bad("bank twice, once escaped", spliced(b', "b\\u0061nk": "axis"'), "duplicate_key", "bank"),
    Bad("an extra field twice", spliced(b', "note": 1, "note": 1'), "duplicate_key"),
    Bad("empty object", b"{}", "missing_field", "payment_id"),
    Bad("no payment id", without("payment_id"), "missing_field", "payment_id"),
    Bad("no order id", without("order_id"), "missing_field", "order_id"),
    Bad("no bank", without("bank"), "missing_field", "bank"),
    Bad("no method", without("method"), "missing_field", "method"),
    Bad("no status", without("status"), "missing_field", "status"),
    Bad("no time", without("occurred_at"), "missing_field", "occurred_at"),
    Bad("several missing: the first is named", without("bank", "order_id"), "missing_field", "order_id"),
    Bad("an order event among payments", order(), "missing_field", "payment_id"),
    Bad("bank null", changed(bank=None), "wrong_type", "bank"),
    Bad("bank a number", changed(bank=30004), "wrong_type", "bank"),
    Bad("payment id a number", changed(payment_id=1), "wrong_type", "payment_id"),
    Bad("method a list", changed(method=["card"]), "wrong_type", "method"),
    Bad("order id an object", changed(order_id={"id": "ord-1"}), "wrong_type", "order_id"),
    Bad("status a boolean", changed(status=True), "wrong_type", "status"),
    Bad("merchant a number", changed(merchant_id=5), "wrong_type", "merchant_id"),
    Bad("code a number", changed(code=5), "wrong_type", "code"),
    Bad("channel a boolean", changed(channel=False), "wrong_type", "channel"),
    Bad("amount a text", changed(amount="1999"), "wrong_type", "amount"),
    Bad("amount a fraction", changed(amount=19.99), "wrong_type", "amount"),
    Bad("amount a whole fraction", changed(amount=1999.0), "wrong_type", "amount"),
    Bad("amount a boolean", changed(amount=True), "wrong_type", "amount"),
    Bad("time a fraction", changed(occurred_at=1_772_000_000.5), "wrong_type", "occurred_at"),
    Bad("time a boolean", changed(occurred_at=True), "wrong_type", "occurred_at"),
    Bad("time null", changed(occurred_at=None), "wrong_type", "occurred_at"),
    Bad("time in exponent form", _GOOD.replace(_TIME, b'"occurred_at": 1.772e12'), "wrong_type", "occurred_at"),
    Bad("empty bank", changed(bank=""), "empty", "bank"),
    Bad("empty optional field", changed(shopper_id=""), "empty", "shopper_id"),
    Bad("bank of 129 characters", changed(bank="b" * 129), "too_long", "bank"),
    Bad("payment id of a megabyte", changed(payment_id="p" * 1_000_000), "too_long", "payment_id"),
    Bad("129 characters of two bytes", json.dumps({**GOOD, "bank": "é" * 129}, ensure_ascii=False).encode(),
        "too_long", "bank"),
    Bad("a line feed in the bank", changed(bank="b\nnp"), "control_character", "bank"),
    Bad("a line feed at the end", changed(bank="bnp\n"), "control_character", "bank"),
    Bad("a NUL in the order id", changed(order_id="ord\x00"), "control_character", "order_id"),
    Bad("DEL in the method", changed(method="card\x7f"), "control_character", "method"),
    Bad("raw DEL in the method", _GOOD.replace(b'"card"', b'"card\x7f"'), "control_character", "method"),
    Bad("a C1 control in the code", changed(code="0\x85"), "control_character", "code"),
    Bad("a raw C1 control in the code", spliced(b', "code": "0\xc2\x85"'), "control_character", "code"),
    Bad("an escape sequence for terminals", changed(merchant_id="\x1b[31mshop"), "control_character", "merchant_id"),
    Bad("amount below nothing", changed(amount=-1), "out_of_range", "amount"),
    Bad("amount of a thousand digits", changed(amount=10**1000), "out_of_range", "amount"),
    Bad("amount past what doubles hold", changed(amount=2**53), "out_of_range", "amount"),
    Bad("time before 1970", changed(occurred_at=-1), "out_of_range", "occurred_at"),
    Bad("time in nanoseconds", changed(occurred_at=1_772_000_000_000_000_000), "out_of_range", "occurred_at"),
    Bad("time past 64 bits", changed(occurred_at=2**64 + 1_772_000_000_000), "out_of_range", "occurred_at"),
    Bad("start out of range", changed(started_at=-5), "out_of_range", "started_at"),
    Bad("time without a zone", changed(occurred_at="2026-03-01T02:30:00"), "bad_time", "occurred_at"),
    Bad("time without seconds", changed(occurred_at="2026-03-01T02:30Z"), "bad_time", "occurred_at"),
    Bad("time on a day that is not", changed(occurred_at="2026-02-29T02:30:00Z"), "bad_time", "occurred_at"),
    Bad("time at 25 o'clock", changed(occurred_at="2026-03-01T25:30:00Z"), "bad_time", "occurred_at"),
    Bad("time in a zone of 25 hours", changed(occurred_at="2026-03-01T02:30:00+25:00"), "bad_time", "occurred_at"),
    Bad("time as digits in a text", changed(occurred_at="1772000000000"), "bad_time", "occurred_at"),
    Bad("time in digits of another script", changed(occurred_at="٢٠٢٦-03-01T02:30:00Z"), "bad_time", "occurred_at"),
    Bad("start yesterday", changed(started_at="yesterday"), "bad_time", "started_at"),
    Bad("currency in small letters", changed(currency="eur"), "bad_currency", "currency"),
    Bad("currency a sign", changed(currency="€"), "bad_currency", "currency"),
    Bad("currency of four letters", changed(currency="EURO"), "bad_currency", "currency"),
    Bad("currency with a line feed", changed(currency="EUR\n"), "bad_currency", "currency"),
    Bad("unknown status", changed(status="ok"), "unknown_status", "status"),
    Bad("status in capitals", changed(status="APPROVED"), "unknown_status", "status"),
    Bad("an order's status", changed(status="placed"), "unknown_status", "status"),
    Bad("order without its id", b'{"status": "placed", "occurred_at": 1}', "missing_field", "order_id", "orders"),
    Bad("order with a payment's status", order(status="approved"), "unknown_status", "status", "orders"),
    Bad("order with a number for a bank", order(bank=7), "wrong_type", "bank", "orders"),
    Bad("order without a time", b'{"order_id": "o", "status": "placed"}', "missing_field", "occurred_at", "orders"),
    Bad("line with payment id null", changed(payment_id=None), "wrong_type", "payment_id", "mixed"),
    Bad("line of an order with a payment's status", order(status="declined"), "unknown_status", "status", "mixed"),
)  # fmt: skip
