"""One shop's bug is not a bank's outage: simulated streams of votes, judged as a bank's own evidence would be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.arrays import Float64s
from detector.judging.gate import NOBODY, blame

P_HEALTHY = 0.9
P_DEAD = 0.02
PAGE_NATS = 24.0
"""ln of 1,000 years over a second: where the recursion pages on so short an outage, or a little later."""

TRIALS = 1000
# Of 20 merchants the first has 36 % of the votes, the others share the rest as 1/rank: 18 %, 9 %, 6 %…
OTHERS = 1 / np.arange(1, 20)
SHARES = np.concatenate([[0.36], 0.64 * OTHERS / OTHERS.sum()])


def alternatives(p_null: float) -> Float64s:
    """p1 of the mixture: logit lowered by 1, 2 and 3.5, and dead."""
    logit = np.log(p_null / (1 - p_null)) - np.array([1.0, 2.0, 3.5])
    return np.append(1 / (1 + np.exp(-logit)), min(0.02, p_null / 2))


P1 = alternatives(P_HEALTHY)
LOG_REFUSED, LOG_APPROVED = np.log((1 - P1) / (1 - P_HEALTHY)), np.log(P1 / P_HEALTHY)


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes in the order of their starts."""

    merchant: np.ndarray
    approved: np.ndarray

    def blame(self, count: int) -> int:
        """Whom the gate blames after so many votes."""
        merchant, approved = self.merchant[:count], self.approved[:count]
        good = np.bincount(merchant[approved], minlength=len(SHARES))
        bad = np.bincount(merchant[~approved], minlength=len(SHARES))
        return blame(bad, good, LOG_REFUSED, LOG_APPROVED)

    def paged_after(self, nats: float = PAGE_NATS) -> int:
        """How many votes it takes until the node's evidence since the onset has so many nats."""
        per_vote = np.where(self.approved[:, None], LOG_APPROVED, LOG_REFUSED)
        return int(np.argmax(per_vote.cumsum(axis=0).max(axis=1) >= nats)) + 1


def votes(chance: np.random.Generator, rates: Float64s, count: int = 400) -> Votes:
    """Votes of merchants with these approval rates, shared as SHARES."""
    merchant = chance.choice(len(SHARES), count, p=SHARES)
    return Votes(merchant, chance.random(count) < rates[merchant])


def blamed(rates: Float64s, seed: int, nats: float = PAGE_NATS) -> list[int]:
    """Whom the gate blames when the evidence has so many nats, by trial."""
    chance = np.random.default_rng(seed)
    streams = (votes(chance, rates) for _ in range(TRIALS))
    return [stream.blame(stream.paged_after(nats)) for stream in streams]


def test_a_top_merchants_bug() -> None:
    """A shop with 36 % of a bank's votes loses all of them: in 99 of 100 the shop is blamed, not the bank."""
    rates = np.full(len(SHARES), P_HEALTHY)
    rates[0] = P_DEAD
    assert np.mean(np.array(blamed(rates, seed=1)) == 0) >= 0.99


def test_a_true_outage_blames_nobody() -> None:
    """All shops of a bank lose: when the evidence pages, hardly ever a shop is blamed, a few votes later never."""
    rates = np.full(len(SHARES), P_DEAD)
    assert np.mean(np.array(blamed(rates, seed=2)) != NOBODY) <= 0.005
    assert set(blamed(rates, seed=3, nats=PAGE_NATS + 10)) == {NOBODY}


def test_an_outage_is_paged_as_early_with_the_gate() -> None:
    """The votes until page and gate agree are those until the page, but for one in a hundred."""
    chance = np.random.default_rng(4)
    with_gate, without = 0, 0
    for _ in range(TRIALS):
        stream = votes(chance, np.full(len(SHARES), P_DEAD), 100)
        alone = stream.paged_after()
        without += alone
        with_gate += next(n for n in range(alone, 101) if stream.blame(n) == NOBODY)
    assert with_gate <= 1.01 * without


def test_card_testing_at_one_merchant() -> None:
    """200 stolen cards refused within 4 minutes at one shop, among the 40 votes of an ordinary bank."""
    chance = np.random.default_rng(5)
    found = []
    for _ in range(TRIALS):
        usual = votes(chance, np.full(len(SHARES), P_HEALTHY), int(chance.poisson(40)))
        merchant = np.concatenate([usual.merchant, np.full(200, 7)])
        found.append(Votes(merchant, np.concatenate([usual.approved, np.zeros(200, bool)])).blame(len(merchant)))
    assert np.mean(np.array(found) == 7) >= 0.99


def test_one_merchant_alone_is_to_blame() -> None:
    """Nothing tells a bank from the only merchant it is seen by."""
    assert blame(np.array([30]), np.array([0]), LOG_REFUSED, LOG_APPROVED) == 0


def test_no_merchant_is_no_ones_blame() -> None:
    """Without a merchant there is nobody to blame."""
    none = np.zeros(0, np.int64)
    assert blame(none, none, LOG_REFUSED, LOG_APPROVED) == NOBODY


def test_the_rest_is_enough_at_five_nats() -> None:
    """The second merchant's 3 refusals are 6.7 nats of a dead bank: enough. Its 2 refusals are not."""
    assert blame(np.array([20, 3]), np.array([0, 0]), LOG_REFUSED, LOG_APPROVED) == NOBODY
    assert blame(np.array([20, 2]), np.array([0, 0]), LOG_REFUSED, LOG_APPROVED) == 0
    assert blame(np.array([20, 2]), np.array([0, 0]), LOG_REFUSED, LOG_APPROVED, rest_min=4.0) == NOBODY


def test_of_equal_merchants_the_first() -> None:
    """The order of merchants decides a tie, so that the same counts blame the same shop."""
    assert blame(np.array([0, 2, 2]), np.array([5, 0, 0]), LOG_REFUSED, LOG_APPROVED) == 1


def test_the_evidence_is_that_for_the_nodes_own_alternative() -> None:
    """A shop that is half bad has most evidence of all for another way of being bad; the bank as a whole is dead."""
    refused, approved = np.array([30, *[10] * 10]), np.array([30, *[0] * 10])
    assert blame(refused, approved, LOG_REFUSED, LOG_APPROVED, rest_min=1e9) == 1
    assert blame(refused, approved, LOG_REFUSED[:2], LOG_APPROVED[:2], rest_min=1e9) == 0
