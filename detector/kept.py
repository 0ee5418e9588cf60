"""Where what was compiled of a loop is kept, and when it may be used again.

A folder that cannot be written is read all the same: an image is compiled once, where it is built, and runs as
somebody who may write nowhere. What is kept fits as long as the text of every file is the same whose loops a loop can
call, and the constants these see: times of files change on their way into an image. Nothing is looked for before a
loop is called, for of all loops few are called from Python. Whatever is wrong with what is kept costs compiling again,
and no more: each file ends with its digest, for machine code that a disk spoilt ends the process, or counts wrongly.
Knows numba's cache by private names, which tests hold on to.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numba.core import caching, config, runtime

PLACES = ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator")
"""Where numba would write, in its order: NUMBA_CACHE_DIR, beside the file, the user's cache folder."""
COMPILERS = ("compiled.py", "counting/hand.py", "indexing.py", "linked.py", "prefetch.py", "wide.py")
"""From this file's folder: how loops are compiled."""

_config: Any = config  # they have no types
_caching: Any = caching
_runtime: Any = runtime
_NO_PLACE = (RuntimeError, OSError)
"""numba's word for a place without a folder, and the system's."""
FORM = "sealed"
"""Of the files: a version of Pastille that writes another one takes ours for outdated."""
DIGEST = hashlib.sha256
DIGEST_BYTES = DIGEST().digest_size

Stamp: TypeAlias = tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
"""Of each file: its name, its text, hashed, and the constants that its loops see. Plain values, since they are kept:
another version of Pastille may read them from the same folder."""


NO_FOLDER = "no folder to keep what is compiled: set NUMBA_CACHE_DIR"
NO_ROOM = "cannot keep what is compiled"
ROOM_MB = 12
"""What all loops take, half as much again."""
_no_compiling: ContextVar[bool] = ContextVar("no_compiling", default=False)
_lost: list[str] = []
"""The first reason why something was not kept."""


class NotKept(Exception):
    """A loop would have to be compiled where that is forbidden. `lost`: why it cannot be kept then; None if it can."""

    def __init__(self, loop: str, lost: str | None) -> None:
        super().__init__(loop)
        self.lost = lost


def lost() -> str | None:
    """Why not all that this process compiled is kept; None where it is."""
    return _lost[0] if _lost else None


@contextlib.contextmanager
def only_kept() -> Iterator[None]:
    """Forbid compiling: a loop raises NotKept when it is called and nothing is kept of it."""
    before = _no_compiling.set(True)
    try:
        yield
    finally:
        _no_compiling.reset(before)


class Kept:
    """In place of a loop's cache: reads wherever something is kept, writes where numba may."""

    def __init__(self, loop: Callable[..., Any]) -> None:
        self._loop = loop

    @property
    def cache_path(self) -> str | None:
        """Where numba writes; None where it may not."""
        return None if self._own is None else str(self._own.cache_path)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """What is kept for these types, or None. What cannot be read, for any reason, is not kept."""
        for cache in self._caches():
            with contextlib.suppress(Exception):
                found = cache.load_overload(signature, _Loading(target))
                if found is not None:
                    return found
        if _no_compiling.get():
            lost = NO_FOLDER if self._own is None else _full(Path(self._own.cache_path))
            raise NotKept(f"{self._loop.__module__}.{self._loop.__qualname__}", lost)
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, if there is a place, and room; else it is `lost`. numba looks for a free name and
        then takes it: of two processes at once, one could later be given what the other had compiled for other types.
        """
        if self._own is None:
            _lost[:] = _lost or [NO_FOLDER]
            return
        try:
            with _alone(Path(self._own.cache_path)):
                self._save(signature, result)
        except OSError as error:
            _lost[:] = _lost or [_no_room(self.cache_path, error)]

    def _save(self, signature: Any, result: Any) -> None:
        try:
            self._own.save_overload(signature, result)
        except OSError:
            raise
        except Exception:  # of the index that is there, which another version wrote, or the disk spoilt
            self._own.flush()
            self._own.save_overload(signature, result)

    def _caches(self) -> Iterator[Any]:
        if self._own is not None:
            yield self._own
        for place in _readers():
            cache = self._cache(place)
            if cache is not None and cache.cache_path != self.cache_path:
                yield cache

    @functools.cached_property
    def _own(self) -> Any:
        return self._cache(_caching.FunctionCache)

    def _cache(self, kind: Any) -> Any:
        """numba's cache of a kind; None where it finds no place."""
        try:
            cache = kind(self._loop)
        except _NO_PLACE:
            return None
        if hasattr(cache, "_cache_file"):
            cache._cache_file = _Sealed(cache.cache_path, cache._impl.filename_base, stamp(self._loop))
        return cache


