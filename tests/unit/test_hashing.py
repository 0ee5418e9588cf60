"""The hash is one function, however it is computed, and a good one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.counting.hashing import (
    hash_bytes,
    hash_text,
    hash_words,
    mix,
    mix_hashes,
    order_payment,
)  # fmt: skip

PINNED = [11_286_133_854_226_296_554, 1_563_386_357_872_685_072, 27_365_388_142_475_638]
HASHES = st.integers(1, 2**64 - 1)


@settings(deadline=None)  # the first call compiles
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=80), st.binary(max_size=9))
def test_same_hash_everywhere(text: str, before: bytes) -> None:
    """Plain Python, the byte loop and the word loop give the hash of the UTF-8 bytes, wherever they stand."""
    data = text.encode()
    buffer = np.frombuffer(before + data + b"\xff" * 16, np.uint8)
    start, stop = len(before), len(before) + len(data)
    expected = hash_text(text)
    assert hash_bytes(buffer, start, stop) == expected
    assert hash_words(buffer, start, stop) == expected


def test_pinned() -> None:
    """Hashes are on topics and in snapshots: they do not change between versions."""
    assert [hash_text(text) for text in ("", "bnp", "ord-0123456789")] == PINNED


@settings(deadline=None)
@given(HASHES, HASHES)
def test_mix_is_the_same_in_python(a: int, b: int) -> None:
    """`mix` and its plain Python are one function, never 0."""
    assert int(mix(np.uint64(a), np.uint64(b))) == mix_hashes(a, b) != 0


def test_order_of_mixing_counts() -> None:
    """A leaf's values in another order are another leaf."""
    assert mix_hashes(1, 2) != mix_hashes(2, 1)


def test_no_collision_among_like_ids() -> None:
    """Ids that count up, of every length, all have hashes of their own."""
    ids = {f"{prefix}{n}" for prefix in ("", "pay-", "order-of-the-day-") for n in range(50_000)}
    assert len({hash_text(text) for text in ids}) == len(ids)


def test_placed_orders_are_payments_of_their_own() -> None:
    """The payment of a placed order depends on the order and on when it was placed."""
    made = {int(order_payment(np.uint64(order), placed)) for order in range(1, 200) for placed in range(200)}
    assert len(made) == 199 * 200


def test_every_bit_spreads() -> None:
    """One bit more in an id changes each bit of the hash in about half of the cases."""
    changes = np.zeros(64)
    cases = [(n, bit) for n in range(400) for bit in range(5)]
    for n, bit in cases:
        text = f"pay-{n:06}"
        other = text[:7] + chr(ord(text[7]) ^ (1 << bit)) + text[8:]
        difference = hash_text(text) ^ hash_text(other)
        changes += [difference >> place & 1 for place in range(64)]
    share = changes / len(cases)
    assert 0.45 < share.min() <= share.max() < 0.55
