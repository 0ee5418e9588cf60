"""What an outage can be about: a scope, written `bank:bnp,method:card`, and the leaves that scopes are sums of.

Does not know which scopes exist: that is the Judge's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TypeAlias

Values: TypeAlias = tuple[tuple[str, str], ...]
Leaf: TypeAlias = tuple[str, ...]
"""One value a dimension, in the order of the policy's `dimensions`: `("bnp", "card")`."""

OTHER = "other"
"""The value every dimension of the one leaf has that takes what is past the cap on leaves; it is never judged."""

MASKED_AFTER = 2
_ESCAPED = {"%": "%25", ",": "%2C", ":": "%3A"}


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A set of payments: the values it fixes, as (dimension, value) pairs; no pair is the whole platform."""

    values: Values = ()

    @property
    def dimension(self) -> str:
        """`platform`, the one dimension that is fixed, or `leaf` where several are."""
        if not self.values:
            return "platform"
        return self.values[0][0] if len(self.values) == 1 else "leaf"

    @property
    def key(self) -> str:
        """The scope in one line, for topics, labels and hashes; separators inside a value are percent-encoded."""
        return _key(self.values)

    @property
    def masked(self) -> str:
        """The key as a screen or a log may show it: without its merchant's name."""
        return _key(tuple((name, mask(value) if name == "merchant" else value) for name, value in self.values))

    @property
    def above(self) -> tuple[frozenset[tuple[str, str]], ...]:
        """What each scope fixes that is above it by name, the platform first; last what it fixes itself."""
        return _above(self.values)

    def value(self, dimension: str) -> str | None:
        """The value this scope fixes for a dimension, or None."""
        return next((value for name, value in self.values if name == dimension), None)


PLATFORM = Scope()


def mask(merchant: str) -> str:
    """A merchant's name as a screen or a log may show it: two letters of it, and of a short one less than half."""
    return f"{merchant[: min(MASKED_AFTER, (len(merchant) - 1) // 2)]}…"


def leaf_scope(dimensions: tuple[str, ...], leaf: Leaf) -> Scope:
    """The scope that is exactly one leaf."""
    return Scope(tuple(zip(dimensions, leaf, strict=True)))


def parse_scope(key: str) -> Scope:
    """Read a scope's `key` again. Raises ValueError with what was wrong."""
    if key == "platform":
        return PLATFORM
    pairs: list[tuple[str, str]] = []
    for part in key.split(","):
        name, separator, value = part.partition(":")
        if not (name and separator and value):
            raise ValueError(f'a scope is "platform" or "dimension:value", joined by commas; got "{key}"')
        pairs.append((name, _unescape(value)))
    return Scope(tuple(pairs))


KEYS_KEPT = 1 << 16
"""A Judge asks for the keys of all its scopes at each change."""


@lru_cache(KEYS_KEPT)
def _key(values: Values) -> str:
    return ",".join(f"{name}:{_escape(value)}" for name, value in values) or "platform"


@lru_cache(KEYS_KEPT)
def _above(values: Values) -> tuple[frozenset[tuple[str, str]], ...]:
    sizes = range(len(values) + 1)
    return tuple(frozenset(some) for size in sizes for some in combinations(values, size))


def _escape(value: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in value)


def _unescape(value: str) -> str:
    return value.replace("%2C", ",").replace("%3A", ":").replace("%25", "%")
