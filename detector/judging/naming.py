"""Who is named when several scopes are bad at once.

    platform                 x lies below y by name, or when its cells (the leaves of its bad voters) are a proper
      bank:bnp  method:card  subset of y's; equal cells: the bank's name wins. The platform or a method is named only
        bank:bnp,method:card if the cells lie in two banks or more.

Pure rules over scopes and their cells; knows no counts and no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from detector.contracts.scope import Leaf, Scope

Cells: TypeAlias = frozenset[int]
"""Leaf numbers."""


def is_below(lower: Scope, lower_cells: Cells, upper: Scope, upper_cells: Cells) -> bool:
    """Does one scope lie below the other, by name or by cells?"""
    if lower == upper or is_below_by_name(upper, lower):
        return False
    if is_below_by_name(lower, upper):
        return True
    if upper.value("merchant") is not None:
        return False  # a shop's cells are those it shares with others
    if lower_cells < upper_cells:
        return True
    return lower_cells == upper_cells and upper.dimension == "bank" and lower.dimension not in ("bank", "platform")


def is_below_by_name(lower: Scope, upper: Scope) -> bool:
    """Does the lower fix all that the upper fixes, and more?"""
    return len(upper.values) < len(lower.values) and set(upper.values) < set(lower.values)


def may_be_named(scope: Scope, cells: Cells, leaves: Sequence[Leaf], bank_at: int | None) -> bool:
    """A bank and a leaf always; anything wider only if its cells lie in two banks or more.

    `bank_at`: the place of the bank in a leaf, None where banks are not counted apart.
    """
    if scope.dimension in ("bank", "leaf") or bank_at is None:
        return True
    return len({leaves[leaf][bank_at] for leaf in cells}) >= 2


def rank(scope: Scope, dimensions: tuple[str, ...]) -> tuple[int, str]:
    """The order at a boundary: platform, bank, the other dimensions as the policy lists them, leaf."""
    if scope.dimension == "platform":
        return 0, scope.key
    if scope.dimension == "bank":
        return 1, scope.key
    if scope.dimension in ("leaf", "merchant"):
        return len(dimensions) + 2, scope.key
    return 2 + dimensions.index(scope.dimension), scope.key
