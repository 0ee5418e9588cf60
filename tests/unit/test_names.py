"""Names have limits, and nothing in them looks like a card number."""

from __future__ import annotations

import numpy as np

from detector.contracts.policy import DEFAULT, load_policy
from detector.counting.hashing import hash_text
from detector.counting.names import ASK, Index, Names, leaf_key, look_up

CARD = "5500005555555559"
HIDDEN = f"card-like-{hash_text(CARD):016x}"
SMALL = load_policy("[limits]\nleaves_max = 2\ncodes_max = 2\nmerchant_names_max = 2\n")


def test_leaf_has_one_number() -> None:
    """A leaf is numbered when first met and keeps its number, hash and answer time."""
    names = Names(DEFAULT)
    assert [names.leaf(leaf) for leaf in (("bnp", "card"), ("bnp", "boleto"), ("bnp", "card"))] == [0, 1, 0]
    assert names.leaves == [("bnp", "card"), ("bnp", "boleto")]
    assert names.leaf_hash[:2].tolist() == [leaf_key(("bnp", "card")), leaf_key(("bnp", "boleto"))]
    assert names.answer_ms[:2].tolist() == [60_000, -1]


def test_leaves_past_the_limit() -> None:
    """Past the limit a leaf is the one that is `other` in every dimension; it comes on top of the limit."""
    names = Names(SMALL)
    assert [names.leaf((bank, "card")) for bank in "abcda"] == [0, 1, 2, 2, 0]
    assert names.leaves == [("a", "card"), ("b", "card"), ("other", "other")]
    assert int(names.leaf_hash[2]) == leaf_key(("other", "other"))


def test_a_leaf_that_is_called_other() -> None:
    """A leaf whose own values are `other` is the one that takes the rest."""
    names = Names(SMALL)
    assert [names.leaf(("other", "other")), names.leaf(("a", "b")), names.leaf(("c", "d"))] == [0, 1, 0]


def test_codes_past_the_limit() -> None:
    """Past the limit a code is `other`."""
    names = Names(SMALL)
    assert [names.code(text) for text in ("05", "91", "96", "05", "51")] == [0, 1, 2, 0, 2]
    assert names.codes == ["05", "91", "other"]


def test_merchants_past_the_limit() -> None:
    """Past the limit a merchant is called by its hash."""
    names = Names(SMALL)
    hashes = [names.merchant(text) for text in ("shop-1", "shop-2", "shop-3")]
    assert hashes == [hash_text(text) for text in ("shop-1", "shop-2", "shop-3")]
    assert [names.merchant_name(key) for key in hashes] == ["shop-1", "shop-2", f"merchant-{hashes[2]:016x}"]
    assert names.merchant_name(hash_text("unknown")) == "unknown"


def test_what_has_no_name_may_say_so() -> None:
    """A shop that writes the word for those that say nothing is known, as a loop sees it, on top of the limit."""
    names = Names(SMALL)
    for text in ("shop-1", "shop-2"):
        names.merchant(text)
    index = names.merchant_index
    assert [look_up(index.keys, index.numbers, ASK, np.uint64(hash_text(text))) for text in (
        "unknown", "shop-1", "shop-2", "shop-3")] == [0, 0, 0, ASK]  # fmt: skip


def test_card_numbers_are_not_kept() -> None:
    """A name that looks like a card number is replaced by its hash; two spellings of a leaf then share its number."""
    names = Names(DEFAULT)
    assert names.leaf((CARD, "card")) == names.leaf((HIDDEN, "card")) == 0
    assert names.code(CARD) == names.code(HIDDEN) == 0
    assert (names.leaves, names.codes) == ([(HIDDEN, "card")], [HIDDEN])
    assert names.merchant_name(names.merchant(CARD)) == HIDDEN


def test_index_finds_what_loops_look_up() -> None:
    """Every key put in is found again, also when the table is full; any other key gets `otherwise`."""
    index = Index(100)
    keys = [(n * 64) + 1 for n in range(100)]  # all begin at few places: chains
    for number, key in enumerate(keys):
        index.put(key, number)
    index.put(7, 700)
    found = [look_up(index.keys, index.numbers, index.otherwise, np.uint64(key)) for key in [*keys, 7]]
    assert found == [*range(100), ASK]


def test_index_and_names_agree() -> None:
    """What a loop finds for a leaf's hash is the number that `leaf` gives it, below and past the limit."""
    names = Names(SMALL)
    leaves = [(bank, "card") for bank in "abcd"]
    numbers = [names.leaf(leaf) for leaf in leaves]
    index = names.leaf_index
    found = [look_up(index.keys, index.numbers, index.otherwise, np.uint64(leaf_key(leaf))) for leaf in leaves]
    assert found == numbers == [0, 1, 2, 2]


def test_a_limit_that_is_reached_is_said_once() -> None:
    """Who writes a reference into `bank` makes every bank that was not met before one that nobody judges."""
    names = Names(SMALL)
    names.leaf(("a", "card"))
    assert (names.full()["leaves"], names.new_limits()) == (False, [])
    for bank in "bcd":
        names.leaf((bank, "card"))
    (said,) = names.new_limits()
    assert "leaves_max of [limits] is reached (2)" in said
    assert (names.full()["leaves"], names.new_limits()) == (True, [])
    names.code("05")
    assert not names.full()["codes"]
