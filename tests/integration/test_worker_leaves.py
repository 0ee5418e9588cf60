"""What a worker leaves on its machine: nothing, however it ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from streams.embedded import EmbeddedKafka
from tests.integration.workers import Stage, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def test_a_killed_worker_leaves_no_folder(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that judges keeps nothing in the folder for temporary files, and so leaves nothing when it is killed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Stage(kafka, 1) as stage:
        worker = stage.worker()
        wait_for(lambda: worker.metric("pastille_judge_active") == 1, stage, "judging")
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
