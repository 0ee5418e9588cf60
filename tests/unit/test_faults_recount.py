"""The count that real faults are measured by says what was lost or told twice: here something is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from detector.contracts.policy import DEFAULT
from tests.faults.recount import counted, doubled

START_MS = 1_700_000_000_000
PANE = START_MS // DEFAULT.pane_ms
LEAF = ("bnp", "card")


def event(status: str, payment: str = "p", after_ms: int = 0) -> bytes:
    """A payment's event; it started at START_MS."""
    return json.dumps({
        "payment_id": payment, "bank": "bnp", "method": "card", "status": status, "started_at": START_MS,
        "occurred_at": START_MS + after_ms,
    }).encode()  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_payment_counts_once_by_its_newest_status(order: tuple[int, ...]) -> None:
    """However often and in whatever order its events were written, in the pane of its start."""
    events = [event("pending"), event("declined", after_ms=7_000), event("declined", after_ms=7_000)]
    assert counted([events[at] for at in order], DEFAULT) == {(LEAF, PANE, "declined"): 1}


def test_payments_add_up() -> None:
    """One that waits, and two that are approved."""
    events = [event("pending", "a"), event("approved", "b"), event("approved", "c")]
    assert counted(events, DEFAULT) == {(LEAF, PANE, "pending"): 1, (LEAF, PANE, "approved"): 2}


def told(kind: str, sequence: int, outage: str = "one", scope: str = "bank:bnp") -> dict[str, Any]:
    return {"type": f"pastille.outage.{kind}.v1", "subject": scope, "data": {"outage_id": outage, "sequence": sequence}}


WELL = [told("started", 1), told("updated", 2), told("started", 1, "other", "bank:axa"), told("resolved", 3),
        told("started", 1, "two"), told("resolved", 2, "two")]  # fmt: skip


def test_one_life_after_the_other_is_well() -> None:
    """A scope's outage ends before its next begins; another scope's may be open meanwhile."""
    assert not list(doubled(WELL))


@pytest.mark.parametrize("at", range(len(WELL)))
def test_an_event_twice_is_seen(at: int) -> None:
    """Whichever it is."""
    assert list(doubled([*WELL[: at + 1], *WELL[at:]]))


@pytest.mark.parametrize("at", [0, 1, 3, 4])
def test_an_event_that_is_missing_is_seen(at: int) -> None:
    """But for the last of a life, after which nothing follows."""
    assert list(doubled(WELL[:at] + WELL[at + 1 :]))
