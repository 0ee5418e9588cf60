"""The names behind the numbers and hashes of `Columns`: leaves, response codes and merchants that one worker has met.

Each table has a limit of the policy's. Knows nothing of events. The only keeper of names, and so the place where a
value that looks like a card number is replaced: it cannot get past here into a topic, a log, a label or a screen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.arrays import Int32s, UInt8s, UInt64s
from detector.compiled import inlined
from detector.contracts.card import card_like
from detector.contracts.codes import reader_of, technical_for
from detector.contracts.policy import Policy
from detector.contracts.scope import OTHER, Leaf
from detector.counting.hashing import hash_text, mix_hashes

ABSENT = "none"
"""The value of a dimension that a payment does not name."""

UNKNOWN = "unknown"
"""The one merchant of all payments without `merchant_id`."""

ASK = -1
"""What `look_up` says of a key that is not in a table with room left: someone must intern it."""

PAST_LIMIT = {
    "leaves": "what comes new is counted as other and never judged; is a reference sent as a bank? If not, raise it",
    "codes": "what comes new is counted as the code other; is a reference sent as a code? If not, raise it",
    "merchant_names": "who comes new is called merchant- and a hash; to read more names, raise it",
}
"""What becomes of names for which there is no room, by the table."""

LEAF_SEED = 1
"""What the fold of a leaf's hash begins with."""


class Index:
    """Hash -> number, readable from compiled loops; `keys` 0 is a free place.

    `otherwise` is the number of every key that is not there: ASK until the table is full.
    """

    def __init__(self, entries_max: int) -> None:
        size = 1 << max(4, (2 * entries_max).bit_length())
        self.keys: UInt64s = np.zeros(size, np.uint64)
        self.numbers: Int32s = np.zeros(size, np.int32)
        self.otherwise = ASK
        self._room = entries_max

    def put(self, key: int, number: int) -> None:
        """Enter a key that is not there; nothing is entered past the limit."""
        if self._room == 0:
            return
        self._room -= 1
        place = key & (len(self.keys) - 1)
        while self.keys[place]:
            place = (place + 1) & (len(self.keys) - 1)
        self.keys[place], self.numbers[place] = key, number


@inlined
def look_up(keys: UInt64s, numbers: Int32s, otherwise: int, key: np.uint64) -> int:
    """The number of a key in an Index, or `otherwise`."""
    mask = np.uint64(len(keys) - 1)
    place = np.int64(key & mask)
    while keys[place]:
        if keys[place] == key:
            return int(numbers[place])
        place = (place + 1) & (len(keys) - 1)
    return otherwise


def leaf_key(values: Sequence[str]) -> int:
    """The hash of a leaf's values: the same whatever number the leaf has."""
    key = LEAF_SEED
    for value in values:
        key = mix_hashes(key, hash_text(value))
    return key


def without_card(value: str) -> str:
    """The value, or `card-like-` and its hash where it looks like a card number."""
    return f"card-like-{hash_text(value):016x}" if card_like(value) else value


