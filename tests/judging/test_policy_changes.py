"""Another policy while the log goes on: what was learned stays learned, and what is open stays open and follows it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Literal

import pytest

from detector.contracts.policy import EvidenceRules, Policy
from detector.counting.tally import Marker, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from tests.judging.test_arrivals import a_silent_shop
from tests.judging.test_evidence_outages import FAULT_MS, LIVE, START_MS, lines, shops, tallies
from tests.judging.test_judge import POLICY, T0, die, tally
from tests.judging.test_lessons import all_lessons, plain, taken, told, usual_of
from tests.judging.test_maintenance import marker, said, seen

OFF = Policy(evidence=EvidenceRules("off"))
DOWN_MS = START_MS + FAULT_MS + 90_000
SHADOW = replace(POLICY, page_mode="shadow")


def says(policy: Policy) -> Marker:
    """As it stands in the log."""
    return Marker("policy", text=policy.canonical())


def again(judge: Judge, records: list[Tally | Marker]) -> Judge:
    """One restored from its snapshot, with the log read again."""
    return restored(judge.export(), records)


def restored(snapshot: dict[str, Any], records: list[Tally | Marker]) -> Judge:
    """One that begins with a snapshot, and reads the log again."""
    judge = Judge.restore(snapshot)
    for record in records:
        judge.refill(record)
    return judge


@cache
def an_outage() -> tuple[Tally, ...]:
    """A bank is dead for four minutes."""
    return tuple(tallies(lines(shops("bank:bnp all_red 5m 9m"), 13 * 60_000)))


def cut(day: tuple[Tally, ...], at_ms: int) -> int:
    """How many records come before a boundary."""
    return next(n for n, one in enumerate(day) if one.boundary_ms >= at_ms)


@pytest.mark.parametrize("snapshot", [False, True])
def test_what_was_learned_outlasts_a_time_without_statistics(snapshot: bool) -> None:
    """Turned off for a minute and on again, the Judge knows what it knew, taught by lessons that are not taken twice;
    one restored from a snapshot meanwhile does, too."""
    day = told()
    always, judge = Judge(LIVE), Judge(LIVE)
    taken(always, [*all_lessons(), *day[:170]])
    taken(judge, [*all_lessons(), *day[:100], says(OFF), *day[100:160]])
    assert judge.board.signals.export()["flags"] == b"", "nothing is kept room for"
    judge = again(judge, list(day[:160])) if snapshot else judge
    taken(judge, [says(LIVE), *all_lessons(), *day[160:170]])
    assert plain(judge) == plain(always)
    assert usual_of(judge, "bank:bnp") == pytest.approx(usual_of(always, "bank:bnp"))
    assert usual_of(judge, "bank:bnp")[1] > 1_000


def test_a_snapshot_without_statistics_is_packed_once() -> None:
    """A platform of the rules alone does not pay for what it knew, minute by minute; a new word is in the next one."""
    judge = Judge(LIVE)
    words = all_lessons()
    taken(judge, [*words[1:], *told()[:100], says(OFF)])
    first, second = (judge.export()["lessons"]["waiting"] for _ in range(2))
    assert first is second
    taken(judge, [words[0]])
    assert judge.export()["lessons"]["waiting"] != first


@pytest.mark.parametrize("snapshot", [False, True])
def test_an_outage_of_the_evidence_is_over_though_it_was_off_meanwhile(snapshot: bool) -> None:
    """Off and on again within it: it is watched again, and recovers when the bank does; a Judge that was restored says
    the same."""
    day = an_outage()
    down, on = cut(day, DOWN_MS), cut(day, DOWN_MS + 20_000)
    judge = Judge(LIVE)
    before = taken(judge, [*all_lessons(), *day[:down]])
    assert [change.data.trigger for change in before if change.type == "started"] == ["evidence"]
    taken(judge, [says(OFF), *day[down:on]])
    judge = again(judge, list(day[:on])) if snapshot else judge
    after = taken(judge, [says(LIVE), *day[on:]])
    ends = [change.data for change in after if change.type == "resolved"]
    assert [(end.scope.to_scope().key, end.reason) for end in ends] == [("bank:bnp", "recovered")]
    assert ends[0].ended_at is not None
    assert abs(ends[0].ended_at - START_MS - 9 * 60_000) <= 60_000
    assert [change for change in after if change.type == "started"] == []
    assert judge.open_outages() == []


def test_what_waits_when_statistics_begin_is_at_risk() -> None:
    """By its age, as of one that was on all along: a payment that began before that is no answer out of nowhere."""
    day = list(told("bank:bnp all_pending 5m 8m", minutes=10))
    half = cut(tuple(day), START_MS + 8 * 60_000)
    always, late = Judge(LIVE), Judge(LIVE)
    taken(always, [*day[:half]])
    taken(late, [*day[:10], says(OFF), *day[10:half], says(LIVE)])
    for records in ([], day[half : half + 30]):
        taken(always, records)
        taken(late, records)
        waits = late.board.signals.flow.waiting
        assert waits.sum() > 100
        assert waits == pytest.approx(always.board.signals.flow.waiting)


@pytest.mark.parametrize("after_s", [5, 60])
def test_statistics_begin_in_a_quiet_second(after_s: int) -> None:
    """Time goes on though nothing comes in at the boundary after the policy: once the Judge span there."""
    judge = Judge(POLICY)
    taken(judge, [tally(at_s, approved=3) for at_s in range(5, 65, 5)])
    taken(judge, [says(replace(POLICY, evidence=EvidenceRules("live"))), tally(60 + after_s)])
    assert judge.time_ms == T0 + 60_000 + after_s * 1_000


def modes(*policies: Policy) -> list[Change]:
    """What is said of an open outage when these come one after the other, the bank being down all along."""
    judge = Judge(policies[0])
    die(judge)
    changes: list[Change] = []
    for number, policy in enumerate(policies[1:], 26):
        changes += taken(judge, [says(policy), tally(5 * number, declined=3)])
    return changes


@pytest.mark.parametrize(("mode", "severity"), [("shadow", "warning"), ("live", "critical")])
def test_a_mode_reaches_what_is_open(mode: Literal["shadow", "live"], severity: str) -> None:
    """One event says so, marked and weighed anew; the same policy again, or another that pages alike, says nothing."""
    now, before = (SHADOW, POLICY) if mode == "shadow" else (POLICY, SHADOW)
    changes = modes(before, replace(before, wait_ms=1_000), now, now, replace(now, wait_ms=1_000))
    assert [(one.type, one.data.reason, one.data.severity, one.data.shadow) for one in changes] == [
        ("updated", "page_mode", severity, mode == "shadow")
    ]


@pytest.mark.parametrize(("mode", "severity"), [("shadow", "warning"), ("live", "critical")])
def test_a_mode_reaches_what_is_adopted(mode: Literal["shadow", "live"], severity: str) -> None:
    """A Judge without its snapshot takes over what another told under another mode: the same event, once."""
    now, before = (SHADOW, POLICY) if mode == "shadow" else (POLICY, SHADOW)
    [started] = die(Judge(before))
    judge = Judge(now)
    judge.adopt([started.data])
    changes = [change for at_s in range(110, 150, 5) for change in judge.take(tally(at_s, declined=3))]
    assert [(one.type, one.data.reason, one.data.severity, one.data.shadow) for one in changes] == [
        ("updated", "page_mode", severity, mode == "shadow")
    ]


def test_live_does_not_page_what_is_announced_or_behind() -> None:
    """An announced outage stays a warning; one judged behind the clock pages when that is over."""
    judge = Judge(SHADOW)
    taken(judge, [marker(said(end_s=3_600))])
    die(judge)
    assert seen(taken(judge, [says(POLICY)])) == [("updated", 120, "page_mode", "warning", True)]
    judge = Judge(SHADOW)
    die(judge)
    assert seen(taken(judge, [Marker("catching_up"), says(POLICY)])) == [
        ("updated", 120, "page_mode", "warning", False)
    ]
    assert seen(taken(judge, [Marker("caught_up")])) == [("updated", 120, "caught_up", "critical", False)]
    judge = Judge(SHADOW)
    taken(judge, [Marker("catching_up")])
    die(judge)
    [live] = taken(judge, [Marker("caught_up"), says(POLICY)])
    assert (live.data.severity, live.data.catching_up) == ("critical", False)


def in_mode(mode: Literal["off", "shadow", "live"], **also: Any) -> Policy:
    """The evidence in that mode."""
    return Policy(evidence=EvidenceRules(mode), **also)


def evidence_modes(*policies: Policy) -> list[tuple[str, str | None, str, str]]:
    """What is said of an outage of the evidence alone when these hold one after the other, ten seconds each, the bank
    being down all along."""
    day, judge = an_outage(), Judge(policies[0])
    down = cut(day, DOWN_MS)
    taken(judge, [*all_lessons(), *day[:down]])
    changes: list[Change] = []
    for policy in policies[1:]:
        then = cut(day, judge.time_ms + 10_000)
        changes += taken(judge, [says(policy), *day[down:then]])
        down = then
    return [(one.type, one.data.reason, one.data.trigger, one.data.severity) for one in changes]


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_a_mode_of_the_evidence_reaches_what_rests_on_it_alone(mode: Literal["off", "shadow"]) -> None:
    """One event says that it pages no more, one that it pages again; the same mode, or another that pages as little,
    says nothing."""
    other: Literal["off", "shadow"] = "off" if mode == "shadow" else "shadow"
    quiet, loud = in_mode(mode), in_mode("live")
    lowered = ("updated", "evidence_mode", "evidence", "warning")
    assert evidence_modes(loud, quiet, quiet, in_mode(other)) == [lowered]
    assert evidence_modes(loud, quiet, loud, loud) == [lowered, ("updated", "evidence_mode", "evidence", "critical")]


def test_what_only_warned_pages_under_live_evidence() -> None:
    """Once, though it was found while nothing of the kind paged."""
    changes = evidence_modes(in_mode("shadow"), in_mode("live"))
    assert changes == [("updated", "evidence_mode", "evidence", "critical")]


def test_both_modes_at_once_are_one_event() -> None:
    """What [page] mode says of all is not said again of what rests on evidence alone."""
    changes = evidence_modes(in_mode("live"), in_mode("shadow", page_mode="shadow"))
    assert changes == [("updated", "page_mode", "evidence", "warning")]


def test_the_operators_rule_pages_whatever_the_evidence_may() -> None:
    """An outage that both raised stays critical; one that only warned so far pages as soon as the rule speaks."""
    day = tuple(tallies(lines(shops("bank:bnp all_red 5m 14m"), 11 * 60_000 + 30_000)))
    ruled = cut(day, START_MS + FAULT_MS + 6 * 60_000)
    judge = Judge(LIVE)
    changes = taken(judge, [*all_lessons(), *day[:ruled], says(in_mode("shadow")), *day[ruled:]])
    assert changes[-1].data.trigger == "evidence,policy"
    assert {change.data.severity for change in changes} == {"critical"}
    judge = Judge(in_mode("shadow"))
    changes = taken(judge, [*all_lessons(), *day])
    assert {(change.data.trigger, change.data.severity) for change in changes} == {
        ("evidence", "warning"), ("evidence,policy", "critical"),
    }  # fmt: skip


def test_a_mode_of_the_evidence_reaches_what_is_adopted() -> None:
    """A Judge without its snapshot takes over a page of the evidence while that only warns: the same event, once."""
    day = an_outage()
    down = cut(day, DOWN_MS)
    [page] = [change.data for change in taken(Judge(LIVE), [*all_lessons(), *day[:down]]) if change.type == "started"]
    assert page.severity == "critical"
    judge = Judge(in_mode("shadow"))
    judge.adopt([page])
    changes = taken(judge, list(day[down : down + 20]))
    assert [(one.type, one.data.reason, one.data.severity) for one in changes] == [
        ("updated", "evidence_mode", "warning")
    ]


def test_live_evidence_does_not_page_what_is_announced_or_behind() -> None:
    """An announced outage stays a warning and nothing is said; one judged behind the clock pages when that is over."""
    day = an_outage()
    down = cut(day, DOWN_MS)
    announced, behind = Judge(in_mode("shadow")), Judge(in_mode("shadow"))
    covers = said(end_s=3_600)
    taken(announced, [*all_lessons(), marker(covers), *day[:down]])
    taken(behind, [*all_lessons(), *day[:down], Marker("catching_up")])
    assert taken(announced, [says(LIVE)]) == []
    assert taken(behind, [says(LIVE)]) == []
    [change] = taken(behind, [Marker("caught_up")])
    assert (change.data.reason, change.data.severity) == ("caught_up", "critical")


@cache
def a_shop_that_looks_well() -> tuple[dict[str, Any], tuple[Tally, ...], int]:
    """The snapshot of a Judge that has a shop's silence open and saw it end ten seconds ago, the whole log, and how far
    it has read."""
    day, judge = tuple(tallies(a_silent_shop())), Judge(LIVE)
    for number, one in enumerate(day, 1):
        taken(judge, [one])
        held = [outage.hold_ms for outage in judge.open_outages() if outage.hold_ms is not None]
        if held and judge.time_ms >= held[0] + 10_000:
            return judge.export(), day, number
    raise AssertionError("it never looked well")


def test_what_a_shop_lacked_before_is_not_found_again() -> None:
    """Its outage ended while the statistics were off, and it sends as ever: what they knew of its silence is over."""
    snapshot, day, off = a_shop_that_looks_well()
    judge = restored(snapshot, list(day[:off]))
    on = cut(day, judge.time_ms + 120_000)
    changes = taken(judge, [says(OFF), *day[off:on]])
    assert [(change.type, change.data.reason) for change in changes] == [("resolved", "recovered")]
    assert taken(judge, [says(LIVE), *day[on : on + 300]]) == []


def test_a_shop_must_be_well_for_as_long_as_the_statistics_watch_it() -> None:
    """Two minutes from when they are on again: what it did meanwhile nobody saw."""
    snapshot, day, off = a_shop_that_looks_well()
    judge = restored(snapshot, list(day[:off]))
    on = cut(day, judge.time_ms + 30_000)
    on_ms = day[on - 1].boundary_ms
    assert taken(judge, [says(OFF), *day[off:on]]) == []
    changes = taken(judge, [says(LIVE), *day[on : on + 300]])
    assert [(change.type, change.data.reason) for change in changes] == [("resolved", "recovered")]
    assert changes[0].data.updated_at >= on_ms + LIVE.evidence.recovery_hold_ms
