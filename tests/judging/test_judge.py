"""What moves Judge's time, what a marker does, and how a new Judge takes over what the outages topic knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from detector.contracts.policy import Rule
from detector.counting.tally import FIRST, Cells, Marker, Source, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change, outage_id
from tests.alone import alone

POLICY = alone(all_red=Rule(30_000, 2), wait_ms=0, min_merchants=1)
T0 = 1_700_000_000_000
LEAF = ("bnp", "card")
ONE = Source("default", 0)
TWO = Source("default", 1)


def cells(pane_ms: int = -1, approved: int = 0, declined: int = 0) -> Cells:
    """One cell of LEAF with distinct voters, or none at all."""
    count = int(pane_ms >= 0)
    counts = np.array([[0, approved, declined, 0, 0, 0]] * count, np.int32).reshape(count, 6)
    voters = [pane_ms + k + 1 for k in range(min(declined, 2))]
    shops = [7] if declined else []
    good = [pane_ms + 100 + k for k in range(min(approved, 2))]
    lengths = np.array([[len(voters), 0, len(shops), 0, len(good)]] * count, np.uint8).reshape(count, 5)
    return Cells(
        (LEAF,) * count, np.zeros(count, np.int32), np.full(count, pane_ms // 5_000, np.int64), counts, counts.copy(),
        np.zeros((count, 5), np.int32), np.full(count, -1, np.int64), lengths,
        np.array([*voters, *shops, *good] * count, np.uint64),
    )  # fmt: skip


def tally(at_s: int, source: Source = ONE, *, sources: int = 1, term: int = 1, first: int = -1, **counts: int) -> Tally:
    """What a source says at a boundary; counts are of the pane that ends there."""
    boundary_ms = T0 + at_s * 1_000
    pane_ms = boundary_ms - 5_000 if counts else -1
    held = cells(pane_ms, **counts)
    return Tally(source, {"default": sources}, term, boundary_ms, boundary_ms - 1, at_s, held, first)


def die(judge: Judge, until_s: int = 60) -> list[Change]:
    """A minute of approvals, then refusals: an outage that is found 30 s after the first."""
    changes = []
    for at_s in range(5, 65, 5):
        changes += judge.take(tally(at_s, approved=3))
    for at_s in range(65, 65 + until_s, 5):
        changes += judge.take(tally(at_s, declined=3))
    return changes


def refilled(log: Iterable[Tally | Marker]) -> tuple[Judge, Judge]:
    """A Judge that took the log, and another that is restored from its snapshot and reads the log again."""
    judge, log = Judge(POLICY), list(log)
    for record in log:
        judge.take(record)
    restored = Judge.restore(judge.export())
    for record in log:
        restored.refill(record)
    return judge, restored


def chained(*tallies: Tally) -> list[Tally]:
    """As a Counter tells them, each after the one before it in its term."""
    newest: dict[int, int] = {}
    told = []
    for one in tallies:
        told.append(replace(one, after_ms=newest.get(one.term, FIRST)))
        newest[one.term] = one.boundary_ms
    return told


def test_what_follows_a_lost_record_waits_for_the_next_term() -> None:
    """The broker took a write behind one it did not take: the Judge goes on where everything is said again, live and
    when it is put together anew."""
    log = chained(
        tally(5, approved=3), tally(10, approved=3), tally(15, approved=3), tally(20, approved=3),
        tally(15, term=2, first=T0 // 5_000 + 1, approved=3), tally(20, term=2, declined=3),
    )  # fmt: skip
    lost = [*log[:1], *log[2:]]
    reached = []
    judge = Judge(POLICY)
    for record in lost:
        judge.take(record)
        reached.append((judge.time_ms - T0) // 1_000)
    assert reached == [5, 5, 5, 15, 20]
    again = Judge.restore(judge.export())
    for record in lost:
        again.refill(record)
    assert again.board.rows.counts.sum() == judge.board.rows.counts.sum() == 9


def test_a_gap_that_its_writer_does_not_know_of_ends() -> None:
    """What follows it is no sign of life: the source is stuck, and then taken as it is, live and from the log."""
    log: list[Tally | Marker] = [*chained(*(tally(at_s, approved=3) for at_s in range(5, 35, 5)))]
    log[1:2] = []
    log.insert(3, Marker("stuck", ONE))
    judge = Judge(POLICY)
    moved = []
    for record in log:
        judge.take(record)
        moved.append(judge.sources.moved_by([record]) == [ONE])
    assert moved == [True, False, False, False, True, True]
    assert (judge.time_ms, judge.sources.left_out) == (T0 + 30_000, 2)
    again = Judge.restore(judge.export())
    for record in log:
        again.refill(record)
    assert again.board.rows.counts.sum() == judge.board.rows.counts.sum() == 9


QUICK = replace(POLICY, horizon_ms=60_000, grace_ms=5_000, answers={"default": 10_000})
"""Its panes close soon."""


def read_again(judge: Judge, log: list[Tally | Marker]) -> Judge:
    """Let it take the log; who reads that again behind its snapshot."""
    for record in log:
        judge.take(record)
    again = Judge.restore(judge.export())
    for record in log:
        again.refill(record)
    return again


def test_what_stands_behind_a_gap_closes_nothing() -> None:
    """A stuck source's next owner lost its first write, but not its second, from long after: what the one after it says
    of the time between is taken all the same, live and from the log."""
    one, two, three = ({"term": term, "declined": term} for term in (1, 2, 3))
    again_from = {"first": T0 // 5_000 + 1}
    log: list[Tally | Marker] = [*chained(
        tally(5, approved=3), tally(10, **one),
        tally(10, **two, **again_from), tally(200, **two), tally(205, **two),
        tally(10, **three, **again_from), tally(15, **three), tally(200, **three), tally(205, **three),
    )]  # fmt: skip
    log[2:4] = [Marker("stuck", ONE)]
    judge = Judge(QUICK)
    assert read_again(judge, log).rates() == judge.rates()
    assert judge.rates()[0][1][3_600_000][1:3] == [3, 12]


@pytest.mark.parametrize("is_told_all", [False, True])
def test_what_stands_behind_a_lost_beginning_closes_nothing(is_told_all: bool) -> None:
    """The first that comes of a source says that it spoke before. Where it was stuck, or nothing was said that the
    Judge was not told, that is lost: what the next owner says of that time is taken, live and from the log."""
    one, two = {"declined": 1}, {"term": 2, "declined": 2}
    log: list[Tally | Marker] = [*chained(
        tally(10, **one), tally(200, **one), tally(10, **two, first=0), tally(200, **two),
    )]  # fmt: skip
    log[:1] = [] if is_told_all else [Marker("stuck", ONE)]
    judge = Judge(QUICK, is_told_all=is_told_all)
    assert read_again(judge, log).rates() == judge.rates()
    assert judge.rates()[0][1][3_600_000][2] == 4


def test_a_source_that_is_stuck_again_behind_a_gap_has_aged_up_to_there() -> None:
    """Its pendings were overdue, and are still."""
    judge = Judge(POLICY)
    for record in chained(tally(10, TWO, sources=2), tally(90, TWO, sources=2), tally(100, TWO, sources=2)):
        judge.take(Marker("stuck", TWO) if record.boundary_ms == T0 + 90_000 else record)
    judge.take(tally(100, ONE, sources=2))
    judge.take(Marker("stuck", TWO))
    judge.take(tally(300, ONE, sources=2))
    assert judge.board.now[judge.sources.by_source[TWO].number] == T0 + 100_000


def test_the_first_of_a_term_may_be_lost_too() -> None:
    """Nothing of that term is taken; where the log begins late, whatever comes first is."""
    log = chained(tally(5, approved=3), tally(10, term=2, first=0, approved=3), tally(15, term=2, approved=3))
    judge, late = Judge(POLICY), Judge(POLICY)
    for record in (log[0], log[2]):
        judge.take(record)
    late.take(log[2])
    assert (judge.time_ms, late.time_ms) == (T0 + 5_000, T0 + 15_000)


def test_time_is_the_minimum_of_all_sources() -> None:
    """Nothing is judged before every source has spoken, and never beyond the slowest."""
    judge = Judge(POLICY)
    judge.take(tally(100, ONE, sources=2))
    assert judge.time_ms == -1
    judge.take(tally(50, TWO, sources=2))
    assert judge.time_ms == T0 + 50_000
    judge.take(tally(80, TWO, sources=2))
    assert judge.time_ms == T0 + 80_000


def test_a_stuck_source_leaves_the_minimum_and_is_named() -> None:
    """After its marker the others go on, and the source is missing until it has caught up with Judge's time."""
    judge = Judge(POLICY)
    for source in (ONE, TWO):
        judge.take(tally(10, source, sources=2))
    judge.take(tally(60, ONE, sources=2))
    judge.take(Marker("stuck", TWO))
    assert (judge.time_ms, judge.missing()) == (T0 + 60_000, [TWO])
    judge.take(tally(40, TWO, sources=2))
    assert (judge.time_ms, judge.missing()) == (T0 + 60_000, [TWO])
    judge.take(tally(61, TWO, sources=2))
    assert (judge.time_ms, judge.missing()) == (T0 + 60_000, [])


