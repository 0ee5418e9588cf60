"""The sentence at 02:30, word for word: one golden text a kind, and one for each way it can go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.contracts.scope import PLATFORM, Scope
from detector.judging.explain import Facts, explain

BANK = Scope((("bank", "bnp"),))
RED = Facts(
    scope=BANK, kind="all_red", began_ms=1_760_002_800_000, boundary_ms=1_760_003_100_000, approved=0, red=14,
    pending=2, overdue=0, payments=16, merchants=9, usual=0.91, codes=(("91", 12), ("96", 2)),
    working=("bank:bnp,method:pix", "method:pix", "bank:axa", "bank:ing"), also_down=0, reason=None, ended_ms=None,
)  # fmt: skip
PENDING = replace(RED, kind="all_pending", red=0, pending=16, overdue=12, codes=())

GOLDEN = {
    "all_red": (
        RED,
        "Bank bnp: every payment is refused since 09:40:00 UTC. 0 of 16 payments approved (14 refused, 2 waiting; "
        "9 shops). The hour before: 91 % approved. Commonest codes: 91 (12), 96 (2). "
        "Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "all_pending": (
        PENDING,
        "Bank bnp: payments hang without an answer since 09:40:00 UTC. 0 of 16 payments approved (16 waiting; "
        "9 shops). The hour before: 91 % approved. Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "red and hanging": (
        replace(RED, overdue=3, scope=Scope((("bank", "bnp"), ("method", "card"))), merchants=1),
        "Bank bnp, card: payments are refused or hang without an answer since 09:40:00 UTC. 0 of 16 payments approved "
        "(14 refused, 2 waiting; 1 shop). The hour before: 91 % approved. Commonest codes: 91 (12), 96 (2). "
        "Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "the platform, with others down": (
        replace(PENDING, scope=PLATFORM, usual=None, working=(), also_down=2),
        "The whole platform: payments hang without an answer since 09:40:00 UTC. 0 of 16 payments approved "
        "(16 waiting; 9 shops). 2 other outages open. Nothing else is seen to work.",
    ),
    "orders": (
        replace(RED, orders_hit=14, orders_recovered=3),
        "Bank bnp: every payment is refused since 09:40:00 UTC. 0 of 16 payments approved (14 refused, 2 waiting; "
        "9 shops). 14 orders hit, 3 of them paid since. The hour before: 91 % approved. Commonest codes: 91 (12), "
        "96 (2). Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "over, with an order": (
        replace(RED, ended_ms=1_760_003_160_000, orders_hit=1),
        "Bank bnp: payments are approved again since 09:46:00 UTC, after 6 min 0 s. 1 order hit, none paid since.",
    ),
    "no traffic": (
        replace(PENDING, reason="no_traffic"),
        "Bank bnp: payments hang without an answer since 09:40:00 UTC. 0 of 16 payments approved (16 waiting; "
        "9 shops). The hour before: 91 % approved. No payment has been tried lately, so recovery cannot be seen: "
        "send 1 to 5 % of the usual ones there. "
        "Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "announced": (
        replace(RED, announced_ms=1_760_004_000_000, note="new core banking"),
        "Bank bnp: every payment is refused since 09:40:00 UTC. Announced maintenance until 10:00 UTC "
        "(new core banking). 0 of 16 payments approved (14 refused, 2 waiting; 9 shops). The hour before: 91 % "
        "approved. Commonest codes: 91 (12), 96 (2). Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "announced until another day, without a note": (
        replace(PENDING, announced_ms=1_760_061_600_000),
        "Bank bnp: payments hang without an answer since 09:40:00 UTC. Announced maintenance until 2025-10-10 02:00 "
        "UTC. 0 of 16 payments approved (16 waiting; 9 shops). The hour before: 91 % approved. "
        "Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "outlasting its maintenance": (
        replace(PENDING, reason="maintenance_over"),
        "Bank bnp: payments hang without an answer since 09:40:00 UTC. The maintenance announced for it is over. "
        "0 of 16 payments approved (16 waiting; 9 shops). The hour before: 91 % approved. "
        "Still working: bank:bnp,method:pix, method:pix, bank:axa.",
    ),
    "recovered": (
        replace(RED, reason="recovered", ended_ms=1_760_003_405_000),
        "Bank bnp: payments are approved again since 09:50:05 UTC, after 10 min 5 s.",
    ),
    "superseded": (
        replace(RED, reason="superseded", ended_ms=1_760_003_405_000),
        "Bank bnp: now part of a wider outage, see its parent.",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    """A person understands it half asleep, and it never changes by accident."""
    facts, text = GOLDEN[name]
    assert text == explain(facts)
