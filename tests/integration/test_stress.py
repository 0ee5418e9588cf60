"""`pastille stress` as a user runs it, on a real broker: a small load, so that it is short."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka

pytestmark = pytest.mark.kafka
PASTILLE = (sys.executable, "-c", "from streams.commands import main; main()", "stress")


def stress(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    variables = {**os.environ, **environment}
    return subprocess.run([*PASTILLE, *arguments], capture_output=True, text=True, timeout=240, env=variables)


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
    with admin_client(kafka.settings()) as admin:
        assert [name for name in admin.list_topics() if name.startswith("pastille-stress-")] == []


@pytest.mark.parametrize(
    "wrong", [(), ("--rate", "0"), ("--rate", "10", "--for", "1"), ("--rate", "10", "--broker", "x")]
)
def test_mistakes_are_sentences(wrong: tuple[str, ...]) -> None:
    """Wrong options end with exit code 2 and no traceback."""
    done = stress(*wrong)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
