"""Is it one shop? The merchant gate over what the sources' details say, and whether a shop that was blamed is well.

Details hold payments of the open panes; how a scope's votes fall to its merchants is taken from their shares.
Knows leaves by name only; does not know how evidence comes about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from detector.contracts.scope import Leaf
from detector.counting.columns import Float64s, Int64s
from detector.counting.names import UNKNOWN
from detector.counting.tally import Details
from detector.judging.circumstances import rows_of
from detector.judging.gate import NOBODY, blame

APPROVED, RED = 1, 2
"""Columns of `Details.merchant_counts`."""
WELL_APPROVED_MIN, WELL_SHARE = 3, 0.5
ANSWERED_MIN = 10.0
"""Nats that the answers must give by themselves before they can be one merchant's."""


def counts_of(details: Iterable[Details], leaves: Collection[Leaf]) -> Mapping[str, Int64s]:
    """Approved and refused payments of each merchant in the leaves, by name."""
    found: dict[str, Int64s] = {}
    for one in details:
        rows = np.flatnonzero(rows_of(one.leaves, one.merchant_leaf, leaves))
        for merchant, counts in zip(one.merchant[rows].tolist(), one.merchant_counts[rows], strict=True):
            pair = found.setdefault(one.merchants[merchant], np.zeros(2, np.int64))
            pair += counts[[APPROVED, RED]]
    return dict(sorted(found.items()))


def suspect(details: Iterable[Details], leaves: Collection[Leaf], yes: float, no: float, log_yes: Float64s,
            log_no: Float64s) -> str | None:  # fmt: skip
    """The one merchant without whom the scope's votes, approved and refused since the onset, are no evidence.

    None: there are others enough, or nothing is known of merchants; or the evidence is in what waits, of which no
    merchant is known.
    """
    counts = counts_of(details, leaves)
    if not counts or float((yes * log_yes + no * log_no).max()) < ANSWERED_MIN:
        return None
    table = np.array(list(counts.values()), np.float64)
    shares = table / np.maximum(table.sum(axis=0), 1.0)
    place = blame(shares[:, 1] * no, shares[:, 0] * yes, log_no, log_yes)
    return None if place == NOBODY else list(counts)[place]


def is_nameless(merchant: str) -> bool:
    """Whether it is the one merchant of all payments without a name."""
    return merchant == UNKNOWN


def is_well(details: Iterable[Details], leaves: Collection[Leaf], merchant: str, usual: float) -> bool:
    """Whether a merchant's payments are approved again: some, and half as many as is usual."""
    approved, refused = counts_of(details, leaves).get(merchant, np.zeros(2, np.int64)).tolist()
    return bool(approved >= WELL_APPROVED_MIN and approved >= WELL_SHARE * usual * (approved + refused))
