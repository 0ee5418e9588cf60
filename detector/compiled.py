"""The one wrapper for loops that are compiled: plain Python in, machine code out.

Knows how numba is asked, not where it keeps what it made; knows nothing of any loop. `NUMBA_DISABLE_JIT=1` leaves
every loop plain Python, for a debugger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numba
from numba.core import types

from detector.kept import Kept
from detector.linked import ForLoops, ForPython

_types: Any = types  # it has few types
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
    # Nor does a loop ask of a divisor whether it is 0, but where indexes are held against their tables, too.
    options["error_model"] = "python" if getattr(numba.config, "BOUNDSCHECK", 0) else "numpy"
    made: Any = numba.njit(**options | {"pipeline_class": ForPython})(loop)
    made._cache = Kept(loop)
    _call_inner(made, numba.njit(**options | {"pipeline_class": ForLoops, "no_cpython_wrapper": True})(loop))
    return cast(F, made)


def _call_inner(made: Any, inner: Any) -> None:
    """Let loops that call a loop take another one of the same text, which Python cannot call and nobody keeps.

    Of eight loops one is called from Python, and what such a door and its keeping take is a sixth of compiling. numba
    asks a loop for both by names of its own, which a test holds on to.
    """

    def call_template(kinds: Sequence[Any], named: dict[str, Any]) -> Any:
        return inner.get_call_template(map(_wide, kinds), {name: _wide(kind) for name, kind in named.items()})

    made.get_call_template, made.get_overload = call_template, inner.get_overload


def _wide(kind: Any) -> Any:
    """What an argument is taken for: a number written out, or of fewer bits, would be a loop of its own."""
    plain = _types.unliteral(kind)
    return _types.int64 if isinstance(plain, _types.Integer) and plain.signed else plain
