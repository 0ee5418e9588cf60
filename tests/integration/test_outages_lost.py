"""The outages topic is made anew beneath a worker that has an outage open, on a real broker."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from streams.admin import admin_client
from streams.embedded import EmbeddedKafka
from tests.integration.test_tallies_lost import stand
from tests.integration.workers import Stage, wait_for

POLICY = "evidence.mode = 'off'\n[all_red]\nafter_s = 5\n"
SHOPPERS = 12


def refused(begun: int) -> list[bytes]:
    """Payments of some shops and seconds that a bank refused."""
    now_ms = time.time_ns() // 10**6
    return [
        json.dumps({
            "payment_id": f"p{begun}-{at}", "order_id": f"o{begun}-{at}", "bank": "bnp", "method": "card",
            "status": "declined", "merchant_id": f"shop{at % 3}", "occurred_at": now_ms - 500 * at,
        }).encode() for at in range(SHOPPERS, -1, -1)
    ]  # fmt: skip


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_an_outage_whose_start_is_gone_is_started_again(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """The same outage, though nobody begins anew but the Judge."""
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    with Stage(kafka, 1) as stage:
        worker = stage.worker("--policy", str(file))
        wait_for(lambda: worker.get("/health/ready")[0] == 200, stage, "ready", every_s=0.2)
        stage.send(refused(1))
        told = wait_for(stage.outages, stage, "an outage", every_s=0.2)
        with admin_client(stage.settings) as admin:
            admin.delete_topics([stage.settings.topics.outages])
        wait_for(lambda: stand(stage), stage, "made again", every_s=0.1)
        again = wait_for(stage.outages, stage, "told again", every_s=0.2)
        assert [one["type"] for one in again][:1] == ["pastille.outage.started.v1"]
        assert {one["data"]["outage_id"] for one in again} == {told[0]["data"]["outage_id"]}
        # From a snapshot with the outage it goes on with the number that follows, from an older one as it began.
        first, after = again[0]["data"]["sequence"], told[-1]["data"]["sequence"] + 1
        assert first in (1, after)
        assert [one["data"]["sequence"] for one in again] == list(range(first, first + len(again)))
        assert f"topic {stage.settings.topics.outages} was known up to offset" in worker.logged()
        wait_for(lambda: worker.get("/health/ready")[0] == 200, stage, "ready", every_s=0.2)
