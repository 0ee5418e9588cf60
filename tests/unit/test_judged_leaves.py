"""The Judge's own limit on leaves, which those of all workers together reach: it is told, and said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.contracts.policy import Policy
from detector.counting.tally import Marker
from detector.judging.judge import Judge
from streams.verdict import passedover
from streams.verdict.passedover import PassedOver
from tests.judging.test_judge import tally

POLICY = Policy(leaves_max=2)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of it."""
    return [record.getMessage() for record in caplog.records if record.name == passedover.__name__]


def test_a_judge_that_tells_no_more_leaves_apart_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not at each record; again where a tenure begins anew, or another policy's limit is reached."""
    judge, told = Judge(POLICY), PassedOver()
    seconds = [0]

    def come(*leaves: tuple[str, str]) -> list[str]:
        caplog.clear()
        for at_s, leaf in enumerate(leaves, seconds[0] + 1):
            one = tally(5 * at_s, approved=1)
            judge.take(replace(one, cells=replace(one.cells, leaves=(leaf,) * len(one.cells.leaves))))
            told.note(judge)
            seconds[0] = at_s
        return lines(caplog)

    assert come(*[("bnp", "card")] * 2) == []
    [line] = come(*[("bnp", "pix")] * 3)
    assert line.startswith(
        "verdict: leaves_max of [limits] is reached (2) by the leaves of all workers together: what comes new is "
        "counted as other and never judged"
    )
    assert come(("gle", "pix"), ("gle", "card")) == []
    told.begin()
    assert len(come(*[("bnp", "pix")] * 2)) == 1
    judge.take(Marker("policy", text=replace(POLICY, leaves_max=4).canonical()))
    assert come(("bnp", "pix")) == []
    [line] = come(("hsb", "card"), ("hsb", "pix"), ("hsb", "pix"))
    assert "is reached (4)" in line
