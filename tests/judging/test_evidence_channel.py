"""A channel of sale that is one of the dimensions is a scope like any other: dead or silent, it is named itself."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from detector.contracts.policy import EvidenceRules, Policy
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from tests.judging.test_evidence_outages import FAULT_MS, HOUR_MS, START_MS, lines, pages

POLICY = Policy(dimensions=("bank", "method", "channel"), evidence=EvidenceRules("live"))
MINUTES = 12


def shops(seed: int = 2, start_ms: int = START_MS) -> Shops:
    """Five payments a second over three banks."""
    return Shops(seed=seed, rate=5.0, banks=3, merchants=40, swing=0.0, start_ms=start_ms)


def by_channel(day: list[bytes]) -> list[dict[str, Any]]:
    """The events with a channel: of three orders one comes by the app."""
    events = [json.loads(line) for line in day]
    return [{**event, "channel": "app" if _number(event["order_id"]) % 3 == 0 else "web"} for event in events]


def _number(order_id: str) -> int:
    return sum(order_id.encode())


def replay(events: list[dict[str, Any]], day: Replay) -> list[Change]:
    """What comes of them."""
    return day.feed([json.dumps(event).encode() for event in events]) + day.finish()


@cache
def learned() -> Any:
    """What three healthy hours teach, around the hour of the day to come: of one alone no volume is known."""
    day = Replay(POLICY)
    replay(by_channel(lines(shops(seed=1, start_ms=START_MS - 25 * HOUR_MS), 3 * HOUR_MS)), day)
    return day.learned()


def is_hit(event: dict[str, Any]) -> bool:
    """Whether the app is down when this is sent."""
    return event["channel"] == "app" and event["occurred_at"] >= START_MS + FAULT_MS


@pytest.mark.parametrize(("fault", "kinds"), [("dead", {"all_red", "drop"}), ("silent", {"stall"})])
def test_a_channel_is_named_itself(fault: str, kinds: set[str]) -> None:
    """One outage that pages, `channel:app`, and nothing of the banks and methods that it is used with."""
    events = by_channel(lines(shops(), MINUTES * 60_000))
    if fault == "silent":
        events = [event for event in events if not is_hit(event)]
    else:
        events = [{**event, "status": "declined"} if is_hit(event) and event["status"] == "approved" else event
                  for event in events]  # fmt: skip
    changes = replay(events, Replay(POLICY, learned=learned()))
    loud = pages(changes)
    assert list(loud) == ["channel:app"]
    assert loud["channel:app"].kind in kinds
    assert {change.data.scope.to_scope().key for change in changes if change.type == "started"} == {"channel:app"}


def test_a_bank_in_one_channel_is_named_by_scopes_that_are_watched() -> None:
    """What is named has counts of its own, so that its outage can end: a bank in one channel is no scope of its own."""
    end_ms = START_MS + 9 * 60_000
    events = [
        {**event, "status": "declined"}
        if is_hit(event) and event.get("bank") == "bnp" and event["occurred_at"] < end_ms and "payment_id" in event
        else event
        for event in by_channel(lines(shops(), MINUTES * 60_000))
    ]
    changes = replay(events, Replay(POLICY, learned=learned()))
    named = [change for change in changes if {("bank", "bnp"), ("channel", "app")} & set(_values(change))]
    started = {change.data.outage_id for change in named if change.type == "started"}
    assert started
    assert started == {change.data.outage_id for change in named if change.type == "resolved"}


def _values(change: Change) -> tuple[tuple[str, str], ...]:
    return change.data.scope.to_scope().values
