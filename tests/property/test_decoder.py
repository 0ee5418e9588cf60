"""The scanner, the reference and the contracts in words take the same events and make the same of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.contracts.card import card_like
from detector.contracts.moments import epoch_ms
from detector.contracts.policy import DEFAULT, Policy, load_policy
from detector.counting.columns import NONE, Columns
from detector.counting.decoder import Decoder
from detector.counting.fields import looks_like_card, read_time
from detector.counting.names import Names
from detector.counting.reference import Decoded, ReferenceDecoder, Topic, explain
from tests.unit.bad_records import BAD, GOOD, GOOD_ORDER

WIDE = load_policy('dimensions = ["bank", "method", "psp", "network"]\n[limits]\nleaves_max = 6\ncodes_max = 3\n')
TOPICS: st.SearchStrategy[Topic] = st.sampled_from(("payments", "orders", "mixed"))

TEXTS = st.one_of(
    st.sampled_from(("bnp", "card", "pix", "05", "approved", "placed", "cancelled", "refunded", "EUR", "eur", "")),
    st.sampled_from(("4111111111111111", "4111 1111 1111 1111", "4111111111111112", "x" * 128, "y" * 129, "é" * 128)),
    st.sampled_from(("Cré" + "é" * 125, "Cré" + "é" * 126, "é\x85a", "é\xa0a", "٤" + "١" * 15, "☕\U0001f600 a")),
    st.sampled_from(("2026-03-01T02:30:00Z", "2026-03-01T02:30:00.12+02:00", "2026-02-29T02:30:00Z", "a\x7f", "a\n")),
    st.from_regex(r"(19|20)\d\d-[0-3]\d-[0-3]\d[Tt ][0-2]\d:[0-6]\d:[0-6]\d(\.\d{0,4})?(Z|z|[+-][0-2]\d:[0-6]\d)?",
                  fullmatch=True),
    st.from_regex(r"[2-6][0-9 -]{11,20}", fullmatch=True),
    st.text(max_size=12),
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from((0, -1, 1_772_000_000_000, 253_402_300_799_999, 253_402_300_800_000, 2**53 - 1, 2**53, 10**18,
                     10**19, 2**63, 2**64 + 5, True, False, 1.0, 1.5, 1e300)),
    st.integers(),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KNOWN = ("payment_id", "order_id", "bank", "method", "status", "occurred_at", "started_at", "merchant_id", "shopper_id",
         "instrument_id", "amount", "currency", "code", "network", "psp", "country", "channel")  # fmt: skip
STRANGERS = st.sampled_from(("paymentid", "payment_idx", "bank\u0000", "Bank", "instrument_id_of_16"))
KEYS = st.sampled_from(KNOWN) | STRANGERS | st.text(max_size=9)
INSERTS = st.sampled_from(
    (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\n", b"\x00", b"\xc3\xa9", b"\xff", b"0", b"-", b".5", b"e5",
     b"e999", b" ", b'"bank":"x",', b'"note":1,', b"null", b"tru", b"\\u0061", b"\\ud83d", b"\\ude00", b"\x7f")
)  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """An event that is good but for a few changes of its fields, its spelling and its bytes."""
    plain: dict[str, Any] = dict(draw(st.sampled_from((GOOD, GOOD_ORDER, {**GOOD, "code": "91", "psp": "p"}))))
    for key, value in draw(st.lists(st.tuples(KEYS, VALUES), max_size=3)):
        plain[key] = value
    for key in draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=1)):
        plain.pop(key, None)
    ascii_only, indent = draw(st.booleans()), draw(st.sampled_from((None, None, 1)))
    separators = draw(st.sampled_from((None, (",", ":"), (",", ":"), (" ,", ":  "))))
    text = json.dumps(plain, ensure_ascii=ascii_only, indent=indent, separators=separators)
    data = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from((0, 0, 1, 2)))):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(INSERTS) + data[place + draw(st.integers(0, 2)) :]
    return data


HOSTILE = st.sampled_from([bad.value for bad in BAD if len(bad.value) < 1000])
BATCHES = st.lists(records() | HOSTILE, max_size=8)
COMMON = settings(max_examples=150, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))


class Dirty:
    """numpy, of which new memory holds what was left there: mostly it is clean, by chance."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any) -> Any:
        made = np.empty(shape, dtype)
        made.view(np.uint8)[...] = 0xA7
        return made


