"""What numba keeps of a loop is not used again when anything that went into the loop has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CALLER = """
from detector.compiled import compiled
from limit import LIMIT
from callee import add

@compiled
def loop(n: int) -> int:
    return add(n) + LIMIT

print(loop(1), sum(loop.stats.cache_hits.values()))
"""
CALLEE = """
from detector.compiled import compiled

@compiled
def add(n: int) -> int:
    return n + {}
"""
ROOT = Path(__file__).parents[2]


def run(folder: Path, **environment: str) -> tuple[int, int]:
    """The loop's result and how often it came from the cache, in a process of its own."""
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", **environment}
    command = [sys.executable, "-B", "caller.py"]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=True, timeout=60)
    result, hits = done.stdout.split()
    return int(result), int(hits)


def test_loops_are_kept_until_something_changes(tmp_path: Path) -> None:
    """A second process takes the loop from the cache; after a change in another file it is compiled again."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "callee.py").write_text(CALLEE.format(10))
    (tmp_path / "limit.py").write_text("LIMIT = 100\n")
    assert run(tmp_path, **cache) == (111, 0)
    assert run(tmp_path, **cache) == (111, 1)
    (tmp_path / "callee.py").write_text(CALLEE.format(2000))
    assert run(tmp_path, **cache) == (2101, 0)
    (tmp_path / "limit.py").write_text("LIMIT = 500\n")
    assert run(tmp_path, **cache) == (2501, 0)


def test_no_folder_to_keep_loops_in(tmp_path: Path) -> None:
    """Where nothing can be kept, loops work all the same."""
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "callee.py").write_text(CALLEE.format(10))
    (tmp_path / "limit.py").write_text("LIMIT = 100\n")
    (tmp_path / "__pycache__").write_text("a file where a folder should be")
    nowhere = {"NUMBA_CACHE_DIR": "", "HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"}
    assert [run(tmp_path, **nowhere), run(tmp_path, **nowhere)] == [(111, 0), (111, 0)]


WARMED = """
import importlib, pkgutil
import detector
from detector.warm import warm

warm()
modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(detector.__path__, "detector.")]
loops = {id(value): value for module in modules for value in vars(module).values() if hasattr(value, "py_func")}
called = {
    id(loop.py_func.__globals__.get(name)) for loop in loops.values() for name in loop.py_func.__code__.co_names
}
print(*sorted(loop.py_func.__name__ for key, loop in loops.items() if key not in called and not loop.signatures))
"""
NOT_BY_A_WORKER = {
    "_find_ends",  # of a file
    "copy_rows",  # when a new policy asks for a ring of another size
    "crc32c_by_table",  # for tests
    "hash_bytes",  # for tests
}


def test_a_worker_has_compiled_every_loop_before_it_joins() -> None:
    """No bank's first outage waits for the compiler: what Python calls is compiled, or loaded, by `warm`."""
    done = subprocess.run([sys.executable, "-c", WARMED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= NOT_BY_A_WORKER
