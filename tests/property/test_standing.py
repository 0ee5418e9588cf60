"""With evidence beside the rules, whatever it names and whenever it calls it over: the Judge and a person on paper say
the same, and where the rules alone call somebody, somebody is called."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from detector.contracts.policy import EvidenceRules, Resolve
from detector.counting.tally import Tally
from detector.judging.judge import Judge
from detector.judging.naming import is_below
from detector.judging.outage import Change
from tests.property.dumb_judge import Payment
from tests.property.dumb_lifecycle import Paper
from tests.property.dumb_outage import Said
from tests.property.test_lifecycle import LENGTH_MS, POLICY, START_MS, log_of, named, said, story
from tests.scripted import Found, script

ON = replace(POLICY, evidence=replace(EvidenceRules("live"), reopen_min=0))
STEADY = Resolve(hold_ms=3_600_000, window_ms=20_000, decided=8)
"""Nothing is over by the operator's rule."""
Named = dict[int, list[Found]]


def evidence(chance: random.Random, payments: list[Payment]) -> tuple[Named, dict[str, set[int]]]:
    """Findings at random, once every leaf is known, often of the same scopes; and when each is called over."""
    leaves = sorted({payment.leaf for payment in payments})
    known_ms = max(min(p.start_ms for p in payments if p.leaf == leaf) for leaf in leaves) + 2_000
    below = {"platform": leaves, **{f"bank:{leaf[0]},method:{leaf[1]}": [leaf] for leaf in leaves}}
    for place, name in enumerate(("bank", "method")):
        for value in {leaf[place] for leaf in leaves}:
            below[f"{name}:{value}"] = [leaf for leaf in leaves if leaf[place] == value]
    found: Named = {}
    over: dict[str, set[int]] = {key: set() for key in below}
    for at_ms in range(known_ms // 1_000 * 1_000, START_MS + LENGTH_MS, 1_000):
        if chance.random() < 0.06:
            keys = chance.sample(sorted(below), min(len(below), chance.choice((1, 1, 2))))
            for key in keys:
                cells = chance.sample(below[key], chance.randrange(1, len(below[key]) + 1))
                found.setdefault(at_ms, []).append((key, chance.choice(("warning", "warning", "critical")), cells))
        if chance.random() < 0.02:
            over[chance.choice(sorted(below))] |= {at_ms + late_ms for late_ms in range(0, 30_000, 1_000)}
    return found, over


@pytest.mark.parametrize("seed", range(200, 230))
def test_the_judge_says_what_a_person_says(seed: int) -> None:
    """Event by event, with severity, children and parents."""
    chance, _, payments = story(seed, POLICY)
    found, over = evidence(chance, payments)
    paper, judge = Paper(ON, payments, found, over), script(Judge(ON), found, over)
    ids: dict[str, str] = {}
    sources, count = chance.choice((1, 3)), 0
    log = log_of(POLICY, payments, sources)
    for at in range(0, len(log), sources):
        expected = paper.boundary(log[at].boundary_ms)
        changes = [change for record in log[at : at + sources] for change in judge.take(record)]
        got = [said(change, ids) for change in changes]
        assert named(expected, ids) == named(got, ids), f"seed {seed}, {log[at].boundary_ms - START_MS} ms"
        count += len(got)
    assert count, f"seed {seed}: an empty story proves nothing"


@pytest.mark.parametrize("seed", range(240, 270))
def test_evidence_vetoes_nothing(seed: int) -> None:
    """Where and when the rules alone start an outage, one of the same scope or above it is open that the rule raised
    and that is critical; and none of these is over before the end, unless a wider one takes over."""
    chance, _, payments = story(seed, POLICY)
    found, over = evidence(chance, payments)
    alone, beside = (Judge(replace(policy, resolve=STEADY)) for policy in (POLICY, ON))
    script(beside, found, over)
    for record in log_of(POLICY, payments, 1):
        started = [change.data for change in alone.take(record) if change.type == "started"]
        ends = [change.data for change in beside.take(record) if change.type == "resolved"]
        where = f"seed {seed}, {record.boundary_ms - START_MS} ms"
        calls = [outage for outage in beside.open_outages() if outage.by_policy]
        assert {outage.severity for outage in calls} <= {"critical"}, where
        for data in started:
            scope, node = data.scope.to_scope(), alone.board.node_of(data.scope.to_scope())
            cells = alone.lifecycle.open[node].cells if node in alone.lifecycle.open else alone.board.cells(node)
            assert any(scope == one.scope or is_below(scope, cells, one.scope, one.cells) for one in calls), where
        for data in ends:
            parents = [one for one in calls if one.outage_id == data.parent_id]
            assert data.trigger == "evidence" or parents, where


@pytest.mark.parametrize("seed", range(280, 300))
def test_a_page_ends_by_its_recovery_or_a_wider_page(seed: int) -> None:
    """Nothing critical is superseded by what only warns; one outage is open a scope; sequences count from 1."""
    chance, _, payments = story(seed, POLICY)
    found, over = evidence(chance, payments)
    judge = script(Judge(ON), found, over)
    ids: dict[str, str] = {}
    last: dict[str, Said] = {}
    for record in log_of(POLICY, payments, 1):
        changes: list[Change] = judge.take(record)
        loud = {change.data.outage_id for change in changes if change.data.severity == "critical"}
        for change in changes:
            one = said(change, ids)
            before, where = last.get(one.scope), f"seed {seed}, {one}"
            if change.data.reason == "superseded" and change.data.severity == "critical":
                assert change.data.parent_id in loud, where
            if one.type == "started":
                assert before is None or before.type == "resolved", where
            elif before is not None:
                assert (one.ordinal, one.sequence) == (before.ordinal, before.sequence + 1), where
            last[one.scope] = one
    assert last, f"seed {seed}: an empty story proves nothing"


@pytest.mark.parametrize("seed", range(310, 316))
def test_a_restart_goes_on(seed: int) -> None:
    """Restored from a snapshot anywhere, a Judge says what the one before it would have said."""
    chance, _, payments = story(seed, POLICY)
    found, over = evidence(chance, payments)
    log: list[Tally] = log_of(POLICY, payments, 1)
    cuts, after, states = sorted(chance.sample(range(100, len(log)), 3)), [], {}
    judge = script(Judge(ON), found, over)
    for place, record in enumerate(log):
        if place in cuts:
            states[place] = judge.export()
        after.append(judge.take(record))
    for cut, state in states.items():
        again = script(Judge.restore(state), found, over)
        for record in log[:cut]:
            again.refill(record)
        assert [again.take(record) for record in log[cut:]] == after[cut:], f"seed {seed}, cut {cut} of {cuts}"
