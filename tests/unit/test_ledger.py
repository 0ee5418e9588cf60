"""Each clause of the ledger, once, in the smallest story that shows it."""

from __future__ import annotations

from typing import Any

import pytest

from detector.contracts.policy import Policy
from detector.counting.ages import EDGES
from detector.counting.counter import Counter
from detector.counting.hashing import hash_text
from detector.counting.names import Names
from detector.counting.tally import COUNTS, Source
from tests.property import dumb
from tests.property.dumb import Event, Told

T = 1_700_000_000_000
T -= T % 600_000
SECOND, MINUTE = 1_000, 60_000
H = 600_000
BNP, AXA = ("bnp", "card"), ("axa", "card")
POLICY = Policy()


def pay(status: str, at: int, payment: str = "p", **more: Any) -> Event:
    fields: dict[str, Any] = {"order": f"order of {payment}", "leaf": BNP, **more}
    return Event("payment", occurred=T + at, payment=payment, status=status, **fields)


def order(kind: str, at: int, **more: Any) -> Event:
    return Event(kind, "o", T + at, **({"leaf": BNP} if kind == "placed" else {}), **more)


def counter(policy: Policy = POLICY) -> Counter:
    made = Counter(policy, Names(policy), Source("main", 0), {"main": 1})
    made.at_end(1, True)
    return made


def tell(*events: Event, until: int, made: Counter | None = None, lag: int = 1) -> Told:
    """What is told last of each cell when time has come to `until`, of records written `lag` ms late."""
    made = made or counter()
    ends = T + until
    for_time = [Event("confirmed", f"nobody at {until}", ends + 1_000)]
    read = [*events, *for_time]
    times = [max(e.occurred for e in read[: n + 1]) for n in range(len(read))]
    cells: Told = {}
    columns = dumb.columns(read, made.names, [at + lag for at in times], range(len(read)))
    for tally in made.take(columns) + made.finish():
        cells |= dumb.told(tally)
    return cells


