"""Since when a scope's hours are not learned any more: an outage is never learned as usual, but a new normal may be
meant by it, and only a person can say which.

Knows whether each hour was learned; not why it was not, nor who is asked.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detector.arrays import Bools, Int64s
from detector.judging.baseline import HOUR_MS

ASK_MS: Final = 24 * HOUR_MS
"""After so much that was not learned a person is asked."""
NOT: Final = -1


def none_frozen(nodes: int) -> Int64s:
    """`since_ms[node]`: the beginning of the first hour that was not learned; NOT where the newest one was."""
    return np.full(nodes, NOT, np.int64)


def after_hour(since_ms: Int64s, learned: Bools, ended_ms: int) -> Int64s:
    """The hour before the one that ended at `ended_ms` was learned of these nodes, or was not of the others."""
    began: Int64s = np.where(since_ms == NOT, ended_ms - 2 * HOUR_MS, since_ms)
    return np.where(learned, NOT, began)


def asks(since_ms: Int64s, at_ms: int) -> Bools:
    """The nodes of which nothing was learned for so long that a person is asked."""
    learned_to_ms = at_ms // HOUR_MS * HOUR_MS - HOUR_MS
    long: Bools = (since_ms != NOT) & (learned_to_ms - since_ms >= ASK_MS)
    return long
