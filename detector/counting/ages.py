"""How old a payment is, in a few bins that grow with it: seconds apart at first, days apart in the end.

    pane of its start    ... | 12:00:05 |            an age is counted from the end of the pane; 0 while it fills
    bins                     0 .. 0.5 s .. 0.7 s .. 11 min .. 6 h .. 30 days

Counter and Judge mean the same by them. Knows no rates and no verdicts.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Int64s
from detector.compiled import inlined

BINS = 41
AGE_MIN_MS, AGE_MAX_MS = 500, 30 * 86_400_000
EDGES = np.round(np.geomspace(AGE_MIN_MS, AGE_MAX_MS, BINS - 1)).astype(np.int64)
"""`EDGES[b]` ms is the age at which a payment leaves bin b for b + 1; the last bin has no end."""
EDGES.setflags(write=False)  # to loops that are given them, too, what they are to those that know them


@inlined
def age_bin(edges: Int64s, age_ms: int) -> int:
    """The bin of an age."""
    low, high = 0, len(edges)
    while low < high:
        middle = (low + high) // 2
        if edges[middle] <= age_ms:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def answer_bin(started_ms: int, occurred_ms: int, pane_ms: int) -> int:
    """The bin of a payment's age when an answer came."""
    return age_bin(EDGES, occurred_ms - (started_ms // pane_ms + 1) * pane_ms)
