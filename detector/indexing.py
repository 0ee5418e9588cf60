"""Indexes of compiled loops, which all count from the start of a table.

In Python a negative one counts from the end, so numba asks of every index whether it is one: a fifth of what the
scanner takes, an eighth of merging, and no loop here has such an index, but where it is written out. So between typing
and lowering, each whole number that is an index is declared to be without a sign. A chain's NONE is no place:
`NUMBA_BOUNDSCHECK=1`, with a folder of its own in `NUMBA_CACHE_DIR`, has every index held against its table. Knows
numba's compiler; knows nothing of any loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import compiler_machinery, ir, types

_machinery: Any = compiler_machinery  # they have no types
_ir: Any = ir
_types: Any = types


@_machinery.register_pass(mutates_CFG=False, analysis_only=False)
class FromTheStart(compiler_machinery.FunctionPass):
    """What `[]` is asked of an array: which implementation numba takes hangs on the types that are noted for it."""

    _name = "from_the_start"

    def __init__(self) -> None:
        _machinery.FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Whether anything was changed."""
        found = {}
        for asked, signature in state.calltypes.items():
            if signature is not None and _indexes(asked) and isinstance(signature.args[0], _types.Array):
                table, index, *value = signature.args
                found[asked] = signature.replace(args=(table, without_sign(index), *value))
        state.calltypes.update(found)
        return bool(found)


def _indexes(asked: Any) -> bool:
    """Whether it reads or writes by an index, which is not written out as one from the end."""
    if isinstance(asked, _ir.StaticSetItem) or (isinstance(asked, _ir.Expr) and asked.op == "static_getitem"):
        written = asked.index if isinstance(asked.index, tuple) else (asked.index,)
        return not any(isinstance(part, int | np.integer) and part < 0 for part in written)
    return isinstance(asked, _ir.SetItem) or (isinstance(asked, _ir.Expr) and asked.op == "getitem")


def without_sign(index: Any) -> Any:
    """The type of an index, or of a tuple of them, of which whole numbers have no sign."""
    if isinstance(index, _types.BaseTuple):
        return _types.Tuple([without_sign(part) for part in index])
    return _types.uint64 if isinstance(index, _types.Integer) else index
