"""`pastille stress` as a user runs it, on a real broker: a small load, so that it is short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from streams.admin import admin_client
from streams.commands.stress import RATE_MAX
from streams.embedded import EmbeddedKafka
from tests.commands.test_simulate import refused

pytestmark = pytest.mark.kafka
COMMAND = (sys.executable, "-c", "from streams.commands import main; main()")
PASTILLE = (*COMMAND, "stress")
LONG = ("stress", "--rate", "50", "--for", "600", "--partitions", "1")
DEMO = ("demo", "--json", "--http-port", "18083", "--broker")


def stress(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    variables = {**os.environ, **environment}
    return subprocess.run([*PASTILLE, *arguments], capture_output=True, text=True, timeout=480, env=variables)


def test_all_that_is_sent_is_counted_and_nothing_is_left(kafka: EmbeddedKafka) -> None:
    """Every event sent is counted, the verdict has its figures, and no topic of the trial stays."""
    done = stress("--rate", "400", "--for", "6", "--partitions", "2", "--json", **kafka.environment())
    assert done.returncode in (0, 1), done.stderr  # a busy machine may well be the first to give way
    said = json.loads(done.stdout)
    last, held = said["looks"][-1], said["held"]
    assert last["counted"] == last["sent"] == last["due"] > 1_000, done.stderr
    assert held["drained_s"] is not None
    assert held["sent_per_s"] > 0
    assert (done.returncode == 1) == (held["first"] is not None)
    assert left(kafka) == []


@pytest.mark.timeout(500)
def test_a_rate_that_nobody_sends_did_not_hold(kafka: EmbeddedKafka) -> None:
    """The load goes out slower than it is asked for: that is found, and who was too slow is on its way to the broker.

    Of several events a microsecond no Python makes any; whether it or the broker beside it gives way is the machine's.
    """
    done = stress("--rate", str(RATE_MAX), "--for", "5", "--partitions", "2", "--json", **kafka.environment())
    assert done.returncode == 1, done.stderr
    held = json.loads(done.stdout)["held"]
    assert held["first"]["part"] in ("sender", "broker"), done.stderr
    assert held["unsent"] > 0, "the rest is not sent after the load"
    assert left(kafka) == []


def test_a_broker_that_stands_still_is_what_gave_way() -> None:
    """Batches are given up meanwhile; the trial goes on, has its verdict, and leaves nothing."""
    with EmbeddedKafka() as frozen, begun(frozen) as trials:
        trial = trials.begin("stress", "--rate", "500", "--for", "20", "--partitions", "1", "--json",
                             stdout=subprocess.PIPE)  # fmt: skip
        until(trial, "sent")
        for pid in frozen.pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            until(trial, "given up")
        finally:
            for pid in frozen.pids:
                os.kill(pid, signal.SIGCONT)
        out, said = trial.communicate(timeout=240)
        assert trial.returncode == 1, said
        held = json.loads(out)["held"]
        assert held["first"]["part"] == "broker", said
        assert held["lost"] > 0
        assert left(frozen) == []


def left(kafka: EmbeddedKafka) -> list[str]:
    """Topics and groups of trials that are there."""
    with admin_client(kafka.settings()) as admin:
        names = [*admin.list_topics(), *(group["group_id"] for group in admin.list_groups())]
    return [name for name in names if name.startswith(("pastille-stress-", "pastille-demo-"))]


class Trials:
    """Commands that go on side by side until they are ended."""

    def __init__(self, kafka: EmbeddedKafka) -> None:
        self._environment = {**os.environ, **kafka.environment(), "PYTHONFAULTHANDLER": "1"}
        self.begun: list[subprocess.Popen[str]] = []

    def begin(self, *arguments: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start one."""
        process = subprocess.Popen([*COMMAND, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True,
                                   env=self._environment, start_new_session=True)  # fmt: skip
        self.begun.append(process)
        return process


@contextmanager
def begun(kafka: EmbeddedKafka) -> Iterator[Trials]:
    """What a failed test left is ended by its own id."""
    trials = Trials(kafka)
    try:
        yield trials
    finally:
        for process in trials.begun:
            process.kill()
            process.wait()


@pytest.fixture
def trials(kafka: EmbeddedKafka) -> Iterator[Trials]:
    """On the broker that all share."""
    with begun(kafka) as trials:
        yield trials


def until(process: subprocess.Popen[str], word: str) -> None:
    """Wait until it says so on standard error."""
    assert process.stderr is not None
    assert any(word in line for line in process.stderr), f"it ended without saying {word!r}"


def code_of(process: subprocess.Popen[str]) -> int:
    """The exit code; one that does not end says where it stands."""
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        assert process.stderr is not None
        pytest.fail(f"{process.args} does not end: {process.stderr.read()}")


@pytest.mark.usefixtures("hears_hangup")
def test_however_it_ends_nothing_is_left(kafka: EmbeddedKafka, trials: Trials) -> None:
    """Ended by each signal, early or late, or by the death of its worker, a trial leaves no topic and no group."""
    early, told, failing = (trials.begin(*LONG) for _ in range(3))
    demo = trials.begin(*DEMO, kafka.bootstrap)
    until(early, "making topics")
    early.send_signal(signal.SIGINT)
    for process in (told, failing):
        until(process, "counted")
    until(demo, "first event")
    assert any(name.endswith("-counter") for name in left(kafka))
    for child in psutil.Process(failing.pid).children(recursive=True):
        if "worker" in child.cmdline():
            child.kill()
    told.send_signal(signal.SIGTERM)
    demo.send_signal(signal.SIGHUP)
    codes = [code_of(process) for process in (early, told, failing, demo)]
    assert codes == [128 + signal.SIGINT, 128 + signal.SIGTERM, 2, 0]
    assert left(kafka) == []


@pytest.mark.parametrize(
    "wrong",
    [(), ("--rate", "0"), ("--rate", "370001"), ("--rate", "10", "--for", "1"), ("--rate", "10", "--broker", "x")],
)
def test_mistakes_are_sentences(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong options end with exit code 2 and no traceback."""
    assert "making topics" not in refused(capsys, "stress", *wrong) or "--broker" in wrong


def test_nothing_is_left_on_a_broker_that_is_not_there(trials: Trials) -> None:
    """It is told that it cannot be used, and not that something is to be deleted there."""
    commands = [("stress", "--rate", "10"), ("demo", "--json", "--http-port", "18083")]
    begun = [trials.begin(*command, "--broker", "127.0.0.1:1") for command in commands]
    for process in begun:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 2
        assert "Kafka at 127.0.0.1:1 (PLAINTEXT) cannot be used" in said
        assert "delete it" not in said
