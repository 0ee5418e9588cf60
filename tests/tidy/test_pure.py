"""The detector is pure: events and times come in as arguments, values go out. The import contracts say the same of
whole modules (`make check`); here are the finer rules."""

import ast

import pytest

from tests.tidy.source import DETECTOR, Source

# What a pure module may ask of others. A module that is not here is a clock, a file, a socket or a surprise.
ALLOWED = {
    "__future__", "abc", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime",
    "difflib", "enum",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "statistics", "string", "struct",
    "tomllib", "types", "typing", "unicodedata", "zlib", "zoneinfo",
    "detector", "llvmlite", "msgspec", "numba", "numpy", "pydantic", "pydantic_core",
}  # fmt: skip

# The only ways out, each with its reason.
EXCEPTIONS = {
    # The text of the loops' own files, or numba would keep code that is outdated; what it writes, for a digest of it;
    # one process after the other; and that one thread may not compile.
    "detector/kept.py": {"contextvars", "fcntl", "io", "pathlib"},
    "detector/contracts/codes.py": {"importlib"},  # its own table, shipped beside it, read once
    "detector/counting/space.py": {"mmap"},  # memory of no file
}

IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__"}
IMPURE_METHODS = {"now", "utcnow", "today", "read_text", "write_text", "read_bytes", "write_bytes", "unlink", "mkdir"}


def each(source: Source) -> str:
    """The name under which pytest shows a file."""
    return source.name


def where(source: Source, node: ast.AST) -> str:
    """A place in a file, for a failure."""
    return f"{source.name}:{getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("source", DETECTOR, ids=each)
def test_it_imports_only_what_is_pure(source: Source) -> None:
    """A module of the detector imports nothing of the shell, no clock, no I/O, no logging and no randomness."""
    allowed = ALLOWED | EXCEPTIONS.get(source.name, set())
    assert [name for name in source.imports() if name.split(".")[0] not in allowed] == []


@pytest.mark.parametrize("source", DETECTOR, ids=each)
def test_it_calls_nothing_impure(source: Source) -> None:
    """A module of the detector opens no file, prints nothing and asks for no time of day."""
    found = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        named = isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
        method = isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_METHODS
        if (named or method) and source.name not in EXCEPTIONS:
            found.append(f"{where(source, node)}: {ast.unparse(node.func)}()")
    assert found == []


@pytest.mark.parametrize("source", DETECTOR, ids=each)
def test_it_awaits_nothing(source: Source) -> None:
    """A module of the detector has no async function and awaits nothing."""
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [where(source, node) for node in ast.walk(source.tree) if isinstance(node, waiting)] == []


@pytest.mark.parametrize("source", DETECTOR, ids=each)
def test_chance_comes_in_as_a_seed(source: Source) -> None:
    """Whoever draws random numbers in the detector was given a seed: numpy's global state is never touched."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ".random." in f".{ast.unparse(node.func)}":
            name = ast.unparse(node.func).rpartition(".")[2]
            if name not in {"default_rng", "Generator", "PCG64", "SeedSequence", "Philox"} or not node.args:
                found.append(f"{where(source, node)}: {ast.unparse(node)}")
    assert found == []


def test_the_exceptions_are_still_needed() -> None:
    """An exception names a file that exists and a module that it imports: none is left over."""
    used = {source.name: {name.split(".")[0] for name in source.imports()} for source in DETECTOR}
    for name, modules in EXCEPTIONS.items():
        assert modules <= used.get(name, set()), f"{name} no longer needs {modules - used.get(name, set())}"
