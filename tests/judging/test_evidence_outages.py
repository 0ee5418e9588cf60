"""Outages that the statistics find: sooner than the policy, at the right scope, and over when they are over."""

from __future__ import annotations

import re
from functools import cache

import pytest

from detector.contracts.models import OutageData
from detector.contracts.policy import EvidenceRules, Policy
from detector.counting.tally import Marker, Tally
from detector.judging.judge import Judge
from detector.judging.learned import Learned, from_plain, to_plain
from detector.judging.outage import Change
from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate

LIVE = Policy(evidence=EvidenceRules("live"))
HOUR_MS = 3_600_000
FAULT_MS = 5 * 60_000
START_MS = 1_700_000_000_000


def lines(shops: Shops, duration_ms: int) -> list[bytes]:
    """The events of made shops."""
    made = Lines(shops)
    return [line.encode() for events in simulate(shops, duration_ms) for line in made.values(events)]


def shops(*faults: str, seed: int = 2, start_ms: int = START_MS) -> Shops:
    """Ten payments a second over six banks, much alike at every hour."""
    return Shops(
        seed=seed, rate=10.0, banks=6, merchants=60, swing=0.0, start_ms=start_ms,
        faults=tuple(map(parse_fault, faults)),
    )  # fmt: skip


@cache
def usual() -> Learned:
    """What four healthy hours of the day before teach."""
    replay = Replay(LIVE)
    replay.feed(lines(shops(seed=1, start_ms=START_MS - 24 * HOUR_MS), 4 * HOUR_MS))
    replay.finish()
    return from_plain(to_plain(replay.learned()))


def found(*faults: str, policy: Policy = LIVE, minutes: int = 13) -> list[Change]:
    """The changes of a day that begins with what is usual."""
    replay = Replay(policy, learned=usual())
    changes = replay.feed(lines(shops(*faults), minutes * 60_000)) + replay.finish()
    return [change for change in changes if change.data.reason != "more_scopes"]


def pages(changes: list[Change]) -> dict[str, OutageData]:
    """By scope, the first event of each outage that pages."""
    loud: dict[str, OutageData] = {}
    for change in changes:
        if change.data.severity == "critical":
            loud.setdefault(change.data.scope.to_scope().key, change.data)
    return loud


@pytest.mark.parametrize(
    ("fault", "scope", "kinds", "within_s"),
    [
        ("bank:bnp all_red 5m 9m", "bank:bnp", {"all_red", "drop"}, 60),
        ("bank:bnp all_pending 5m 9m", "bank:bnp", {"all_pending", "slow", "drop"}, 90),
        ("method:card all_red 5m 9m", "method:card", {"all_red", "drop"}, 60),
    ],
)
def test_a_dead_scope_is_one_page_and_soon(fault: str, scope: str, kinds: set[str], within_s: int) -> None:
    """One page, of the scope that is down, long before the policy's five minutes; over when it is well again."""
    changes = found(fault)
    loud = pages(changes)
    assert list(loud) == [scope]
    assert loud[scope].kind in kinds
    assert loud[scope].trigger == "evidence"
    assert 0 < loud[scope].updated_at - START_MS - FAULT_MS <= within_s * 1_000
    assert abs(loud[scope].began_at - START_MS - FAULT_MS) <= 30_000
    ends = [change for change in changes if change.type == "resolved" and change.data.scope.to_scope().key == scope]
    assert [change.data.reason for change in ends] == ["recovered"]


def without_reasons(line: bytes) -> bytes:
    """The event as a platform says it that tells no codes, and no errors."""
    return re.sub(rb',"code":"[^"]*"', b"", line.replace(b'"status":"error"', b'"status":"declined"'))


def first_page_s(made: list[bytes], scope: str) -> float:
    """Seconds from the fault to the first page, which is of the scope."""
    replay = Replay(LIVE, learned=usual())
    loud = pages(replay.feed(made) + replay.finish())
    assert next(iter(loud)) == scope
    return (loud[scope].updated_at - START_MS - FAULT_MS) / 1_000


def test_technical_refusals_speak_sooner() -> None:
    """A bank of which three payments in ten fail is paged in half the time where errors and codes are told."""
    made = lines(shops("bank:bnp errors 5m 9m share=0.3"), 10 * 60_000)
    told = first_page_s(made, "bank:bnp")
    assert 10 <= told <= 20
    assert first_page_s([without_reasons(line) for line in made], "bank:bnp") >= 2 * told


def test_a_shop_with_technical_refusals_is_no_bank() -> None:
    """One shop whose calls fail, at every bank, wakes nobody."""
    changes = found("merchant:shop-2 errors 5m 9m share=0.9")
    assert pages(changes) == {}
    assert all(change.data.scope.merchant is not None for change in changes)


