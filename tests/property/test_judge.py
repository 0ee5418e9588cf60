"""The board, with its ring, folds and due times, says of every scope what a person reading all payments says."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from detector.contracts.policy import EvidenceRules, Policy, Rule
from detector.counting.tally import Source, Tally, decode, encode
from detector.judging.judge import Judge
from detector.judging.streak import BREACH
from tests.alone import alone
from tests.property.dumb_judge import Payment, Teller, history, read
from tests.property.policies import hasty

LEAVES = [(bank, method) for bank in ("axa", "bnp") for method in ("card", "pix", "boleto")]
START_MS = 1_700_000_000_000
LAYOUT = {"default": 2}
POLICY = alone(
    ring_ms=60_000, horizon_ms=60_000, grace_ms=5_000, wait_ms=10_000, all_red=Rule(30_000, 4),
    all_pending=Rule(40_000, 5), answers={"default": 20_000, "boleto": -1},
)  # fmt: skip


def split(payments: list[Payment], sources: int) -> list[list[Payment]]:
    """Each payment's source, by its voter."""
    parts: list[list[Payment]] = [[] for _ in range(sources)]
    for payment in payments:
        parts[payment.voter % sources].append(payment)
    return parts


@pytest.mark.parametrize("seed", range(8))
def test_board_reads_the_policy_as_a_person(seed: int) -> None:
    """Streak, kind and breach of every scope at every boundary, far beyond the ring, from one to three sources."""
    chance = random.Random(seed)
    policy = hasty(chance)
    payments = history(chance, policy, LEAVES[: chance.choice((2, 6))], 600_000, START_MS)
    parts = split(payments, chance.choice((1, 3)))
    layout, judge, tellers = {"default": len(parts)}, Judge(policy), [Teller(policy, part) for part in parts]
    boundary_ms, since_ms, seen = START_MS, 0, 0
    while boundary_ms < START_MS + 700_000:
        boundary_ms += chance.choice((1_000, 1_000, 3_000, 20_000))
        for number, teller in enumerate(tellers):
            judge.take(teller.tally(Source("default", number), layout, boundary_ms, since_ms))
        since_ms = boundary_ms
        newest_ms = max((p.start_ms for p in payments if p.start_ms < boundary_ms), default=-1)
        found = judge.board.found
        for node, scope in enumerate(judge.board.nodes.scopes):
            if judge.board.marks.floor[node] >= 0:
                continue  # A parent that resolved moved the streak; the reader on paper does not know of it.
            paper = read(policy, scope, payments, boundary_ms, newest_ms)
            first, red, overdue = int(found.first[node]), int(found.red[node]), int(found.overdue[node])
            where = f"seed {seed}, {scope.key}, {boundary_ms}"
            assert (paper.first, paper.red, paper.overdue) == (first, red, overdue), where
            if paper.first >= 0:
                assert paper.payments == found.payments[node], where
            assert paper.breach == (found.verdict[node] == BREACH), where
            seen += paper.breach
    assert seen or seed  # The first seed is known to have breaches: the test must not be empty.


@pytest.mark.parametrize("seed", range(4))
def test_jumping_changes_nothing(seed: int) -> None:
    """A Judge that is given every boundary says the same as one that is given only those with news."""
    chance = random.Random(seed)
    policy = hasty(chance)
    payments = history(chance, policy, LEAVES[:4], 400_000, START_MS)
    every, jumping = Judge(policy), Judge(policy)
    teller, source, layout = Teller(policy, payments), Source("default", 0), {"default": 1}
    one, other = [], []
    for boundary_ms in range(START_MS + 1_000, START_MS + 600_000, 1_000):
        record = teller.tally(source, layout, boundary_ms, boundary_ms - 1_000)
        one += every.take(record)
        if len(record.cells) or boundary_ms == START_MS + 599_000:
            other += jumping.take(decode(encode(record)))
    assert one == other, f"seed {seed}"
    assert one or seed


