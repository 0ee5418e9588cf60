"""Starting child processes that cannot outlive us: the parent's side of the guard.

It does not know what the processes do.
"""

import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

__all__ = ["Guard"]

SCRIPT: Final = str(Path(__file__).with_name("guard.py"))
# Isolated and without site packages: it starts in some milliseconds, whatever the environment says.
PYTHON: Final = (sys.executable, "-I", "-S")
END_S: Final = 30


class Guard:
    """Starts processes, and surely ends them and removes `folder` when it is closed or when this process dies."""

    def __init__(self, folder: Path) -> None:
        self._watcher = subprocess.Popen(
            [*PYTHON, SCRIPT, "watch", str(folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        assert self._watcher.stdin is not None
        self._pipe: IO[bytes] = self._watcher.stdin

    def run(
        self, command: list[str], log: IO[bytes], stdin: socket.socket | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start `command`, in a process group of its own, so that Ctrl-C in the terminal reaches only us.

        It reads nothing, or what comes over `stdin`, which stays the caller's to close.
        """
        pipe = self._pipe.fileno()
        return subprocess.Popen(
            [*PYTHON, SCRIPT, "run", str(pipe), *command],
            pass_fds=[pipe],
            stdin=subprocess.DEVNULL if stdin is None else stdin.fileno(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """End a process of `run` by its own id, at once, and wait until it has ended."""
        process.kill()
        self.forget(process)

    def forget(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait for the end of a process; its id may be another's from then on."""
        process.wait(END_S)
        self._pipe.write(f"-{process.pid}\n".encode())
        self._pipe.flush()

    def close(self) -> None:
        """End what still runs, remove the folder, and wait until that is done."""
        if not self._pipe.closed:
            self._pipe.close()
        self._watcher.wait(END_S)
