"""A loop that only loops call has no machine code of its own, and is right in the code of each that takes it in."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from numba.core import codegen, compiler, cpu, typed_passes

from detector.compiled import compiled
from detector.linked import ForLoops, ForPython, Linked
from tests.unit.forked import printed

LOOPS = """
import os
import numba
import numpy as np
from numba.core import registry
from detector.compiled import allocating, compiled, inlined

engine, coded = registry.cpu_target.target_context.codegen()._engine, []
add_module = engine.add_module
engine.add_module = lambda module: (coded.append(module.name), add_module(module))

@inlined
def half(n):
    return n // 2

@allocating
def checked(n):
    if n > 9:
        raise ValueError("too many", n)
    return half(n) + half(n + 2)

@compiled
def deep(n):
    return half(n) + checked(n)

@allocating
def arrayed(n):
    return np.arange(n).sum() - deep(n)

@compiled
def one(n):
    return deep(n) + half(n)

@compiled
def two(n):
    return deep(n) - checked(n)

@allocating
def three(n):
    return arrayed(n) + one(n)

def said(loop, n):
    try:
        return loop(n)
    except ValueError as error:
        return error.args

for name in os.environ["NAMES"].split():
    loop = globals()[name]
    print(name, said(loop, 4), said(loop, 11), sum(loop.stats.cache_hits.values()))
print(*(name for name in coded if name in globals()))
print(numba.njit(lambda n: np.arange(n).sum())(4))
"""
ONE, TWO, THREE = "one 9 ('too many', 11) ", "two 2 ('too many', 11) ", "three 8 ('too many', 11) "


def run(folder: Path, *names: str) -> list[str]:
    """What the loops named say, a line each, one process, whether they were loaded; whose code was made; and what
    somebody else compiles of numba's own after that."""
    script = folder / "loops.py"
    script.write_text(LOOPS)
    return printed(script, NAMES=" ".join(names), NUMBA_CACHE_DIR=str(folder / "cache")).splitlines()


def test_loops_inside_have_no_code_and_are_right(tmp_path: Path) -> None:
    """Just compiled, loaded, and some of both: results and errors, with what these carry, are those of Python."""
    compiled_, loaded = "0", "1"
    assert run(tmp_path, "one") == [ONE + compiled_, "one", "6"]
    assert run(tmp_path, "one", "two") == [ONE + loaded, TWO + compiled_, "one two", "6"]
    assert run(tmp_path, "three", "two") == [THREE + compiled_, TWO + loaded, "three two", "6"]
    loaded_all = [THREE + loaded, TWO + loaded, ONE + loaded, "three two one", "6"]
    assert run(tmp_path, "three", "two", "one") == loaded_all
    assert run(tmp_path, "two", "one", "three") == [TWO + loaded, ONE + loaded, THREE + loaded, "two one three", "6"]


def test_numba_takes_the_library_that_it_is_given() -> None:
    """A loop for loops is compiled into a `Linked` that is done and unknown to the engine; one for Python is not."""

    @compiled
    def inside(n: int) -> int:
        return n + 1

    @compiled
    def door(n: int) -> int:
        return inside(n)

    assert door(1) == 2
    assert _compiled(door).library.get_pointer_to_function(_compiled(door).fndesc.llvm_func_name)
    found = _compiled(inside.get_overload.__self__)  # type: ignore[attr-defined]
    assert isinstance(found.library, Linked)
    assert found.library._finalized
    assert not found.library._codegen._engine.is_symbol_defined(found.fndesc.llvm_func_name)


def _compiled(loop: Any) -> Any:
    """numba's only result of a loop."""
    (found,) = loop.overloads.values()
    return found


def test_numba_asks_of_a_library_what_a_linked_one_answers() -> None:
    """The steps that `Linked` leaves out are taken in `finalize` alone, and a pointer and an environment are asked for
    where it is made executable: a step of another name would make code again, or be missed."""
    library = codegen.CPUCodeLibrary
    steps = inspect.getsource(library.finalize)
    assert steps.index("self._optimize_final_module()") < steps.index("self._finalize_final_module()")
    assert "self._codegen._add_module(" in inspect.getsource(library._finalize_final_module)
    assert "self._finalized = True" in inspect.getsource(library._finalize_final_module)
    assert library.__abstractmethods__ == frozenset()
    made = inspect.getsource(cpu.CPUContext.get_executable)
    assert made.count("library.get_pointer_to_function(") == 1
    assert made.count("library.codegen.set_env(") == 1
    assert made.count("library.") == 2
    for name in ("codegen", "get_pointer_to_function", "_optimize_final_module", "_finalize_final_module"):
        assert hasattr(codegen.JITCodeLibrary, name), name


def test_numba_compiles_into_the_library_of_the_state() -> None:
    """It makes one only where there is none, after `compile_extra`, which it is asked for once a loop."""
    assert "if state.library is None:" in inspect.getsource(typed_passes.BaseNativeLowering.run_pass)
    assert "self.state.library = library" in inspect.getsource(compiler.CompilerBase.__init__)
    assert "return pipeline.compile_extra(func)" in inspect.getsource(compiler.compile_extra)


@pytest.mark.parametrize("ours", [ForLoops, ForPython])
def test_a_compiler_of_ours_is_asked_as_numbas_is(ours: type[compiler.Compiler]) -> None:
    """The same arguments."""
    assert list(inspect.signature(ours.compile_extra).parameters) == list(
        inspect.signature(compiler.Compiler.compile_extra).parameters
    )


def test_environments_are_given_as_to_a_loaded_loop() -> None:
    """Of those that `_find_referenced_environments` names, by the same call."""
    assert "self._find_referenced_environments()" in inspect.getsource(compiler.CompileResult._reduce)
    assert "library.codegen.set_env(env.env_name, env)" in inspect.getsource(compiler.CompileResult._rebuild)
