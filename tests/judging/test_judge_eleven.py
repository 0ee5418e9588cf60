"""Eleven banks with one slow method die together: who is named, since when, and how soon, against each bank read alone.

The method is one whose pending is never overdue; a payment a second and bank, some of them refused on a good day.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict

import pytest

from detector.contracts.policy import Policy
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay
from tests.alone import alone

BANKS = [f"b{number:02}" for number in range(1, 12)]
T0 = 1_760_000_400_000
DIES_MS = T0 + 240_000
DEAD_MS = 600_000
END_MS = DIES_MS + DEAD_MS + 200_000
T_MS, PANE_MS, VOTERS = 300_000, 5_000, 10

Payments = dict[str, list[tuple[int, bool]]]
"""Bank -> (start, approved) of its payments."""


def payments_of(deaths: dict[str, int]) -> Payments:
    """A payment a second and bank, 95 to 99 % approved, busier and calmer by the minute; none while it is dead."""
    chance = random.Random(7)
    out: Payments = defaultdict(list)
    for number, bank in enumerate(BANKS):
        rate, dies_ms, at = 0.95 + number / 250, deaths.get(bank, END_MS), T0
        while at < END_MS:
            pace = 1_000 * (0.7 + 0.6 * random.Random(f"{bank} {at // 60_000}").random())
            at += 1 + int(chance.expovariate(1 / pace))
            dead = dies_ms <= at < dies_ms + DEAD_MS
            out[bank].append((at, not dead and chance.random() < rate))
    return out


def played(payments: Payments, policy: Policy | None = None) -> list[Change]:
    """The changes that Counter and Judge make of them, by default with the default policy."""
    lines = []
    for bank, mine in payments.items():
        for number, (at, approved) in enumerate(mine):
            name = f"{bank}-{number}"
            event = {"payment_id": name, "order_id": name, "bank": bank, "method": "transfer",
                     "merchant_id": f"shop-{number * 7 % 40}", "occurred_at": at,
                     "status": "approved" if approved else "declined"}  # fmt: skip
            lines.append((at, json.dumps(event if approved else {**event, "code": "91"}).encode()))
    values = [line for _, line in sorted(lines)]
    replay = Replay(policy or alone())
    changes = [change for at in range(0, len(values), 2_000) for change in replay.feed(values[at : at + 2_000])]
    return changes + replay.finish()


def read_alone(mine: list[tuple[int, bool]]) -> tuple[int, int] | None:
    """(began, detected) of a bank by the rule alone: the first refusal after the last pane with an approval, T ago."""
    for boundary_ms in range(T0 + T_MS, END_MS, 1_000):
        past = [entry for entry in mine if boundary_ms - 2 * T_MS <= entry[0] < boundary_ms]
        last = max((at // PANE_MS for at, approved in past if approved), default=0)
        reds = [at for at, _ in past if at // PANE_MS > last]
        began_ms = min(reds, default=END_MS) // PANE_MS * PANE_MS
        if len(reds) >= VOTERS and boundary_ms - began_ms >= T_MS:
            return began_ms, boundary_ms
    return None


def starts(changes: list[Change]) -> dict[str, Change]:
    """Scope -> the event that started its outage; one each."""
    found = [change for change in changes if change.type == "started"]
    assert len(found) == len({change.data.scope.to_scope().key for change in found})
    return {change.data.scope.to_scope().key: change for change in found}


def test_all_within_seconds_is_the_platform_with_eleven_children() -> None:
    """One outage names the eleven from its first event on; it began within 10 s of each, and is found within 5 s."""
    payments = payments_of({bank: DIES_MS + 350 * number for number, bank in enumerate(BANKS)})
    changes = played(payments)
    paper = [found for bank in BANKS if (found := read_alone(payments[bank]))]
    [started] = starts(changes).values()
    assert started.data.scope.dimension == "platform"
    assert {f"bank:{bank}" for bank in BANKS} <= set(started.data.children)
    assert len(paper) == len(BANKS)
    assert all(abs(started.data.began_at - began_ms) <= 10_000 for began_ms, _ in paper)
    assert abs(started.data.detected_at - max(found_ms for _, found_ms in paper)) <= 5_000
    assert [(change.type, change.data.reason) for change in changes] == [("started", None), ("resolved", "recovered")]


def test_children_past_the_limit_are_counted() -> None:
    """Every event lists the first of the platform's children, the widest scopes, and says how many more there are."""
    payments = payments_of({bank: DIES_MS + 350 * number for number, bank in enumerate(BANKS)})
    whole, short = (played(payments, alone(children_max=most)) for most in (100, 3))
    assert [change.data.children_left_out for change in whole] == [0, 0]
    assert [change.data.children for change in short] == [change.data.children[:3] for change in whole]
    assert [change.data.children_left_out for change in short] == [len(change.data.children) - 3 for change in whole]
    assert len(whole[0].data.children) > len(BANKS)


def test_spread_over_a_minute_and_a_half_every_bank_is_named() -> None:
    """Banks that are ripe long before the platform are found alone, the others are among the platform's children."""
    payments = payments_of({bank: DIES_MS + 9_000 * number for number, bank in enumerate(BANKS)})
    changes = played(payments)
    found = starts(changes)
    platform = found.pop("platform").data
    assert {f"bank:{bank}" for bank in BANKS} <= set(platform.children)
    for key, started in found.items():
        paper = read_alone(payments[key.removeprefix("bank:")])
        assert paper == (started.data.began_at, started.data.detected_at)
    for bank in BANKS:
        paper = read_alone(payments[bank])
        assert paper
        assert f"bank:{bank}" in found or platform.detected_at - paper[1] <= alone().wait_ms
    taken = [change for change in changes if change.data.reason == "superseded"]
    assert {change.data.scope.to_scope().key for change in taken} == set(found)
    assert {change.data.parent_id for change in taken} == {platform.outage_id}


@pytest.mark.parametrize("gap_ms", [350, 9_000])
def test_with_one_bank_alive_ten_banks_are_named(gap_ms: int) -> None:
    """Ten outages of banks, each to the pane and the second as read alone; never the platform or the method."""
    payments = payments_of({bank: DIES_MS + gap_ms * number for number, bank in enumerate(BANKS[1:])})
    changes = played(payments)
    found = {key: (one.data.began_at, one.data.detected_at) for key, one in starts(changes).items()}
    assert found == {f"bank:{bank}": read_alone(payments[bank]) for bank in BANKS[1:]}
    assert [change.data.reason for change in changes if change.type == "resolved"] == ["recovered"] * 10
