"""With NUMBA_DISABLE_JIT=1 every loop is plain Python: for a debugger, for coverage, and for what machine code does not
do: an index past the end of an array is an error there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHOSEN = (
    "tests/property/test_records.py", "tests/unit/test_packed.py", "tests/unit/test_hashing.py",
    "tests/unit/test_crowded.py",
)  # fmt: skip


def test_loops_are_the_same_as_plain_python() -> None:
    """Record batches, hostile ones too, are read, refused and scanned alike, hashes find their places, and nothing is
    read or written past an end."""
    variables = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHOSEN]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-4_000:]
