"""Dead letters: a record that could not be counted, as it stands on the dead-letter topic, and reading it again.

Nothing that looks like a card number is written: a key, header or payload that holds one is left out. Keys and header
values are text; bytes that are no text are written as `base64:…`. Knows nothing of Kafka's clients, of why a record
is wrong, or of when it may be sent again.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from detector.contracts.moments import EPOCH_MS_MAX

KEY_BYTES_MAX: Final = 1024
HEADERS_MAX: Final = 32
HEADER_BYTES_MAX: Final = 512
WORD_CHARACTERS_MAX: Final = 128
LETTER_BYTES_MAX: Final = 1024 * 1024
FLOOD: Final = "flood"
"""The reason of a letter that stands for many records; any other is the decoder's."""

Header = tuple[str, bytes | None]

_BASE64: Final = "base64:"
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_RUN: Final = re.compile(r"[0-9](?:[\s\-]*[0-9]){12,}")
_DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-") | {0: None}
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_LENGTHS: Final = range(13, 20)
_LOOKED_AT_MAX: Final = 64
"""A longer run of digits holds a card number as good as surely, and looking at all of it would cost the worker time."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, read. `key`, `value` are None where they were absent or left out; times are epoch ms."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[Header, ...]
    reason: str
    field: str | None
    received_at_ms: int
    value: bytes | None


_Count = Annotated[int, msgspec.Meta(ge=0)]
_Ms = Annotated[int, msgspec.Meta(ge=0, le=EPOCH_MS_MAX)]


class _Wire(msgspec.Struct):
    """The DeadLetter contract's fields; unknown ones are ignored."""

    topic: str
    partition: _Count
    offset: _Count
    reason: str
    received_at: _Ms
    key: str | None = None
    headers: dict[str, str | None] = {}
    field: str | None = None
    payload: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Wire)


def dead_letter(
    record_topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    headers: Sequence[Header] | None,
    reason: str,
    field: str | None,
    received_at_ms: int,
    value: bytes | None,
    payload_bytes_max: int,
) -> bytes:
    """The dead letter of one record as JSON; `reason` is our own word, `field` may be the sender's.

    A larger payload than the policy's limit, `payload_bytes_max`, is left out.
    """
    wire = _Wire(
        topic=record_topic,
        partition=partition,
        offset=offset,
        key=_text(_kept(short_key(key))),
        headers=_headers(headers or ()),
        reason=reason[:WORD_CHARACTERS_MAX],
        field=None if field is None else _field(field),
        received_at=received_at_ms,
        payload=_payload(_kept(_short(value, payload_bytes_max))),
    )
    return _encoder.encode(wire)


def shortened(letter: bytes) -> bytes | None:
    """A letter that its topic finds too large, without its payload, next without key and headers, next without what it
    says of the field, which may be the sender's word; None where nothing is left to leave out."""
    wire = _decoder.decode(letter)
    if wire.payload:
        wire.payload = None
    elif wire.key or wire.headers:
        wire.key, wire.headers = None, {}
    elif wire.field and wire.reason != FLOOD:
        wire.field = None
    else:
        return None
    return _encoder.encode(wire)


def read_letter(data: bytes) -> Letter:
    """Read `dead_letter`'s bytes. Raises ValueError on anything else."""
    if len(data) > LETTER_BYTES_MAX:
        raise ValueError(f"a dead letter has at most {LETTER_BYTES_MAX} bytes; got {len(data)}")
    try:
        wire = _decoder.decode(data)  # msgspec.DecodeError is a ValueError
    except RecursionError:
        raise ValueError("a dead letter is flat; got one nested too deep") from None
    return Letter(
        wire.topic,
        wire.partition,
        wire.offset,
        _bytes(wire.key),
        tuple((name, _bytes(text)) for name, text in wire.headers.items()),
        wire.reason,
        wire.field,
        wire.received_at,
        None if wire.payload is None else _unbase64(wire.payload),
    )


