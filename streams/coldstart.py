"""A start where loops are not compiled yet: plain Python counts until another process has compiled them.

Compiling takes one core for a minute or more. Meanwhile the worker is the same program with no loop compiled, which
counts and judges some hundred events a second; then it begins anew with what was kept. Both times the process replaces
itself: all that it knew is in Kafka, as after any end. Where others count already, nothing is taken from them by one so
slow: it compiles first, and then joins. Knows processes, and of the worker nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

import numba

from detector.kept import NO_ROOM, NotKept, lost, only_kept
from detector.warm import warm, warm_counting, warm_judging
from streams.admin import admin_client, group_has_member
from streams.errors import UserError
from streams.settings import Settings
from streams.told import ENDS

__all__ = ["Loops", "Stage", "become"]

log = logging.getLogger(__name__)

_numba: Any = numba  # its configuration has no types
VARIABLE: Final = "_PASTILLE_COLD_START"
"""Tells the process that it was one before: what it is now, and the sockets on which it is known."""
PLAIN_SWITCH: Final = "NUMBA_DISABLE_JIT"
SLOW: Final = "counted with plain Python, some hundred events a second"

_WARM: Final = (
    f"import runpy, sys; sys.path[:] = {{path!r}}; runpy.run_module({warm.__module__!r}, run_name='__main__')"
)
"""Modules are looked for where this process does, wherever it was started."""


class Stage(StrEnum):
    """What a process is: one that was started, the one of plain Python, the one after that."""

    STARTED = "started"
    PLAIN = "plain"
    COMPILED = "compiled"


class Loops:
    """The loops of this process. `problem` says why they are not what they should be; None once they are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        stage, *sockets = os.environ.get(VARIABLE, Stage.STARTED).split()
        self.stage = Stage(stage)
        self.sockets = [int(number) for number in sockets]
        self.problem: str | None = "loading the compiled loops"
        if self.stage is Stage.PLAIN:
            self.problem = f"the loops are being compiled; until then events are {SLOW}"
        if not self.are_compiled:  # sums of 64 bits wrap around on purpose
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"detector\.")

    @property
    def are_compiled(self) -> bool:
        """Whether they are machine code."""
        return not _numba.config.DISABLE_JIT

    async def load_counting(self) -> bool:
        """Make ready what counts, by calling it; False where the process should become one of plain Python instead. It
        is called before a group is joined, whose sources would wait."""
        if self.are_compiled and (missing := await asyncio.to_thread(_load, warm_counting)):
            is_first = missing.lost is None and self.stage is Stage.STARTED
            if is_first and await asyncio.to_thread(_is_alone, self._settings):
                return False
            await self._compile(warm, missing)
        return True

    async def load_judging(self) -> None:
        """Make ready what judges. Where that must be compiled, sources are counted meanwhile."""
        if self.are_compiled and (missing := await asyncio.to_thread(_load, warm_judging)):
            await self._compile(warm_judging, missing)
        if self.stage is not Stage.PLAIN:
            self.problem = None

    async def _compile(self, part: Callable[[], None], missing: NotKept) -> None:
        self.problem = "compiling"
        if missing.lost:
            log.warning("worker: %s", missing.lost)
        log.info("worker: compiling the loops, which takes a minute or more")
        await asyncio.to_thread(part)
        if not missing.lost and lost():
            log.warning("worker: %s", lost())

    async def compiled(self) -> str:
        """Compile the loops in another process, which ends with this call; returns what is to be said when they are, or
        when they cannot be kept. Where compiling fails it never does, since what is slow is better than nothing."""
        got = await _compiling()
        if got is None:
            return "the loops are compiled; it begins anew with them"
        if NO_ROOM in got:
            return "the loops cannot be kept; it begins anew, and compiles those for itself, and counts then"
        self.problem = (
            f"the loops must be compiled; got {got} of python -m {warm.__module__}; events go on being "
            f"{SLOW}: run that by hand, with 1 GB of memory, and start the worker again"
        )
        log.error("worker: %s", self.problem)
        forever: asyncio.Future[str] = asyncio.Future()
        return await forever


def become(stage: Stage, sockets: Sequence[int], unless: Callable[[], bool]) -> None:
    """Replace this process by the same command at another stage, which finds these sockets open; returns where it is
    told to end meanwhile. Who tells the new one while it begins is heard once it can (`streams.told`)."""
    environment = {name: value for name, value in os.environ.items() if name != PLAIN_SWITCH}
    environment[VARIABLE] = " ".join(map(str, (stage, *sockets)))
    if stage is Stage.PLAIN:
        environment[PLAIN_SWITCH] = "1"
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    if not unless():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


async def _compiling() -> str | None:
    """Compile in another process, which ends with this call; what is wrong, with its last word, or None where nothing
    is. What it says goes on to where we speak."""
    environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, PLAIN_SWITCH)}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WARM.format(path=sys.path), env=environment, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return error.strerror or type(error).__name__
    try:
        said = (await process.communicate())[1].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
    with contextlib.suppress(OSError):
        sys.stderr.write(said)
    last = "".join(f" ({line})" for line in said.splitlines()[-1:])
    return f"exit code {process.returncode}{last}" if process.returncode else None


def _load(part: Callable[[], None]) -> NotKept | None:
    """Load the loops; the first that is not there to load, if any is."""
    try:
        with only_kept():
            part()
    except NotKept as error:
        return error
    return None


def _is_alone(settings: Settings) -> bool:
    """Whether no other worker counts; taken for granted is that some do."""
    try:
        with admin_client(settings) as admin:
            return not group_has_member(admin).get(settings.counter_group, False)
    except UserError:
        return False
