"""What a Counter promises besides counting: recovery, details, statistics, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.contracts.policy import Policy
from detector.counting.columns import APPROVED, PENDING, Columns
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.space import new_table
from detector.counting.tally import Source, Tally, encode
from tests.property import dumb
from tests.property.dumb import Event, ModelJudge

T = 1_700_000_000_000
T -= T % 600_000
BNP = ("bnp", "card")
POLICY = Policy()


def made(policy: Policy = POLICY, **more: Any) -> Counter:
    counter = Counter(policy, Names(policy), Source("main", 3), {"main": 8}, **more)
    counter.at_end(1, True)
    return counter


def read(counter: Counter, events: list[Event]) -> Columns:
    times = [max(e.occurred for e in events[: n + 1]) + 1 for n in range(len(events))]
    return dumb.columns(events, counter.names, times, range(100, 100 + len(events)))


def _all(counter: Counter, events: list[Event]) -> list[Tally]:
    return counter.take(read(counter, events)) + counter.finish()


def pay(status: str, at: int, payment: str = "p", **more: str) -> Event:
    return Event("payment", f"order of {payment}", T + at, payment, status, BNP, **more)  # type: ignore[arg-type]


def test_a_tally_says_who_and_how_far() -> None:
    """Source, layout, term, newest start and the offset of the newest event counted stand on every tally."""
    counter = made(term=7)
    tallies = counter.take(read(counter, [pay("pending", 100), pay("approved", 1_500), pay("pending", 9_000, "q")]))
    tallies += counter.finish()
    last = tallies[-1]
    assert (last.source, last.layout, last.term) == (Source("main", 3), {"main": 8}, 7)
    assert (last.boundary_ms, last.newest_start_ms, last.offset) == (T + 8_000, T + 100, 101)
    assert last.first_pane == -1


def test_rebuilding_is_silent_until_the_noted_boundary() -> None:
    """One snapshot there, with all that is in the open panes, and nothing below it."""
    counter = made(term=2, noted_ms=T + 60_000)
    before = [pay("approved", 1_000 * n, f"p{n}") for n in range(60)]
    assert counter.take(read(counter, before)) == []
    assert counter.rebuilding
    assert counter.stats.rebuilt > 0
    assert counter.stats.events == 0
    assert counter.payments_total.sum() == 0
    tallies = counter.take(read(counter, [pay("approved", 1_000 * n, f"p{n}") for n in range(60, 65)]))
    assert [tally.boundary_ms - T for tally in tallies] == [60_000, 61_000, 62_000, 63_000]
    assert [tally.first_pane >= 0 for tally in tallies] == [True, False, False, False]
    assert tallies[0].cells.counts.sum() == 60
    assert tallies[0].details is not None
    assert not counter.rebuilding


def test_at_the_end_of_its_log_it_jumps_to_the_noted_boundary() -> None:
    """Also where the log holds nothing at all."""
    for events in ([], [pay("pending", 0)]):
        counter = made(term=1, noted_ms=T + 60_000)
        assert counter.take(read(counter, events)) == []
        (snapshot,) = counter.caught_up()
        assert snapshot.boundary_ms == T + 60_000
        assert snapshot.cells.counts.sum() == len(events)
        assert counter.caught_up() == []


def test_an_owner_after_one_that_noted_nothing_begins_with_everything() -> None:
    """What that one told is taken back where it is so no more: an order, whose payment is read before it this time."""
    placed = Event("placed", "order of p", T + 500, leaf=BNP)
    others = [pay("approved", 8_000, "q"), pay("approved", 9_000, "r")]
    judge, alone = ModelJudge(POLICY), ModelJudge(POLICY)
    for tally in _all(made(term=1), [placed, others[0]]):
        judge.take(tally)
    assert judge.holding()
    again = made(term=2, again=True)
    for tally in _all(again, [pay("approved", 6_000), *others]) + _all(again, [placed]):
        judge.take(tally)
        alone.take(tally)
    assert judge.holding() == alone.holding()


def test_a_noted_boundary_is_a_full_second() -> None:
    """Anything else was never told."""
    with pytest.raises(ValueError, match="got noted_ms 1500"):
        made(noted_ms=1_500)


@pytest.mark.parametrize("policy", [POLICY, Policy(horizon_ms=60_000)], ids=["default", "a short H"])
def test_it_reads_again_what_the_oldest_open_block_hangs_on(policy: Policy) -> None:
    """At the start of a pane, two horizons and a fast clock before the block, and no longer before than a block is."""
    counter = Counter(policy, Names(policy), Source("main", 0), {"main": 1})
    before_ms = policy.open_ms + 2 * policy.horizon_ms + policy.clock_ahead_ms
    found = [counter.commit_from(T + ms) for ms in range(0, 2 * policy.vote_block_ms, 997)]
    assert found == sorted(found)
    for n, start in enumerate(found):
        assert start % policy.pane_ms == 0
        assert 0 <= T + 997 * n - before_ms - start <= policy.vote_block_ms + policy.pane_ms


def test_each_payment_is_counted_once_a_status() -> None:
    """Copies and half green orders do not move the totals."""
    counter = made()
    events = [pay("pending", 0), pay("pending", 500), pay("approved", 900), pay("approved", 900)]
    counter.take(read(counter, [*events, Event("placed", "o", T, leaf=BNP), pay("pending", 9_000, "q")]))
    counter.finish()
    assert counter.payments_total[0, PENDING] == 1
    assert counter.payments_total[0, APPROVED] == 1


def details(tallies: list[Tally]) -> list[int]:
    return [tally.boundary_ms - T for tally in tallies if tally.details is not None]


def test_details_ride_on_the_first_cut_past_five_seconds_that_changed() -> None:
    """Every 5 s of event time while something happens, not while nothing does."""
    counter = made()
    busy = counter.take(read(counter, [pay("pending", 500 * n, f"p{n}") for n in range(40)]))
    assert details(busy) == [1_000, 5_000, 10_000, 15_000]
    counter.idle(5_000)
    assert details(counter.idle(3_000) + counter.idle(3_000) + counter.idle(3_000)) == []


@pytest.mark.parametrize("details_ms", [4_800, 7_500])
def test_details_of_any_interval_ride_on_full_seconds(details_ms: int) -> None:
    """A boundary between two seconds would let events wait that it covers, and nobody could commit there."""
    counter = made(Policy(details_ms=details_ms))
    events = [pay("pending", at, f"p{at}") for at in (100, 1_200, 9_800, 9_900, 14_000)]
    tallies = counter.take(read(counter, events)) + counter.idle(5_000)
    assert details(tallies)[:2] == [1_000, 5_000 if details_ms == 4_800 else 8_000]
    assert [tally.boundary_ms % 1_000 for tally in tallies] == [0] * len(tallies)
    assert tallies[-1].boundary_ms == T + 18_000
    judge = ModelJudge(counter.policy)
    for tally in tallies:
        judge.take(tally)
    assert judge.open_cells() == dumb.cells(events, judge.newest, counter.policy)


def test_details_keep_those_with_most_votes() -> None:
    """Past the limit the merchants with fewest votes are left out, of equal ones those with the larger hashes."""
    policy = Policy(merchants_detail_max=3)
    counter = Counter(policy, Names(policy), Source("main", 0), {"main": 1})
    counter.at_end(1, True)
    many = [pay("declined", n, f"p{n}-{m}", merchant=f"shop-{m}", code=f"{m}") for m in range(20) for n in range(m + 1)]
    tallies = counter.take(read(counter, [*many, pay("pending", 9_000, "last")]))
    said = next(tally.details for tally in reversed(tallies) if tally.details is not None)
    assert sorted(said.merchants) == ["shop-17", "shop-18", "shop-19"]
    assert sorted(said.merchant_counts[:, 0].tolist()) == [18, 19, 20]
    assert sorted(said.codes) == ["17", "18", "19"]


def test_details_keep_a_small_shop_of_which_all_is_refused() -> None:
    """It may be to blame; of larger ones that are well nothing more is asked than how much they send."""
    policy = Policy(merchants_detail_max=3)
    counter = Counter(policy, Names(policy), Source("main", 0), {"main": 1})
    counter.at_end(1, True)
    well = [pay("approved", n, f"p{n}-{m}", merchant=f"shop-{m}") for m in range(20) for n in range(m + 1)]
    down = [pay("declined", n, f"q{n}", merchant="boutique") for n in range(3)]
    tallies = counter.take(read(counter, [*well, *down, pay("pending", 9_000, "last")]))
    said = next(tally.details for tally in reversed(tallies) if tally.details is not None)
    assert sorted(said.merchants) == ["boutique", "shop-18", "shop-19"]


def test_hundreds_of_leaves_and_codes_find_room() -> None:
    """Tables by leaf and by code grow with the names."""
    counter = made()
    leaves = [(f"bank-{n}", "card") for n in range(900)]
    events = [
        Event("payment", f"o{n}", T + n, f"p{n}", "declined", leaf, code=f"c{n}") for n, leaf in enumerate(leaves)
    ]
    tallies = counter.take(read(counter, events[:300])) + counter.take(read(counter, events[300:]))
    tallies += counter.idle(5_000)
    assert sum(map(len, (tally.cells for tally in tallies))) >= 900
    assert counter.payments_total.shape == (900, 5)
    assert counter.payments_total.sum() == 900


def test_columns_that_may_not_be_written_are_taken() -> None:
    """A decoder may hand over views of what it read."""
    counter = made()
    columns = read(counter, [pay("pending", 0), pay("pending", 5_000, "q")])
    for name in ("payment", "occurred_at"):
        getattr(columns, name).flags.writeable = False
    assert sum(tally.cells.counts.sum() for tally in counter.take(columns) + counter.finish()) == 1


def test_a_topic_that_lags_holds_only_so_much_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit of what is held the other topic goes on without it, and says so."""
    monkeypatch.setattr("detector.counting.book.HOLD_MAX", 1_000)
    counter = Counter(POLICY, Names(POLICY), Source("main", 0), {"main": 1})
    events = [pay("pending", 10 * n, f"p{n}") for n in range(3_000)]
    assert counter.take(read(counter, events[:900])) == []
    assert counter.take(read(counter, events[900:])) != []
    assert counter.stats.held_over > 0
    assert counter.stats.held <= 1_100