def holds_card_like(data: bytes) -> bool:
    """Whether the bytes hold what looks like a card number, also behind JSON escapes, wide digits or UTF-16.

    Wider than the test of a single value on purpose: any 13 to 19 neighbouring digits may be one, but in a run of at
    most 19 digits that begins with 1, which are times and never cards.
    """
    return any(_run_holds(match.group()) for match in _RUN.finditer(_plain(data)))


def short_key(key: bytes | None) -> bytes | None:
    """The key, where a letter has room for it."""
    return _short(key, KEY_BYTES_MAX)


def short_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    """What of a record's headers a letter has room for: the first, without values and names that are too long."""
    first = itertools.islice(headers, HEADERS_MAX)
    return tuple((name, _short(value, HEADER_BYTES_MAX)) for name, value in first if len(name) <= WORD_CHARACTERS_MAX)


def _short(data: bytes | None, bytes_max: int) -> bytes | None:
    return None if data is None or len(data) > bytes_max else data


def _kept(data: bytes | None) -> bytes | None:
    """The bytes, or None where they may not be kept."""
    return None if data is None or holds_card_like(data) else data


def _headers(headers: Iterable[Header]) -> dict[str, str | None]:
    """The headers whose name and value may be kept; of equal names the last, which is the one Kafka means."""
    return {name: _text(_kept(value)) for name, value in short_headers(headers)
            if not holds_card_like(name.encode("utf-8", "replace"))}  # fmt: skip


def _field(field: str) -> str | None:
    """A field's name can be the sender's own word, so it is looked at like a value."""
    return None if holds_card_like(field.encode("utf-8", "replace")) else field[:WORD_CHARACTERS_MAX]


def _text(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = _BASE64
    # Text that begins like our mark is marked too, so that reading it again is never ambiguous.
    return _BASE64 + base64.b64encode(data).decode() if text.startswith(_BASE64) else text


def _bytes(text: str | None) -> bytes | None:
    if text is None or not text.startswith(_BASE64):
        return None if text is None else text.encode()
    return _unbase64(text.removeprefix(_BASE64))


def _payload(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a dead letter's bytes are base64; got {error}") from None


def _plain(data: bytes) -> str:
    """The bytes as text in which a card number is a run of ASCII digits, spaces and hyphens."""
    if data.isascii() and b"\\u" not in data and b"\0" not in data:
        return data.decode("ascii")
    text = data.replace(b"\0", b"").decode("utf-8", "replace")
    text = _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), text)
    return _digits(unicodedata.normalize("NFKC", text.translate(_DASHES)))


def _digits(text: str) -> str:
    """Every script's decimal digits as ASCII digits."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def _run_holds(run: str) -> bool:
    digits = [int(character) for character in itertools.islice(filter(str.isdigit, run), _LOOKED_AT_MAX + 1)]
    if len(digits) > _LOOKED_AT_MAX:
        return True
    if len(digits) <= _LENGTHS[-1] and digits[0] == 1 and run.isdigit():
        return False
    sums = _luhn_sums(digits)
    return any(
        2 <= digits[start] <= 6 and _passes(sums, start, start + length)
        for start in range(len(digits) - _LENGTHS[0] + 1)
        for length in _LENGTHS
        if start + length <= len(digits)
    )


def _luhn_sums(digits: list[int]) -> tuple[list[int], list[int]]:
    """Running Luhn sums, digits at even (0) or odd (1) places taken as they are and the others doubled."""
    even, odd = (
        list(itertools.accumulate((d if at % 2 == parity else _DOUBLED[d] for at, d in enumerate(digits)), initial=0))
        for parity in (0, 1)
    )
    return even, odd


def _passes(sums: tuple[list[int], list[int]], start: int, stop: int) -> bool:
    """Whether the digits from `start` up to `stop` pass Luhn: the last one counts as it is."""
    running = sums[(stop - 1) % 2]
    return (running[stop] - running[start]) % 10 == 0
