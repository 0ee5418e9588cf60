"""The evidence is what a person works out who looks at every vote; it keeps its promise, jumps, grows and is moved."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from detector.contracts.policy import Policy
from detector.counting.columns import APPROVED, CANCELLED, DECLINED, PENDING
from detector.judging.evidence import PAGE, SLOW, TECHNICAL, TICKET, alternatives, wait_weights
from detector.judging.hazard import survival
from detector.judging.signals import YEAR_S
from tests.benchmarks.detection.engine import LEVELS_YEARS, Fleet, Traffic, make_first
from tests.property.evidence_world import GONE_AT_ONCE, NATS, ON, SECOND_MS, Reference, Vote, World

SHORT = replace(ON, horizon_ms=20_000, grace_ms=10_000)
"""Panes that close while votes still wait in them."""


def happen(chance: random.Random, world: World, votes: list[Vote], technical: float = 0.4) -> list[Vote]:
    """A second: votes begin, and some of those that wait are answered, cancelled or taken back; those that ended.

    `technical`: how many of the refused are so for a technical reason.
    """
    ended = []
    policy = world.policy
    open_from_ms = world.now_ms - policy.horizon_ms - policy.grace_ms
    for vote in [vote for vote in votes if vote.status == PENDING and chance.random() < 0.04]:
        if (vote.pane + 1) * policy.pane_ms > open_from_ms:
            vote.status = chance.choice((APPROVED, DECLINED, APPROVED, CANCELLED, GONE_AT_ONCE))
            vote.is_technical = vote.status == DECLINED and chance.random() < technical
            more = None if vote.status == GONE_AT_ONCE else vote.status
            world.change(vote.leaf, vote.pane, more, PENDING, int(vote.is_technical))
            ended += [vote] if vote.status != GONE_AT_ONCE else []
    for vote in [vote for vote in votes if vote.is_technical and chance.random() < 0.02]:
        vote.is_technical = False  # another event says the code anew
        world.change(vote.leaf, vote.pane, None, None, -1)
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        leaf, pane = chance.randrange(len(world.leaves)), (world.now_ms - SECOND_MS) // policy.pane_ms
        vote = Vote(leaf, pane, chance.choice((PENDING, PENDING, APPROVED, DECLINED)))
        vote.is_technical = vote.status == DECLINED and chance.random() < technical
        world.change(leaf, pane, vote.status, None, int(vote.is_technical))
        votes.append(vote)
        ended += [vote] if vote.status != PENDING else []
    return ended


def assert_same(world: World, reference: Reference, channels: tuple[int, ...], said: str) -> None:
    """R and the sums within a trifle, the onset exactly."""
    evidence = world.signals.evidence
    for (node, channel, j), r in reference.r.items():
        if channel in channels:
            where = f"{said}: node {node}, channel {channel}, alternative {j}"
            if channel == TECHNICAL and node not in reference.begun:
                assert evidence.r[node, channel, j] == 0.0, where
                continue
            assert math.log(evidence.r[node, channel, j]) == pytest.approx(math.log(r), abs=NATS), where
            total = reference.sums[node, channel, j]
            assert evidence.sums[node, channel, j] == pytest.approx(total, abs=NATS), where
            if total > NATS and (node, channel, j) not in reference.unsure:
                assert evidence.onset[node, channel, j] == reference.onset[node, channel, j], where


def play(seed: int, world: World, seconds: int, channels: tuple[int, ...]) -> None:
    """So many seconds of chance, and the reference beside them."""
    chance = random.Random(seed)
    world.teach(seed)
    reference = Reference(world)
    for second in range(seconds):
        world.age()
        ended = happen(chance, world, reference.votes)
        world.step()
        reference.step(ended)
        assert_same(world, reference, channels, f"seed {seed}, second {second}")


@pytest.mark.parametrize("seed", range(4))
def test_evidence_is_the_sum_over_votes(seed: int) -> None:
    """By each vote's state and age, every second: R, the log-likelihood since the onset, and the onset."""
    play(seed, World(), 120, (PAGE, TICKET, TECHNICAL, SLOW))


@pytest.mark.parametrize("seed", range(4))
def test_a_vote_whose_pane_closed_weighs_what_it_did(seed: int) -> None:
    """What still waits when its pane closes neither loses nor gains by that."""
    play(seed, World(SHORT), 100, (PAGE, TICKET, TECHNICAL))


