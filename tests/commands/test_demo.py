"""`pastille demo` as a newcomer runs it: two banks go down, both are found and resolved, and nothing is left."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

PASTILLE = (sys.executable, "-c", "from streams.commands import main; main()", "demo", "--json", "--http-port", "18081")
FIRST_EVENT_S_MAX = 120  # generous: the machine may be busy, and the loops may have to be compiled
GONE_S_MAX = 30
LOOK_S = 0.5


class Demo:
    """A running demo whose temporary folders are all in `folder`, and every process it ever started."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*PASTILLE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": str(folder)}, start_new_session=True,
        )  # fmt: skip
        self.family: set[psutil.Process] = set()

    def said(self, word: str) -> None:
        """Wait until the demo says so on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.note_family()
            if word in line:
                return
        pytest.fail(f"the demo ended without saying {word!r}")

    def note_family(self) -> None:
        """Remember every process below it."""
        self.family |= set(psutil.Process(self.process.pid).children(recursive=True))

    def wait_until_gone(self) -> None:
        """Fail where, some time after the end, a process still runs or a folder is there."""
        _, alive = psutil.wait_procs(self.family, GONE_S_MAX)
        assert not alive
        wait_for(lambda: not list(self.folder.iterdir()), f"{list(self.folder.iterdir())} to be removed")


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + GONE_S_MAX
    while not is_so():
        assert time.monotonic() < deadline_s, f"waited {GONE_S_MAX} s for {what}"
        time.sleep(0.1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Starts demos; what a failed test left is ended by its own id."""
    started: list[Demo] = []

    def begin(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield begin
    for demo in started:
        demo.process.kill()
        demo.process.communicate()


class Heard:
    """A demo of 150 s that goes on beside other tests; what it said on standard error, and when (epoch ms), and what
    its page showed."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.lines: list[tuple[float, str]] = []
        self.out = ""
        self.boards: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._listeners = [
            threading.Thread(target=listen, daemon=True) for listen in (self._listen, self._keep, self._look)
        ]
        for listener in self._listeners:
            listener.start()

    def _listen(self) -> None:
        assert self.demo.process.stderr is not None
        for line in self.demo.process.stderr:
            self.demo.note_family()
            with self._news:
                self.lines.append((time.time() * 1000, line))
                self._news.notify_all()

    def _keep(self) -> None:
        assert self.demo.process.stdout is not None
        self.out = self.demo.process.stdout.read()

    def _look(self) -> None:
        self.when("page at")
        page = next(re.findall(r"http://\S+", line)[0] for _, line in self.lines if "page at" in line)
        while self.demo.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{page}/api/board", timeout=GONE_S_MAX) as board:
                self.boards.append(json.load(board))
            time.sleep(LOOK_S)

    def when(self, word: str) -> float:
        """When a line with this word came; waits for it."""
        with self._news:
            assert self._news.wait_for(lambda: self._found(word), FIRST_EVENT_S_MAX), f"no {word!r}: {self.lines}"
        return self._found(word)[0]

    def _found(self, word: str) -> list[float]:
        return [at_ms for at_ms, line in self.lines if word in line]

    def end(self) -> int:
        """Wait for its end; the exit code."""
        code = self.demo.process.wait(350)
        for listener in self._listeners:
            listener.join(GONE_S_MAX)
        return code


@pytest.fixture(scope="session")
def demo_beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """The demo that `test_a_demo_begins` starts and `test_two_outages_start_and_end` looks back at."""
    demo = Demo(tmp_path_factory.mktemp("demo"), "--seconds", "150")
    yield Heard(demo)
    demo.process.kill()


@pytest.mark.kafka
@pytest.mark.timeout(450)
@pytest.mark.runs("before test_doctor.py")
def test_a_demo_begins(demo_beside: Heard) -> None:
    """A first event is told; the demo goes on while other tests run."""
    demo_beside.when("first event")


@pytest.mark.kafka
@pytest.mark.timeout(450)
@pytest.mark.runs("last")
def test_two_outages_start_and_end(demo_beside: Heard) -> None:
    """In 150 s exactly two outages start and are resolved, each of the right bank and kind, when they should, and
    nothing is left behind."""
    first_ms = demo_beside.when("first event")
    assert demo_beside.end() == 0
    demo_beside.when("started")
    told = [json.loads(line) for line in demo_beside.out.splitlines()]
    told = [event for event in told if "updated" not in event["type"]]
    edges = {(event["subject"], event["data"]["kind"], event["type"].split(".")[2]): event["data"] for event in told}
    assert sorted(edges) == [
        ("bank:bnp", "all_red", "resolved"), ("bank:bnp", "all_red", "started"),
        ("bank:cedar", "all_pending", "resolved"), ("bank:cedar", "all_pending", "started"),
    ]  # fmt: skip
    assert len(told) == 4
    for bank, kind, from_s, to_s in (("bank:bnp", "all_red", 15, 65), ("bank:cedar", "all_pending", 30, 90)):
        # When this test read of the first event is a little later than when it was.
        since = seconds_since(first_ms, edges[bank, kind, "started"])
        assert from_s - 15 <= since["began_at"] <= from_s + 10
        assert from_s + 15 <= since["detected_at"] <= to_s
        assert seconds_since(first_ms, edges[bank, kind, "resolved"])["ended_at"] <= 140
    look_at_lights(demo_beside.boards)
    demo_beside.demo.wait_until_gone()


def look_at_lights(boards: list[dict[str, Any]]) -> None:
    """On the page an outage's bank, and each of its methods, is dark as long as it is open, and no other is down."""
    dark, fine = set(), set()
    for board in boards:
        struck = {line["scope"].removeprefix("bank:") for line in board["open"]}
        for bank in board["banks"]:
            lights = {bank["light"], *(part["light"] for part in bank["parts"])}
            is_right = lights <= {"down", "recovering"} if bank["name"] in struck else "down" not in lights
            assert is_right, (bank, board["open"])
            dark |= {bank["name"]} if bank["light"] == "down" else set()
            fine |= {bank["name"]} if bank["light"] == "up" else set()
    assert dark == {"bnp", "cedar"}
    assert fine == {bank["name"] for bank in boards[-1]["banks"]} > dark


def seconds_since(first_ms: float, data: dict[str, Any]) -> dict[str, float]:
    names = ("began_at", "detected_at", "ended_at")
    return {name: (data[name] - first_ms) / 1000 for name in names if data[name] is not None}


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("name", "moment"),
    [("SIGINT", "starting Kafka"), ("SIGINT", "starting the worker"), ("SIGTERM", "first event"),
     ("SIGKILL", "first event")],
)  # fmt: skip
def test_however_it_ends_nothing_is_left(start: Callable[..., Demo], name: str, moment: str) -> None:
    """Stopped early or late, by Ctrl-C, SIGTERM or SIGKILL: no process and no folder stays."""
    demo = start()
    demo.said(moment)
    demo.note_family()
    demo.process.send_signal(signal.Signals[name])
    code = demo.process.wait(GONE_S_MAX)
    assert code == (-signal.SIGKILL if name == "SIGKILL" else 0)
    demo.wait_until_gone()
