"""Is it one shop? The merchant gate over what merchants did lately, and whether a shop that was blamed is well.

Details count payments, and of the largest merchants only: how a scope's votes fall to its merchants is taken from
their shares. Knows leaves by name only; does not know how evidence comes about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from detector.arrays import Float64s
from detector.counting.names import UNKNOWN
from detector.judging.gate import NOBODY, blame

WELL_APPROVED_MIN, WELL_SHARE = 3, 0.5
ANSWERED_MIN = 10.0
"""Nats that the answers must give by themselves before they can be one merchant's."""
AGAIN_MIN = 10.0
"""Nats that the others must have beside a merchant who is to blame already: they are asked again and again."""


def suspect(counts: Mapping[str, Float64s], yes: float, no: float, log_yes: Float64s, log_no: Float64s,
            blamed: Collection[str] = ()) -> str | None:  # fmt: skip
    """The one merchant without whom the scope's votes, approved and refused since the onset, are no evidence.

    `counts`: approved and refused payments of each merchant since then; `blamed`: merchants that were found out
    before. None: there are others enough, or nothing is known of merchants; or the evidence is in what waits, of
    which no merchant is known.
    """
    if not counts or float((yes * log_yes + no * log_no).max()) < ANSWERED_MIN:
        return None
    table, names = np.array(list(counts.values()), np.float64), list(counts)
    shares = table / np.maximum(table.sum(axis=0), 1.0)
    votes = shares[:, 1] * no, shares[:, 0] * yes, log_no, log_yes
    place = blame(*votes)
    if place == NOBODY and (again := blame(*votes, rest_min=AGAIN_MIN)) != NOBODY and names[again] in blamed:
        return names[again]
    return None if place == NOBODY else names[place]


def is_nameless(merchant: str) -> bool:
    """Whether it is the one merchant of all payments without a name."""
    return merchant == UNKNOWN


def is_well(counts: Mapping[str, Float64s], merchant: str, usual: float) -> bool:
    """Whether a merchant's payments of the last minutes are approved again: some, and half as many as is usual."""
    approved, refused = counts.get(merchant, np.zeros(2)).tolist()
    return bool(approved >= WELL_APPROVED_MIN and approved >= WELL_SHARE * usual * (approved + refused))
