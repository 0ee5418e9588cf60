"""An index of a compiled loop is not asked whether it counts from the end; all else about it is as in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import caching

from detector.arrays import Int64s
from detector.compiled import allocating, compiled

ROOT = Path(__file__).parents[2]
compiles = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")


def _reads_and_writes(one: Int64s, two: Int64s, records: Any, at: int, small: np.uint8) -> int:
    one[at] += one[at + 1] + one[small] + one[0]
    two[at, 2] = two[0, at] + two[at][1]
    two[at, 3:] = two[1, -2:] + one[-3:-1]
    records[at].number += records["number"][at] + one[-1]
    one[-2] = one[1 - at + at]
    return int(one[1:-1].sum() + two[-1, 0] + records[-1].number)


@compiles
def test_what_is_indexed_is_as_in_python() -> None:
    """Whole numbers of any width and pairs of them, slices and what is written out as counting from the end."""

    def tables() -> tuple[Any, ...]:
        records = np.zeros(5, np.dtype((np.record, [("name", "u1"), ("number", "i8")])))
        records["number"] = np.arange(5) * 7
        return np.arange(10, 19), np.arange(25).reshape(5, 5) ** 2, records

    loop: Any = allocating(_reads_and_writes)
    ours, python = tables(), tables()
    for at in (0, 1, 3):
        small = np.uint8(at + 2)
        assert loop(*ours, at, small) == _reads_and_writes(*python, at, small)
        for mine, theirs in zip(ours, python, strict=True):
            assert mine.tolist() == theirs.tolist()


@compiles
def test_no_index_is_asked_for_its_sign() -> None:
    """numba's own code asks, with a choice for each index; ours has none."""

    def add(table: Int64s, at: int) -> int:
        return int(table[at] + table[at + 7])

    asking: Any = numba.njit(add)
    ours: Any = compiled(add)
    ours._cache = caching.NullCache()  # of what is loaded numba shows no code
    table = np.arange(9)
    assert asking(table, 1) == ours(table, 1) == 9
    (theirs,), (code,) = asking.inspect_llvm().values(), ours.inspect_llvm().values()
    assert theirs.count("icmp slt i64") >= 2
    assert "getelementptr" in code
    assert code.count("icmp slt i64") == theirs.count("icmp slt i64") - 2


CHECKED = """
import numpy as np
from detector.compiled import allocating
from detector.counting.columns import NONE

@allocating
def look(table, at):
    return table[at] + 12 // (at - 3)

for at in (0, 4, NONE, 5, 3):
    try:
        print(look(np.arange(5), at))
    except (IndexError, ZeroDivisionError) as error:
        print(type(error).__name__)
"""


def test_what_a_loop_does_not_ask_is_asked_with_bounds_checked(tmp_path: Path) -> None:
    """Nothing is read before a table unseen, nor divided by 0, where somebody looks for that."""
    (tmp_path / "loops.py").write_text(CHECKED)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": "1", "NUMBA_DISABLE_JIT": "0"}
    variables["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    command = [sys.executable, "loops.py"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["-4", "16", "IndexError", "IndexError", "ZeroDivisionError"]
