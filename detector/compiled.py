"""The one wrapper for loops that are compiled: plain Python in, machine code out.

Knows how numba is asked and where it may keep what it made; knows nothing of any loop. `NUMBA_DISABLE_JIT=1` leaves
every loop plain Python, for a debugger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(loop: F) -> F:
    """The loop as machine code, free of the interpreter's lock, kept in numba's cache where there is a folder for it.

    numba raises RuntimeError ("no locator available") where neither the package's folder nor the home is writable:
    then the loop is compiled again in every process.
    """
    try:
        return _jit(loop, cache=True)
    except RuntimeError:
        return _jit(loop, cache=False)


def _jit(loop: F, *, cache: bool) -> F:
    made: Any = numba.njit(cache=cache, nogil=True)(loop)
    return cast(F, made)