class Names:
    """What the leaves, codes and merchants of one worker are called.

    `leaves[number]`, `codes[number]`; `leaf_hash[number]`, `answer_ms[number]` and `reader[number]` have a place for
    every leaf that can ever be, `technical[number]` for every code, and never move, so that loops may hold on to them.
    A red of a leaf has a technical reason where its code's `technical` has the bit that its leaf's `reader` names.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.leaves: list[Leaf] = []
        self.codes: list[str] = []
        self.leaf_hash = np.zeros(policy.leaves_max + 1, np.uint64)
        self.answer_ms = np.full(policy.leaves_max + 1, policy.answers["default"], np.int64)
        self.reader: UInt8s = np.zeros(policy.leaves_max + 1, np.uint8)
        self.technical: UInt64s = np.zeros(policy.codes_max + 1, np.uint64)
        self.leaf_index = Index(policy.leaves_max)
        self.code_index = Index(policy.codes_max)
        self.merchant_index = Index(policy.merchant_names_max + 1)
        self._leaf_numbers: dict[Leaf, int] = {}  # as events spell them
        self._named_leaves: dict[Leaf, int] = {}  # as `leaves` has them
        self._code_numbers: dict[str, int] = {}
        self._named_codes: dict[str, int] = {}
        self._merchants: dict[int, str] = {hash_text(UNKNOWN): UNKNOWN}
        self.merchant_index.put(hash_text(UNKNOWN), 0)  # some write the word, or the scanner would ask for each
        self._other = (OTHER,) * len(policy.dimensions)
        self._limits_told: set[str] = set()

    def leaf(self, values: Leaf) -> int:
        """The leaf's number; of every leaf past the limit, that of the leaf whose values are all `other`."""
        number = self._leaf_numbers.get(values)
        if number is not None:
            return number
        if len(self._leaf_numbers) >= self.policy.leaves_max:
            return self.leaf_index.otherwise
        key, named = leaf_key(values), tuple(map(without_card, values))
        self._leaf_numbers[values] = number = self._new_leaf(named, key if named == values else leaf_key(named))
        self.leaf_index.put(key, number)
        if len(self._leaf_numbers) == self.policy.leaves_max:
            self.leaf_index.otherwise = self._new_leaf(self._other, leaf_key(self._other))
        return number

    def code(self, text: str) -> int:
        """The response code's number; of every code past the limit, that of the code `other`."""
        number = self._code_numbers.get(text)
        if number is not None:
            return number
        if len(self._code_numbers) >= self.policy.codes_max:
            return self.code_index.otherwise
        self._code_numbers[text] = number = self._new_code(without_card(text))
        self.code_index.put(hash_text(text), number)
        if len(self._code_numbers) == self.policy.codes_max:
            self.code_index.otherwise = self._new_code(OTHER)
        return number

    def merchant(self, text: str) -> int:
        """The merchant's hash; the name is remembered while there is room."""
        key = hash_text(text)
        if key not in self._merchants and len(self._merchants) <= self.policy.merchant_names_max:
            self._merchants[key] = without_card(text)
            self.merchant_index.put(key, 0)
            if len(self._merchants) > self.policy.merchant_names_max:
                self.merchant_index.otherwise = 0
        return key

    def merchant_name(self, key: int) -> str:
        """What the merchant with this hash is called; past the limit `merchant-` and the hash."""
        return self._merchants.get(int(key)) or f"merchant-{int(key):016x}"

    def full(self) -> dict[str, bool]:
        """Of each table whether its limit is reached."""
        policy = self.policy
        return {
            "leaves": len(self._leaf_numbers) >= policy.leaves_max,
            "codes": len(self._code_numbers) >= policy.codes_max,
            "merchant_names": len(self._merchants) > policy.merchant_names_max,
        }

    def new_limits(self) -> list[str]:
        """What is to be said of the limits that were reached and not told of before."""
        new = [name for name, is_full in self.full().items() if is_full and name not in self._limits_told]
        self._limits_told.update(new)
        limits = ((name, getattr(self.policy, f"{name}_max")) for name in new)
        return [f"{name}_max of [limits] is reached ({limit}): {PAST_LIMIT[name]}" for name, limit in limits]

    def _new_leaf(self, values: Leaf, key: int) -> int:
        """Number a leaf, or find the number of one that another spelling led to."""
        number = self._named_leaves.setdefault(values, len(self.leaves))
        if number < len(self.leaves):
            return number
        self.leaf_hash[number] = key
        self.answer_ms[number] = self.policy.answer_ms(values)
        named = dict(zip(self.policy.dimensions, values, strict=False))
        self.reader[number] = reader_of(named.get("method", ABSENT), named.get("network"))
        self.leaves.append(values)
        return number

    def _new_code(self, text: str) -> int:
        number = self._named_codes.setdefault(text, len(self.codes))
        if number == len(self.codes):
            self.technical[number] = technical_for(text)
            self.codes.append(text)
        return number
