"""Shops that stop sending: found by what their peers send, and never where it is everybody, or nobody knows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detector.counting.names import UNKNOWN
from detector.counting.tally import Details
from detector.judging.arrivals import SHOPS_MAX, STEP_MS, Arrivals, Shop
from detector.judging.outage import Change
from detector.judging.signals import YEAR_S
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from tests.judging.test_evidence_outages import LIVE, START_MS, lines

BAR_S = 1_000 * YEAR_S
MINUTES = 11
RATES = {"big": 12.0, "middle": 6.0, "small": 2.0, "tiny": 0.02}
"""Votes a minute."""


class World:
    """Shops that send at random; details hold what each sent in the last minutes."""

    def __init__(self, seed: int = 1, rates: dict[str, float] | None = None) -> None:
        self.chance = np.random.default_rng(seed)
        self.rates = dict(RATES if rates is None else rates)
        self.sent: dict[str, list[int]] = {name: [0] * MINUTES for name in self.rates}
        self.arrivals = Arrivals(MINUTES)
        self.minute = 0

    def go(self, minutes: int, silent: tuple[str, ...] = ()) -> list[str]:
        """Time goes on; who was past the bar at any minute of it."""
        past: set[str] = set()
        for _ in range(minutes):
            self.minute += 1
            for name, rate in self.rates.items():
                count = 0 if name in silent else int(self.chance.poisson(rate))
                self.sent[name] = [*self.sent[name][1:], count]
            self.arrivals.step([self.details()], self.minute * STEP_MS, 256)
            past |= self.arrivals.past(BAR_S).keys()
        return sorted(past)

    def details(self) -> Details:
        """As a source tells them; a shop without votes is not told of."""
        held = {name: sum(counts) for name, counts in self.sent.items() if sum(counts)}
        rows = np.arange(len(held), dtype=np.int32)
        counts = np.zeros((len(held), 4), np.int32)
        counts[:, 0] = list(held.values())
        return Details((("bnp", "card"),), tuple(held), np.zeros(len(held), np.int32), rows, counts)


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_day_names_no_shop(seed: int) -> None:
    """A day of shops that send by chance is silent."""
    assert World(seed).go(24 * 60) == [], f"seed {seed}"


@pytest.mark.parametrize(("name", "within"), [("big", 14), ("middle", 16), ("small", 60)])
def test_a_shop_that_stops_is_missed(name: str, within: int) -> None:
    """The more a shop sends the sooner it is missed, after as long as a window is at the least; nobody else is."""
    world = World()
    world.go(4 * 60)
    assert world.go(within, silent=(name,)) == [name]
    onset_min = (world.arrivals.shops[name].onset_ms or 0) / STEP_MS
    assert abs(onset_min - 4 * 60) <= 6
    known = world.arrivals.shops[name].own
    world.go(120, silent=(name,))
    assert world.arrivals.shops[name].own == known  # what a shop in trouble sends is not learned
    world.go(MINUTES)
    assert world.arrivals.shops[name].is_well


def test_a_tiny_shop_is_never_missed() -> None:
    """A shop of which less than two votes an hour are due may be silent for a day."""
    world = World()
    world.go(12 * 60)
    assert world.go(24 * 60, silent=("tiny",)) == []


def test_silence_of_everybody_is_no_shops() -> None:
    """Where the peers stop too, no shop is missed."""
    world = World()
    world.go(4 * 60)
    assert world.go(60, silent=tuple(RATES)) == []


def test_what_is_new_or_nameless_is_not_missed() -> None:
    """Half an hour is not enough to know a shop by, and payments without a shop's name are of no shop."""
    world = World(rates={**RATES, UNKNOWN: 20.0})
    world.go(30)
    assert world.go(30, silent=("big",)) == []
    world.go(5 * 60)
    assert world.go(60, silent=(UNKNOWN,)) == []


def test_a_shop_that_reds_crowd_out_may_have_sent_more() -> None:
    """Of a pair that is not told it is known that it counts no more than the least that is: a red for eight votes."""
    leaf, rows = ("itau", "card"), np.arange(2, dtype=np.int32)
    counts = np.array([[30, 30, 0, 0], [3, 0, 3, 0]], np.int32)
    said = Details((leaf,), ("big", "down"), np.zeros(2, np.int32), rows, counts)
    arrivals = Arrivals(MINUTES)
    arrivals.shops = {name: Shop([[0.0, 0.0]] * MINUTES, own=5.0, leaves=1.0) for name in ("big", "crowded")}
    arrivals.step([said], STEP_MS, 2)
    assert {name: shop.seen for name, shop in arrivals.shops.items() if name != "down"} == {"big": 30, "crowded": 27}


def test_only_the_largest_are_watched() -> None:
    """No more than so many shops are watched, whatever the details hold."""
    world = World(rates={f"shop-{n}": 1.0 + n / 100 for n in range(SHOPS_MAX + 50)})
    world.go(30)
    assert len(world.arrivals.shops) == SHOPS_MAX


def test_an_export_goes_on_as_the_one_it_came_from() -> None:
    """Arrivals taken back from a snapshot say what the old ones say."""
    world, other = World(), World()
    world.go(90)
    other.go(90)
    loaded = Arrivals(MINUTES)
    loaded.load(other.arrivals.export())
    other.arrivals = loaded
    assert world.go(30, silent=("big",)) == other.go(30, silent=("big",)) == ["big"]
    assert world.arrivals.export() == other.arrivals.export()


def test_a_shop_that_stops_and_comes_back_is_one_ticket() -> None:
    """Through Counter and Judge: a warning of the shop, over when it sends again; no bank, and nobody is called."""
    replay = Replay(LIVE)
    changes: list[Change] = replay.feed(a_silent_shop()) + replay.finish()
    told = [(change.type, change.data.scope.to_scope().key, change.data.kind, change.data.severity)
            for change in changes]  # fmt: skip
    assert told == [
        ("started", "merchant:shop-2", "stall", "warning"), ("resolved", "merchant:shop-2", "stall", "warning")
    ]  # fmt: skip
    started, resolved = ((change.data.updated_at - START_MS) / 60_000 for change in changes)
    assert (75 < started < 90, 95 < resolved < 110) == (True, True)
    assert "payments arrive again" in changes[-1].data.explanation


def a_silent_shop() -> list[bytes]:
    """The events of two hours in which `shop-2` sends nothing for twenty minutes."""
    day = Shops(seed=2, rate=2.0, banks=2, merchants=6, swing=0.0, start_ms=START_MS)
    return [line for line in lines(day, 115 * 60_000) if not _is_silent(line)]


def _is_silent(line: bytes) -> bool:
    event = json.loads(line)
    return event.get("merchant_id") == "shop-2" and 75 <= (event["occurred_at"] - START_MS) / 60_000 < 95
