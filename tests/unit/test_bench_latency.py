"""What the latency benchmark works out: which events decided an outage, delays, quantiles, the goal, the page."""

from __future__ import annotations

import random

import pytest

from tests.benchmarks.latency.delays import OUTAGES_MIN, Deciding, Delay, Outage, goals, kept, page, quantile

BNP = (("bank", "bnp"),)
CARD = {"bank": "bnp", "method": "card"}


def test_the_deciding_second_is_the_last_before_the_boundary() -> None:
    """From its first and its last event; what occurred before or at the boundary, or elsewhere, is not looked at."""
    deciding = Deciding([Outage(BNP, 10_000, 12_300)])
    for occurred_ms, appended_ms in ((8_999, 9_000), (9_500, 9_540), (9_000, 9_060), (9_999, 10_020), (10_000, 10_001)):
        deciding.see(occurred_ms, appended_ms, CARD)
    deciding.see(9_100, 9_050, {"bank": "axa", "method": "card"})
    assert deciding.delays() == [Delay("bank:bnp", 12_300 - 9_060, 12_300 - 10_020)]


def test_a_leaf_is_looked_at_by_both_its_values() -> None:
    """And the platform by none."""
    leaf, platform = Outage((*BNP, ("method", "pix")), 1_000, 3_000), Outage((), 1_000, 3_100)
    deciding = Deciding([leaf, platform])
    deciding.see(10, 20, CARD)
    assert deciding.delays() == [Delay("", 3_080, 3_080)]
    deciding.see(30, 40, {"bank": "bnp", "method": "pix"})
    assert deciding.delays() == [Delay("bank:bnp|method:pix", 2_960, 2_960), Delay("", 3_080, 3_060)]


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_values(seed: int) -> None:
    """The least that so large a share does not pass."""
    draw = random.Random(seed)
    values = [draw.randrange(5_000) for _ in range(draw.randrange(1, 300))]
    for share in (0.5, 0.9, 0.99, 1.0):
        found = quantile(values, share)
        assert sum(value <= found for value in values) >= share * len(values)
        assert sum(value < found for value in values) < share * len(values)


@pytest.mark.parametrize(("count", "slow_ms", "met"), [(OUTAGES_MIN, 2_500, True), (OUTAGES_MIN - 1, 2_000, False)])
def test_the_goal_needs_outages_enough(count: int, slow_ms: int, met: bool) -> None:
    """Of a few the slowest hundredth is nothing."""
    assert goals([Delay("", slow_ms, 1_000)] * count)["latency"]["met"] is met


def test_the_goal_is_of_the_slowest_hundredth() -> None:
    """Two slow ones of a hundred are too many, one is not."""
    fine, slow = Delay("", 2_000, 900), Delay("", 9_000, 8_000)
    assert goals([fine] * 99 + [slow])["latency"]["met"]
    assert not goals([fine] * 98 + [slow] * 2)["latency"]["met"]
    assert not goals([])["latency"]["met"]


def test_the_page_has_the_figures() -> None:
    """Both bounds, the goal, and what it ran on."""
    run = {"sent_per_s": 9_990.0, "for_s": 300.0, "partitions": 8, "workers": 1, "cores": 0.4, "lag_max": 12,
           "machine": "a machine", "when": "2026-01-01"}  # fmt: skip
    text = page(kept(run, [Delay("bank:bnp", 2_345, 1_234)] * OUTAGES_MIN))
    assert "| from the first | 2,345 |" in text
    assert "| from the last | 1,234 |" in text
    assert "| yes |" in text
    assert "9,990 events a second" in text
