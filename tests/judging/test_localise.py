"""Who is named as the cause, rule by rule, on tables small enough to add up in the head."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from detector.judging.localise import UNKNOWN, Table, levels, localise

BANK, METHOD, MERCHANT = 0, 1, 2
DEAD, HEALTHY = 20.0, -20.0


def table(rows: dict[tuple[int, ...], float], dimensions: tuple[str, ...] = ("bank", "method")) -> Table:
    """Cells and their nats, with one alternative."""
    values = np.array(list(rows), np.int32).reshape(-1, len(dimensions))
    return Table(dimensions, values, np.array(list(rows.values()), float).reshape(-1, 1))


def names(found: Table) -> list[tuple[tuple[int, int], ...]]:
    """The names of the causes, in the order in which they are found."""
    return [cause.fixed for cause in localise(found)]


def grid(dead: set[tuple[int, int]], banks: int = 4, methods: int = 3) -> Table:
    """Every bank by every method, some dead."""
    return table({(b, m): DEAD if (b, m) in dead else HEALTHY for b in range(banks) for m in range(methods)})


def test_levels_of_two_dimensions() -> None:
    """Platform, banks, methods, both: a pair that is all there is comes once."""
    assert levels(("bank", "method")) == ((), (0,), (1,), (0, 1))


def test_levels_with_merchants() -> None:
    """Merchants stand alone, at a bank or by a method; never with a country, and never in the leaf's own name."""
    expected = ((), (0,), (1,), (2,), (3,), (0, 1), (0, 2), (1, 2), (3, 0), (3, 1), (0, 1, 2))
    assert levels(("bank", "method", "country", "merchant")) == expected


def test_the_banks_level_comes_before_its_equals() -> None:
    """Wherever the policy lists the bank, its level is the first of those that fix one value."""
    assert levels(("method", "bank")) == ((), (1,), (0,), (1, 0))


def test_a_bank_that_is_dead_by_every_method() -> None:
    """One name for three bad cells."""
    assert names(grid({(1, m) for m in range(3)})) == [((BANK, 1),)]


def test_a_method_that_is_dead_at_every_bank() -> None:
    """One name for four bad cells."""
    assert names(grid({(b, 2) for b in range(4)})) == [((METHOD, 2),)]


def test_a_bank_that_is_dead_by_one_method() -> None:
    """Its healthy methods keep the bank's own name out, and healthy banks the method's."""
    assert names(grid({(1, 2)})) == [((BANK, 1), (METHOD, 2))]


def test_a_platform_that_is_dead() -> None:
    """All cells bad is one cause with no value fixed, and it explains every cell."""
    (cause,) = localise(grid({(b, m) for b in range(4) for m in range(3)}))
    assert cause.fixed == ()
    assert cause.cells.tolist() == list(range(12))
    assert cause.score == pytest.approx(12 * DEAD)


def test_two_banks_are_two_causes() -> None:
    """The stronger first; what the first explains is no evidence for the second."""
    weaker = grid({(b, m) for b in (1, 3) for m in range(3)})
    stronger = np.where((weaker.values[:, BANK] == 3)[:, None], 2.0, 1.0)
    assert names(replace(weaker, llr=weaker.llr * stronger)) == [((BANK, 3),), ((BANK, 1),)]


def test_nothing_bad_is_no_cause() -> None:
    """Healthy cells, or none, name nobody."""
    assert names(grid(set())) == []
    assert names(table({})) == []


def test_the_score_is_the_formula() -> None:
    """Nats of the cells, less ln of the level's names, less 3 a value: 60 of a bank among four."""
    (cause,) = localise(grid({(1, m) for m in range(3)}))
    assert cause.score == pytest.approx(60 - math.log(4) - 3)


def test_a_cause_needs_the_gain() -> None:
    """Ten nats after the penalties are enough, a little less is nothing."""
    needed = 10 + math.log(2) + 3
    healthy = {(1, 0): HEALTHY, (1, 1): HEALTHY}
    assert names(table({(0, 0): needed / 2, (0, 1): needed / 2, **healthy})) == [((BANK, 0),)]
    assert names(table({(0, 0): needed / 2, (0, 1): needed / 2 - 0.01, **healthy})) == []


