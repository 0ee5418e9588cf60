"""Lines found eight bytes at once are those that splitting finds."""

from __future__ import annotations

import random

from detector.packed import Packed

SEEDS = 2_000
ALPHABET = b"\n\n\x0b\x09ab\x8a\xf5"
"""Line feeds, and bytes that differ from one in a bit or a borrow."""


def test_lines_are_those_of_split() -> None:
    """Whatever the bytes, empty lines and a last line without an end included."""
    for seed in range(SEEDS):
        draw = random.Random(seed)
        block = bytes(draw.choice(ALPHABET) for _ in range(draw.randrange(40)))
        expected = block.split(b"\n")
        if expected[-1] == b"":
            expected.pop()
        assert list(Packed.lines(block)) == expected, f"seed {seed}: {block!r}"


def test_texts_may_hold_line_feeds() -> None:
    """What was put together comes out as it was, by index and by slice."""
    texts = [b"", b"a\nb", b"\n", b"last"]
    packed = Packed.of(texts)
    assert list(packed) == texts
    assert packed[1:3] == texts[1:3]
    assert packed[-1] == b"last"
