"""A command of the demo learns its part before its cue: it waits, plays with what the cue says, or ends without one."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from streams.demo.actor import READY

READY_S_MAX = END_S_MAX = 60

Actor = tuple[subprocess.Popen[str], socket.socket]


@pytest.fixture
def actor() -> Iterator[Actor]:
    """The simulator, as an actor that is not yet told where its Kafka is."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.demo.actor", "simulate", "--to", "kafka"],
            stdin=theirs, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        theirs.close()
        ours.settimeout(READY_S_MAX)
        yield process, ours
        process.kill()
        process.communicate()


def test_it_plays_in_the_environment_of_its_cue(actor: Actor) -> None:
    """It says when it is ready, waits for its cue, and is then the command with the cue's settings."""
    process, stage = actor
    assert stage.recv(1) == READY
    assert process.poll() is None
    stage.sendall(json.dumps({"PASTILLE_SECURITY_PROTOCOL": "CARRIER_PIGEON"}).encode() + b"\n")
    _, said = process.communicate(timeout=END_S_MAX)
    assert process.returncode == 2
    assert "CARRIER_PIGEON" in said


def test_it_ends_with_the_demo(actor: Actor) -> None:
    """Without a cue, since the demo is gone, it ends and does nothing."""
    process, stage = actor
    assert stage.recv(1) == READY
    stage.close()
    _, said = process.communicate(timeout=END_S_MAX)
    assert (process.returncode, said) == (0, "")
