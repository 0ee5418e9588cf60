"""A worker on a broker with TLS: every client of it, Faust's, the consumers and the producers, is secured."""

from __future__ import annotations

import pytest

from streams.embedded import EmbeddedKafka
from streams.intake.wire import LARGE_BYTES
from tests.integration.test_hostile import good
from tests.integration.workers import Stage, judged_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

MANY = 2_000


@pytest.mark.parametrize("mutual", [False, True], ids=["TLS and SCRAM", "mutual TLS"])
def test_a_worker_counts_and_judges(secured: EmbeddedKafka, mutual: bool) -> None:
    """Payments are counted and judged over the secured listener, large answers received in place as on any, and the
    password is in no output."""
    with Stage(secured, 1, mutual=mutual) as stage:
        sent = [good(number) for number in range(MANY)]
        assert sum(len(value or b"") for _, value in sent) > 2 * LARGE_BYTES
        stage.send_raw(stage.feed.payments, sent)
        worker = stage.worker("--from", "earliest")
        wait_for(lambda: worker.counted() == MANY and judged_ms(stage) > 0, stage, "all counted, and judging")
        assert worker.metric("pastille_ingest_takes_bytes") == 1
        assert worker.get("/health/ready")[0] == 200
        assert worker.end() == 0
        password = (secured.folder / "password").read_text(encoding="ascii").strip()
        assert password not in worker.logged()