def waits(share: list[float], answered: list[float]) -> list[float]:
    """Of the votes that one cause is to end, the share that waits half-way through each bin; `share[bin]` of those at
    risk end so there, `answered[bin]` by any cause. Those that no bin ends wait for all causes alike."""
    still, ended = 1.0, list[float]()
    for mine, all_causes in zip(share, answered, strict=True):
        ended.append(still * mine)
        still *= 1 - all_causes
    return [1 - (1 - still) * (sum(ended[:bin_]) + ended[bin_] / 2) / sum(ended) for bin_ in range(len(share))]


@pytest.mark.parametrize("p", [0.6, 0.9])
@pytest.mark.parametrize("last", [1.0, 0.9, 0.1])
def test_a_young_vote_is_no_evidence(p: float, last: float) -> None:
    """At any age the likelihood ratio of a healthy vote is 1 on average, though refusals come sooner than approvals,
    and some are answered at no age that is known."""
    yes, no = [0.17, 0.2, 0.2, 0.4, last], [0.07, 0.02, 0.01, 0.0, 0.0]
    left = survival(np.array([yes, no]).T[None])
    other, weight = alternatives(np.array([p]))[0], wait_weights(np.array([p]), left)[0]
    answered = [a + b for a, b in zip(yes, no, strict=True)]
    for bin_, (approved, refused) in enumerate(zip(waits(yes, answered), waits(no, answered), strict=True)):
        ratio = other * (1 - approved) + (1 - other) * (1 - refused)
        ratio += (p * approved + (1 - p) * refused) * np.exp(weight[bin_])
        np.testing.assert_allclose(ratio, 1.0, atol=0.01, err_msg=f"bin {bin_}")


def mean_time_to_alarm(below_null: float) -> tuple[float, float, float]:
    """(mean, standard error, bar) in seconds, over keys whose approval lies so far below the null."""
    fleet = Fleet([(f"bank-{n}", f"method-{n % 5}") for n in range(200)])
    fleet.signals.baseline.level[:] = 900.0, 100.0
    fleet.answer_at_once(np.full(200, 1_000.0), np.full(200, 0.9))
    fleet.know()
    usual = fleet.signals.baseline.usual[fleet.own]
    null = 1 / (1 + np.exp(-(np.log(usual / (1 - usual)) - fleet.signals.shifts[0][fleet.own])))
    bar_s, first = float(LEVELS_YEARS[0] * YEAR_S), make_first(200)
    longest, began = int(8 * bar_s), fleet.signals.time_ms // SECOND_MS
    fleet.play(11, Traffic(np.full(200, 0.2), null - below_null), first, longest, learns=False)
    passed = first.second[:, 0, 0]
    times = np.where(passed >= 0, passed - began, longest)
    return float(times.mean()), float(times.std() / math.sqrt(len(times))), bar_s


def test_a_false_alarm_is_as_rare_as_its_bar_says() -> None:
    """On the null itself the mean time to an alarm is the bar or more; waiting is cut short, which only lowers it."""
    mean_s, error_s, bar_s = mean_time_to_alarm(0.0)
    assert mean_s - bar_s >= -2.3 * error_s, f"{mean_s:.0f} s ± {error_s:.0f} s against a bar of {bar_s:.0f} s"


def test_the_promise_is_a_test_that_can_fail() -> None:
    """Where approval lies a little below the null, alarms come well before the bar."""
    mean_s, error_s, bar_s = mean_time_to_alarm(0.05)
    assert mean_s - bar_s < -2.3 * error_s, f"{mean_s:.0f} s ± {error_s:.0f} s against a bar of {bar_s:.0f} s"


def played(seed: int, world: World, seconds: int) -> list[Vote]:
    """Let a world have some past."""
    chance, votes = random.Random(seed), list[Vote]()
    for _ in range(seconds):
        world.age()
        happen(chance, world, votes)
        world.step()
    return votes


