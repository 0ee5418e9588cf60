"""A policy with other panes or dimensions, tried once where the tallies log goes on: refused, and nothing is broken."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from detector.contracts.policy import DEFAULT
from detector.counting.tally import Marker, Tally, encode
from streams.embedded import EmbeddedKafka
from streams.tallylog import unpack
from streams.topics import create_topics
from tests.integration.test_worker import is_ready, minutes_ago
from tests.integration.workers import Stage, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

OTHERS = {"pane_s": "pane_s = 60\n", "dimensions": 'dimensions = ["bank", "method", "psp"]\n'}


def judge_on(stage: Stage) -> None:
    """Events come, and a worker judges them."""
    stage.send(minutes_ago(1))
    now_ms = time.time_ns() // 10**6
    wait_for(lambda: is_ready(stage) and judged_ms(stage) > now_ms, stage, "judging what came last")


def retired(stage: Stage) -> None:
    """The one worker is told to stop."""
    [worker] = stage.workers
    assert worker.end() == 0
    stage.workers.clear()


def begin_anew(stage: Stage) -> None:
    """Other names for what stands on the tallies log and for who reads it; all other topics stay."""
    topics = stage.settings.topics.model_copy(update={"tallies": f"{stage.settings.topics.tallies}-2"})
    stage.settings = stage.settings.model_copy(update={"app_id": f"{stage.settings.app_id}-2", "topics": topics})
    stage.settings_environment |= {
        "PASTILLE_APP_ID": stage.settings.app_id, "PASTILLE_TOPICS": topics.model_dump_json(),
    }  # fmt: skip
    create_topics(stage.settings, stage.count)


def refused(stage: Stage, policy: Path, key: str) -> None:
    """A worker with the policy ends with code 2, and says why."""
    worker = stage.worker("--policy", str(policy))
    assert worker.process.wait(60) == 2
    assert "are fixed while the tallies log goes on" in worker.logged()
    assert f"{key} = " in worker.logged()
    stage.workers.clear()


def test_a_policy_that_cannot_hold_is_refused_before_it_is_written(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """Exit code 2, and not a word on the tallies log. With another PASTILLE_APP_ID and topic of tallies the new one may
    hold, as it says."""
    with Stage(kafka, 1) as stage:
        stage.worker()
        judge_on(stage)
        retired(stage)
        told = stage.read(stage.settings.topics.tallies)
        for key, text in OTHERS.items():
            policy = tmp_path / f"{key}.toml"
            policy.write_text(text)
            refused(stage, policy, key)
        assert stage.read(stage.settings.topics.tallies) == told
        begin_anew(stage)
        stage.worker("--policy", str(policy))
        judge_on(stage)


def test_a_log_that_holds_such_a_policy_is_judged_on(kafka: EmbeddedKafka) -> None:
    """Policies and tallies of other panes and dimensions on the log, as an older version wrote them, are passed over:
    by the Judge at work, and by the next."""
    with Stage(kafka, 1) as stage:
        worker = stage.worker()
        judge_on(stage)
        others = {"pane_ms": 60_000}, {"dimensions": ("bank", "method", "psp")}
        poison = [encode(Marker("policy", None, replace(DEFAULT, **other).canonical())) for other in others]
        poison += [encode(one) for one in _spoilt(_newest(stage))]
        tallies = stage.settings.topics.tallies
        stage.send_raw(tallies, [(b"policy", value) for value in poison])
        judge_on(stage)
        wait_for(lambda: worker.logged().count("log and passed over") == 2, stage, "said once of each kind")
        retired(stage)
        stage.send_raw(tallies, [(b"policy", value) for value in poison])
        stage.worker()
        judge_on(stage)


def _newest(stage: Stage) -> Tally:
    """The newest tally with cells."""
    told = [one for value in stage.read(stage.settings.topics.tallies) for one in unpack(value)]
    return [one for one in told if isinstance(one, Tally) and len(one.cells)][-1]


def _spoilt(one: Tally) -> list[Tally]:
    """Of a newer term, in panes of a minute, and with a dimension more."""
    newer = replace(one, term=one.term + 1, after_ms=-1)
    cells = one.cells
    coarse = replace(cells, pane=cells.pane // 12)
    leaves = tuple((*leaf, "adyen") for leaf in cells.leaves)
    return [replace(newer, cells=coarse), replace(newer, cells=replace(cells, leaves=leaves))]