def counts(cells: Told, *, votes: bool = False) -> dict[tuple[str, int], dict[str, int]]:
    """{(bank, s after T): {what: how many}}, the empty left out."""
    found = {}
    for ((bank, _), pane), said in cells.items():
        named = {name: count for name, count in zip(COUNTS, said[1 if votes else 0], strict=True) if count}
        if named:
            found[bank, pane * 5 - T // 1000] = named
    return found


@pytest.mark.parametrize("events", [
    [pay("pending", 0), pay("approved", 3_000)],
    [pay("approved", 3_000, started=T), pay("pending", 0)],
    [pay("pending", 9_000, started=T), pay("approved", 2_000)],
    [pay("cancelled", 4_000, started=T), pay("approved", 3_000)],
    [pay("approved", 3_000, started=T), pay("cancelled", 4_000)],
    [pay("declined", 1_000, started=T), pay("approved", 3_000)],
    [pay("declined", 3_000, started=T), pay("approved", 3_000)],
    [pay("error", 3_000, started=T), pay("approved", 3_000), pay("error", 3_000, started=T)],
])  # fmt: skip
def test_the_winner_is_the_answer_then_the_later_then_the_rank(events: list[Event]) -> None:
    """However they come: one approved payment, in the pane of its start."""
    for said in (events, events[::-1], events + events):
        assert counts(tell(*said, until=20_000)) == {("bnp", 0): {"approved": 1}}


def test_an_earlier_start_revealed_late_moves_the_payment() -> None:
    """The cell it leaves is told again, empty."""
    made = counter()
    first = tell(pay("pending", 30_000), until=32_000, made=made)
    assert counts(first) == {("bnp", 30): {"pending": 1}}
    again = tell(pay("approved", 33_000, started=T + 10_000), until=35_000, made=made)
    assert counts(again) == {("bnp", 10): {"approved": 1}}
    assert (BNP, (T + 30_000) // 5_000) in again


def test_an_answer_from_another_bank_moves_the_payment() -> None:
    """The winner names the leaf."""
    cells = tell(pay("pending", 0), pay("approved", 1_000, leaf=AXA), until=5_000)
    assert counts(cells) == {("axa", 0): {"approved": 1}}


def test_an_id_that_two_orders_give_is_two_payments() -> None:
    """As it is where the orders lie in different partitions, however many there are; late answers, too."""
    asked = [pay("pending", 0, order="o"), pay("pending", 0, order="q")]
    assert counts(tell(*asked, pay("approved", 1_000, order="q"), until=5_000)) == {
        ("bnp", 0): {"pending": 1, "approved": 1}
    }
    late = [pay("approved", H, order=order, started=T) for order in ("o", "q", "q")]
    assert tell(*late, until=H + 5_000)[BNP, (T + H) // 5_000][2] == (0, 2, 0, 0, 0)


def test_leaving_after_the_answer_was_due_is_told_apart() -> None:
    """`cancelled` at or after `answer_s` is cancelled_late; a method without one never is."""
    slow = ("bnp", "transfer")
    cells = tell(
        pay("pending", 0, "a"), pay("cancelled", MINUTE - 1, "a"),
        pay("pending", 0, "b"), pay("cancelled", MINUTE, "b"),
        pay("pending", 0, "c", leaf=slow), pay("cancelled", 5 * MINUTE, "c", leaf=slow), until=6 * MINUTE,
    )  # fmt: skip
    assert {leaf: said[0] for (leaf, _), said in cells.items() if any(said[0])} == {
        BNP: (0, 0, 0, 0, 1, 1), slow: (0, 0, 0, 0, 1, 0),
    }  # fmt: skip


def test_one_voter_has_one_vote_a_leaf_and_block() -> None:
    """The earliest start votes; when it turns out to have begun in the block before, the next one does."""
    tries = [pay("declined", 10 * SECOND * n, f"p{n}", shopper="ann") for n in (3, 1, 2)]
    made = counter()
    assert counts(tell(*tries, until=40_000, made=made), votes=True) == {("bnp", 10): {"declined": 1}}
    moved = tell(pay("pending", 41_000, "p1", started=T - 1, shopper="ann"), until=43_000, made=made)
    assert counts(moved, votes=True) == {("bnp", -5): {"declined": 1}, ("bnp", 20): {"declined": 1}}


def test_a_vote_that_leaves_goes_to_the_next_earliest_each_time() -> None:
    """Of five tries, told in another order, one after the other turns out to have been at another bank."""
    tries = [pay("declined", n * 5_000, f"p{n}", shopper="s") for n in (1, 3, 2, 0, 4)]
    made = counter()
    tell(*tries, until=30_000, made=made)
    for left in range(1, 5):
        started = T + (left - 1) * 5_000
        elsewhere = pay("declined", 30_000 * left, f"p{left - 1}", shopper="s", leaf=AXA, started=started)
        said = counts(tell(elsewhere, until=30_000 * left + 10_000, made=made), votes=True)
        assert said["bnp", left * 5] == {"declined": 1}
        assert ("bnp", left * 5 - 5) not in said


def test_a_closed_pane_keeps_its_vote() -> None:
    """The first try of a block votes for it also once its pane has closed."""
    made = counter()
    tell(pay("declined", 0, "a", shopper="ann"), until=2_000, made=made)
    late = tell(pay("declined", 595_000, "b", shopper="ann"), until=H + 70_000, made=made)
    assert counts(late) == {("bnp", 595): {"declined": 1}}
    after = tell(pay("declined", 597_000, "c", shopper="ann"), until=H + 75_000, made=made)
    assert counts(after, votes=True) == {}
    assert counts(after) == {("bnp", 595): {"declined": 2}}


def test_a_late_answer_counts_once_where_it_occurred() -> None:
    """It leaves the payment pending, and the newest start among the approved is told."""
    late = pay("approved", H + 30_000, started=T + 30_000)
    other = pay("approved", H + 31_000, "q", started=T + 20_000)
    cells = tell(pay("pending", 30_000), late, late, other, pay("declined", H + 33_000, started=T), until=H + 40_000)
    said = cells[BNP, (T + H + 30_000) // 5_000]
    assert said[2] == (0, 2, 1, 0, 0)
    assert said[3] == (T + 30_000,)
    assert said[-2:] == ((18, 18), (18,))
    assert counts(cells)["bnp", 30] == {"pending": 1}


def test_a_late_answer_says_how_old_it_is() -> None:
    """As a bin of ages, from the end of the pane in which the payment began: a second decides, on either side."""
    edge = int(EDGES[24])
    began = T // 5_000 * 5_000 + 5_000
    events = [pay("approved", began + edge - T + n, f"p{n}", started=began - 1) for n in (-1, 0)]
    events.append(pay("error", began + edge - T, "q", started=began))
    cells = tell(*events, until=edge + 60_000)
    assert [said[-2:] for said in cells.values()] == [((24, 25), (24,))]


def test_one_ms_before_the_horizon_is_no_late_answer() -> None:
    """H itself is late, what is before it joins the payment."""
    cells = tell(pay("pending", 30_000), pay("approved", H + 29_999, started=T + 30_000), until=H + 40_000)
    assert counts(cells)["bnp", 30] == {"approved": 1}


def test_what_would_change_a_closed_pane_is_too_late() -> None:
    """It is told nowhere, and counted."""
    made = counter()
    tell(pay("pending", 0), until=H + MINUTE + 5_000, made=made)
    cells = tell(pay("approved", 3_000), until=H + MINUTE + 8_000, made=made)
    assert counts(cells) == {}
    assert made.stats.too_late == 1


def test_a_pane_is_open_to_the_last_boundary_before_its_end() -> None:
    """At end + H + grace it is closed, the boundary before it still tells of it."""
    close = 5_000 + H + MINUTE
    for until, open_ in ((close - 1_000, True), (close, False)):
        made = counter()
        tell(pay("pending", 0), until=until - 1_000, made=made)
        cells = tell(pay("approved", 3_000), until=until, made=made)
        assert counts(cells) == ({("bnp", 0): {"approved": 1}} if open_ else {})


def test_a_placed_order_is_a_pending_payment_until_one_comes() -> None:
    """The payment removes it, whichever is read first, also at another bank."""
    assert counts(tell(order("placed", 0), until=2_000)) == {("bnp", 0): {"pending": 1}}
    paid = pay("approved", 4_000, order="o", leaf=AXA)
    for said in ([order("placed", 0), paid], [paid, order("placed", 0)]):
        assert counts(tell(*said, until=10_000)) == {("axa", 0): {"approved": 1}}


@pytest.mark.parametrize(("start", "removed"), [(-H, False), (-H + 1, True), (H - 1, True), (H, False)])
def test_a_payment_removes_a_placed_order_within_h(start: int, removed: bool) -> None:
    """Started after placed - H, with an event before placed + H."""
    both = [order("placed", 0), pay("declined", start, order="o")]
    cells = tell(*sorted(both, key=lambda event: event.occurred), until=H + 2_000)
    assert (("bnp", 0) not in counts(cells)) == removed


@pytest.mark.parametrize(("again", "found"), [
    (H - 1, {("bnp", 595): {"pending": 1}}), (H, {("bnp", 0): {"pending": 1}, ("bnp", 600): {"pending": 1}}),
])  # fmt: skip
def test_a_later_placed_replaces_one_less_than_h_before(again: int, found: dict[Any, Any]) -> None:
    """From H on it is an order of its own."""
    assert counts(tell(order("placed", 0), order("placed", again), until=H + 5_000)) == found


def test_an_order_that_ends_without_a_payment_is_cancelled() -> None:
    """`cancelled` soon is grey, `confirmed` after the answer was due is cancelled after waiting; at H it freezes."""
    assert counts(tell(order("placed", 0), order("cancelled", 9_000), until=12_000)) == {("bnp", 0): {"cancelled": 1}}
    waited = tell(order("placed", 0), order("confirmed", MINUTE), until=2 * MINUTE)
    assert counts(waited) == {("bnp", 0): {"cancelled_late": 1}}
    frozen = tell(order("placed", 0), order("confirmed", H), until=H + 5_000)
    assert counts(frozen) == {("bnp", 0): {"pending": 1}}


def test_a_placed_order_without_bank_or_method_is_nothing() -> None:
    """Half green needs both."""
    assert tell(Event("placed", "o", T), until=2_000) == {}


def test_the_smallest_hashes_are_of_all_payments() -> None:
    """Ten of thirty voters, two of five merchants, two of the approved voters: the smallest."""
    red = [pay("declined", n, f"r{n}", shopper=f"s{n}", merchant=f"m{n % 5}") for n in range(30)]
    green = [pay("approved", n, f"g{n}", shopper=f"s{n}") for n in range(9)]
    said = tell(*red, *green, *red, until=3_000)[BNP, T // 5_000]
    assert said[4] == tuple(sorted(hash_text(f"s{n}") for n in range(30))[:10])
    assert said[6] == tuple(sorted(hash_text(f"m{n}") for n in range(5))[:2])
    assert said[8] == tuple(sorted(hash_text(f"s{n}") for n in range(9))[:2])


def test_payments_are_forgotten_two_horizons_after_they_were_touched() -> None:
    """Neither payments, orders, late answers nor counters stay for ever."""
    made = counter()
    for minute in range(0, 200, 5):
        at = minute * MINUTE
        events = [pay("approved", at + n, f"p{minute}-{n}", order="o") for n in range(50)]
        late = [pay("approved", at + n, f"l{n}", started=T + at - H) for n in range(5)]
        tell(*events, *late, order("placed", at), until=at + MINUTE, made=made)
    state = made._book.state[0]
    assert made.stats.payments <= 50 * 6
    assert state.rows <= 60 * 7
    assert state.lates <= 5 * 4
    assert state.order_events <= 64
    assert made.stats.too_late == 0


def test_a_payment_is_remembered_while_a_copy_might_vote() -> None:
    """It began in the block before; a copy of its answer alone would begin in this one, and be the voter's earliest."""
    made = counter(Policy(horizon_ms=60_000))
    answered = pay("declined", 10 * SECOND, shopper="ann")
    told = tell(pay("pending", -10 * SECOND, shopper="ann"), answered,
                pay("declined", 150 * SECOND, "q", shopper="ann"), until=200 * SECOND, made=made)  # fmt: skip
    assert counts(told, votes=True)["bnp", 150] == {"declined": 1}
    assert tell(answered, until=205 * SECOND, made=made) == {}


@pytest.mark.parametrize("lag", [1, 200_000])
def test_an_order_is_remembered_while_its_votes_may_count(lag: int) -> None:
    """Its pane is closed, its payment turns out to have begun H before: it was half green, and what came later has no
    vote."""
    made = counter(Policy(horizon_ms=60_000, grace_ms=20_000))
    told = tell(order("placed", SECOND), pay("cancelled", 2 * SECOND, order="o", leaf=AXA),
                pay("declined", 72 * SECOND, "q", order="o"), until=100 * SECOND, made=made)  # fmt: skip
    assert counts(told, votes=True)["bnp", 70] == {"declined": 1}
    began = pay("pending", -SECOND, order="o", leaf=AXA, started=T - 59 * SECOND)
    told = tell(began, until=150 * SECOND, made=made, lag=lag)
    assert told[BNP, (T + 70 * SECOND) // 5_000][1] == (0,) * 6


@pytest.mark.parametrize("days", [1, 20, 23, 40])
def test_a_payment_is_remembered_two_horizons_after_any_silence(days: int) -> None:
    """It is told of again after days in which nothing was, and answered some minutes later: that is no new payment."""
    made, again = counter(), days * 86_400_000
    tell(pay("pending", 0), until=SECOND, made=made)
    others = [pay("approved", again + n * SECOND, f"m{n}") for n in range(30)]
    tell(*others, pay("pending", again + 31 * SECOND), until=again + 40 * SECOND, made=made)
    for minute in range(1, 15):
        tell(pay("approved", again + minute * MINUTE, f"n{minute}"), until=again + minute * MINUTE + SECOND, made=made)
    cells = tell(pay("approved", again + 15 * MINUTE), until=again + 16 * MINUTE, made=made)
    assert ("bnp", again // SECOND + 15 * 60) not in counts(cells)


def test_late_answers_that_change_stay_as_many() -> None:
    """Many of one pane, told again with another code, first to last and last to first: each is in its cell once."""
    late = [[pay("approved", H + n, f"p{n}", started=T, code=code) for n in range(50)] for code in "abc"]
    made = counter()
    cells = tell(*late[0], *late[1], *reversed(late[2]), until=H + 40_000, made=made)
    assert cells[BNP, (T + H) // 5_000][2] == (0, 50, 0, 0, 0)
    tell(until=5 * H, made=made)
    assert made._book.state[0].late_indexed == 0
