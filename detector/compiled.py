"""The one wrapper for loops that are compiled: plain Python in, machine code out.

Knows how numba is asked, not where it keeps what it made; knows nothing of any loop. `NUMBA_DISABLE_JIT=1` leaves
every loop plain Python, for a debugger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from detector.kept import Kept

F = TypeVar("F", bound=Callable[..., Any])


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
    """Not by numba's own `cache=True`: it looks for a folder at every loop, which takes a third of an import, and
    raises where none can be written."""
    if getattr(numba.config, "DISABLE_JIT", 0):
        return loop
    # numba has no public way to leave the counting out; where a loop makes an array after all, compiling it fails. No
    # loop is called from C, so none is compiled a second time for that.
    options |= {"nogil": True, "_nrt": counts_references, "no_cfunc_wrapper": True}
    made: Any = numba.njit(**options)(loop)
    made._cache = Kept(loop)
    return cast(F, made)
