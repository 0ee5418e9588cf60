"""The two topics of a source are read one far ahead of the other, and which first is chance: it changes no count."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from detector.contracts.policy import Policy
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.tally import Source, Tally
from tests.property import dumb
from tests.property.dumb import Event

T = 1_700_000_000_000
MINUTE = 60_000
SECONDS = 30 * 60
PAYMENTS, ORDERS = 0, 1
SICK = {"its clock 25 min ahead": (25 * MINUTE, 0), "its record's too": (25 * MINUTE, 25 * MINUTE),
        "4 min ahead, as is allowed": (4 * MINUTE, 0)}  # fmt: skip
"""How far a shop's `occurred_at` and Kafka's time of its record are ahead."""
FETCHES = {"payments first": (SECONDS, 0), "orders first": (0, SECONDS), "by turns": (60, 60)}
"""How many seconds of each topic are read before the other."""

Read = tuple[list[Event], list[int]]


def log(occurred_ahead_ms: int, record_ahead_ms: int) -> tuple[Read, Read]:
    """Half an hour of a payment and an order a second, all approved, and after a minute one payment ahead of time."""
    times = [T + 1_000 * n for n in range(SECONDS)]
    paid = [(Event("payment", f"o{at}", at, f"p{at}", "approved", ("bnp", "card")), at) for at in times]
    at = times[60]
    sick = Event("payment", "sick", at + occurred_ahead_ms, "sick", "approved", ("bnp", "card"))
    paid.insert(61, (sick, at + record_ahead_ms))
    placed = [(Event("placed", f"o{at}", at), at) for at in times]
    return _split(paid), _split(placed)


def _split(records: list[tuple[Event, int]]) -> Read:
    return [event for event, _ in records], [at for _, at in records]


def read(counter: Counter, topics: tuple[Read, Read], turns: Sequence[int]) -> list[Tally]:
    """All there is, so many records of payments, so many of orders, and so on; all of one, where the other has none."""
    places, tallies = [0, 0], []
    while any(place < len(events) for place, (events, _) in zip(places, topics, strict=True)):
        for topic, (events, times) in enumerate(topics):
            other_ends = places[1 - topic] >= len(topics[1 - topic][0])
            part = slice(places[topic], len(events) if other_ends else places[topic] + turns[topic])
            offsets = range(len(events))[part]
            if len(offsets):
                columns = dumb.columns(events[part], counter.names, times[part], offsets)
                tallies += counter.take(columns, topic)
            places[topic] = max(places[topic], offsets.stop)
    for topic in (PAYMENTS, ORDERS):
        counter.at_end(topic, True)
    return tallies + counter.finish() + counter.idle(MINUTE)


def made(noted_ms: int | None = None) -> Counter:
    policy = Policy()
    return Counter(policy, Names(policy), Source("main", 0), {"main": 1}, noted_ms=noted_ms)


def told(tallies: list[Tally]) -> dict[int, int]:
    """What was told last of each pane: its approved payments."""
    found: dumb.Told = {}
    for tally in tallies:
        found |= dumb.told(tally)
    panes: dict[int, int] = {}
    for (_, pane), said in found.items():
        panes[pane] = panes.get(pane, 0) + said[0][1]
    return panes


@pytest.mark.parametrize("sick", SICK)
@pytest.mark.parametrize("fetches", FETCHES)
def test_a_record_ahead_of_its_time_is_what_its_own_topic_says(sick: str, fetches: str) -> None:
    """It is refused, or counted, by the times of its topic; the other, which is further, does not vouch for it, and no
    watermark goes with it beyond what is still to be read."""
    counter = made()
    panes = told(read(counter, log(*SICK[sick]), FETCHES[fetches]))
    is_refused = SICK[sick][0] > 5 * MINUTE
    assert counter.take_rejects() == [(PAYMENTS, 61)] * is_refused
    assert counter.stats.too_late == 0
    assert sum(panes.values()) == SECONDS + (not is_refused)


@pytest.mark.parametrize("sick", SICK)
@pytest.mark.parametrize("fetches", FETCHES)
def test_a_snapshot_lacks_no_payment_that_is_still_to_be_read(sick: str, fetches: str) -> None:
    """Taken up again at a noted boundary, what is told there is what had been told."""
    topics = log(*SICK[sick])
    before = told(read(made(), topics, FETCHES["payments first"]))
    noted_ms = T + 29 * MINUTE
    tallies = read(made(noted_ms), topics, FETCHES[fetches])
    assert tallies[0].boundary_ms == noted_ms
    snapshot = told(tallies[:1])
    assert snapshot
    inside = {pane: count for pane, count in before.items() if snapshot.get(pane) != count}
    assert all(pane < tallies[0].first_pane or (pane + 1) * Policy().pane_ms > noted_ms for pane in inside), inside


def test_a_topic_that_is_quiet_for_long_is_not_doubted() -> None:
    """Its next record is no jump where the other has gone on and nothing was left to read of it."""
    counter = made()
    quiet = [Event("payment", "o", at, f"p{at}", "approved", ("bnp", "card")) for at in (T, T + 20 * MINUTE)]
    counter.at_end(PAYMENTS, True)
    (_, _), (orders, times) = log(0, 0)
    counter.take(dumb.columns(quiet[:1], counter.names, [T], [0]), PAYMENTS)
    counter.finish()
    counter.take(dumb.columns(orders[:1200], counter.names, times[:1200], range(1200)), ORDERS)
    counter.take(dumb.columns(quiet[1:], counter.names, [T + 20 * MINUTE], [1]), PAYMENTS)
    assert counter.doubted_from(PAYMENTS) is None


def quiet(quiet_ms: int, step_ms: int, order_at: int, payments: int = 60) -> tuple[Read, Read]:
    """Nothing for a while, then one half green order of another bank, and payments from 10 s on."""
    before = [T - quiet_ms + 100 * n for n in range(30)]
    after = [T + 10_000 + step_ms * n for n in range(payments)]
    paid = [(Event("payment", f"o{at}", at, f"p{at}", "approved", ("bnp", "card")), at) for at in before + after]
    placed = [(Event("placed", f"o{at}", at, leaf=("bnp", "card")), at) for at in before]
    return _split(paid), _split([*placed, (Event("placed", "o", order_at, leaf=("axa", "card")), order_at)])


def read_to_ends(counter: Counter, topics: tuple[Read, Read], first: int) -> list[Tally]:
    """All of one topic, to its end, and then all of the other."""
    tallies = []
    for topic in (first, 1 - first):
        events, times = topics[topic]
        tallies += counter.take(dumb.columns(events, counter.names, times, range(len(events))), topic)
        counter.at_end(topic, True)
        tallies += counter.go_on()
    return tallies


def first_told(tallies: list[Tally], bank: str) -> int | None:
    """The first boundary at which something is told of a bank."""
    return next((tally.boundary_ms for tally in tallies if any(leaf[0] == bank for leaf in tally.cells.leaves)), None)


@pytest.mark.parametrize("first", [PAYMENTS, ORDERS])
@pytest.mark.parametrize(("quiet_ms", "step_ms", "order_at"), [
    (20 * MINUTE, 5_000, T), (20 * MINUTE, MINUTE, T), (6 * MINUTE, MINUTE, T), (20 * MINUTE, 16 * MINUTE, T + 370_000),
])  # fmt: skip
def test_time_waits_for_what_is_in_doubt(quiet_ms: int, step_ms: int, order_at: int, first: int) -> None:
    """The first order after a pause is told at its boundary, and never too late, however far payments were read."""
    counter = made()
    tallies = read_to_ends(counter, quiet(quiet_ms, step_ms, order_at), first) + counter.finish()
    assert first_told(tallies, "axa") == order_at // 1_000 * 1_000 + 1_000
    assert counter.stats.too_late == 0


@pytest.mark.parametrize("back_after_ms", [0, 5 * MINUTE, 15 * MINUTE])
def test_a_snapshot_has_what_was_in_doubt(back_after_ms: int) -> None:
    """The log may have grown meanwhile: what was told before the crash is in it."""
    noted_ms = T + 94_000
    counter = made(noted_ms)
    payments = 18 + back_after_ms // 5_000
    tallies = read_to_ends(counter, quiet(20 * MINUTE, 5_000, T, payments), PAYMENTS) + counter.caught_up()
    assert tallies[0].boundary_ms == noted_ms
    assert first_told(tallies, "axa") == noted_ms
    assert counter.stats.too_late == 0
