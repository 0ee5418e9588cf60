"""Who is named, who waits, who is taken over and when it is over: the Judge and a person on paper say the same."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from detector.contracts.policy import Policy, Resolve, Rule
from detector.contracts.scope import Leaf
from detector.counting.tally import Marker, Source, Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change, outage_id
from tests.alone import alone
from tests.property.dumb_judge import Payment, Teller, history
from tests.property.dumb_lifecycle import Paper, storms
from tests.property.dumb_outage import Said
from tests.property.policies import hasty

LEAVES: list[Leaf] = [(bank, method) for bank in ("axa", "bnp", "cic") for method in ("card", "pix")]
START_MS = 1_700_000_000_000
LENGTH_MS = 400_000


POLICY = alone(
    ring_ms=60_000, horizon_ms=60_000, grace_ms=5_000, wait_ms=10_000, all_red=Rule(30_000, 4),
    all_pending=Rule(40_000, 5), answers={"default": 20_000, "boleto": -1},
    resolve=Resolve(hold_ms=15_000, window_ms=20_000, decided=8),
)  # fmt: skip
"""For stories of what the policy has no part in."""


def story(seed: int, policy: Policy | None = None) -> tuple[random.Random, Policy, list[Payment]]:
    """A policy, if none is given, and a history of a seed: storms over many scopes, or each leaf by itself."""
    chance = random.Random(seed)
    policy = policy or hasty(chance)
    leaves = LEAVES[: chance.choice((2, 4, 6))]
    make = history if seed % 4 == 3 else storms
    return chance, policy, make(chance, policy, leaves, LENGTH_MS, START_MS)


def log_of(policy: Policy, payments: list[Payment], sources: int) -> list[Tally]:
    """Every boundary of every source, cells where something changed."""
    parts = [[payment for payment in payments if payment.voter % sources == number] for number in range(sources)]
    tellers = [Teller(policy, part) for part in parts]
    return [
        teller.tally(Source("default", number), {"default": sources}, boundary_ms, boundary_ms - 1_000)
        for boundary_ms in range(START_MS + 1_000, START_MS + LENGTH_MS + 60_000, 1_000)
        for number, teller in enumerate(tellers)
    ]


def said(change: Change, ids: dict[str, str]) -> Said:
    """What is compared of a change; an id is named by scope and ordinal, learned as they come."""
    data = change.data
    scope = data.scope.to_scope()
    ordinal = next(n for n in range(1, 1_000) if outage_id(scope, n) == data.outage_id)
    ids[data.outage_id] = f"{scope.key}#{ordinal}"
    return Said(data.updated_at, change.type, scope.key, ordinal, data.sequence, data.kind, data.began_at,
                data.detected_at, data.ended_at, str(data.reason), data.severity, tuple(sorted(data.children)),
                data.parent_id or "")  # fmt: skip


def named(all_said: list[Said], ids: dict[str, str]) -> list[Said]:
    """With parents by name, in one order within a boundary."""
    return sorted((replace(one, parent=ids.get(one.parent, one.parent)) for one in all_said), key=repr)


@pytest.mark.parametrize("seed", range(6, 18))
def test_the_judge_says_what_a_person_says(seed: int) -> None:
    """Event by event: type, scope, kind, times, children, reason and parent, at every boundary, from 1 to 3 sources."""
    chance, policy, payments = story(seed)
    paper, judge = Paper(policy, payments), Judge(policy)
    ids: dict[str, str] = {}
    sources, found = chance.choice((1, 3)), 0
    log = log_of(policy, payments, sources)
    for at in range(0, len(log), sources):
        expected = paper.boundary(log[at].boundary_ms)
        changes = [change for record in log[at : at + sources] for change in judge.take(record)]
        got = [said(change, ids) for change in changes]
        assert named(expected, ids) == named(got, ids), f"seed {seed}, {log[at].boundary_ms - START_MS} ms"
        found += len(got)
    assert found or seed % 4 == 3, f"seed {seed}: an empty story proves nothing"


@pytest.mark.parametrize("seed", range(40, 70))
def test_invariants(seed: int) -> None:
    """One open outage a scope; started and resolved alternate with rising ordinals; sequences count from 1; parents
    start at the same boundary."""
    chance, policy, payments = story(seed)
    judge = Judge(policy)
    ids: dict[str, str] = {}
    changes = [
        said(change, ids) for record in log_of(policy, payments, chance.choice((1, 2))) for change in judge.take(record)
    ]
    last: dict[str, Said] = {}
    for one in changes:
        before, where = last.get(one.scope), f"seed {seed}, {one}"
        if one.type == "started":
            assert before is None or before.type == "resolved", where
            assert (one.ordinal, one.sequence) == (before.ordinal + 1 if before else 1, 1), where
        else:
            assert before, where
            assert before.type != "resolved", where
            assert (one.ordinal, one.sequence) == (before.ordinal, before.sequence + 1), where
        assert (one.ended_ms is None) == (one.type != "resolved"), where
        assert one.began_ms < one.detected_ms <= one.at_ms, where
        if one.parent:
            parents = [other for other in changes if (other.type, other.at_ms) == ("started", one.at_ms)]
            assert [other for other in parents if ids[one.parent] == f"{other.scope}#{other.ordinal}"], where
        last[one.scope] = one
    still = {scope for scope, one in last.items() if one.type != "resolved"}
    assert still == {outage.scope.key for outage in judge.open_outages()}, f"seed {seed}"


def with_markers(chance: random.Random, log: list[Tally], sources: int) -> list[Tally | Marker]:
    """The log with one source silent for a while, which its marker says, and coming back with all it held."""
    out: list[Tally | Marker] = []
    begin = chance.randrange(len(log) // 5, len(log) // 2)
    end = begin + chance.randrange(len(log) // 20, len(log) // 4)
    held: list[Tally] = []
    for place, record in enumerate(log):
        if place == begin + 30 * sources:
            out.append(Marker("stuck", Source("default", 0)))
        if begin <= place < end and record.source.partition == 0:
            held.append(record)
        else:
            out += [*held, record] if place >= end else [record]
            held = held if place < end else []
    return out


@pytest.mark.parametrize("seed", range(70, 80))
def test_a_restart_at_any_offset_goes_on(seed: int) -> None:
    """Also within an open outage, a hold, a wait, and while a source is away or behind: the same events from there."""
    chance, policy, payments = story(seed)
    log = with_markers(chance, log_of(policy, payments, 2), 2)
    judge, states, after = Judge(policy), {}, []
    cuts = sorted(chance.sample(range(50, len(log)), 4))
    for place, record in enumerate(log):
        if place in cuts:
            states[place] = judge.export()
        after.append(judge.take(record))
    for cut, state in states.items():
        again = Judge.restore(state)
        for record in log[:cut]:
            again.refill(record)
        found = [again.take(record) for record in log[cut:]]
        assert after[cut:] == found, f"seed {seed}, cut {cut} of {cuts}"


@pytest.mark.parametrize("seed", range(100, 106))
def test_jumping_changes_nothing_across_a_new_policy(seed: int) -> None:
    """Boundaries at which no source has news, left out of the log, would have changed nothing; new rules midway."""
    chance, policy, payments = story(seed)
    payments = [payment for payment in payments if chance.random() < 0.4]
    log = log_of(policy, payments, 2)
    rules = Marker("policy", None, replace(policy, all_red=Rule(20_000, 2), min_merchants=1).canonical())
    midway = chance.randrange(len(log) // 4, len(log) // 2) * 2
    every, jumping, one, other = Judge(policy), Judge(policy), [], []
    for at in range(0, len(log), 2):
        records: list[Tally | Marker] = [rules, *log[at : at + 2]] if at == midway else [*log[at : at + 2]]
        last_before = at + 2 in (midway, len(log))
        news = last_before or any(isinstance(record, Marker) or len(record.cells) for record in records)
        one += [change for record in records for change in every.take(record)]
        other += [change for record in records if news for change in jumping.take(record)]
    assert one == other, f"seed {seed}"
    assert one, f"seed {seed}: an empty story proves nothing"
