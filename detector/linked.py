"""Libraries that are only linked into others: what is compiled of a loop that only loops call.

Such a loop is optimised, and made machine code, in each that takes it in. numba would do both for it alone as well,
which takes a fifth of compiling, for code that nobody runs. Knows numba's compiler by private names, which tests hold
on to; knows nothing of any loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import codegen, compiler, typed_passes

from detector.indexing import FromTheStart

_compiler: Any = compiler  # it has no types


class Linked(codegen.CPUCodeLibrary):
    """A loop for others to take in; the engine that makes machine code never sees it."""

    @property
    def codegen(self) -> Linked:
        """Whom numba asks to give the loop's code its environment."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """There is no such code: who takes the loop in gives it to theirs."""

    def get_pointer_to_function(self, name: str) -> int:
        """None, as numba writes it."""
        return 0

    def _optimize_final_module(self) -> None:
        """Left to those who take it in, and optimise all they took."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _Compiler(compiler.Compiler):
    """numba's, with our pass before code is made."""

    def define_pipelines(self) -> list[Any]:
        """The steps of compiling."""
        pipelines: list[Any] = _compiler.Compiler.define_pipelines(self)
        for steps in pipelines:
            steps.add_pass_after(FromTheStart, typed_passes.NoPythonSupportedFeatureValidation)
            steps.finalize()
        return pipelines


class ForLoops(_Compiler):
    """Compiles a loop for loops."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """numba's result, whose library is only linked."""
        library: Any = Linked
        self.state.library = library(self.state.targetctx.codegen(), func.__qualname__)
        return _compiler.Compiler.compile_extra(self, func)


class ForPython(_Compiler):
    """Compiles a loop for Python, with all that it takes in."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """numba's result, whose loops have all got their environments, as when it is loaded: an error that carries a
        value is made with one."""
        result = _compiler.Compiler.compile_extra(self, func)
        for environment in result._find_referenced_environments():
            result.codegen.set_env(environment.env_name, environment)
        return result
