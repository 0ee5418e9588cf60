"""Policies drawn from chance, as an operator may write them: every value between the bounds that the check sets.

What is usual stands first in every choice, so that hypothesis brings an example down to the values that matter. Corners
come as often as all between. Knows no history; what is drawn keeps tables small.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from detector.contracts.policy import DEFAULT, Policy, Rule
from detector.contracts.policy_check import merge
from detector.contracts.policy_keys import DIMENSIONS, PANES_S

METHODS = ("card", "pix", "transfer", "boleto")
RARELY = (False, False, False, True)


def drawn(random: Random, longest_s: tuple[int, ...] = (60, 600, 7_200)) -> Policy:
    """A policy that the check lets pass, its horizon up to one of the longest."""
    horizon_s, grace_s = seconds(random, 10, random.choice(longest_s), 60), seconds(random, 0, 3_600, 20)
    pane_s = random.choice((5, *PANES_S))
    return read({
        "horizon_s": horizon_s, "grace_s": grace_s, "pane_s": pane_s,
        "ring_s": max(3_600, (horizon_s + grace_s + pane_s) // 60 * 60 + 60),
        "lateness_s": seconds(random, 0, 60, 1), "clock_ahead_s": seconds(random, 1, 86_400, 300),
        "details_s": seconds(random, 0, 600, 5), "wait_s": seconds(random, 0, 600, 10),
        "min_merchants": count(random), "all_red": rule(random), "all_pending": rule(random),
        "answer_s": {name: answer(random, horizon_s) for name in ("default", "cheque", *METHODS)},
        "resolve": resolve(random), "scope": scopes(random, horizon_s),
        "evidence": {"mode": random.choice(("live", "off", "shadow"))},
        "page": {"mode": random.choice(("live", "shadow"))},
        "dimensions": ["bank", "method", *(name for name in DIMENSIONS[2:] if random.choice(RARELY))],
    })  # fmt: skip


POLICIES = st.randoms(use_true_random=False).map(drawn)


def hasty(random: Random) -> Policy:
    """One for minutes of few payments: rules that these break, a ring that they outlive, and no statistics."""
    policy = drawn(random, (60, 120))
    overrides = {scope: {name: _less(name, value) for name, value in values.items()}
                 for scope, values in policy.overrides.items()}  # fmt: skip
    return replace(
        policy, dimensions=("bank", "method"), evidence=replace(policy.evidence, mode="off"), overrides=overrides,
        ring_ms=random.choice((60_000, 120_000, 3_600_000)), grace_ms=policy.grace_ms % 20_000,
        all_red=_hastier(policy.all_red), all_pending=_hastier(policy.all_pending),
        min_merchants=_less("min_merchants", policy.min_merchants),
    )  # fmt: skip


def _hastier(rule: Rule) -> Rule:
    return Rule(_less("after_ms", rule.after_ms), _less("voters", rule.voters))


def _less(name: str, value: int) -> int:
    """A minute at most, and a few voters or merchants; an answer may take as long as it does."""
    if name.endswith("after_ms"):
        return value % 60_000 + 1_000
    return value if name == "answer_ms" else min(value, 2 if name == "min_merchants" else 5)


def read(said: dict[str, Any]) -> Policy:
    """What a file means that says so."""
    plain, problems = merge(said, json.loads(DEFAULT.canonical()))
    assert not problems, [problem.message for problem in problems]
    return Policy.parse(json.dumps(plain))


def seconds(random: Random, least: int, most: int, usual: int) -> float:
    """What is usual, a bound, a few seconds more than the least, or any time between, to the millisecond."""
    few, any_ms = random.randrange(10_000), random.randrange(1_000 * (most - least) + 1)
    return random.choice((usual, usual, least, most, min(least + few / 1_000, most), least + any_ms / 1_000))


def count(random: Random) -> int:
    """How many distinct ones a rule asks for."""
    return random.choice((2, 3, 1, 10, 255))


def rule(random: Random) -> dict[str, Any]:
    """T and n."""
    return {"after_s": seconds(random, 1, 600, 30), "voters": count(random)}


def answer(random: Random, horizon_s: float) -> float | bool:
    """Within the horizon, or never."""
    return random.choice((horizon_s // 2, False, 1, horizon_s, random.randrange(1_000, int(1_000 * horizon_s)) / 1_000))


def resolve(random: Random) -> dict[str, Any]:
    """When an outage is over."""
    approved = random.choice((2, 3, 1))
    return {
        "hold_s": seconds(random, 0, 60, 15), "window_s": seconds(random, 1, 120, 20), "approved": approved,
        "decided": random.choice((8, approved, 20)), "voters": random.randrange(1, min(approved, 2) + 1),
        "rate_share": random.choice((0.5, 0.01, 1)),
    }  # fmt: skip


def scopes(random: Random, horizon_s: float) -> list[dict[str, Any]]:
    """Scopes with values of their own."""
    leaf: dict[str, Any] = {"name": "bank:bnp,method:pix", "answer_s": answer(random, horizon_s)}
    bank: dict[str, Any] = {"name": "bank:axa", "min_merchants": count(random), "all_red": rule(random)}
    return [scope for scope in (leaf, bank, {"name": "platform", "all_pending": rule(random)}) if random.choice(RARELY)]
