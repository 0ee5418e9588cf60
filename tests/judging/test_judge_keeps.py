"""What a Judge keeps across restarts, new policies and owners that go back: nothing told twice, nothing forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from detector.contracts.policy import EvidenceRules, Policy, Rule
from detector.counting.tally import COUNTS, Cells, Marker, Tally
from detector.judging.judge import Judge
from tests.alone import alone
from tests.judging.test_judge import LEAF, ONE, POLICY, T0, TWO, cells, die, refilled, tally


def wide(n: int) -> Policy:
    """Of n voters, each of a shop of its own."""
    return alone(all_red=Rule(30_000, n), wait_ms=0, min_merchants=1)


def many(at_s: int, voters: int, declined: int = 1) -> Tally:
    """One pane with that many bad voters, as a Counter with n = `voters` tells it."""
    counts = np.array([[0, 0, declined * voters, 0, 0, 0]], np.int32)
    hashes = [at_s * 1_000 + k for k in range(voters)]
    pane = (T0 + at_s * 1_000) // 5_000 - 1
    held = Cells((LEAF,), np.zeros(1, np.int32), np.array([pane], np.int64), counts, counts.copy(),
                 np.zeros((1, 5), np.int32), np.full(1, -1, np.int64), np.array([[voters, 0, 1, 0, 0]], np.uint8),
                 np.array([*hashes, 7], np.uint64))  # fmt: skip
    return Tally(ONE, {"default": 1}, 1, T0 + at_s * 1_000, T0 + at_s * 1_000 - 1, at_s, held)


def test_a_policy_marker_with_a_larger_n_makes_room() -> None:
    """A rule of more voters than the first policy had is read exactly, and survives a restart."""
    judge = Judge(wide(2))
    judge.take(tally(5, approved=3))
    judge.take(Marker("policy", None, wide(12).canonical()))
    assert [judge.take(many(at_s, 3)) for at_s in (10, 15, 20)] == [[], [], []]
    restored = Judge.restore(judge.export())
    for record in (tally(5, approved=3), *(many(at_s, 3) for at_s in (10, 15, 20))):
        restored.refill(record)
    for one in (judge, restored):
        assert one.take(many(40, 2)) == []
        [started] = one.take(many(45, 1))
        assert (started.data.evidence.declined, started.data.began_at) == (12, T0 + 5_000)


def test_a_tally_of_more_voters_than_the_judge_asked_for_is_cut() -> None:
    """A Counter of a newer policy tells more hashes than there is room for: its merchants are still its merchants."""
    judge = Judge(alone(all_red=Rule(30_000, 2), wait_ms=0, min_merchants=2))
    judge.take(many(10, 12))
    judge.take(many(45, 12))
    assert {record.status for record in judge.health()} == {"suspected"}
    assert judge.board.rows.lengths.max() == 10


@pytest.mark.parametrize("ring_ms", [900_000, 7_200_000])
def test_a_policy_marker_with_another_ring_keeps_the_streak(ring_ms: int) -> None:
    """A ring made shorter folds what it loses, a longer one keeps what it had; the streak is the same."""
    judge = Judge(wide(6))
    judge.take(tally(5, approved=3))
    for at_s in (10, 1_000, 2_000, 3_000):
        judge.take(many(at_s, 1))
    judge.take(Marker("policy", None, alone(all_red=Rule(30_000, 6), wait_ms=0, min_merchants=1,
                                             ring_ms=ring_ms).canonical()))  # fmt: skip
    judge.take(many(4_000, 1))
    [started] = judge.take(many(9_000, 1))
    assert (started.data.began_at, started.data.evidence.declined) == (T0 + 5_000, 6)


def test_a_policy_marker_is_obeyed_at_the_next_boundary() -> None:
    """What a new policy finds does not wait for news: with every boundary told, or with none, it is found as soon."""
    found = []
    for told in (range(25, 41), (40,)):
        judge = Judge(wide(2))
        judge.take(many(10, 1))
        judge.take(tally(24))
        judge.take(Marker("policy", None, alone(all_red=Rule(10_000, 1), wait_ms=0, min_merchants=1).canonical()))
        found.append([change.data.detected_at for at_s in told for change in judge.take(tally(at_s))])
    assert found[0] == found[1] == [T0 + 25_000]


def test_a_restored_judge_keeps_the_hold() -> None:
    """Boundaries with nothing new keep the hold running, also across a restart and while another source is away."""
    log: list[Tally | Marker] = [tally(5, approved=3)]
    log += [tally(at_s, declined=5) for at_s in range(10, 60, 5)]
    log += [tally(125, approved=14), tally(130, declined=10), tally(170)]
    judge = Judge(POLICY)
    for record in log:
        judge.take(record)
    [held] = judge.open_outages()
    assert held.hold_ms == T0 + 125_000
    restored = Judge.restore(judge.export())
    for record in log:
        restored.refill(record)
    expected = judge.take(tally(200))
    assert (expected[0].type, expected[0].data.ended_at) == ("resolved", T0 + 125_000)
    assert restored.take(tally(200)) == expected


def test_a_scope_adopted_before_its_leaf_is_seen_survives_a_snapshot() -> None:
    """Scopes keep their numbers across a restart, in whatever order they became known."""
    [started] = die(Judge(POLICY))
    judge = Judge(POLICY)
    judge.adopt([started.data])
    judge.take(tally(295))
    other = cells(T0 + 295_000, approved=1)
    named = Cells((("axa", "pix"),), *(getattr(other, name) for name in Cells.__slots__[1:]))
    judge.take(Tally(ONE, {"default": 1}, 1, T0 + 300_000, T0 + 299_999, 0, named))
    judge.take(tally(305, declined=1))
    restored = Judge.restore(judge.export())
    assert [outage.scope for outage in restored.open_outages()] == [outage.scope for outage in judge.open_outages()]
    assert restored.board.nodes.scopes == judge.board.nodes.scopes


def test_a_lower_cap_on_leaves_survives_a_snapshot() -> None:
    """Leaves that are known stay known when a policy would now take fewer."""
    judge = Judge(POLICY)
    for number in range(3):
        held = cells(T0, approved=1)
        named = Cells(((f"b{number}", "pix"),), *(getattr(held, name) for name in Cells.__slots__[1:]))
        judge.take(Tally(ONE, {"default": 1}, 1, T0 + 5_000 + number * 1_000, T0 + 4_000, 0, named))
    judge.take(Marker("policy", None, alone(all_red=Rule(30_000, 2), leaves_max=2).canonical()))
    judge.take(tally(60, declined=3))
    restored = Judge.restore(judge.export())
    assert restored.board.nodes.leaves == judge.board.nodes.leaves == [
        ("b0", "pix"), ("b1", "pix"), ("b2", "pix"), ("other", "other")
    ]  # fmt: skip


def test_a_refill_passes_over_what_was_passed_over() -> None:
    """A zombie's records that the Judge did not take are not taken when the log is read again."""
    log = [tally(10, term=1, approved=3), tally(15, term=2, first=(T0 + 5_000) // 5_000, approved=4),
           tally(10, term=1, approved=9), tally(20, term=1, approved=9)]  # fmt: skip
    judge, restored = refilled(log)
    assert restored.rates() == judge.rates()


def test_a_refill_holds_back_what_a_source_behind_said() -> None:
    """Records of a source that has not caught up are not counted before it has, nor after a restart."""
    log: list[Tally | Marker] = [tally(10, ONE, sources=2, approved=3), tally(10, TWO, sources=2, approved=3),
                                 Marker("stuck", TWO), tally(60, ONE, sources=2),
                                 tally(40, TWO, sources=2, approved=5)]  # fmt: skip
    judge, restored = refilled(log)
    assert restored.rates() == judge.rates()
    for one in (judge, restored):
        one.take(tally(61, TWO, sources=2))
    assert restored.rates() == judge.rates()


def test_closed_panes_are_not_counted_twice() -> None:
    """A new owner that goes back over closed panes, once merged, changes nothing in them."""
    quick = alone(all_red=Rule(30_000, 2), wait_ms=0, horizon_ms=60_000, grace_ms=5_000, answers={"default": 10_000})
    judge = Judge(quick)
    for at_s in (10, 11, 200, 201):
        for source in (ONE, TWO):
            judge.take(tally(at_s, source, sources=2, **({"approved": 3} if at_s == 10 else {})))
    judge.take(tally(50, ONE, sources=2, term=2, first=T0 // 5_000))
    held = cells(T0 + 5_000, approved=3)
    judge.take(Tally(ONE, {"default": 2}, 2, T0 + 51_000, T0 + 50_000, 51, held))
    judge.take(tally(202, ONE, sources=2, term=2))
    assert judge.rates()[0][1][3_600_000][1] == 6


def test_an_approved_late_answer_ends_what_was_folded_before_it() -> None:
    """Payments that left the ring before the start of an approved late answer are not of the streak any more."""
    quick = alone(all_red=Rule(10_000, 2), wait_ms=0, min_merchants=1, ring_ms=60_000, horizon_ms=60_000,
                   grace_ms=5_000, answers={"default": -1})  # fmt: skip
    judge = Judge(quick)
    waits = cells(T0, declined=50)
    waits = Cells(waits.leaves, waits.leaf, waits.pane, waits.counts[:, [2, 1, 0, 3, 4, 5]], waits.votes, waits.late,
                  waits.late_start, waits.lengths[:, [1, 0, 3, 2, 4]], waits.hashes)  # fmt: skip
    judge.take(Tally(ONE, {"default": 1}, 1, T0 + 5_000, T0 + 4_999, 0, waits))
    judge.take(tally(300))
    answer = cells(T0 + 290_000)
    late = Cells((LEAF,), np.zeros(1, np.int32), np.array([T0 // 5_000 + 58], np.int64), np.zeros((1, 6), np.int32),
                 np.zeros((1, 6), np.int32), np.array([[0, 1, 0, 0, 0]], np.int32),
                 np.array([T0 + 250_000], np.int64), np.zeros((1, 5), np.uint8), answer.hashes)  # fmt: skip
    judge.take(Tally(ONE, {"default": 1}, 1, T0 + 301_000, T0 + 300_000, 0, late))
    judge.take(tally(500))
    judge.take(tally(505, declined=3))
    assert [change.data.evidence.declined for change in judge.take(tally(520))] == [3]


def waiting(at_s: int, voters: int, term: int = 1) -> Tally:
    """One pane with that many voters who wait for an answer, each at a shop of its own."""
    counts = np.array([[voters, 0, 0, 0, 0, 0]], np.int32)
    hashes = np.array([*range(voters), *range(voters)], np.uint64)
    pane = (T0 + at_s * 1_000) // 5_000 - 1
    held = Cells((LEAF,), np.zeros(1, np.int32), np.array([pane], np.int64), counts, counts.copy(),
                 np.zeros((1, 5), np.int32), np.full(1, -1, np.int64), np.array([[0, voters, 0, voters, 0]], np.uint8),
                 hashes, orders=np.array([[0, 0, voters, 0]], np.int32))  # fmt: skip
    return Tally(ONE, {"default": 1}, term, T0 + at_s * 1_000, T0 + at_s * 1_000 - 1, at_s, held)


@pytest.mark.parametrize("mode", ["off", "live"])
def test_what_waits_where_its_source_says_no_more_is_over(mode: Literal["off", "live"]) -> None:
    """A new owner cannot read again what came before it: nobody will hear how those payments ended, so they are no
    outage, for a Judge that is put together anew either. What was answered stays."""
    policy = replace(
        alone(all_pending=Rule(30_000, 2), wait_ms=0, answers={"default": 10_000}), evidence=EvidenceRules(mode)
    )  # fmt: skip
    log = [tally(5, approved=3), waiting(10, 3), tally(10, term=2, first=(T0 + 100_000) // 5_000), waiting(105, 1, 2)]
    judge = Judge(policy)
    assert [change for record in log for change in judge.take(record)] == []
    again = Judge.restore(judge.export())
    for record in log:
        again.refill(record)
    for one in (judge, again):
        by_status = dict(zip(COUNTS, one.rates()[0][1][3_600_000], strict=True))
        assert by_status == {**dict.fromkeys(COUNTS, 0), "approved": 3, "pending": 1, "cancelled": 3}
        assert one.board.rows.orders.sum() == 1
        assert [change for at_s in (110, 130, 150) for change in one.take(waiting(at_s, 1, 2))] == []
