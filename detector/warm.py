"""`python -m detector.warm`: compile every loop once, so that no batch of events waits for the compiler.

Plays a few events through all there is, which calls every loop with the types it is always called with. Knows few
loops by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from detector.contracts.policy import DEFAULT
from detector.counting.counter import warm_up
from detector.rehearsal.replay import Replay

_START_MS = 1_772_000_000_000
_MINUTES = 15
_EXTRA = {"note": {"é": [1.5, None, "\n"]}, "shopper_id": "s", "amount": 1, "currency": "EUR", "code": "05"}


def _events() -> Iterator[dict[str, object]]:
    """Two shops whose payments are red at one bank and fine at another, with orders, a time as text, a late answer."""
    for second in range(0, _MINUTES * 60, 5):
        at = _START_MS + second * 1000
        common = {"order_id": f"o{second}", "method": "card", "merchant_id": f"m{second % 2}", "occurred_at": at}
        yield {**common, "status": "placed", "bank": "red"}
        for bank, status in (("red", "declined"), ("fine", "approved"), ("fine", "pending"), ("fine", "cancelled")):
            yield {**common, "payment_id": f"{bank}{status}{second}", "bank": bank, "status": status, **_EXTRA}
    late = {**common, "payment_id": "late", "bank": "fine", "status": "approved", "started_at": _START_MS}
    yield {**late, "occurred_at": "2026-02-25T06:30:00Z", "instrument_id": "4111111111111111"}


def warm() -> None:
    """Call every loop; those of growing tables and of recovery, which no short day needs, by name."""
    warm_up()
    replay = Replay(DEFAULT)
    values = [json.dumps(event).encode() for event in _events()]
    replay.feed(values)
    replay.feed(values[-4:])
    replay.finish()


if __name__ == "__main__":
    warm()
