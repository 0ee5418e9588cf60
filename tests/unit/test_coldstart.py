"""What a worker does about its loops, without one: what can be kept, what is said, when it begins anew."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from detector.compiled import compiled
from detector.kept import NotKept, only_kept
from streams import coldstart
from streams.coldstart import Loops
from streams.settings import Settings

_numba: Any = numba


@compiled
def loop(n: int) -> int:
    """Is never compiled here."""
    return n


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No file of this process may grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def lost() -> str | None:
    """Why what is compiled of the loop could not be kept."""
    with pytest.raises(NotKept) as raised, only_kept():
        loop(1)
    return raised.value.lost


def test_a_full_disk_is_known_before_anything_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an empty file can be made and none can grow, it is of no use that another process compiles."""
    monkeypatch.setattr(_numba.config, "CACHE_DIR", str(tmp_path))
    with no_room():
        said = lost()
    assert (said or "").startswith(f"cannot keep what is compiled in {tmp_path}/unit_")
    assert (said or "").endswith(": File too large; make room, or set NUMBA_CACHE_DIR")
    assert lost() is None
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def ended(monkeypatch: pytest.MonkeyPatch, got: str | None) -> tuple[str | None, str | None]:
    """When the process that compiles has ended so: why the worker begins anew, if it does, and what it has to say."""

    async def compiling() -> str | None:
        return got

    async def waited() -> tuple[str | None, str | None]:
        loops = Loops(Settings())
        task = asyncio.ensure_future(loops.compiled())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        why = task.result() if task.done() else None
        task.cancel()
        return why, loops.problem

    monkeypatch.setattr(coldstart, "_compiling", compiling)
    return asyncio.run(waited())


def test_what_cannot_be_kept_is_compiled_by_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of plain Python begins anew where another process has compiled, also when that could keep nothing: it
    would never be as fast as the events otherwise. Where compiling fails it goes on, and says so."""
    why, _ = ended(monkeypatch, None)
    assert why == "the loops are compiled; it begins anew with them"
    why, _ = ended(monkeypatch, "exit code 1 (cannot keep what is compiled in /c: No space left on device; make room)")
    assert (why or "").startswith("the loops cannot be kept; it begins anew")
    why, problem = ended(monkeypatch, "exit code -9")
    assert why is None
    assert "got exit code -9 of python -m detector.warm" in str(problem)


def test_plain_python_warns_of_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of 64 bits wrap around on purpose, also where somebody has set NUMBA_DISABLE_JIT."""
    monkeypatch.setattr(_numba.config, "DISABLE_JIT", 1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Loops(Settings())
        warnings.warn_explicit("overflow encountered", RuntimeWarning, "hashing.py", 1, "detector.counting.hashing")
    assert said == []
