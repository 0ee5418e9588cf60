"""A third dimension among the policy's: what is dead may be the provider, whatever bank stands behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from zlib import crc32

from detector.contracts.policy import Policy
from detector.rehearsal.line import Lines
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate

FEED_LINES = 2_000
START_MS = 1_700_001_600_000
"""Twenty minutes before a full hour: they are known after eighty."""
DEAD_MS = (85 * 60_000, 95 * 60_000)
PROVIDERS = ("north", "south")


def lines() -> Iterator[bytes]:
    """Hour and a half of shops that pay through two providers; for ten minutes the second refuses everything."""
    shops = Shops(banks=4, merchants=40, rate=4.0, swing=0.0, start_ms=START_MS)
    since, until = (shops.start_ms + at_ms for at_ms in DEAD_MS)
    to_lines = Lines(shops)
    for events in simulate(shops, 97 * 60_000):
        for line in to_lines.values(events):
            event = json.loads(line)
            event["psp"] = PROVIDERS[crc32(event["order_id"].encode()) % 2]
            is_dead = event["psp"] == "south" and since <= event["occurred_at"] < until
            if is_dead and event.get("status") in ("approved", "declined"):
                event.update(status="error")
            yield json.dumps(event).encode()


def test_a_dead_provider_is_one_page() -> None:
    """Half of the platform's payments are refused, at every bank: the page says which provider, not the platform."""
    replay, told = Replay(Policy(dimensions=("bank", "method", "psp"))), list(lines())
    changes = [change for at in range(0, len(told), FEED_LINES) for change in replay.feed(told[at : at + FEED_LINES])]
    changes += replay.finish()
    paged = {change.data.outage_id: change.data for change in changes if change.data.severity == "critical"}
    assert [data.scope.to_scope().key for data in paged.values()] == ["psp:south"]
    (data,) = paged.values()
    assert data.detected_at - data.began_at < 60_000
    assert "psp:north" not in data.children
