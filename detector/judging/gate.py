"""The merchant gate: is it the bank, or one shop's bug, or cards tested at one shop? Leave one merchant out.

    evidence[merchant, j] = refused × ln((1 − p1_j) / (1 − p_null)) + approved × ln(p1_j / p_null)

Without the merchant that has most of it, the rest must still be evidence enough; else that merchant is blamed. A true
outage loses hardly a vote by it. Counts are of one node since the onset; knows no names and no times.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Float64s, Int64s

NOBODY = -1
"""No merchant is to blame: the rest alone is evidence enough, or there is no merchant."""


def blame(
    refused: Float64s | Int64s, approved: Float64s | Int64s, log_refused: Float64s, log_approved: Float64s,
    rest_min: float = 5.0,
) -> int:  # fmt: skip
    """The merchant to blame for a node that looks bad, or NOBODY.

    `refused`, `approved`: votes by merchant. `log_refused`, `log_approved`: nats of one vote by alternative, as
    above. `rest_min`: nats. Of equals the first is taken. A lone merchant is always to blame: nothing tells the bank
    from it.
    """
    if not len(refused):
        return NOBODY
    evidence: Float64s = np.outer(refused, log_refused) + np.outer(approved, log_approved)
    total: Float64s = evidence.sum(axis=0)
    suspect = int(np.argmax(evidence[:, np.argmax(total)]))
    rest = float((total - evidence[suspect]).max())
    return NOBODY if rest >= rest_min else suspect
