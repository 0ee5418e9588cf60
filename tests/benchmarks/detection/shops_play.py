"""Keys whose votes come from forty merchants, counted pane by pane, as the sources' details would tell.

The merchant with the largest share has 36 % of the key, the others follow a power law. One merchant may refuse all
(`broken`), or get refusals on top (`tested`, a second).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detector.arrays import Float64s, Int32s, Int64s
from detector.compiled import allocating
from detector.counting.ages import EDGES
from detector.judging.advance import run
from tests.benchmarks.detection.engine import give

MERCHANTS = 40
SHARES = np.arange(1, MERCHANTS + 1) ** -1.3 / (np.arange(1, MERCHANTS + 1) ** -1.3).sum()
"""36 % for the first, 0.3 % for the last."""
PANE_S = 5


class Shops(NamedTuple):
    """Per key: `counts[key, pane, merchant, approved refused]` since the start; what is wrong with which merchant."""

    counts: Int32s
    share_below: Float64s  # [merchant] summed shares
    struck: Int64s  # [key] the merchant
    broken: Float64s  # [key] of its votes so many are refused for that
    tested: Float64s  # [key] refusals a second on top of its votes


def make_shops(keys: int, panes: int, struck: Int64s) -> Shops:
    """Nothing is wrong yet."""
    counts = np.zeros((keys, panes, MERCHANTS, 2), np.int32)
    return Shops(counts, np.cumsum(SHARES), struck, np.zeros(keys), np.zeros(keys))


@allocating
def play(seed: int, rate: Float64s, approved: Float64s, shops: Shops, start_s: int, rows: Any, leaf_nodes: Any,
         flow: Any, hazard: Any, known: Any, evidence: Any, recovery: Any, technical: Any, weights: Any, due: Any,
         flags: Any, bars: Any, time_ms: int, pane_ms: int, closing_ms: int, seconds: int) -> None:  # fmt: skip
    """Second after second; answers come within the second they began. `start_s` is where the counts begin."""
    np.random.seed(seed)
    edges, votes = EDGES, np.zeros(6, np.int32)
    for _ in range(seconds):
        pane = (time_ms // 1_000 - start_s) // PANE_S
        for key in range(len(rate)):
            table = shops.counts[key, pane]
            yes = 0
            came = np.random.poisson(rate[key])
            for _ in range(came):
                merchant = min(MERCHANTS - 1, int(np.searchsorted(shops.share_below, np.random.random())))
                good = np.random.random() < approved[key]
                if merchant == shops.struck[key] and np.random.random() < shops.broken[key]:
                    good = False
                table[merchant, 0 if good else 1] += 1
                yes += good
            more = np.random.poisson(shops.tested[key])
            table[shops.struck[key], 1] += more
            if came + more:
                give(flow, edges, votes, key, yes, came + more - yes)
        run(rows, leaf_nodes, flow, hazard, known, evidence, recovery, technical, weights, due, flags, bars, False,
            False, time_ms, time_ms + 1_000, 1_000, pane_ms, closing_ms)  # fmt: skip
        time_ms += 1_000
