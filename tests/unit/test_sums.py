"""The sums that cells keep are what a walk over their rows comes to, whenever a row was added."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from detector.counting.book import SUMMED_PANES, VOTES_AT
from detector.counting.columns import APPROVED, CANCELLED, NONE
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.rows import vote_of, voter_of
from detector.counting.sums import CANCELLED_LATE, GOOD
from detector.counting.tally import Source
from tests.property import dumb
from tests.property.dumb import Event
from tests.property.histories import LEAVES, POLICY, START_MS, copied, history, log_times, shuffled


def after_each(events: list[Event]) -> Iterator[Any]:
    """The tables, event after event."""
    counter = Counter(POLICY, Names(POLICY), Source("main", 0), {"main": 1})
    counter.at_end(1, True)
    read = dumb.columns(events, counter.names, log_times(events), range(len(events)))
    for n in range(len(events)):
        counter.take(read.rows(n, n + 1))
        yield counter._book


def sums(book: Any) -> Iterator[tuple[int, Any]]:
    """The first row of each sum that is kept, and its place."""
    for cell in book.cells[: int(book.state[0].cells)]:
        at = cell.pane % SUMMED_PANES, cell.leaf
        if cell.pane != NONE and cell.summed != NONE and book.sum_panes[at] == cell.pane:
            yield int(cell.summed), at


@pytest.mark.parametrize("seed", range(6))
def test_a_kept_sum_is_what_a_walk_comes_to(seed: int) -> None:
    """After every event: payments and votes by status, and the voters of approvals with the smallest hashes."""
    random, compared = Random(seed), 0
    events = copied(random, shuffled(random, history(seed, orders=seed % 2 * 12), 8_000), 0.2)
    for book in after_each(events):
        for at, place in sums(book):
            counts, voters = np.zeros(12, np.int64), set()
            while at != NONE:
                row = book.rows[at]
                counts[row.status] += 1
                counts[VOTES_AT + row.status] += vote_of(row)
                voters |= {int(voter_of(row))} if row.status == APPROVED else set()
                at, compared = row.next, compared + 1
            kept = book.sum_counts[place][:12].copy()
            for first in (0, VOTES_AT):  # of those cancelled a walk does not ask how late
                kept[first + CANCELLED] += kept[first + CANCELLED_LATE]
                kept[first + CANCELLED_LATE] = 0
            assert kept.tolist() == counts.tolist()
            length = book.sum_lengths[place][GOOD]
            assert book.sum_hashes[place][GOOD, :length].tolist() == sorted(voters)[:2]
    assert compared > 100


def test_a_row_is_summed_as_it_comes() -> None:
    """From the first row of a cell on, its sum holds each approval that was merged, before any cut."""
    events = [
        Event("payment", f"o{n}", START_MS + 100 * n, f"p{n}", "approved", LEAVES[0], shopper=f"s{n}")
        for n in range(100)
    ]
    summed = 0
    for book in after_each(events):
        newest = int(book.state[0].rows) - 1
        if newest >= 0:
            cell = book.cells[book.rows[newest].cell]
            assert [cell.summed, cell.rows] == [newest, newest]
            summed += 1
    assert summed > 50