def test_a_source_that_is_always_a_little_later_comes_back() -> None:
    """Its events take three seconds longer than the others': Judge's time waits for it once, and is its time again."""
    judge = Judge(POLICY)
    for source in (ONE, TWO):
        judge.take(tally(10, source, sources=2))
    judge.take(Marker("stuck", TWO))
    for at_s in (60, 61, 62):
        judge.take(tally(at_s, ONE, sources=2))
        judge.take(tally(at_s - 3, TWO, sources=2))
    assert (judge.time_ms, judge.missing()) == (T0 + 60_000, [])
    for at_s in range(63, 70):
        judge.take(tally(at_s, ONE, sources=2))
        judge.take(tally(at_s - 3, TWO, sources=2))
    assert (judge.time_ms, judge.missing()) == (T0 + 66_000, [])


def test_a_stuck_sources_pendings_do_not_age() -> None:
    """Payments of a source that is away are not overdue because the others' time goes on."""
    judge = Judge(alone(all_pending=Rule(30_000, 1), answers={"default": 10_000}, min_merchants=1, wait_ms=0))
    waits = cells(T0, declined=1)
    waits = Cells(waits.leaves, waits.leaf, waits.pane, waits.counts[:, [2, 1, 0, 3, 4, 5]], waits.votes, waits.late,
                  waits.late_start, waits.lengths[:, [1, 0, 3, 2, 4]], waits.hashes)  # fmt: skip
    judge.take(Tally(TWO, {"default": 2}, 1, T0 + 10_000, T0 + 9_999, 0, waits))
    judge.take(tally(10, ONE, sources=2))
    judge.take(Marker("stuck", TWO))
    assert judge.take(tally(300, ONE, sources=2)) == []
    started = judge.take(tally(300, TWO, sources=2))
    assert [change.data.kind for change in started] == ["all_pending"]