def assert_equal(one: World, other: World) -> None:
    """All that statistics hold, to the last bit."""
    assert one.signals.time_ms == other.signals.time_ms
    for name in ("flow", "hazard", "baseline", "evidence", "recovery", "due", "technical", "weights"):
        group = getattr(one.signals, name)
        for field, mine, theirs in zip(group._fields, group, getattr(other.signals, name), strict=True):
            np.testing.assert_array_equal(mine, theirs, err_msg=f"{name}.{field}")
    np.testing.assert_array_equal(one.signals.flags, other.signals.flags)


def test_technical_refusals_are_learned_an_hour_late() -> None:
    """After two healthy hours the usual share is what the first showed; a node that was frozen learns nothing."""
    world = World(now_ms=World.now_ms)
    technical, known = world.signals.technical, world.signals.baseline
    for hour, (answered, refused) in enumerate(((1_000.0, 30.0), (500.0, 500.0), (500.0, 500.0))):
        assert technical.level.any() == (hour == 2)
        technical.begun[:] = 1
        known.hours[0], technical.hours[0] = (answered - refused, refused), refused
        known.frozen[0, 1] = hour == 0
        if hour < 2:
            world.signals._learn(world.now_ms + (hour + 1) * 3_600_000)
    kept = 0.5 ** (0 / 72)
    np.testing.assert_allclose(technical.level[0], (970.0 * kept, 30.0 * kept))
    assert technical.usual[0] == pytest.approx((970 + 9.9) / 1_010)
    assert not technical.level[1].any()
    assert technical.usual[1] == pytest.approx(technical.usual[0])


def test_where_no_reason_is_technical_the_channel_rests() -> None:
    """Refusals without a technical reason neither begin it nor are learned by it."""
    world, votes, chance = World(now_ms=World.now_ms + 3_500_000), list[Vote](), random.Random(5)
    for _ in range(200):
        world.age()
        happen(chance, world, votes, technical=0.0)
        world.step()
    evidence, technical = world.signals.evidence, world.signals.technical
    for table in (technical.begun, technical.level, evidence.r[:, TECHNICAL], evidence.sums[:, TECHNICAL]):
        assert not table.any()


@pytest.mark.parametrize("policy", [ON, SHORT], ids=["open", "closing"])
@pytest.mark.parametrize("seed", range(3))
def test_jumping_is_stepping(seed: int, policy: Policy) -> None:
    """Over full minutes and a full hour, with votes that wait, one jump leaves what second after second leaves."""
    one, other = (World(policy, now_ms=World.now_ms + 3_500_000) for _ in range(2))
    for world in (one, other):
        world.teach(seed)
        played(seed, world, 60)
    until_ms = one.now_ms + 200_000
    while one.signals.time_ms < until_ms:
        one.signals.coast(one.signals.in_hand(one.rows), until_ms)
    while other.now_ms < until_ms:
        other.age()
        other.step()
    assert_equal(one, other)


@pytest.mark.parametrize("seed", range(3))
def test_a_new_leaf_changes_nothing_of_others(seed: int) -> None:
    """Leaves that join in the middle leave the evidence of those before them as if they had been there always."""
    late = (("kbc", "card"), ("kbc", "pix"))
    one, other = World(), World()
    other.nodes.numbers(late)
    other.signals.grow()
    for world in (one, other):
        world.signals.baseline.level[: len(one.nodes.scopes)] = 300.0, 40.0
        world.signals.refresh()
        played(seed, world, 60)
    known = len(one.nodes.scopes)
    one.nodes.numbers(late)
    one.signals.grow()
    for world in (one, other):
        played(seed + 100, world, 60)
    mine, theirs = one.signals.evidence, other.signals.evidence
    for name in mine._fields:
        np.testing.assert_array_equal(getattr(mine, name)[:known], getattr(theirs, name)[:known], err_msg=name)
    np.testing.assert_array_equal(one.signals.flags, other.signals.flags)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_moved_goes_on(seed: int) -> None:
    """A snapshot put into new statistics goes on as the old ones do, an hour's learning included."""
    one = World(now_ms=World.now_ms + 3_500_000)
    one.teach(seed)
    played(seed, one, 60)
    other = World(now_ms=one.now_ms)
    other.signals.load(one.signals.export())
    for name, mine in zip(one.rows._fields, one.rows, strict=True):
        getattr(other.rows, name)[...] = mine
    for world in (one, other):
        played(seed + 100, world, 120)
    assert_equal(one, other)
