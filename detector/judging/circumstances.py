"""What the sources' details add to an outage: its commonest codes, and how many shops see it.

For evidence and explanations, never for the policy. Knows leaves by name only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt

from detector.arrays import Int32s
from detector.contracts.scope import Leaf
from detector.counting.tally import Details

TOP_CODES_MAX = 5
RED, OVERDUE = 2, 3
"""Columns of `Details.merchant_counts`."""


def top_codes(details: Iterable[Details], leaves: Collection[Leaf]) -> list[tuple[str, int]]:
    """The commonest response codes of the leaves' reds, most first, and how many have them."""
    counts: Counter[str] = Counter()
    for one in details:
        rows = rows_of(one.leaves, one.code_leaf, leaves)
        for code, count in zip(one.code[rows].tolist(), one.code_count[rows].tolist(), strict=True):
            counts[one.codes[code]] += count
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [pair for pair in ranked if pair[1] > 0][:TOP_CODES_MAX]


def bad_merchants(details: Iterable[Details], leaves: Collection[Leaf]) -> int:
    """How many merchants have a red or an overdue payment in the leaves."""
    names: set[str] = set()
    for one in details:
        rows = rows_of(one.leaves, one.merchant_leaf, leaves)
        bad = rows & (one.merchant_counts[:, RED] + one.merchant_counts[:, OVERDUE] > 0)
        names.update(one.merchants[number] for number in one.merchant[bad].tolist())
    return len(names)


def rows_of(names: tuple[Leaf, ...], leaf: Int32s, leaves: Collection[Leaf]) -> npt.NDArray[np.bool_]:
    """Which rows are of one of the leaves."""
    wanted = np.array([name in leaves for name in names] or [False])
    return wanted[leaf] if len(names) else np.zeros(len(leaf), np.bool_)
