"""A worker that is told to end: before it has anything to end, and with a thread that nobody can end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGINS = """
import signal
import streams.settings

def load_settings(**_):
    print("begun", flush=True)
    signal.pause()

streams.settings.load_settings = load_settings
from streams.commands import main
main(["worker"])
"""
HANGS = """
import asyncio, sys, threading
from streams import app

app.KILL_S = 3600.0
is_reading = threading.Event()

def read():
    is_reading.set()
    sys.stdin.read()

async def work(stopped):
    asyncio.get_running_loop().run_in_executor(None, read)
    is_reading.wait()
    return app.Ending(3, "over")

worker = app.Worker.__new__(app.Worker)
worker._work, worker._tasks, worker._ends = work, [], []
asyncio.run(worker.run())
"""


def started(program: str) -> subprocess.Popen[str]:
    """A process of its own."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_before_it_has_begun_ends_well(name: signal.Signals) -> None:
    """As one that works does: exit code 0, and a line that says why."""
    with started(BEGINS) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "begun\n"
        worker.send_signal(name)
        assert worker.communicate(timeout=60)[1] == f"worker: got {name.name}; stopping before it has begun\n"
        assert worker.returncode == 0


def test_a_thread_that_hangs_is_not_waited_for() -> None:
    """Of one that compiles, or waits for a broker, nothing is needed any more."""
    with started(HANGS) as worker:
        assert worker.wait(60) == 3
