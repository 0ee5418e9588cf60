"""The simulated shops: seeded, in order, as large as asked, and struck by the faults that were ordered."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from detector.contracts.scope import Scope
from detector.rehearsal.fault import Fault, FaultKind, parse_duration, parse_fault
from detector.rehearsal.line import Lines, is_order
from detector.rehearsal.shops import METHOD_NAMES, Shops
from detector.rehearsal.simulate import block_ms, made_day, simulate

START_MS = 1_700_000_000_000
START = {"start_ms": START_MS, "swing": 0.0}


def values(shops: Shops, duration_ms: int) -> list[str]:
    lines = Lines(shops)
    return [line for events in simulate(shops, duration_ms) for line in lines.values(events)]


def events(shops: Shops, duration_ms: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in values(shops, duration_ms)]


def finals(bank: str, fault: str | None = None, **more: Any) -> Counter[str]:
    """Last status of each payment of a bank that started from 60 s up to 120 s, in ten minutes."""
    shops = Shops(**START, rate=20.0, banks=4, faults=(parse_fault(fault),) if fault else (), **more)
    last = {
        event["payment_id"]: event["status"]
        for event in events(shops, 600_000)
        if "payment_id" in event and event["bank"] == bank and event["method"] in ("card", "pix", "wallet")
        and 60_000 <= event["started_at"] - START_MS < 120_000
    }  # fmt: skip
    return Counter(last.values())


def test_same_seed_gives_the_same_bytes() -> None:
    """Two runs of the same shops are equal byte for byte, and another seed differs."""
    first, again, other = (values(Shops(**START, seed=seed), 30_000) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_events_come_in_the_order_of_their_times() -> None:
    """No event comes before an earlier one, over the borders of blocks too, and none lies outside the duration."""
    shops = Shops(**START, rate=200.0)
    duration_ms = 3 * block_ms(shops.rate) + 17
    times = [event["occurred_at"] for event in events(shops, duration_ms)]
    assert all(a <= b for a, b in pairwise(times))
    assert times[0] >= START_MS
    assert times[-1] < START_MS + duration_ms


def test_a_longer_run_begins_with_the_shorter() -> None:
    """How long a run lasts does not change what happens in it, as long as whole blocks are compared."""
    shops = Shops(**START, rate=100.0)
    one = block_ms(shops.rate)
    short, long = values(shops, one), values(shops, 2 * one)
    assert long[: len(short)] == short


def test_volume_is_what_was_asked() -> None:
    """First payments come at the rate asked, and the first bank has the largest part."""
    made = [event for event in events(Shops(**START, rate=50.0), 120_000) if event["status"] == "placed"]
    assert len(made) == pytest.approx(6000, rel=0.05)
    banks = Counter(event.get("bank") for event in made)
    del banks[None]
    assert banks.most_common(1)[0][0] == "bnp"
    assert len(banks) == 20


def test_the_day_has_a_cycle() -> None:
    """With a swing, noon of the simulated day is busier than its midnight."""
    shops = Shops(rate=20.0, start_ms=0, day_ms=200_000, swing=0.8)
    placed = [e["occurred_at"] for e in events(shops, 200_000) if e["status"] == "placed"]
    midnight = sum(at < 20_000 or at >= 180_000 for at in placed)
    noon = sum(80_000 <= at < 120_000 for at in placed)
    assert noon > 4 * midnight


def test_every_event_keeps_the_contract() -> None:
    """Payments and orders carry the required fields, answers carry started_at, and keys and topics fit."""
    shops = Shops(**START)
    lines = Lines(shops)
    for chunk in simulate(shops, 60_000):
        for line, key, for_orders in zip(lines.values(chunk), lines.keys(chunk), is_order(chunk), strict=True):
            event = json.loads(line)
            assert event["order_id"] == key
            assert ("payment_id" not in event) is for_orders
            allowed = {"placed", "confirmed", "cancelled"} if for_orders else {
                "pending", "approved", "declined", "error", "cancelled"}  # fmt: skip
            assert event["status"] in allowed
            if not for_orders:
                assert event["bank"] in shops.bank_names
                assert event["method"] in METHOD_NAMES
                assert event["started_at"] <= event["occurred_at"]


def test_a_refused_shopper_tries_again() -> None:
    """Some orders have several payments, at times at another bank, each started after the one before ended."""
    by_order: dict[str, list[dict[str, Any]]] = {}
    for event in events(Shops(**START, rate=50.0), 300_000):
        if event["status"] == "pending":
            by_order.setdefault(event["order_id"], []).append(event)
    retried = [payments for payments in by_order.values() if len(payments) > 1]
    assert len(retried) > 100
    assert any(len({payment["bank"] for payment in payments}) > 1 for payments in retried)
    assert all(a["started_at"] < b["started_at"] for payments in retried for a, b in pairwise(payments))


def test_healthy_bank_approves_most() -> None:
    """Without a fault most payments are approved and some are declined."""
    found = finals("bnp")
    assert 0.8 < found["approved"] / found.total() < 0.99
    assert found["declined"] > 0


def test_all_red_refuses_everything_in_its_time() -> None:
    """Every payment of the struck bank that starts in the fault ends in an error; the bank beside it lives."""
    assert set(finals("bnp", "bank:bnp all_red 60s 120s")) == {"error"}
    assert finals("aurora", "bank:bnp all_red 60s 120s")["approved"] > 0


def test_all_pending_never_answers() -> None:
    """Every payment of the struck bank stays pending or is given up by its shopper."""
    found = finals("bnp", "bank:bnp all_pending 60s 120s")
    assert set(found) == {"pending", "cancelled"}


def test_a_leak_lets_some_through() -> None:
    """With leak=0.2 about a fifth of the payments goes on as usual."""
    found = finals("bnp", "bank:bnp all_pending 60s 120s leak=0.2")
    assert 0.1 < (found["approved"] + found["declined"]) / found.total() < 0.3


def test_a_stall_sends_orders_only() -> None:
    """In a stall of the platform no payment starts, and orders are placed all the same."""
    shops = Shops(**START, faults=(parse_fault("platform stall 20s 40s"),))
    struck = [e for e in events(shops, 60_000) if 20_000 <= e.get("started_at", e["occurred_at"]) - START_MS < 40_000]
    assert not [event for event in struck if event["status"] == "pending"]
    assert [event for event in struck if event["status"] == "placed"]


def test_slow_answers_come_late() -> None:
    """With factor=50 cards that took a second take a minute."""
    shops = Shops(**START, faults=(parse_fault("method:card slow 0 60s factor=50"),))
    waits = sorted(
        event["occurred_at"] - event["started_at"]
        for event in events(shops, 600_000)
        if event.get("method") == "card" and event["status"] == "approved"
        and 0 <= event.get("started_at", 0) - START_MS < 60_000
    )  # fmt: skip
    assert waits[len(waits) // 2] > 20_000


def test_made_day_is_the_size_it_says() -> None:
    """The made day holds 100,000 to 200,000 events with its three faults."""
    shops, duration_ms = made_day()
    count = sum(len(chunk) for chunk in simulate(shops, duration_ms))
    assert 100_000 < count < 200_000
    assert len(shops.faults) == 3


def test_fault_is_read() -> None:
    """A fault's text gives its scope, kind, times and share."""
    fault = parse_fault("bank:bnp,method:card all_pending 15s 1h5m leak=0.25")
    scope = Scope((("bank", "bnp"), ("method", "card")))
    assert fault == Fault(scope, FaultKind.ALL_PENDING, 15_000, 3_900_000, 0.75)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bank:bnp all_red 15s", "SCOPE KIND FROM TO"),
        ("bank:bnp all_blue 15s 20s", "unknown kind of fault"),
        ("bank:bnp all_red 15 20s", "a duration is"),
        ("bank:bnp all_red 20s 15s", "ends after it began"),
        (f"bank:bnp all_red 20s {'9' * 400}d", "at most 8,000 years"),
        ("psp:x all_red 1s 2s", "a fault strikes"),
        ("bank:bnp all_red 1s 2s leak", "name=number"),
        ("bank:bnp all_red 1s 2s leak=2", "from 0 to 1"),
        ("bank:bnp slow 1s 2s factor=nan", "factor is above 0"),
        ("bank:bnp all_red 1s 2s speed=2", "unknown option"),
        ("bank all_red 1s 2s", "dimension:value"),
    ],
)
def test_wrong_fault_says_what_to_write(text: str, said: str) -> None:
    """Each mistake in a fault is named in the error."""
    with pytest.raises(ValueError, match=said):
        parse_fault(text)


def test_fault_at_an_unknown_bank_is_refused() -> None:
    """A fault that could strike nothing is a mistake, not a quiet run."""
    with pytest.raises(ValueError, match="no such bank"):
        Shops(faults=(parse_fault("bank:nowhere all_red 1s 2s"),))


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"banks": 0}, {"swing": 1.5}, {"merchants": 10**9}])
def test_limits_hold(wrong: dict[str, Any]) -> None:
    """Sizes out of their limits are refused with the limit named."""
    with pytest.raises(ValueError, match="must be from"):
        Shops(**wrong)


@pytest.mark.parametrize(("text", "ms"), [("0", 0), ("250ms", 250), ("90s", 90_000), ("1h30m", 5_400_000)])
def test_durations(text: str, ms: int) -> None:
    """Durations are read as ms."""
    assert parse_duration(text) == ms