def test_only_positive_evidence_is_a_cause() -> None:
    """With no gain asked for and no penalty, what speaks against an outage is still none."""
    one = table({(0, 0): 0.0, (1, 0): -1.0})
    assert localise(one, gain=-100.0, per_dimension=0.0) == []


def test_the_alternative_that_fits_best() -> None:
    """Cells agree on one way of being bad: the sum decides, not each cell by itself."""
    llr = np.array([[12.0, 10.0], [12.0, 30.0], [-50.0, -50.0]])
    (cause,) = localise(Table(("bank", "method"), np.array([[0, 0], [0, 1], [1, 0]], np.int32), llr))
    assert (cause.fixed, cause.alternative) == (((BANK, 0),), 1)


def test_the_only_method_seen_at_a_bank() -> None:
    """The bank is said, not the pair with the same cells, and the method stands beside it."""
    (cause,) = localise(table({(0, 5): DEAD, (1, 5): HEALTHY, (1, 6): HEALTHY}))
    assert cause.fixed == ((BANK, 0),)
    assert cause.only == ((METHOD, 5),)


def test_a_bank_with_several_methods_has_no_only() -> None:
    """Nothing stands beside a name whose cells share nothing else."""
    (cause,) = localise(grid({(1, m) for m in range(3)}))
    assert cause.only == ()


def test_the_bank_wins_over_its_only_method() -> None:
    """A method that one bank alone offers, and the bank offers no other: it is the bank."""
    (cause,) = localise(table({(0, 0): DEAD, (1, 1): HEALTHY, (2, 1): HEALTHY}))
    assert (cause.fixed, cause.only) == (((BANK, 0),), ((METHOD, 0),))


def test_the_bank_wins_over_its_only_merchant() -> None:
    """A merchant with the same cells has the better score among few merchants; the bank is said."""
    rows = {(0, 0, 0): DEAD, (0, 1, 0): DEAD, (1, 0, 1): HEALTHY, (2, 0, 1): HEALTHY}
    (cause,) = localise(table(rows, ("bank", "method", "merchant")))
    assert (cause.fixed, cause.only) == (((BANK, 0),), ((MERCHANT, 0),))


def test_the_broader_of_two_names_with_other_dimensions() -> None:
    """Fewer values win even where the level has so many names that its score is lower."""
    rows = {(0, 0, 0): 40.0, (0, 1, 99): HEALTHY, (1, 0, 99): HEALTHY}
    crowd = {(1, 1, merchant): -0.1 for merchant in range(1, 90)}
    (cause,) = localise(table(rows | crowd, ("bank", "method", "merchant")))
    assert (cause.fixed, cause.only) == (((MERCHANT, 0),), ((BANK, 0), (METHOD, 0)))
    assert cause.score == pytest.approx(40 - math.log(4) - 6), "of bank and method, the best name of these cells"


def test_one_big_bank_is_not_the_platform() -> None:
    """Others with hardly a payment cannot outweigh the penalty of a bank's name; still it is the bank."""
    assert names(table({(0, 0): 100.0, (0, 1): 100.0, (1, 0): -0.5, (2, 1): -0.5})) == [((BANK, 0),)]


def test_one_bank_alone_is_not_the_platform() -> None:
    """Where only one bank is seen, its name is as good as the platform's."""
    assert names(table({(0, 0): DEAD, (0, 1): DEAD})) == [((BANK, 0),)]


def test_a_method_at_one_big_bank_is_not_the_method() -> None:
    """Its evidence is one bank's, a quiet healthy one beside it changes nothing."""
    rows = {(0, 0): 100.0, (1, 0): -0.5, (0, 1): -50.0, (1, 1): -50.0}
    assert names(table(rows)) == [((BANK, 0), (METHOD, 0))]


def test_one_refusal_elsewhere_is_no_second_bank() -> None:
    """A healthy bank with one bad cell among good ones shows no outage."""
    rows = {(0, 0): 100.0, (0, 1): 100.0, (1, 0): 2.0, (1, 1): -2.5}
    assert names(table(rows)) == [((BANK, 0),)]


