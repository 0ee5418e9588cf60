"""Tallies and policies of other panes or dimensions: every Judge passes them over, and judges on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from detector.contracts.models import Lesson
from detector.contracts.policy import Policy
from detector.contracts.policy_keys import PANES_S
from detector.counting.tally import Details, Marker, Tally
from detector.judging.judge import Judge
from detector.judging.misfit import Misfit, is_ours
from tests.judging.test_judge import POLICY, T0, die, refilled, tally

WITH_PSP = ("bank", "method", "psp")
LESSON = Lesson(scope="bank:bnp", said_at=1_000, dimensions=["bank", "method"])


def in_panes(one: Tally, pane_s: int) -> Tally:
    """As a Counter with panes of another length tells it."""
    first = one.first_pane * 5 // pane_s if one.first_pane >= 0 else -1
    return replace(one, cells=replace(one.cells, pane=one.cells.pane * 5 // pane_s), first_pane=first)


def with_psp(one: Tally) -> Tally:
    """As a Counter with a dimension more tells it."""
    leaves = tuple((*leaf, "adyen") for leaf in one.cells.leaves)
    return replace(one, cells=replace(one.cells, leaves=leaves))


def newer(at_s: int, *, declined: int = 3) -> Tally:
    """The first of a newer term, which says everything anew."""
    return tally(at_s, term=2, first=T0 // 5_000, declined=declined)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (replace(POLICY, pane_ms=60_000).canonical(), Misfit.POLICY),
        (replace(POLICY, dimensions=WITH_PSP).canonical(), Misfit.POLICY),
        (POLICY.canonical().replace("min_merchants", "least_merchants"), Misfit.UNKNOWN_POLICY),
        (POLICY.canonical().replace("hold_ms", "holds_ms"), Misfit.UNKNOWN_POLICY),
        ("[]", Misfit.UNKNOWN_POLICY),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_passed_over(text: str, why: Misfit) -> None:
    """The marker changes nothing that is found, in the Judge and in one restored from its snapshot."""
    straight, judge = Judge(POLICY), Judge(POLICY)
    assert judge.take(Marker("policy", None, text)) == []
    judge = Judge.restore(judge.export())
    assert judge.take(Marker("policy", None, text)) == []
    assert judge.passed_over == {why: 1}
    assert judge.policy == POLICY
    found = die(judge)
    assert found
    assert found == die(straight)


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("maintenance", "no JSON", Misfit.MAINTENANCE),
        ("maintenance", '{"maintenance_id": "m", "scope": "bank", "starts_at": 1, "ends_at": 2}', Misfit.MAINTENANCE),
        ("baseline", "", Misfit.LESSON),
        ("baseline", LESSON.model_dump_json().replace('"version":1', '"version":2'), Misfit.LESSON),
        ("baseline", LESSON.model_copy(update={"scope": "psp:adyen"}).model_dump_json(), Misfit.LESSON),
        ("baseline", LESSON.model_copy(update={"baseline": {"sums": "AAAA"}}).model_dump_json(), Misfit.LESSON),
    ],
)
def test_an_announcement_that_cannot_be_read_is_passed_over(kind: str, text: str, why: Misfit) -> None:
    """As one of another version of Pastille: raised, it would end every worker at this offset of the log."""
    straight, judge = Judge(POLICY), Judge(POLICY)
    assert judge.take(Marker(kind, None, text)) == []
    assert judge.passed_over == {why: 1}
    assert die(judge) == die(straight) != []


@pytest.mark.parametrize("pane_s", [1, 4, 6, 60])
def test_tallies_of_other_panes_are_passed_over(pane_s: int) -> None:
    """They clear nothing, count for nothing and move no time; the next term of ours is judged as if they were not."""
    assert differs(lambda one: in_panes(one, pane_s)) == {Misfit.TALLY: 2}


def test_tallies_of_other_dimensions_are_passed_over() -> None:
    """Nor does a leaf of another kind become one of ours."""
    assert differs(with_psp) == {Misfit.TALLY: 2}


def differs(change: Callable[[Tally], Tally]) -> dict[Misfit, int]:
    """What was passed over of a newer term that is of another kind, where nothing else came of it."""
    judge, straight = Judge(POLICY), Judge(POLICY)
    for one in (judge, straight):
        for at_s in range(5, 65, 5):
            one.take(tally(at_s, approved=3))
        one.take(tally(65, declined=3))
    assert judge.take(change(newer(70))) == judge.take(change(tally(120, term=2, declined=9))) == []
    last = [replace(newer(at_s), term=3) for at_s in (70, 105)]
    assert [judge.take(one) for one in last] == [straight.take(one) for one in last]
    assert judge.time_ms == straight.time_ms == T0 + 105_000
    assert judge.board.nodes.leaves == [("bnp", "card")]
    return dict(judge.passed_over)


def test_what_was_passed_over_fills_no_ring() -> None:
    """The hour before a snapshot is read again: what was passed over is so again."""
    log = [tally(at_s, approved=3) for at_s in range(5, 65, 5)]
    log += [in_panes(newer(65), 60), with_psp(tally(66, term=2, declined=3))]
    log += [replace(newer(70), term=3), tally(75, term=3, declined=3)]
    judge, restored = refilled(log)
    assert restored.rates() == judge.rates()
    ahead = tally(110, term=3, declined=3)
    found = judge.take(ahead)
    assert found
    assert restored.take(ahead) == found


@pytest.mark.parametrize("snapshot", [False, True])
def test_every_other_length_of_a_pane_is_noticed(snapshot: bool) -> None:
    """By a cell, or where there is none by the first pane of a snapshot; what is ours is taken."""
    for ours_s, theirs_s in product(PANES_S, PANES_S):
        pane = (T0 - 600_000) // (theirs_s * 1_000)
        one = tally(10, first=pane) if snapshot else tally(10, declined=3)
        if not snapshot:
            one = replace(one, cells=replace(one.cells, pane=np.array([pane], np.int64)))
        assert is_ours(one, Policy(pane_ms=ours_s * 1_000)) == (ours_s == theirs_s)


def test_what_says_nothing_of_panes_is_ours() -> None:
    """An empty tally, and one whose pane is years from the boundary in every length, as after a clock gone wrong."""
    assert is_ours(tally(10), POLICY)
    odd = tally(10, declined=3)
    assert is_ours(replace(odd, cells=replace(odd.cells, pane=np.array([7], np.int64))), POLICY)
    assert is_ours(replace(odd, boundary_ms=3_600_000, cells=replace(odd.cells, pane=np.array([300]))), POLICY)


def test_details_of_other_leaves_are_not_ours() -> None:
    """Where no cell changed, what is told of shops names the leaves."""
    assert not is_ours(replace(tally(10), details=Details((("bnp", "card", "adyen"),))), POLICY)
    assert is_ours(replace(tally(10), details=Details((("bnp", "card"),))), POLICY)
