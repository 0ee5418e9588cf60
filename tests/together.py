"""`python -m tests.together`: the whole suite in pytest processes side by side, as most tests on Kafka only wait.

Each of `PARTS` is the folders of one process, and a last one takes everything else, whichever folders there are. Those
that compute have about as much to do each, and give way to those that wait, so that at the end no core waits for one.
The first is seen live, the others are shown when it is done. What needs no compiled loop begins while they are
compiled. Options of pytest (`-k worker`) go to all. All share one broker: to start one and to keep it running costs as
much as many tests. A plain `pytest` runs the same tests in one.

Knows folders and exit codes, and nothing of what is tested.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streams.embedded import EmbeddedKafka
from tests.broker import SHARED

ROOT = Path(__file__).parents[1]
WAITING = (("tests/integration",), ("tests/commands",), ("tests/degraded", "tests/recorded"))
"""Most of their way is waiting for processes that they start, which is longer where those wait for a core."""
COMPUTING = (("tests/simulation",), ("tests/scenarios",), ("tests/property",), ("tests/judging",))
CHECKING = ("tests/tidy", "tests/deploy", "tests/embedded")
"""Needs no compiled loop."""
PARTS = (*WAITING, *COMPUTING, CHECKING)
REST = "everything else"
NICE = 4
"""So far who computes gives way to who waits: by little, as tests have timeouts."""
WARM = ("tests.warm",)
"""Before the others: two that compile the same loops take twice the time."""
SAID = {0: "passed", 2: "interrupted", 5: "found no test"}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Tests start a hundred processes: where Python kept no byte code, each would compile some hundred modules anew. The
loops are kept in the same folders."""


class Together:
    """Processes that begin here and, however we are asked to end, end with us."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_ending = False
        self._begun: list[subprocess.Popen[bytes]] = []
        for end in ENDS:
            if end != signal.SIGHUP or signal.getsignal(end) != signal.SIG_IGN:  # nohup stays nohup
                signal.signal(end, self.end)

    def begin(
        self, module: str, *arguments: str, output: Any = None, computes: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a module in a process group of its own, so that a Ctrl-C reaches it once and from here."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=self.root, start_new_session=True, env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=output, stderr=None if output is None else subprocess.STDOUT,
            preexec_fn=give_way if computes else None,
        )  # fmt: skip
        self._begun.append(process)
        if self.is_ending:
            self.end()
        return process

    def end(self, *_: object) -> None:
        """Press Ctrl-C in every group: on it pytest ends its Kafka, which it would not on SIGTERM."""
        self.is_ending = True
        for process in self._begun:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGINT)


def run(root: Path, warm: Sequence[str], options: Sequence[str]) -> int:
    """The exit code: 0 where all passed, otherwise 1."""
    together = Together(root)
    names = [*map(named, PARTS), REST]
    folders = [*PARTS, ("tests", *(f"--ignore={folder}" for part in PARTS for folder in part))]
    with contextlib.ExitStack() as files:
        kept = [None, *(files.enter_context(tempfile.TemporaryFile()) for _ in folders[1:])]
        first = folders.index(CHECKING)
        checking = together.begin("pytest", *CHECKING, *options, output=kept[first])
        if together.begin(*warm).wait() or together.is_ending:
            together.end()
            checking.wait()
            say("no test of a loop ran: they were not compiled")
            return 1
        begun = [
            checking if where is CHECKING else
            together.begin("pytest", *where, *options, output=file, computes=where not in WAITING)
            for where, file in zip(folders, kept, strict=True)
        ]  # fmt: skip
        codes = []
        for name, process, file in zip(names, begun, kept, strict=True):
            if process.poll() is None and file is not None:
                say(f"== waiting for {name}")
            codes.append(process.wait())
            if file is not None:
                say(f"== {name}")
                file.seek(0)
                shutil.copyfileobj(file, sys.stdout.buffer)
    say("== " + ", ".join(f"{name} {said(code)}" for name, code in zip(names, codes, strict=True)))
    return int(any(codes))


def give_way() -> None:
    """Let others have the core first, in this process and those that it starts."""
    os.nice(NICE)
    with contextlib.suppress(OSError):  # Linux may share cores among sessions, whatever their processes say
        Path("/proc/self/autogroup").write_text(str(NICE))


def named(folders: Sequence[str]) -> str:
    """The folders of one process in words."""
    *most, last = folders
    return f"{', '.join(most)} and {last}" if most else last


def said(code: int) -> str:
    """An exit code of pytest as a word."""
    return SAID.get(code, "failed")


def say(line: str) -> None:
    """Print a line now: others write to the same terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    with EmbeddedKafka() as kafka:
        ENVIRONMENT[SHARED] = kafka.bootstrap
        sys.exit(run(ROOT, WARM, sys.argv[1:]))