@pytest.fixture(autouse=True, scope="module")
def _dirty_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detector.counting.decoder.np", Dirty())
        yield


def named(decoded: Decoded, names: Names) -> list[tuple[Any, ...]]:
    """The columns event by event, with names in place of numbers."""
    columns = decoded.columns
    arrays = {name: getattr(columns, name).tolist() for name in Columns.__slots__}
    arrays["leaf"] = [names.leaves[number] if number != NONE else None for number in arrays["leaf"]]
    arrays["code"] = [names.codes[number] if number != NONE else None for number in arrays["code"]]
    return list(zip(*arrays.values(), strict=True))


def outcome(decoder: Decoder | ReferenceDecoder, names: Names, values: list[bytes], topic: Topic) -> tuple[Any, ...]:
    """All that decoding a batch came to."""
    offsets = np.arange(len(values))
    decoded = decoder.decode(values, topic, None, offsets)
    return named(decoded, names), decoded.rejects, decoded.ignored, decoded.card_like


@pytest.mark.parametrize("policy", [DEFAULT, WIDE], ids=["default", "wide"])
@COMMON
@given(batches=st.lists(BATCHES, min_size=1, max_size=3), topic=TOPICS)
def test_scanner_is_the_reference(policy: Policy, batches: list[list[bytes]], topic: Topic) -> None:
    """Batch after batch, both decoders give the same events, refusals and counts, and have met the same names."""
    fast_names, slow_names = Names(policy), Names(policy)
    fast, slow = Decoder(policy, fast_names), ReferenceDecoder(policy, slow_names)
    for values in [*batches, *batches]:
        assert outcome(fast, fast_names, values, topic) == outcome(slow, slow_names, values, topic), values
    assert set(fast_names.leaves) == set(slow_names.leaves)


@pytest.mark.parametrize("names", [1, 5, 400])
def test_a_first_batch_is_met_as_the_reference_meets_it(names: int) -> None:
    """Thousands of events of which no name is known, nor may be all along, with bad ones among them."""
    random = Random(names)

    def event() -> bytes:
        if random.random() < 0.1:
            return random.choice(BAD).value
        said = {field: f"{field}-{random.randrange(names)}" for field in ("bank", "method", "merchant_id", "code")}
        return json.dumps({**GOOD, **said, "status": random.choice(("approved", "declined", "refunded"))}).encode()

    values = [event() for _ in range(4_000)]
    fast_names, slow_names = Names(DEFAULT), Names(DEFAULT)
    fast, slow = Decoder(DEFAULT, fast_names), ReferenceDecoder(DEFAULT, slow_names)
    assert outcome(fast, fast_names, values, "payments") == outcome(slow, slow_names, values, "payments")
    assert fast_names.leaves == slow_names.leaves


@COMMON
@given(value=records(), topic=TOPICS)
def test_contracts_take_what_the_decoder_takes(value: bytes, topic: Topic) -> None:
    """What is refused has a fault in the words of the contracts, and what has none is taken."""
    decoded = Decoder(DEFAULT, Names(DEFAULT)).decode([value], topic, None, np.zeros(1, np.int64))
    faults = explain(value, topic, DEFAULT)
    refused = [(reject.reason, reject.field) for reject in decoded.rejects]
    assert refused == [(fault.reason, fault.field) for fault in faults[:1]], value


