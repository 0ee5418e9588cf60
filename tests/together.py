"""`python -m tests.together`: the whole suite in two pytest processes side by side, as most tests on Kafka only wait.

One takes the folders of `WAITING` and is seen live; the other takes everything else, whichever folders there are, and
is shown when both are done. Options of pytest (`-k worker`) go to both. A plain `pytest` runs the same tests in one.

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

ROOT = Path(__file__).parents[1]
WAITING = ("tests/integration", "tests/deploy")
FIRST, SECOND = " and ".join(WAITING), "everything else"
WARM = ("detector.warm",)
"""Before both: two that compile the same loops take twice the time. And numba's cache on disk is replaced file by file
but has no lock: of two processes that add another signature of one loop at once, one can get the other's code."""
SAID = {0: "passed", 2: "interrupted", 5: "found no test"}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Together:
    """Processes that begin here and, however we are asked to end, end with us."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_ending = False
        self._begun: list[subprocess.Popen[bytes]] = []
        for end in ENDS:
            if end != signal.SIGHUP or signal.getsignal(end) != signal.SIG_IGN:  # nohup stays nohup
                signal.signal(end, self._end)

    def begin(self, module: str, *arguments: str, output: Any = None) -> subprocess.Popen[bytes]:
        """Start a module in a process group of its own, so that a Ctrl-C reaches it once and from here."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=self.root, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=None if output is None else subprocess.STDOUT,
        )  # fmt: skip
        self._begun.append(process)
        if self.is_ending:
            self._end()
        return process

    def _end(self, *_: object) -> None:
        """Press Ctrl-C in every group: on it pytest ends its Kafka, which it would not on SIGTERM."""
        self.is_ending = True
        for process in self._begun:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGINT)


def run(root: Path, warm: Sequence[str], options: Sequence[str]) -> int:
    """The exit code: 0 where both passed, otherwise 1."""
    together = Together(root)
    if together.begin(*warm).wait() or together.is_ending:
        say("no test ran: the loops were not compiled")
        return 1
    with tempfile.TemporaryFile() as kept:
        second = together.begin("pytest", "tests", *(f"--ignore={folder}" for folder in WAITING), *options, output=kept)
        first = together.begin("pytest", *WAITING, *options)
        codes = [first.wait()]
        if second.poll() is None:
            say(f"== {FIRST} {said(codes[0])}; waiting for {SECOND}")
        codes.append(second.wait())
        say(f"== {SECOND}")
        kept.seek(0)
        shutil.copyfileobj(kept, sys.stdout.buffer)
    say(f"== {FIRST} {said(codes[0])}, {SECOND} {said(codes[1])}")
    return int(any(codes))


def said(code: int) -> str:
    """An exit code of pytest as a word."""
    return SAID.get(code, "failed")


def say(line: str) -> None:
    """Print a line now: others write to the same terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(run(ROOT, WARM, sys.argv[1:]))
