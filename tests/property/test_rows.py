"""Rows say less than they were told: what they leave out (before the base, the days of log time) nobody may notice."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given

from detector.counting.counter import Counter
from detector.counting.tally import Tally
from tests.property import dumb
from tests.property.dumb import Event, ModelJudge
from tests.property.histories import POLICY, START_MS, copied, history, shuffled
from tests.property.test_counter import EXAMPLES, SEEDS, batch, counter, rest

DAY_MS = 86_400_000
SIX_HOURS_MS = DAY_MS // 4
LONG_AGO = (3_600_000, 2 * DAY_MS, 49 * DAY_MS, 50 * DAY_MS, 400 * DAY_MS)


def with_days_gone_by(random: Random, events: list[Event]) -> list[Event]:
    """Some payments have, or had all along, an event from long ago, and another that was no later than that."""
    found = []
    for event in events:
        found.append(event)
        if random.random() < 0.2:
            ago = event.occurred - random.choice(LONG_AGO)
            found += [replace(event, occurred=ago - back, started=None) for back in (0, random.randrange(2_000))]
    return found


def moved(event: Event, by_ms: int) -> Event:
    started = None if event.started is None else event.started + by_ms
    return replace(event, occurred=event.occurred + by_ms, started=started)


def cells(made: Counter, tallies: list[Tally]) -> ModelJudge:
    judge = ModelJudge(POLICY)
    for tally in tallies + rest(made):
        judge.take(tally)
    return judge


@EXAMPLES
@given(SEEDS)
def test_days_leave_no_trace(seed: int) -> None:
    """Events from before the base, and a base that moves at every boundary, end in the cells of the dumb ledger."""
    random = Random(seed)
    events = with_days_gone_by(random, copied(random, shuffled(random, history(seed), 4_000), 0.1))
    made = counter(POLICY)
    made._book.rule["base_moves_ms"] = 0
    judge = cells(made, made.take(batch(events, made)))
    assert made._book.state[0].base_ms > START_MS - 2 * DAY_MS
    assert judge.open_cells() == dumb.cells(events, judge.newest, POLICY)


@EXAMPLES
@given(SEEDS)
def test_a_base_that_moves_changes_no_byte(seed: int) -> None:
    """Whether it moves at each boundary or never, the same is told."""
    random = Random(seed)
    events = with_days_gone_by(random, history(seed))
    still, moving = counter(POLICY), counter(POLICY)
    moving._book.rule["base_moves_ms"] = 0
    told = [made.take(batch(events, made)) for made in (still, moving)]
    assert still._book.state[0].base_ms < moving._book.state[0].base_ms
    assert cells(still, told[0]).open_cells() == cells(moving, told[1]).open_cells()


def test_an_approval_does_not_move_with_the_base() -> None:
    """A payment that began long ago was approved before another of its order was refused: that did not recover it."""
    leaf = ("bnp", "card")
    events = [
        Event("payment", "o", START_MS - 3 * DAY_MS, "old", "pending", leaf),
        Event("payment", "o", START_MS, "old", "approved", leaf),
        Event("payment", "o", START_MS + 20_000, "new", "declined", leaf),
        *(Event("payment", f"o{n}", START_MS + n * 1_000, f"p{n}", "approved", leaf) for n in range(21, 60)),
    ]
    made = counter(POLICY)
    made._book.rule["base_moves_ms"] = 0
    judge = cells(made, made.take(batch(events, made)))
    assert judge.open_cells() == dumb.cells(events, judge.newest, POLICY)


def test_a_source_counts_on_after_the_base_has_moved() -> None:
    """Two months after it began, a source counts as one that begins then, and has forgotten what is old."""
    later_ms = 61 * DAY_MS
    events = history(5)
    after = [moved(event, later_ms) for event in history(6)]
    steps = [Event("payment", f"o{n}", START_MS + n * SIX_HOURS_MS, f"p{n}", "approved", leaf=("bnp", "pix"))
             for n in range(1, later_ms // SIX_HOURS_MS)]  # fmt: skip
    made = counter(POLICY)
    judge = cells(made, made.take(batch([*events, *steps, *after], made)))
    assert made._book.state[0].base_ms > START_MS
    alone = counter(POLICY)
    assert judge.open_cells() == cells(alone, alone.take(batch(after, alone))).open_cells()
    assert made.stats.payments < 3 * alone.stats.payments
