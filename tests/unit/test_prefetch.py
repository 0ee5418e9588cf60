"""Memory asked for before it is needed: a hint that changes nothing."""

from __future__ import annotations

import numpy as np

from detector.arrays import Int64s
from detector.compiled import compiled
from detector.prefetch import prefetch


@compiled
def _sum_with_hints(table: Int64s) -> int:
    total = 0
    for place in range(len(table)):
        prefetch(table, (place + 8) & (len(table) - 1))
        total += table[place]
    return total


def test_a_hint_changes_nothing() -> None:
    """The loop reads what it would have read, and the table stays as it was."""
    table = np.arange(1024)
    assert _sum_with_hints(table) == table.sum() == 1024 * 1023 // 2
    assert (table == np.arange(1024)).all()
