"""What spoils a record: its bytes, its words, its values, its key and headers, its time. Each way has a name.

Every way is a function of a seeded chance and a sound record; what it makes may still be sound, which is for others to
say. Knows JSON and what producers get wrong; nothing of batches, nor of who reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.property.batches import Written
from tests.unit.bad_records import BAD

__all__ = ["CARDS", "WAYS", "Way", "spoilt"]

CARDS: Final = ("4111111111111111", "5500005555555559", "340000000000009", "6011000990139424", "4222222222222")
"""Numbers that pass for those of cards, planted in all places: none may ever come out."""

FIELDS: Final = ("payment_id", "order_id", "bank", "method", "status", "occurred_at", "started_at", "merchant_id",
                 "shopper_id", "instrument_id", "amount", "currency", "code", "network", "psp", "country",
                 "channel")  # fmt: skip
TOKENS: Final = (
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"null", b"true", b"false", b"NaN", b"-Infinity", b"0", b"-",
    b"1.5", b"1e5", b"1e999", b"01", b"+1", b".5", b"0x1F", b"'", b"//", b"\n", b"\t", b" ", b"\x00", b"\x1b[31m",
    b"\x7f", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3\xa9", b"\xe2\x80\xae",
    b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", b"\\u0000", b"\\u0061", b"\\ud83d", b"\\ud83d\\ude00",
    b"\\x41", b'"bank":"x",', b'"note":1,',
)  # fmt: skip
NUMBERS: Final = (
    0, -1, 1, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**18, 10**19, 10**40, 10**200, 1.0, -0.0,
    1.5, 1e300, 1e-300, True, False, 253_402_300_799_999, 253_402_300_800_000, 1_772_000_000, 1_772_000_000_000_000,
)  # fmt: skip
WORDS: Final = (
    "", " ", "a", "x" * 128, "x" * 129, "é" * 128, "é" * 129, "x" * 5_000, "b\nnp", "b\x00np", "\x1b[2J", "a\x7f",
    "a\x85b", "a\u2028b", "\ufeffbnp", "😀", "Crédit", "approved", "APPROVED", "placed", "refunded", "EUR", "eur",
    "1772000000000", "2026-02-25T06:13:20Z", "2026-02-25T06:13:20.5+02:00", "2026-02-30T00:00:00Z", "2026-02-25",
    "2026-02-25 06:13:20z", "2026-02-25T06:13:60Z", "null", "NaN", "'; drop table payments; --", "../../etc/passwd",
    "${jndi:ldap://x}", "%s%n", "<script>", "٤" + "١" * 15, *CARDS, "4111 1111 1111 1111", "4111-1111-1111-1111",
)  # fmt: skip
NAMES: Final = ("note", "", "Bank", "bank\x00", "payment_idx", "a" * 40, "ключ", '"', "\\", *CARDS[:2])

Way = Callable[[Random, Written], Written]


def _value(change: Callable[[Random, bytes], bytes]) -> Way:
    """A way that changes the value alone."""

    def way(random: Random, record: Written) -> Written:
        time_ms, key, value, headers = record
        return time_ms, key, change(random, value or b""), headers

    return way


def _said(change: Callable[[Random, dict[str, Any]], Any]) -> Way:
    """A way that changes what the object says, before it is written."""

    def written(random: Random, value: bytes) -> bytes:
        said = change(random, json.loads(value))
        ascii_, spaced = random.random() < 0.5, random.random() < 0.3
        text = json.dumps(said, ensure_ascii=ascii_, separators=None if spaced else (",", ":"))
        return text.encode("utf-8", "surrogatepass")

    return _value(written)


def _flip(random: Random, value: bytes) -> bytes:
    found = bytearray(value)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        found[random.randrange(len(found))] = random.randrange(256)
    return bytes(found)


def _flip_bit(random: Random, value: bytes) -> bytes:
    found = bytearray(value)
    found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def _cut(random: Random, value: bytes) -> bytes:
    return value[: random.randrange(len(value))]


def _cut_head(random: Random, value: bytes) -> bytes:
    return value[random.randrange(1, len(value)) :]


def _cut_out(random: Random, value: bytes) -> bytes:
    at = random.randrange(len(value))
    return value[:at] + value[at + random.randrange(1, 12) :]


def _double(random: Random, value: bytes) -> bytes:
    return value + random.choice((b"", b",", b"\n", b" ", b"\x00")) + value


def _double_part(random: Random, value: bytes) -> bytes:
    at = random.randrange(len(value))
    part = value[at : at + random.randrange(1, 40)]
    return value[:at] + part + value[at:]


def _token_in(random: Random, value: bytes) -> bytes:
    at = random.randrange(len(value) + 1)
    return value[:at] + random.choice(TOKENS) + value[at:]


def _token_for_token(random: Random, value: bytes) -> bytes:
    """Of the marks of JSON one for another."""
    places = [at for at, byte in enumerate(value) if byte in b'{}[]",:']
    at = random.choice(places)
    return value[:at] + random.choice(TOKENS) + value[at + 1 :]


def _swap(random: Random, value: bytes) -> bytes:
    """Two of the parts between commas change places."""
    parts = value.split(b",")
    one, other = random.randrange(len(parts)), random.randrange(len(parts))
    parts[one], parts[other] = parts[other], parts[one]
    return b",".join(parts)


def _noise(random: Random, _value: bytes) -> bytes:
    return random.randbytes(random.choice((0, 1, 7, 60, 300)))


def _not_utf8(random: Random, value: bytes) -> bytes:
    at = random.randrange(len(value))
    return value[:at] + random.choice((b"\xff", b"\xc3", b"\xe9t\xe9", b"\xf8\x88\x80\x80\x80", b"\x80")) + value[at:]


def _other_coding(random: Random, value: bytes) -> bytes:
    return value.decode().encode(random.choice(("utf-16", "utf-16-le", "utf-32", "cp500", "utf-8-sig")))


def _nuls(random: Random, value: bytes) -> bytes:
    at = random.randrange(len(value) + 1)
    return value[:at] + bytes(random.choice((1, 3, 64))) + value[at:]


def _deep(random: Random, value: bytes) -> bytes:
    depth = random.choice((5, 14, 15, 16, 17, 40, 1_000))
    opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inside = random.choice((b"1", b"", b'"x"'))
    return value[:-1] + b',"note":' + opened * depth + inside + closed * random.choice((depth, depth, depth - 1)) + b"}"


def _hostile(random: Random, _value: bytes) -> bytes:
    return random.choice(HOSTILE)


HOSTILE: Final = tuple(bad.value for bad in BAD if len(bad.value) < 10_000)


def _blank(random: Random, value: bytes) -> bytes:
    return random.choice(
        (b"", b" ", b"\n", b"{}", b"[]", b"null", b'""', b"0", b"[" + value + b"]", b'"' + value + b'"')
    )


def _other_value(random: Random, said: dict[str, Any]) -> Any:
    field = random.choice(FIELDS)
    said[field] = random.choice(
        (random.choice(NUMBERS), random.choice(WORDS), random.choice(WORDS), None, [], {}, [1], {"a": 1})
    )
    return said


def _other_number(random: Random, said: dict[str, Any]) -> Any:
    said[random.choice(("amount", "occurred_at", "started_at"))] = random.choice(NUMBERS)
    return said


def _other_word(random: Random, said: dict[str, Any]) -> Any:
    said[random.choice(FIELDS)] = random.choice(WORDS)
    return said


def _without(random: Random, said: dict[str, Any]) -> Any:
    for _ in range(random.choice((1, 1, 2))):
        said.pop(random.choice(list(said)), None)
    return said


def _renamed(random: Random, said: dict[str, Any]) -> Any:
    field = random.choice(list(said))
    said[random.choice((field.upper(), field + " ", field[:-1], *NAMES))] = said.pop(field)
    return said


def _stranger(random: Random, said: dict[str, Any]) -> Any:
    """A field more, which is allowed."""
    said[random.choice(NAMES)] = random.choice((*NUMBERS, *WORDS, [1, [2, {"é": None}]], {"a": {"b": []}}))
    return said


def _crowd(random: Random, said: dict[str, Any]) -> Any:
    return said | {f"note{number}": number for number in range(random.choice((20, 33, 200)))}


def _card(random: Random, said: dict[str, Any]) -> Any:
    """A card number where none may be, and perhaps something else wrong, so that a letter is written."""
    number = random.choice(CARDS)
    shown = random.choice((number, " ".join(number), f"{number[:4]} {number[4:8]}-{number[8:]}"))
    said[random.choice((*FIELDS, "note", shown))] = random.choice((shown, int(number)))
    if random.random() < 0.7:
        said["bank"] = 7
    return said


def _twice(random: Random, value: bytes) -> bytes:
    field = random.choice((*FIELDS, "note", "note"))
    said = b'"%s":"x",' % field.encode()
    return value[:1] + said + (said if field == "note" else b"") + value[1:]


def _escaped(random: Random, value: bytes) -> bytes:
    """Characters written as JSON escapes, which is allowed."""
    found = bytearray()
    for byte in value:
        plain = chr(byte).isalnum() and random.random() < 0.05
        found += b"\\u%04x" % byte if plain else bytes((byte,))
    return bytes(found)


def _long(random: Random, said: dict[str, Any]) -> Any:
    length = random.choice((129, 129, 129, 129, 1_000, 1_000, 1_000, 10_000))
    said[random.choice((*FIELDS, "note"))] = random.choice("xé\n4") * length
    return said


def _no_key(random: Random, record: Written) -> Written:
    return record[0], random.choice((None, b"", b"\xff\xfe", b"x" * 5_000, CARDS[0].encode())), record[2], record[3]


def _headers(random: Random, record: Written) -> Written:
    names = ("", "h", "a" * 300, "é", CARDS[1])
    values = (None, b"", b"v", b"\xff", b"x" * 2_000, CARDS[0].encode(), CARDS[2].encode("utf-16"))
    made = [(random.choice(names), random.choice(values)) for _ in range(random.choice((1, 3, 40)))]
    return _broken(random, (record[0], record[1], record[2], made))


def _broken(random: Random, record: Written) -> Written:
    return record[0], record[1], _cut(random, record[2] or b"x"), record[3]


def _tombstone(_random: Random, record: Written) -> Written:
    return record[0], record[1], None, record[3]


def _other_time(random: Random, record: Written) -> Written:
    """Kafka's time is the producer's, and may be any."""
    near = random.choice((-3_600_000, -60_000, 60_000, 3_300_000))
    return random.choice((record[0] + near, record[0] + near, 0, -1, 946_684_800_000)), *record[1:]


def _ahead(random: Random, said: dict[str, Any]) -> Any:
    """A clock that is wrong."""
    said["occurred_at"] += random.choice((30_000, 90_000, 3_600_000, 86_400_000 * 400))
    return said


def _sick_clock(random: Random, record: Written) -> Written:
    """A producer's clock that is wrong, in what it says and in Kafka's time."""
    by_ms = random.choice((90_000, 600_000, 3_600_000, 86_400_000))
    said = json.loads(record[2] or b"")
    said["occurred_at"] += by_ms
    return record[0] + by_ms, record[1], json.dumps(said).encode(), record[3]


def _behind(random: Random, said: dict[str, Any]) -> Any:
    said["occurred_at"] -= random.choice((5_000, 700_000, 86_400_000))
    return said


WAYS: Final[dict[str, Way]] = {
    "flip": _value(_flip), "flip bit": _value(_flip_bit), "cut": _value(_cut), "cut head": _value(_cut_head),
    "cut out": _value(_cut_out), "double": _value(_double), "double part": _value(_double_part),
    "token in": _value(_token_in), "token for token": _value(_token_for_token), "swap": _value(_swap),
    "noise": _value(_noise), "not utf-8": _value(_not_utf8), "other coding": _value(_other_coding),
    "nuls": _value(_nuls), "deep": _value(_deep), "hostile": _value(_hostile), "blank": _value(_blank),
    "other value": _said(_other_value), "other number": _said(_other_number), "other word": _said(_other_word),
    "without": _said(_without), "renamed": _said(_renamed), "stranger": _said(_stranger), "crowd": _said(_crowd),
    "card": _said(_card), "twice": _value(_twice), "escaped": _value(_escaped), "long": _said(_long),
    "no key": _no_key, "headers": _headers, "tombstone": _tombstone, "other time": _other_time,
    "ahead": _said(_ahead), "sick clock": _sick_clock, "behind": _said(_behind),
}  # fmt: skip
"""Every way by its name."""


def spoilt(random: Random, record: Written) -> tuple[str, Written]:
    """The record, spoilt in one way, now and then in two; and the way's name."""
    name = random.choice(_NAMES)
    record = WAYS[name](random, record)
    if random.random() < 0.1 and record[2]:
        record = _value(random.choice((_flip, _cut_out, _token_in)))(random, record)
    return name, record


_NAMES: Final = tuple(WAYS)