def test_a_healthy_day_is_silent() -> None:
    """Nothing is said of shops that are as they were the day before."""
    assert found(minutes=60) == []


def test_a_shop_of_its_own_is_no_bank() -> None:
    """One shop whose payments are all refused is named itself, and wakes nobody."""
    changes = found("merchant:shop-1 all_red 5m 9m")
    assert pages(changes) == {}
    assert all(change.data.scope.merchant is not None for change in changes)


def test_a_shop_that_stays_down_stays_the_only_one_to_blame() -> None:
    """However long it lasts, and however unevenly its shoppers try again, nobody else is named; most of what is told
    of it is refused. Of a pair that enters the details by its reds what was approved before comes with them."""
    changes = found("merchant:shop-4 all_red 5m 15m", minutes=20)
    assert [change.type for change in changes] == ["started", "resolved"]
    told = changes[0].data
    assert told.scope.to_scope().key == "merchant:shop-4"
    assert told.evidence.approved < told.evidence.declined
    assert "; 1 shop)" in told.explanation


def test_the_policy_joins_an_outage_of_the_evidence() -> None:
    """A policy that fires later adds itself; then both must call it over."""
    changes = found("bank:bnp all_red 5m 11m", minutes=16)
    of_bank = [change for change in changes if change.data.scope.to_scope().key == "bank:bnp"]
    triggers = [(change.type, change.data.trigger) for change in of_bank]
    assert triggers[0] == ("started", "evidence")
    assert ("updated", "evidence,policy") in triggers
    assert triggers[-1] == ("resolved", "evidence,policy")


def test_shadow_and_off_page_nobody() -> None:
    """Off, the statistics say nothing at all; in shadow what they say only warns."""
    assert found("bank:bnp all_red 5m 8m", policy=Policy(evidence=EvidenceRules("off")), minutes=8) == []
    shadow = found("bank:bnp all_red 5m 8m", policy=Policy(evidence=EvidenceRules("shadow")), minutes=8)
    assert {change.data.severity for change in shadow} == {"warning"}


def test_what_the_policy_joins_while_the_judge_is_behind_pages_when_it_is_not() -> None:
    """A warning from before the delay is no last word: once that is over, it is critical, once."""
    told = tallies(lines(shops("bank:bnp all_red 5m 14m"), 11 * 60_000))
    judge = Judge(Policy(evidence=EvidenceRules("shadow")))
    judge.begin_with(usual())
    half = next(n for n, tally in enumerate(told) if tally.boundary_ms >= START_MS + FAULT_MS + 90_000)
    changes = [change for tally in told[:half] for change in judge.take(tally)]
    judge.take(Marker("catching_up"))
    changes += [change for tally in told[half:] for change in judge.take(tally)]
    assert {(change.data.trigger, change.data.severity) for change in changes} == {
        ("evidence", "warning"), ("evidence,policy", "warning"),
    }  # fmt: skip
    assert changes[-1].data.catching_up
    [paged] = judge.take(Marker("caught_up"))
    assert (paged.data.reason, paged.data.severity, paged.data.catching_up) == ("caught_up", "critical", False)
    assert judge.take(Marker("caught_up")) == []


def tallies(day: list[bytes]) -> list[Tally]:
    """What is counted of a day."""
    told: list[Tally] = []

    def through(tally: Tally) -> Tally:
        told.append(tally)
        return tally

    Replay(LIVE, through=through, learned=usual()).feed(day)
    return told


def handed_over(day: list[bytes], at_ms: int) -> tuple[list[Change], list[Change], list[Change]]:
    """What a Judge says before a time, what it says from there on, and what one restored from its snapshot at that
    time says, with the log read again."""
    told = tallies(day)
    judge = Judge(LIVE)
    judge.begin_with(usual())
    half = next(n for n, tally in enumerate(told) if tally.boundary_ms >= at_ms)
    before = [change for tally in told[:half] for change in judge.take(tally)]
    restored = Judge.restore(judge.export())
    for tally in told[:half]:
        restored.refill(tally)
    old, new = ([change for tally in told[half:] for change in one.take(tally)] for one in (judge, restored))
    return before, old, new


def test_a_new_owner_goes_on_as_the_old_one() -> None:
    """A Judge restored in an outage from its snapshot, with the hour read again, says what the old one says."""
    day = lines(shops("bank:bnp all_red 5m 9m"), 13 * 60_000)
    before, old, new = handed_over(day, START_MS + FAULT_MS + 90_000)
    assert [change.type for change in before].count("started") == 1
    assert [change.type for change in old].count("resolved") == 1
    assert new == old