@pytest.mark.parametrize("seed", range(6))
def test_a_restored_judge_goes_on(seed: int) -> None:
    """At any offset, a snapshot and the log before it give a Judge that says the same from there on."""
    chance = random.Random(seed)
    policy = hasty(chance)
    payments = history(chance, policy, LEAVES[:4], 500_000, START_MS)
    tellers = [Teller(policy, part) for part in split(payments, 2)]
    log = [
        teller.tally(Source("default", number), {"default": 2}, boundary_ms, boundary_ms - 1_000)
        for boundary_ms in range(START_MS + 1_000, START_MS + 500_000, 1_000)
        for number, teller in enumerate(tellers)
    ]
    cut = chance.randrange(50, len(log))
    first, expected = Judge(policy), []
    for record in log[:cut]:
        first.take(record)
    state = first.export()
    for record in log[cut:]:
        expected += first.take(record)
    second = Judge.restore(state)
    for record in log[:cut]:
        second.refill(record)
    found = [change for record in log[cut:] for change in second.take(record)]
    assert expected == found, f"seed {seed}, cut {cut}"
    assert [record.model_dump() for record in first.health()] == [record.model_dump() for record in second.health()]


def moved(policy: Policy, payments: list[Payment], chance: random.Random) -> list[Tally]:
    """The log of two sources of which the second lags by minutes: meanwhile the first gets a new owner, who says again
    what the Judge has taken and not yet judged."""
    ahead, behind = split(payments, 2)
    ends_s = 500
    first_s, lag_s = chance.randrange(200, 400), chance.randrange(60, 190)
    again_s = chance.randrange(first_s - lag_s, first_s)
    log = told(policy, ahead, 0, range(1, first_s)) + told(policy, behind, 1, range(1, first_s - lag_s))
    first_pane = (START_MS + again_s * 1_000 - policy.open_ms) // policy.pane_ms
    since_ms = first_pane * policy.pane_ms
    snapshot = Teller(policy, ahead).tally(Source("default", 0), LAYOUT, START_MS + again_s * 1_000, since_ms)
    log.append(replace(snapshot, term=2, first_pane=first_pane))
    log += [replace(record, term=2) for record in told(policy, ahead, 0, range(again_s + 1, ends_s))]
    return log + told(policy, behind, 1, range(first_s - lag_s, ends_s))


def told(policy: Policy, payments: list[Payment], number: int, seconds: range) -> list[Tally]:
    """A source's records, one a second."""
    teller, source = Teller(policy, payments), Source("default", number)
    ends_ms = [START_MS + at_s * 1_000 for at_s in seconds]
    return [teller.tally(source, LAYOUT, end_ms, end_ms - 1_000) for end_ms in ends_ms]


@pytest.mark.parametrize("seed", range(8))
def test_a_restored_judge_goes_on_after_owners_moved(seed: int) -> None:
    """Restored at any offset the Judge ends with the same outages and the same statistics, to the bit: what was never
    judged before, since a newer term says it again, is news."""
    chance = random.Random(seed)
    policy = replace(hasty(chance), evidence=EvidenceRules(mode="live"))
    log = moved(policy, history(chance, policy, LEAVES[:4], 500_000, START_MS), chance)
    cuts = {0, 1, *chance.sample(range(len(log)), 6)}
    straight, often = Judge(policy), Judge(policy)
    expected, found = [], []
    for at, record in enumerate(log):
        if at in cuts:
            often = Judge.restore(often.export())
            for before in log[:at]:
                often.refill(before)
        expected += straight.take(record)
        found += often.take(record)
        assert found == expected, f"seed {seed}, record {at}, restored at {sorted(cuts)}"
    signals = [judge.export()["board"]["signals"] for judge in (straight, often)]
    assert signals[0] == signals[1], f"seed {seed}, restored at {sorted(cuts)}"
    assert expected or seed


@pytest.mark.parametrize("seed", range(6))
def test_an_owner_that_moves_moves_no_vote(seed: int) -> None:
    """A new owner, while the Judge lags behind what the old one told: everything is found when it would be without."""
    chance = random.Random(seed)
    policy = replace(hasty(chance), evidence=EvidenceRules(mode="live"))
    payments = history(chance, policy, LEAVES[:4], 500_000, START_MS)
    parts = split(payments, 2)
    still = [record for number, part in enumerate(parts) for record in told(policy, part, number, range(1, 500))]
    judges = Judge(policy), Judge(policy)
    found = [[change for record in log for change in judge.take(record)]
             for judge, log in zip(judges, (moved(policy, payments, chance), still), strict=True)]  # fmt: skip
    assert found[0] == found[1], f"seed {seed}"
    assert found[0] or seed
