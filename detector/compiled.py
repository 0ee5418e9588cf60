"""The one wrapper for loops that are compiled: plain Python in, machine code out.

Knows how numba is asked and where it may keep what it made; knows nothing of any loop. `NUMBA_DISABLE_JIT=1` leaves
every loop plain Python, for a debugger.

numba's cache looks only at the file of a loop: after a change of a loop in another file it would go on with the old
one, which was compiled in. So what is kept carries a stamp of all files whose loops a loop can call, and of the
constants it sees.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
Stamp: TypeAlias = tuple[tuple[tuple[str, int, int], ...], tuple[tuple[str, str], ...]]

_files_below: dict[str, set[str]] = {}
"""For each file with loops: itself and the files whose loops its own can call."""


def compiled(loop: F) -> F:
    """The loop as machine code, free of the interpreter's lock, kept in numba's cache where there is a folder for it.

    Such a loop makes no array: it works on those it is given. So it need not count references to them, which would
    take more than half of its time. One that makes arrays is `allocating`.
    """
    return _made(loop, counts_references=False)


def inlined(loop: F) -> F:
    """As `compiled`, for a small loop on a hot path: whoever calls it takes in its code."""
    return _made(loop, counts_references=False, forceinline=True)


def allocating(loop: F) -> F:
    """As `compiled`, for a loop that makes arrays or reads a book in hand. A `compiled` one may call it only for what
    is no array."""
    return _made(loop, counts_references=True)


def _made(loop: F, counts_references: bool, **options: Any) -> F:
    """numba raises RuntimeError ("no locator available") where neither the package's folder nor the home is writable:
    then the loop is compiled again in every process."""
    if getattr(numba.config, "DISABLE_JIT", 0):
        return loop
    # numba has no public way to leave the counting out; where a loop makes an array after all, compiling it fails.
    options |= {"nogil": True, "_nrt": counts_references}
    try:
        made: Any = numba.njit(cache=True, **options)(loop)
    except RuntimeError:
        return cast(F, numba.njit(**options)(loop))
    # numba has no public way to say what else a loop depends on; a test holds on to this private name.
    made._cache._cache_file._source_stamp = stamp(loop)
    return cast(F, made)


def stamp(loop: Callable[..., Any]) -> Stamp:
    """Name, time and size of each file that went into a loop, and the constants its module sees."""
    own = loop.__code__.co_filename
    seen = loop.__globals__
    called = {value.py_func.__code__.co_filename for value in seen.values() if hasattr(value, "py_func")}
    files = _files_below.setdefault(own, {own})
    files.update(*(_files_below.get(file, {file}) for file in called))
    constants = {name: repr(value) for name, value in seen.items() if _is_constant(value)}
    facts = ((Path(file).name, Path(file).stat()) for file in sorted(files))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in facts), tuple(sorted(constants.items()))


def _is_constant(value: object) -> bool:
    """Whether a loop may have a value compiled in that another file can change; arrays are of the loop's own."""
    if isinstance(value, tuple):
        return all(_is_constant(item) for item in value)
    return isinstance(value, int | float | np.generic)