class _Sealed(_caching.IndexDataCacheFile):  # type: ignore[misc]  # numba has no types
    """numba's files of a loop, an index and one for each of its types, none of which is read where it is not as it was
    written. What a type's file is of stands in it: where a disk is full the index is written, and it may not be."""

    def save(self, key: Any, data: Any) -> None:
        """Keep what was compiled for a key."""
        super().save(key, (self._source_stamp, key, data))

    def load(self, key: Any) -> Any:
        """What is kept for a key, or None."""
        stamp_there, key_there, data = super().load(key) or (None, None, None)
        return data if (stamp_there, key_there) == (self._source_stamp, key) else None

    def _load_index(self) -> Any:
        with contextlib.suppress(FileNotFoundError):
            _check(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check(self._data_path(name))
        return super()._load_data(name)

    @contextlib.contextmanager
    def _open_for_write(self, path: str) -> Iterator[BytesIO]:
        """What is written, and its digest behind it, where numba does not look."""
        with super()._open_for_write(path) as file:
            written = BytesIO()
            yield written
            file.write(written.getbuffer())
            file.write(DIGEST(written.getbuffer()).digest())


def _check(path: str) -> None:
    """Raises ValueError where a file is not as it was written."""
    content = memoryview(Path(path).read_bytes())
    if DIGEST(content[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
        raise ValueError(f"{path} is spoilt")


class _Loading:
    """numba's target without what only compiling needs: how each function of Python and numpy is compiled, which takes
    a third of a second to know, and numba asks for it before it looks for what is kept."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def refresh(self) -> None:
        """Make ready to run what is loaded."""
        _runtime.rtsys.initialize(self._target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def _full(folder: Path) -> str | None:
    """Why a folder cannot take all loops; None where it can. A disk without room lets an empty file be made."""
    probe = folder / "loops.room"
    try:
        with probe.open("wb", buffering=0) as file:
            for _ in range(ROOM_MB):
                file.write(bytes(1 << 20))
    except OSError as error:
        return _no_room(folder, error)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return None


def _no_room(folder: object, error: OSError) -> str:
    return f"{NO_ROOM} in {folder}: {error.strerror or type(error).__name__}; make room, or set NUMBA_CACHE_DIR"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process writes into the folder meanwhile; where the file system knows no locks, one may."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "loops.lock").open("wb") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stamp(loop: Callable[..., Any]) -> Stamp:
    """What went into a loop: of its own file, of each whose loops it can call, and of those that say how it is done."""
    return tuple(sorted([*_below(loop.__code__.co_filename, loop.__globals__).values(), *_compilers()]))


@functools.cache
def _compilers() -> Stamp:
    files = [(name, _hashed(Path(__file__).parent / name), ()) for name in COMPILERS]
    return (*files, ("bounds", str(_config.BOUNDSCHECK), ()), ("form", FORM, ()))


def _hashed(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


_known: dict[str, dict[str, Any]] = {}


def _below(file: str, names: dict[str, Any]) -> dict[str, Any]:
    """By file, what its loops can hold; `names` are those of the file's module."""
    if file not in _known:
        constants = {name: repr(value) for name, value in names.items() if _is_constant(value)}
        found = _known[file] = {file: (Path(file).name, _hashed(Path(file)), tuple(sorted(constants.items())))}
        called = [value.py_func for value in names.values() if hasattr(value, "py_func")]
        for other, there in {called.__code__.co_filename: called.__globals__ for called in called}.items():
            found |= _below(other, there)
    return _known[file]


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