def test_a_payment_reaches_a_status_once() -> None:
    """However often it is answered, and whether it says when it began: late answers are told each, for themselves."""
    late_ms, counter = POLICY.horizon_ms + 1_000, made()
    late = [Event("payment", "o", T + late_ms + 1_000 * n, "p", "approved", BNP, started=T) for n in range(2)]
    unsaid = Event("payment", "o", T + late_ms + 3_000, "p", "approved", BNP)
    _all(counter, [Event("payment", "o", T, "p", "pending", BNP), *late, unsaid])
    assert counter.stats.late_answers == 2
    assert counter.payments_total[0].tolist() == [1, 1, 0, 0, 0]


def test_an_order_of_many_events_is_bounded() -> None:
    """What is past the limit of one order is counted, not kept."""
    counter = made()
    events = [Event("placed", "o", T + n, leaf=BNP) for n in range(500)]
    counter.take(read(counter, [*events, pay("pending", 9_000)]))
    assert counter.stats.crowded == 500 - 64
    assert np.all(counter.payments_total[0, :PENDING] == 0)


def test_tables_that_move_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the space of each is used up again and again, and where it holds them from the start."""

    def told() -> list[bytes]:
        counter = made()
        events = [pay("pending", 100 * n, f"p{n}", shopper=f"s{n % 700}") for n in range(6_000)]
        events += [Event("placed", f"o{n}", T + 300 * n, leaf=BNP) for n in range(2_000)]
        return [encode(tally) for tally in counter.take(read(counter, sorted(events, key=lambda e: e.occurred)))]

    def tight(length: int, dtype: Any, width: tuple[int, ...] = (), room: int = 0) -> Any:
        return new_table(length, dtype, width, 4_096)

    usual = told()
    for module in ("book", "index", "space"):
        monkeypatch.setattr(f"detector.counting.{module}.new_table", tight)
    assert told() == usual
