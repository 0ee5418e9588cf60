"""The ledger against the dumb one: I1 (order, copies and batches leave no trace), I2 (again changes nothing), I3
(a restart or a second owner anywhere ends in the same panes)."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.contracts.policy import Policy
from detector.counting.columns import Columns
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.offsets import OffsetIndex
from detector.counting.tally import FIRST, Source, Tally, encode
from tests.property import dumb
from tests.property.dumb import Event, ModelJudge
from tests.property.histories import LEAVES, POLICY, batches, copied, history, log_times, shuffled, whole
from tests.property.policies import POLICIES

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = settings(max_examples=40, deadline=None, print_blob=True)
SOURCE = Source("main", 0)


def counter(policy: Policy, names: Names | None = None, *, orders_ended: bool = True, **more: int) -> Counter:
    made = Counter(policy, names or Names(policy), SOURCE, {"main": 1}, **more)
    if orders_ended:
        made.at_end(1, True)
    return made


def batch(events: list[Event], made: Counter) -> Columns:
    return dumb.columns(events, made.names, log_times(events), range(len(events)))


def rest(made: Counter) -> list[Tally]:
    """Time goes by until all that is held was told."""
    return made.idle(made.policy.lateness_ms + 2 * made.policy.boundary_ms)


def all_at_once(events: list[Event], policy: Policy) -> list[Tally]:
    made = counter(policy)
    return made.take(batch(events, made)) + rest(made)


@EXAMPLES
@given(SEEDS, POLICIES)
def test_every_boundary_says_what_the_dumb_ledger_says(seed: int, policy: Policy) -> None:
    """At every boundary the cells told so far are those of the events read so far that it covers, and each tally names
    the boundary before it; where no order is told of, too."""
    random = Random(seed)
    events = history(seed, policy, orders=random.choice((0, 12)))
    events = copied(random, shuffled(random, events, random.choice((0, 500, 8_000)), policy), 0.2)
    made, judge = counter(policy), ModelJudge(policy)
    read = batch(events, made)
    checked, told_ms = 0, FIRST
    for n in range(len(events)):
        for tally in made.take(read.rows(n, n + 1)) + made.finish():  # as if nothing were in doubt
            assert tally.after_ms == told_ms
            assert tally.boundary_ms % policy.boundary_ms == 0
            told_ms = tally.boundary_ms
            judge.take(tally)
            assert judge.open_cells() == dumb.cells(events[: n + 1], tally.boundary_ms, policy)
            checked += 1
            if tally.details is not None:
                expected = dumb.details(events[: n + 1], tally.boundary_ms, tally.newest_start_ms, policy)
                assert dumb.told_details(tally.details) == expected
    assert checked > 20


@EXAMPLES
@given(SEEDS, POLICIES)
def test_where_nobody_asks_who_paid_every_payment_is_a_vote(seed: int, policy: Policy) -> None:
    """With evidence off and no details, all else is told as ever."""
    random = Random(seed)
    unasked = replace(policy, details_ms=0, evidence=replace(policy.evidence, mode="off"))
    events = history(seed, unasked, orders=random.choice((0, 12)))
    events = copied(random, shuffled(random, events, random.choice((0, 500, 8_000)), unasked), 0.2)
    made, judge = counter(unasked), ModelJudge(unasked)
    tallies = made.take(batch(events, made)) + rest(made)
    for tally in tallies:
        judge.take(tally)
        assert tally.details is None
        np.testing.assert_array_equal(tally.cells.votes, tally.cells.counts)
    assert judge.open_cells() == dumb.cells(events, tallies[-1].boundary_ms, unasked)


@EXAMPLES
@given(SEEDS, POLICIES)
def test_an_order_is_its_payments_where_no_order_is_told_of(seed: int, policy: Policy) -> None:
    """Over a time in which payments are forgotten and others of their orders come: at a boundary now and then, the
    cells are those of the dumb ledger, which forgets nothing."""
    random = Random(seed)
    policy = replace(policy, horizon_ms=min(policy.horizon_ms, 60_000), grace_ms=min(policy.grace_ms, 20_000))
    events = shuffled(random, history(seed, policy, span_ms=900_000, payments=150, orders=0), 4_000, policy)
    made, judge = counter(policy), ModelJudge(policy)
    read, told = batch(events, made), 0
    for n in range(len(events)):
        for tally in made.take(read.rows(n, n + 1)) + made.finish():  # as if nothing were in doubt
            judge.take(tally)
            told += 1
            if told % 24 == 0:
                assert judge.open_cells() == dumb.cells(events[: n + 1], tally.boundary_ms, policy)
    assert made.stats.payments < len({event.payment for event in events})


@EXAMPLES
@given(SEEDS, POLICIES)
def test_disorder_copies_and_topics_leave_no_trace(seed: int, policy: Policy) -> None:
    """I1: any bounded disorder, repetition, split and interleaving of the two topics ends in the same cells."""
    random = Random(seed)
    events = history(seed, policy)
    expected = ModelJudge(policy)
    for tally in all_at_once(events, policy):
        expected.take(tally)
    made, judge = counter(policy, orders_ended=False), ModelJudge(policy)
    disordered = copied(random, shuffled(random, events, 8_000, policy), 0.3)
    of_topic = [[e for e in disordered if (e.kind != "payment") == topic] for topic in (False, True)]
    queues = [[batch(of, made).rows(*cut) for cut in batches(random, len(of))] for of in of_topic]
    while any(queues):
        topic = random.choice([topic for topic in (0, 1) if queues[topic]])
        for tally in made.take(queues[topic].pop(0), topic):
            judge.take(tally)
    made.at_end(0, True)
    made.at_end(1, True)
    for tally in rest(made):
        judge.take(tally)
    assert judge.newest == expected.newest
    assert judge.open_cells() == expected.open_cells() == dumb.cells(events, judge.newest, policy)


@EXAMPLES
@example(536870913, POLICY)  # cells were told in the order in which tables of another size had them
@given(SEEDS, POLICIES)
def test_batches_do_not_move_a_cut(seed: int, policy: Policy) -> None:
    """Any split of the same events into batches gives the same tallies, byte for byte."""
    random = Random(seed)
    events = copied(random, shuffled(random, history(seed, policy), 3_000, policy), 0.2)
    once, parts = counter(policy), counter(policy)
    expected = once.take(batch(events, once))
    read = batch(events, parts)
    found = [tally for start, stop in batches(random, len(events)) for tally in parts.take(read.rows(start, stop))]
    assert list(map(encode, found)) == list(map(encode, expected))


@EXAMPLES
@given(SEEDS, POLICIES)
def test_publishing_again_changes_nothing(seed: int, policy: Policy) -> None:
    """I2: a Judge that is told any prefix again holds what it held."""
    tallies = all_at_once(history(seed, policy), policy)
    judge = ModelJudge(policy)
    for n, tally in enumerate(tallies):
        judge.take(tally)
        held = dict(judge.panes)
        for again in tallies[Random(seed + n).randrange(n + 1) : n + 1]:
            judge.take(again)
        assert judge.panes == held


def read_on(made: Counter, events: list[Event], start: int, stop: int, index: OffsetIndex | None = None) -> list[Tally]:
    """Read records one by one from a log whose offsets are its positions."""
    read = dumb.columns(events, made.names, log_times(events), range(len(events)))
    tallies: list[Tally] = []
    for n in range(start, stop):
        if index is not None and made.log_time_ms is not None:
            doubted = made.doubted_from(0)
            index.note(made.log_time_ms, n if doubted is None else doubted)
        tallies += made.take(read.rows(n, n + 1))
    return tallies


@EXAMPLES
@given(SEEDS, POLICIES)
def test_a_second_owner_ends_in_the_same_panes(seed: int, policy: Policy) -> None:
    """I3: killed anywhere, with an older boundary committed, the next owner brings the Judge to the same panes."""
    random = Random(seed)
    span_ms = max(1_500_000, random.choice((1, 2)) * policy.reach_ms)
    events = shuffled(random, history(seed, policy, span_ms=span_ms, payments=150, orders=30), 6_000, policy)
    events = copied(random, events, 0.1)
    expected = ModelJudge(policy)
    straight = counter(policy)
    for tally in read_on(straight, events, 0, len(events)) + rest(straight):
        expected.take(tally)

    judge, index = ModelJudge(policy), OffsetIndex(policy.pane_ms, 2 * span_ms)
    first = counter(policy)
    killed = random.randrange(1, len(events))
    tallies = read_on(first, events, 0, killed, index)
    for tally in tallies:
        judge.take(tally)
    acknowledged = tallies[: random.randint(max(1, len(tallies) - 20), max(1, len(tallies)))]
    if not acknowledged:
        return
    noted = acknowledged[-1].boundary_ms
    assert first.commit_from(noted) >= noted - policy.reach_ms
    since = index.first(first.commit_from(noted)) or 0
    names = Names(policy)  # another process numbers leaves in another order
    for leaf in reversed(LEAVES):
        names.leaf(whole(random, policy, leaf))
    second = counter(policy, names, term=1, noted_ms=noted)
    found = read_on(second, events, since, len(events))
    found += second.caught_up() + rest(second)
    assert found[0].first_pane >= 0
    assert found[0].boundary_ms == noted
    assert all(tally.first_pane == -1 for tally in found[1:])
    zombie = read_on(first, events, killed, min(len(events), killed + 30))
    for tally in found[:1] + zombie + found[1:]:
        judge.take(tally)
    assert judge.newest == expected.newest
    assert judge.open_cells() == expected.open_cells()
    assert judge.holding() == expected.holding()


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_tables_grow_without_a_trace(size: int) -> None:
    """A history that outgrows every table's first size is told as if they had been large from the start."""
    events = history(4, span_ms=60_000, payments=6_000, orders=1_500)
    made = counter(POLICY)
    names, read = made.names, batch(events, made)
    judge = ModelJudge(POLICY)
    for start in range(0, len(events), size * 50):
        for tally in made.take(read.rows(start, start + size * 50)):
            judge.take(tally)
    for tally in rest(made):
        judge.take(tally)
    assert judge.open_cells() == dumb.cells(events, judge.newest, POLICY)
    assert len(names.leaves) == len(LEAVES)
    assert np.all(made.payments_total.sum(axis=0) > 0)
