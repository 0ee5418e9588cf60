"""Processes that begin with numba loaded, and nothing of ours: loading it is most of what a small script takes.

One process has numba compile a function, so that what only compiling needs is there, too; each script runs in a fork of
that one. It is no new process in one thing: texts and bytes have the same `hash` in all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import multiprocessing
import os
import resource
import runpy
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numba

numba.njit(lambda n: n + 1)(1)
OVERRIDE = 1
"""Linux's CAP_DAC_OVERRIDE."""


def printed(script: Path, *, bytes_max: int = resource.RLIM_INFINITY, **environment: str) -> str:
    """What a script prints, run in its folder by a process that has no right to write where the modes of files forbid
    it, also where the tests are run by root, nor more than so many bytes into a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_print, script, bytes_max, environment).result(timeout=60)


def _print(script: Path, bytes_max: int, environment: dict[str, str]) -> str:
    os.environ.update(environment)
    os.chdir(script.parent)
    sys.path.insert(0, str(script.parent))
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))
    obey_modes()
    config: Any = numba.core.config
    config.reload_config()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path(str(script), run_name="__main__")
    return said.getvalue()


def obey_modes() -> None:
    """Give up root's right to write everywhere, here and in what is started from here; nobody else has it."""
    if os.getuid() != 0:
        return
    drop_from_bounds, third_form = 24, 0x20080522  # PR_CAPBSET_DROP, of how rights are listed
    libc, header, rights = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(third_form), (ctypes.c_uint32 * 6)()
    libc.prctl(drop_from_bounds, OVERRIDE, 0, 0, 0)
    libc.capget(header, rights)
    rights[0] &= ~(1 << OVERRIDE)
    libc.capset(header, rights)
