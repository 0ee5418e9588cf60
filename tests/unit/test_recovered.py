"""How far back a new owner reads: what an open pane says may hang on an event of half an hour before.

10:30:42  P pending                                    in block 10:30, and before what was read again
10:40:36  P declined, without `started_at`             began at 10:30:42 all the same
10:49:57  Q declined, by the same shopper              her vote in block 10:40, which P is not
11:00:54  the worker dies; the pane of 10:49:55 is open
"""

from __future__ import annotations

import pytest

from detector.contracts.policy import DEFAULT as POLICY
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.offsets import OffsetIndex
from detector.counting.tally import Source
from tests.property import dumb
from tests.property.dumb import Event, ModelJudge
from tests.property.test_counter import read_on

BLOCK_MS = POLICY.vote_block_ms
START_MS = 1_772_000_000_000 // BLOCK_MS * BLOCK_MS
LEAF, OTHER = ("bnp", "card"), ("ing", "card")
KEPT_MS = 6 * BLOCK_MS


def at(minutes: float) -> int:
    """A time, in minutes after the start."""
    return START_MS + round(minutes * 60_000)


def pay(minutes: float, payment: str, status: str, order: str = "", leaf: tuple[str, str] = LEAF) -> Event:
    """What is said of one of Ann's payments."""
    return Event("payment", order or f"of {payment}", at(minutes), payment, status, leaf, None, "ann", "shop")


def placed(minutes: float, order: str) -> Event:
    """An order of Ann's."""
    return Event("placed", order, at(minutes), leaf=LEAF, shopper="ann", merchant="shop")


STORIES = {
    "a vote": (60.9, [pay(30.7, "P", "pending"), pay(40.6, "P", "declined"), pay(49.95, "Q", "declined")]),
    "a half green order": (
        60.95, [pay(30.8, "P", "pending", "o"), pay(40.7, "P", "declined", "o"), placed(49.98, "o")],
    ),
    "an order whose payment was elsewhere": (
        60.9, [pay(30.5, "P", "declined", "o", OTHER), placed(40.1, "o"), pay(49.95, "Q", "declined")],
    ),
    "an order whose payment began before": (
        60.9, [pay(21.2, "P", "pending", "o", OTHER), pay(30.5, "P", "declined", "o", OTHER), placed(40.1, "o"),
               pay(49.95, "Q", "declined")],
    ),
}  # fmt: skip


def new(term: int = 0, noted_ms: int | None = None) -> Counter:
    """A Counter of payments and orders on one topic."""
    made = Counter(POLICY, Names(POLICY), Source("main", 0), {"main": 1}, term=term, noted_ms=noted_ms)
    made.at_end(1, True)
    return made


@pytest.mark.parametrize("story", STORIES)
def test_what_an_open_pane_hangs_on_is_read_again(story: str) -> None:
    """Who takes over says of every open pane what a plain recount says; the pane in question is open to the end."""
    killed, told = STORIES[story]
    others = [Event("payment", f"o{second}", at(second / 60), f"p{second}", "approved", LEAF, None, None, "shop")
              for second in range(3_657)]  # fmt: skip
    events = sorted(told + others, key=lambda event: event.occurred)
    dies = sum(event.occurred < at(killed) for event in events)
    first, index, judge = new(), OffsetIndex(POLICY.pane_ms, KEPT_MS), ModelJudge(POLICY)
    tallies = read_on(first, events, 0, dies, index)
    for tally in tallies:
        judge.take(tally)
    assert first.log_time_ms is not None
    assert first.boundary_ms is not None
    since = index.first(first.commit_from(min(first.log_time_ms, first.boundary_ms)))
    assert since, "of an hour, not all is read again"
    second = new(term=1, noted_ms=tallies[-1].boundary_ms)
    after = read_on(second, events, since, len(events)) + second.caught_up() + second.idle(POLICY.lateness_ms + 2_000)
    for tally in after:
        judge.take(tally)
    assert judge.open_cells() == dumb.cells(events, judge.newest, POLICY)
