"""Real recorded days, which are no part of the project: a test that wants one is skipped where they are not at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("PASTILLE_DATA") or REPOSITORY.parent / "shared" / "data")
TOOL = DATA.parent / "tools" / "dataset_to_events.py"


def is_at_hand(name: str) -> bool:
    """Whether a day can be read here."""
    return (DATA / f"{name}.csv.gz").exists() and TOOL.exists()


@cache
def recorded(name: str, kind: str) -> list[bytes]:
    """A real day's events; skips where the data are not at hand."""
    file = DATA / f"{name}.csv.gz"
    if not is_at_hand(name):
        pytest.skip(f"real data are not part of the project: no {file} or no {TOOL}; set PASTILLE_DATA to their folder")
    return subprocess.run([sys.executable, TOOL, kind, file], check=True, capture_output=True).stdout.splitlines()
