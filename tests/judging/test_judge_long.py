"""Long and odd logs: days of few payments, sources that were away, more leaves than allowed, other dimensions."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from detector.contracts.policy import Rule
from detector.contracts.scope import Leaf
from detector.counting.tally import Cells, Marker, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from streams.verdict.replica import LAG_MS
from tests.alone import alone
from tests.judging.test_judge import ONE, POLICY, T0, TWO, cells, tally


def of(leaf: Leaf, at_s: int, **counts: int) -> Tally:
    """As `tally`, of another leaf."""
    held = cells(T0 + at_s * 1_000 - 5_000, **counts)
    named = Cells((leaf,), *(getattr(held, name) for name in Cells.__slots__[1:]))
    return Tally(ONE, {"default": 1}, 1, T0 + at_s * 1_000, T0 + at_s * 1_000 - 1, at_s, named)


def test_a_payment_every_six_hours_is_found_at_its_tenth_voter() -> None:
    """A streak goes through the fold for days, while another bank keeps the ring turning."""
    judge = Judge(alone(min_merchants=1, wait_ms=0))
    changes: list[Change] = []
    judge.take(tally(5, approved=1))
    for at_s in range(60, 3 * 86_400, 600):
        refused = at_s % 21_600 == 60
        changes += judge.take(tally(at_s, declined=1) if refused else of(("axa", "card"), at_s, approved=2))
    [started] = [change for change in changes if change.type == "started"]
    assert started.data.scope.bank == "bnp"
    assert (started.data.began_at, started.data.detected_at) == (T0 + 55_000, T0 + (60 + 9 * 21_600) * 1_000)
    assert started.data.evidence.declined == 10
    assert len(judge.board.rows.next) == 4_096


@pytest.mark.parametrize("restarts_at_s", [0, 3_000, 9_000])
def test_an_outage_of_three_hours_shows_all_its_payments(restarts_at_s: int) -> None:
    """Whatever left the ring since it began is still counted, also by a Judge put together again: payments by status,
    and votes."""
    judge = Judge(POLICY)
    log = [tally(5, approved=3)]
    # Now and then a payment gets through, which ends the streak and not the outage.
    log += [tally(at_s, declined=3, approved=int(at_s % 1_000 == 0)) for at_s in range(10, 10_800, 10)]
    changes: list[Change] = []
    for place, record in enumerate(log):
        changes += judge.take(record)
        if restarts_at_s and record.boundary_ms == T0 + restarts_at_s * 1_000:
            judge = restarted(judge, log[: place + 1])
    for at_s in range(10_800, 10_900, 5):
        changes += judge.take(tally(at_s, approved=3))
    [started, resolved] = [change.data for change in changes]
    seen = resolved.evidence
    assert started.began_at == T0 + 5_000
    assert (seen.declined, seen.approved) == (3 * 1_079, 10 + 3 * ((resolved.updated_at - T0 - 10_795_000) // 5_000))
    assert seen.payments == seen.votes == seen.declined + seen.approved


def test_an_outage_found_after_hours_and_open_for_hours_shows_all_its_payments() -> None:
    """What had left the ring when it was found is counted once, with what left it later."""
    judge = Judge(alone(min_merchants=1, wait_ms=0))
    judge.take(tally(5, approved=1))
    changes: list[Change] = []
    for number in range(1, 31):
        changes += judge.take(tally(1_800 * number, declined=1))
    changes += judge.take(tally(100_000))
    assert [change.type for change in changes] == ["started", "updated"]
    assert [change.data.evidence.declined for change in changes] == [10, 30]
    assert "0 of 30 payments approved (30 refused" in changes[1].data.explanation


def restarted(judge: Judge, log: list[Tally]) -> Judge:
    """The Judge of the same state, its ring filled again from the newest hour of the log and a quarter."""
    again = Judge.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(judge.export())))
    for record in log:
        if record.boundary_ms > judge.time_ms - judge.policy.ring_ms - judge.policy.open_ms - LAG_MS:
            again.refill(record)
    return again


def test_a_very_slow_bank_is_not_over_by_three_approvals() -> None:
    """Ten decided are asked for: refusals that had left the ring before it was found still count against three."""
    judge = Judge(alone(min_merchants=1, wait_ms=0))
    changes: list[Change] = []
    judge.take(tally(5, approved=1))
    for number in range(16):
        at_s = 1_800 * (number + 1)
        changes += judge.take(tally(at_s, declined=1) if number < 10 else tally(at_s, approved=1))
        changes += judge.take(tally(at_s + 1_700))
    ends = [change for change in changes if change.type == "resolved"]
    assert [change.data.ended_at for change in ends] == [T0 + 15 * 1_800_000]


def test_a_source_that_comes_back_after_two_hours_is_counted_once() -> None:
    """What it held is older than the ring; it joins again, and nothing of the others is lost or doubled."""
    judge = Judge(POLICY)
    for source in (ONE, TWO):
        judge.take(tally(10, source, sources=2, approved=2))
    judge.take(Marker("stuck", TWO))
    for at_s in range(20, 7_200, 20):
        judge.take(tally(at_s, ONE, sources=2, approved=1))
    assert judge.missing() == [TWO]
    for at_s in range(20, 7_400, 20):
        judge.take(tally(at_s, TWO, sources=2, approved=1))
    judge.take(tally(7_380, ONE, sources=2))
    assert judge.missing() == []
    assert (judge.time_ms, judge.rates()[0][1][3_600_000][1]) == (T0 + 7_380_000, 170 + 180)


def test_leaves_past_the_cap_count_for_the_platform_alone() -> None:
    """The leaf `other` is counted and never judged: no scope has its name, whatever it shows."""
    judge = Judge(alone(leaves_max=2, all_red=Rule(30_000, 2), min_merchants=1, wait_ms=0))
    changes: list[Change] = []
    for at_s in range(5, 100, 5):
        changes += judge.take(of((f"b{at_s % 4}", "card"), at_s, approved=1 if at_s % 4 < 2 else 0, declined=at_s % 4))
    keys = {scope.key for scope, _ in judge.rates()}
    assert keys == {"platform", "method:card", *(f"bank:b{n}{more}" for n in (1, 2) for more in ("", ",method:card"))}
    platform = judge.rates()[0][1][3_600_000]
    assert platform[2] == sum(at_s % 4 for at_s in range(5, 100, 5))


@pytest.mark.parametrize(("psps", "named"), [(("adyen", "adyen"), "psp:adyen"), (("adyen", "stripe"), "platform")])
def test_a_psp_is_a_scope_like_a_method(psps: tuple[str, str], named: str) -> None:
    """With psp counted, two dead banks behind one psp are the psp; behind two they are the platform."""
    judge = Judge(alone(dimensions=("bank", "method", "psp"), all_red=Rule(30_000, 2), min_merchants=1))
    changes: list[Change] = []
    alive = ("cic", "card", "paypal")
    dead = [("bnp", "card", psps[0]), ("axa", "pix", psps[1])]
    for at_s in range(5, 120, 5):
        parts = [of(leaf, at_s, declined=2) for leaf in dead]
        if named == "psp:adyen":
            parts.append(of(alive, at_s, approved=2))
        changes += judge.take(together(parts))
    started = [change.data.scope.to_scope().key for change in changes if change.type == "started"]
    assert started == [named]


def together(parts: list[Tally]) -> Tally:
    """One record of the cells of several, which have different leaves."""
    first = parts[0]
    joined = {name: np.concatenate([getattr(part.cells, name) for part in parts]) for name in Cells.__slots__[2:]}
    leaves = tuple(part.cells.leaves[0] for part in parts)
    held = Cells(leaves, np.arange(len(parts), dtype=np.int32), **joined)
    return Tally(ONE, {"default": 1}, 1, first.boundary_ms, first.newest_start_ms, 0, held)