@COMMON
@given(values=BATCHES, topic=TOPICS, data=st.data())
def test_batches_do_not_matter(values: list[bytes], topic: Topic, data: st.DataObject) -> None:
    """However a stretch of events is cut into batches, the same comes of each event: neighbours cannot touch it."""
    cut = data.draw(st.integers(0, len(values)))
    names, other_names = Names(DEFAULT), Names(DEFAULT)
    whole, _, *counts = outcome(Decoder(DEFAULT, names), names, values, topic)
    decoder = Decoder(DEFAULT, other_names)
    parts = [outcome(decoder, other_names, part, topic) for part in (values[:cut], values[cut:])]
    offset = Columns.__slots__.index("offset")
    expected = [row[:offset] for row in whole]
    assert [row[:offset] for part in parts for row in part[0]] == expected
    assert sum(part[2] for part in parts) == counts[0]


DIGITS = st.text("0123456789", min_size=11, max_size=20).map(list)


@COMMON
@given(text=st.text("0123456789 -x", min_size=12, max_size=24) | st.tuples(DIGITS, st.sampled_from(("", " ", "-"))).map(
    lambda parts: parts[1].join(parts[0])))  # fmt: skip
def test_card_numbers_by_both_readers(text: str) -> None:
    """The loop calls the same ASCII texts card numbers as the contract does: each check digit is tried."""
    for last in "0123456789":
        data = (text + last).encode()
        assert looks_like_card(np.frombuffer(data, np.uint8), 0, len(data)) == card_like(text + last), text + last


@COMMON
@given(
    moment=st.tuples(st.integers(1968, 2105), st.integers(0, 13), st.integers(0, 32)),
    clock=st.tuples(st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)),
    fraction=st.sampled_from(("", ".", ".5", ".0079999")),
    zone=st.sampled_from(("", "Z", "+00:00", "-03:30", "+23:59", "+24:00", "+0200", "+02:60")),
)
def test_times_by_both_readers(moment: tuple[int, ...], clock: tuple[int, ...], fraction: str, zone: str) -> None:
    """A time that the loop reads is the contract's; one that it leaves is wrong, or a leap second."""
    text = f"{moment[0]:04}-{moment[1]:02}-{moment[2]:02}T{clock[0]:02}:{clock[1]:02}:{clock[2]:02}{fraction}{zone}"
    data = text.encode()
    read = read_time(np.frombuffer(data + b"\n" * 8, np.uint8), 0, len(data))
    try:
        expected = epoch_ms(text)
    except ValueError:
        expected = -1
    assert read == (-1 if clock[2] == 60 else expected), text


COMPACT = json.dumps(GOOD, separators=(",", ":")).encode()
SPACED = json.dumps(GOOD).encode()
CHANGES = (
    (b'"bank":', b'"bank" :'), (b'"bank":', b'"bank":\n'), (b"bank", b"banc"), (b'"bank":', b'"order_id":'),
    (b'"bank":', b'"bank"'), (b'"bank":', b"bank:"), (b',"bank":', b', "bank":'), (b',"bank":', b',\t"bank":'),
    (b'"bnp"', b""), (b'"bnp"', b"\x00"),
)  # fmt: skip
AFTER = [
    COMPACT, SPACED, json.dumps(dict(reversed(GOOD.items())), separators=(",", ":")).encode(),
    *(COMPACT.replace(*change) for change in CHANGES), *(COMPACT[:end] for end in range(1, len(COMPACT))),
]  # fmt: skip


@pytest.mark.parametrize("before", [COMPACT, SPACED], ids=["compact", "spaced"])
def test_what_is_expected_changes_nothing(before: bytes) -> None:
    """An event in the usual layout, then one that is like it up to somewhere: as the reference reads it, whatever
    stands behind it."""
    for value in AFTER:
        for behind in (before, b'"x"}', b":1,", b'":"bnp"}'):
            fast, slow = Names(DEFAULT), Names(DEFAULT)
            values = [before, value, behind, before]
            found = outcome(Decoder(DEFAULT, fast), fast, values, "payments")
            assert found == outcome(ReferenceDecoder(DEFAULT, slow), slow, values, "payments"), values
