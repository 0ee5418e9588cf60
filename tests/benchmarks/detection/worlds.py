"""Rows of the made world in which one fault is one cause (`_localise_world`): pages, and exact names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks._localise_world import ROWS, run


def localise_rows(trials: int) -> list[dict[str, Any]]:
    """Every kind of fault, each trial in a world of its own, with a true baseline and with a wrong one."""
    rows = []
    for row in ROWS:
        for wrong in (False, True):
            score = run(row, trials, wrong)
            rows.append({
                "injected": row.name, "wrong_baseline": wrong, "faults": len(row.fixes), "trials": trials,
                "pages": round(float(np.mean(score.pages)), 3), "exact": round(float(np.mean(score.exact)), 4),
                "ms_median": round(float(np.median(score.ms)), 2),
            })  # fmt: skip
    return rows
