"""Where what was compiled of a loop is kept, and when it may be used again.

A folder that cannot be written is read all the same: an image is compiled once, where it is built, and runs as
somebody who may write nowhere. What is kept fits as long as the text of every file is the same whose loops a loop can
call, and the constants it sees: times of files change on their way into an image. Knows numba's cache by private
names, which tests hold on to; a folder that is gone or full only costs compiling again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numba.core import caching

Stamp: TypeAlias = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]

PLACES = ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator")
"""Where numba would write, in its order: NUMBA_CACHE_DIR, beside the file, the user's cache folder."""

_caching: Any = caching  # it has no types
_files_below: dict[str, set[str]] = {}
"""For each file with loops: itself and the files whose loops its own can call."""


class Kept:
    """In place of a loop's cache: reads wherever something is kept, writes where numba may."""

    def __init__(self, own: Any, others: list[Any]) -> None:
        self._own, self._others = own, others

    @property
    def cache_path(self) -> str | None:
        """Where numba writes; None where it may not."""
        path: str | None = self._own.cache_path
        return path

    def load_overload(self, signature: Any, target: Any) -> Any:
        """What is kept for these types, or None."""
        for cache in (self._own, *self._others):
            with contextlib.suppress(OSError, EOFError):
                found = cache.load_overload(signature, target)
                if found is not None:
                    return found
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, if there is room."""
        with contextlib.suppress(OSError):
            self._own.save_overload(signature, result)


def keep(made: Any, loop: Callable[..., Any]) -> None:
    """Let a compiled loop find what is kept of it; `made` has numba's own cache, or none."""
    own, fresh = made._cache, stamp(loop)
    others = []
    for cache in _readers():
        with contextlib.suppress(RuntimeError, OSError):  # numba's word for a place without a folder
            others.append(cache(loop))
    others = [cache for cache in others if cache.cache_path != own.cache_path]
    for cache in (own, *others):
        if hasattr(cache, "_cache_file"):
            cache._cache_file._source_stamp = fresh
    made._cache = Kept(own, others)


def stamp(loop: Callable[..., Any]) -> Stamp:
    """The text of each file that went into a loop, hashed, and the constants its module sees."""
    own = loop.__code__.co_filename
    seen = loop.__globals__
    called = {value.py_func.__code__.co_filename for value in seen.values() if hasattr(value, "py_func")}
    files = _files_below.setdefault(own, {own})
    files.update(*(_files_below.get(file, {file}) for file in called))
    constants = {name: repr(value) for name, value in seen.items() if _is_constant(value)}
    texts = ((Path(file).name, _hashed(file)) for file in sorted(files))
    return tuple(texts), tuple(sorted(constants.items()))


@functools.cache
def _hashed(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _is_constant(value: object) -> bool:
    """Whether a loop may have a value compiled in that another file can change; arrays are of the loop's own."""
    if isinstance(value, tuple):
        return all(_is_constant(item) for item in value)
    return isinstance(value, int | float | np.generic)


@functools.cache
def _readers() -> tuple[Any, ...]:
    """numba's cache for each place, with no need to write there; none where numba has other names."""

    def ensure(self: Any) -> None:
        if not Path(self.get_cache_path()).is_dir():
            raise FileNotFoundError(self.get_cache_path())

    made = []
    for name in PLACES:
        place = getattr(_caching, name, None) or getattr(_caching, f"_{name}", None)
        if place is not None:
            locator = type(name, (place,), {"ensure_cache_path": ensure})
            impl = type("_Impl", (_caching.CompileResultCacheImpl,), {"_locator_classes": [locator]})
            made.append(type("_Cache", (_caching.FunctionCache,), {"_impl_class": impl}))
    return tuple(made)

