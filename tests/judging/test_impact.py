"""Orders hit: once each, where they went wrong first, and recovered by any payment that is approved since."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from detector.contracts.policy import Policy, Rule
from detector.counting.tally import ORDERS
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay
from tests.property.dumb import Event
from tests.unit.test_ledger import AXA, BNP, T, pay, tell

QUICK = Policy(all_red=Rule(30_000, 3), all_pending=Rule(30_000, 3), wait_ms=0, answers={"default": 20_000})
"""An outage is found half a minute after its first bad payment."""


def orders(*events: Event) -> dict[tuple[str, int], dict[str, int]]:
    """{(bank, s after T): {what: how many orders}}, the empty left out; however the events come."""
    found = []
    for some in permutations(events):
        cells = tell(*some, until=100_000)
        named = {key: dict(zip(ORDERS, said[10], strict=True)) for key, said in cells.items()}
        found.append({(leaf[0], pane * 5 - T // 1000): {what: count for what, count in counts.items() if count}
                      for (leaf, pane), counts in named.items() if any(counts.values())})  # fmt: skip
    assert all(one == found[0] for one in found)
    return found[0]


def bad(status: str, at: int, payment: str, **more: object) -> Event:
    return pay(status, at, payment, order="o", **more)


def test_an_order_counts_once_where_it_went_wrong_first() -> None:
    """Three refusals at two banks are one order, hit at the first."""
    assert orders(bad("declined", 1_000, "a"), bad("error", 7_000, "b", leaf=AXA), bad("declined", 8_000, "c")) == {
        ("bnp", 0): {"hit": 1}
    }


@pytest.mark.parametrize(("at", "recovered"), [(9_000, True), (500, False)])
def test_an_approval_since_recovers_it(at: int, recovered: bool) -> None:
    """At another bank too; one from before the refused payment does not."""
    expected = {"hit": 1, "hit_recovered": 1} if recovered else {"hit": 1}
    assert orders(bad("declined", 1_000, "a"), bad("approved", at, "b", leaf=AXA)) == {("bnp", 0): expected}


def test_what_waits_is_told_apart() -> None:
    """Whether a pending is overdue is for the Judge to say; its order is paid by another way meanwhile."""
    waits = bad("pending", 1_000, "a")
    assert orders(waits) == {("bnp", 0): {"waiting": 1}}
    assert orders(waits, bad("approved", 9_000, "b", leaf=AXA)) == {
        ("bnp", 0): {"waiting": 1, "waiting_recovered": 1}
    }


def test_an_approval_that_let_wait_is_hit_and_recovered() -> None:
    """An answer within `answer_s` is no harm; one after it is, and mends it."""
    assert orders(bad("pending", 1_000, "a"), bad("approved", 30_000, "a")) == {}
    assert orders(bad("pending", 1_000, "a"), bad("approved", 61_500, "a", started=T + 1_000)) == {
        ("bnp", 0): {"hit": 1, "hit_recovered": 1}
    }


def test_orders_are_one_whether_or_not_they_are_told_of() -> None:
    """An order event, before or after, changes nothing of what payments say."""
    placed = Event("placed", "o", T + 500, leaf=BNP)
    assert orders(placed, bad("declined", 1_000, "a"), bad("approved", 9_000, "b", leaf=AXA)) == {
        ("bnp", 0): {"hit": 1, "hit_recovered": 1}
    }
    assert orders(placed) == {("bnp", 0): {"waiting": 1}}


def play(*, hangs: bool, again: int) -> list[Change]:
    """A minute of approvals at two banks, then a minute in which one is down; `again` of its orders are paid at the
    other. Then all is well."""
    lines = []
    for second in range(0, 300, 5):
        at = 1_700_000_000_000 + second * 1_000
        is_down = 60 <= second < 120
        for bank in ("bnp", "axa"):
            status = ("pending" if hangs else "declined") if is_down and bank == "bnp" else "approved"
            order = f"{bank}-{second}"
            if bank == "axa" and is_down and second < 60 + 5 * again:
                order = f"bnp-{second}"
            lines.append({"payment_id": f"{bank}-{second}", "order_id": order, "bank": bank, "method": "card",
                          "status": status, "occurred_at": at + (bank == "axa"),
                          "merchant_id": f"m{second % 3}"})  # fmt: skip
    replay = Replay(QUICK)
    return replay.feed([json.dumps(line).encode() for line in lines]) + replay.finish()


@pytest.mark.parametrize("hangs", [False, True], ids=["red", "hanging"])
def test_an_outage_says_whom_it_hit(hangs: bool) -> None:
    """All orders of the dead bank, those paid at the other since, and in how many shops."""
    last = play(hangs=hangs, again=4)[-1]
    assert last.type == "resolved"
    assert last.data.impact is not None
    assert last.data.impact.model_dump() == {"orders_hit": 12, "orders_recovered": 4, "merchants": 3}
    assert last.data.explanation.endswith("12 orders hit, 4 of them paid since.")


def test_a_started_outage_says_whom_it_hit_so_far() -> None:
    """What is told at the start is of the payments until then."""
    started = play(hangs=False, again=0)[0]
    assert started.type == "started"
    assert started.data.impact is not None
    assert started.data.impact.orders_hit == started.data.evidence.declined
    assert started.data.impact.orders_recovered == 0