def test_two_banks_by_one_method_are_the_method() -> None:
    """With evidence in a second bank the method may be said."""
    rows = {(0, 0): 20.0, (1, 0): 20.0, (0, 1): HEALTHY, (1, 1): HEALTHY}
    assert names(table(rows)) == [((METHOD, 0),)]


def test_platforms_without_banks() -> None:
    """Where banks are not told apart, the widest name may always be said."""
    assert names(table({(0,): DEAD}, ("method",))) == [()]


def test_a_value_that_is_unknown_is_no_name() -> None:
    """Two cells without a merchant are no merchant's cells."""
    rows = {(0, 0, UNKNOWN): DEAD, (1, 0, UNKNOWN): DEAD, (0, 1, 3): HEALTHY, (1, 1, 4): HEALTHY}
    assert names(table(rows, ("bank", "method", "merchant"))) == [((METHOD, 0),)]


def test_a_method_without_banks() -> None:
    """Payments to which no bank applies are named by their method, since no bank could be."""
    rows = {(UNKNOWN, 0): DEAD, (0, 1): HEALTHY, (1, 1): HEALTHY}
    assert names(table(rows)) == [((METHOD, 0),)]


def test_a_merchant_at_a_bank() -> None:
    """The others at the bank and the merchant's other banks are fine: it is neither alone."""
    rows = {(b, 0, m): 30.0 if (b, m) == (1, 2) else HEALTHY for b in range(3) for m in range(4)}
    assert names(table(rows, ("bank", "method", "merchant"))) == [((BANK, 1), (MERCHANT, 2))]


def test_a_tie_goes_to_the_lower_numbers() -> None:
    """Two banks with the same evidence come in the order of their numbers, and the bank's level before others."""
    rows = {(2, 0): DEAD, (1, 1): DEAD, (0, 2): -100.0}
    assert names(table(rows)) == [((BANK, 1),), ((BANK, 2),)]


@pytest.mark.parametrize("nats", [(0.1, 0.2, 0.3), (0.3, 0.2, 0.1)])
def test_rounding_decides_no_tie(nats: tuple[float, ...]) -> None:
    """0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1: such a difference chooses no bank and no alternative."""
    up = 100 * np.array(nats)
    llr = np.column_stack([np.concatenate([up, up[::-1], [-1e3]]), np.concatenate([up[::-1], up, [-1e3]])])
    values = np.array([(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5), (2, 6)], np.int32)
    causes = localise(Table(("bank", "method"), values, llr))
    assert [(cause.fixed, cause.alternative) for cause in causes] == [(((BANK, 0),), 0), (((BANK, 1),), 0)]


def test_levels_can_be_chosen() -> None:
    """Only names of these levels are said, and cells without a value on one have no name there, be they all bad."""
    rows = {(UNKNOWN, 0): DEAD, (UNKNOWN, 1): DEAD, (1, 2): HEALTHY}
    one = table(rows, ("bank", "merchant"))
    assert [cause.fixed for cause in localise(one, levels=((0,), (1,)))] == [((1, 0),), ((1, 1),)]
    assert localise(one, levels=((0,),)) == []


def test_cells_without_a_bank_are_no_bank() -> None:
    """The cells of a merchant are exactly those whose bank is unknown: it is the merchant."""
    rows = {(UNKNOWN, 0, 0): DEAD, (UNKNOWN, 1, 0): DEAD, (1, 0, 1): HEALTHY, (1, 1, 1): HEALTHY}
    one = table(rows, ("bank", "method", "merchant"))
    assert [cause.fixed for cause in localise(one, levels=((0,), (2,)))] == [((MERCHANT, 0),)]


def test_there_is_an_end() -> None:
    """At most so many causes are told."""
    rows = {(b, b): DEAD if b < 20 else -1000.0 for b in range(40)}
    assert len(localise(table(rows))) == 16
    assert len(localise(table(rows), causes_max=3)) == 3


def test_values_may_be_any_numbers() -> None:
    """Numbers near the end of their range do not run over where three are put together."""
    top = 2**31 - 1
    rows = {(b, m, c): DEAD if b == top else HEALTHY for b in (5, top) for m in (7, top) for c in (9, top)}
    assert names(table(rows, ("bank", "method", "country"))) == [((BANK, top),)]
