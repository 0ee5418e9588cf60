"""The guard: a process that outlives its parent just long enough to end the brokers and remove their folder.

Run as a script of its own (`python guard.py watch FOLDER`), it reads the process ids of brokers from standard input,
a pipe whose other end the parent holds. However the parent ends, also by SIGKILL, the pipe reaches its end; the guard
then kills what still runs and removes the folder. `guard.py run PIPE COMMAND…` says its own process id to the guard
and becomes the broker, so that there is no moment in which a broker runs that the guard does not know.

It knows nothing of Kafka, and imports nothing but the standard library, to start in a few milliseconds.
"""

import os
import shutil
import signal
import sys
import time

REMOVALS_MAX = 100
PAUSE_S = 0.05


def watch(folder: str) -> None:
    """Collect `+pid` and `-pid` lines until the pipe ends, then kill those that are left, and remove `folder`."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    running: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        (running.add if line.startswith("+") else running.discard)(pid)
    for pid in running:
        _kill(pid)
    _remove(folder)


def _kill(pid: int) -> None:
    # Each broker leads a process group of its own, so that a number taken over by another process is left alone.
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _remove(folder: str) -> None:
    # A killed broker may still be writing for a moment, so a folder can fill again behind the removal.
    for _ in range(REMOVALS_MAX):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            return
        time.sleep(PAUSE_S)


def run(pipe: int, command: list[str]) -> None:
    """Tell the guard who we are, then become the command."""
    os.setsid()
    os.write(pipe, f"+{os.getpid()}\n".encode())
    os.close(pipe)  # a broker that kept the pipe open would keep the guard waiting for its own end
    os.execv(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(sys.argv[2])
    else:
        run(int(sys.argv[2]), sys.argv[3:])