def test_a_record_taken_again_changes_nothing() -> None:
    """(term, boundary) decides: copies, and records of an older term, are passed over."""
    judge = Judge(POLICY)
    judge.take(tally(10, term=2, approved=3))
    before = judge.rates()
    judge.take(tally(10, term=2, approved=9))
    judge.take(tally(15, term=1, approved=9))
    assert before == judge.rates()


def test_a_snapshot_replaces_what_its_source_said() -> None:
    """From its first pane on, cells that the snapshot does not have are empty; earlier ones stay."""
    judge = Judge(POLICY)
    judge.take(tally(10, approved=3))
    judge.take(tally(60, approved=4))
    judge.take(tally(65, term=2, first=(T0 + 50_000) // 5_000, approved=5))
    hour = judge.rates()[0][1][3_600_000]
    assert hour[1] == 3 + 5


def test_catching_up_warns_and_what_is_left_open_pages_once() -> None:
    """Behind the clock an outage is a warning; when the Judge is up to date it becomes critical, once."""
    judge = Judge(POLICY)
    judge.take(Marker("catching_up"))
    [started] = die(judge)
    assert (started.data.severity, started.data.catching_up) == ("warning", True)
    [updated] = judge.take(Marker("caught_up"))
    assert (updated.type, updated.data.severity, updated.data.sequence) == ("updated", "critical", 2)
    assert judge.take(Marker("caught_up")) == []


def test_a_policy_marker_holds_from_there_on() -> None:
    """The log says which policy judged: a stricter one in the log finds nothing more."""
    judge = Judge(POLICY)
    judge.take(Marker("policy", None, alone(all_red=Rule(30_000, 200), min_merchants=1).canonical()))
    assert die(judge) == []


def test_what_is_open_on_the_topic_and_unknown_is_adopted() -> None:
    """A Judge that lost its state goes on with the same outage: same id, next sequence, and no second start."""
    [started] = die(Judge(POLICY))
    judge = Judge(POLICY)
    judge.adopt([started.data])
    changes: list[Change] = []
    for at_s in range(110, 300, 5):
        changes += judge.take(tally(at_s, declined=3) if at_s < 150 else tally(at_s, approved=3))
    assert [(c.type, c.data.outage_id, c.data.sequence) for c in changes] == [("resolved", started.data.outage_id, 2)]


def test_what_the_log_tells_again_is_not_adopted() -> None:
    """A Judge that re-reads the log finds the outage itself, under the same id, at the same moment."""
    [started] = die(Judge(POLICY))
    judge = Judge(POLICY)
    judge.adopt([started.data])
    assert die(judge) == [started]


def test_ordinals_go_on_after_the_topic() -> None:
    """The next outage of a scope whose last is over on the topic gets the next id."""
    [started] = die(Judge(POLICY))
    over = started.data.model_copy(update={"ended_at": started.data.detected_at, "detected_at": T0 - 1})
    judge = Judge(POLICY)
    judge.adopt([over])
    [second] = die(judge)
    assert second.data.outage_id == outage_id(second.data.scope.to_scope(), 2) != started.data.outage_id


@pytest.mark.parametrize("merchants", [1, 2])
def test_lacking_only_merchants_is_suspected(merchants: int) -> None:
    """A scope that lacks only the merchants opens nothing; its health says why, and it is counted once."""
    judge = Judge(alone(all_red=Rule(30_000, 2), wait_ms=0, min_merchants=merchants))
    changes = die(judge)
    health = {record.key: record for record in judge.health()}["bank:bnp"]
    if merchants == 1:
        assert (len(changes), health.status, judge.blocked()["min_merchants"]) == (1, "down", 0)
    else:
        assert (changes, health.status, health.reason) == ([], "suspected", "min_merchants")
        assert judge.blocked()["min_merchants"] == len([key for key in judge.health() if key.status == "suspected"])
