"""What the scale benchmark works out: goals from rows, the page, the picture, and tallies that a Judge takes."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from detector.judging.judge import Judge
from tests.benchmarks.scale.feeds import PIX, SHOPS, Noticed
from tests.benchmarks.scale.ledgers import Ledger
from tests.benchmarks.scale.page import BYTES_MAX, LAG_MAX, TICK_LEAVES, TICK_MAX_MS, TICK_SOURCES, kept, page
from tests.benchmarks.scale.picture import Panel, drawn, panels
from tests.benchmarks.scale.ticks import POLICY, Tick, Told
from tests.benchmarks.scale.workers import Work

CIRCLE = "{http://www.w3.org/2000/svg}circle"
RUN = {"machine": "a machine", "when": "2026-01-01", "took_s": 600.0, "quick": False}
LEDGERS = [Ledger(100, 1_000, 120_000, 9_000.0), Ledger(300, 3_000, 120_000 + 2_000 * BYTES_MAX, 10_000.0)]
WORKS = [Work(count, 8, 1_000_000, 2.0 / count, 2.5, 300.0) for count in (1, 2)]
TICKS = [Tick(500, 8, 1_000, 2.0, 3.0, 50.0), Tick(TICK_LEAVES, TICK_SOURCES, 1_000, 9.0, TICK_MAX_MS, 500.0)]
CALM = Noticed(SHOPS, "before", 1, 1_000.0, 200, 1.5, 2.1)
FEEDS = [CALM, replace(CALM, feed=PIX), replace(CALM, stretch="grown"), replace(CALM, feed=PIX, lag_max=50_000)]


def found(**other: Any) -> dict[str, Any]:
    """What is kept of a run in which everything is well, but for `other`."""
    rows = {"ledgers": LEDGERS, "works": WORKS, "ticks": TICKS, "noticed": FEEDS} | other
    return kept(RUN, **rows)


def test_goals_that_are_met() -> None:
    """Each at its edge, or near it; that the feed itself which grows has more unread is no matter."""
    assert all(goal["met"] for goal in found()["goals"].values())


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("bytes a payment in the ledger", {"ledgers": [LEDGERS[0], replace(LEDGERS[1], memory=LEDGERS[1].memory + 1)]}),
        ("what a source says", {"ledgers": [LEDGERS[0], replace(LEDGERS[1], said_per_s=9_000 * 1.6)]}),
        ("the other feed, while one grows", {"noticed": [CALM, replace(CALM, behind_p50_s=1.8)]}),
        ("the other feed, while one grows", {"noticed": [CALM, replace(CALM, lag_max=LAG_MAX + 1)]}),
        ("a boundary judged, 5,000 leaves and 64 sources", {"ticks": [TICKS[0], replace(TICKS[1], p99_ms=100.1)]}),
        ("a boundary judged, 5,000 leaves and 64 sources", {"ticks": TICKS[:1]}),
    ],
)
def test_a_goal_that_is_not_met(name: str, other: dict[str, Any]) -> None:
    """That one alone."""
    assert [goal for goal, one in found(**other)["goals"].items() if not one["met"]] == [name]


def test_the_page_has_the_figures() -> None:
    """Of every table a row."""
    text = page(found())
    assert "| 300 | 3,000 | 0 | 127 | 10.0 |" in text
    assert "| 8 | 2 | 1,000,000 | 400,000 | 2.50 | 300 |" in text
    assert "| shops | grown | 1 | 1,000 | 200 | 1.50 | 2.10 |" in text
    assert "| 5,000 | 64 | 9.0 | 100.0 | 500 |" in text


def test_the_picture_is_sound() -> None:
    """Four panels, with all their points inside and a line's name as it is called."""
    some = [*panels(found()), Panel("a < b", "x", "y & z", {"<one>": [(1.0, 5.0)]})]
    root = Xml.fromstring(drawn(some))
    groups = root.findall("{*}g")
    assert len(groups) == 5
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for circle in root.iter(CIRCLE):
        assert 0 < float(circle.attrib["cx"]) < width / 2
        assert 0 < float(circle.attrib["cy"]) < height / 3
    points = sum(len(line) for panel in some for line in panel.lines.values())
    assert len(list(root.iter(CIRCLE))) == points


def test_larger_is_drawn_higher_and_further_right() -> None:
    """By its logarithm: twice as much is everywhere as far."""
    root = Xml.fromstring(drawn([Panel("t", "x", "y", {"one": [(1.0, 10.0), (2.0, 20.0), (4.0, 40.0)]})]))
    places = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in root.iter(CIRCLE)]
    steps = [(b[0] - a[0], a[1] - b[1]) for a, b in pairwise(places)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2)
    assert min(steps[0]) > 0


def test_what_is_told_is_what_a_judge_counts() -> None:
    """Every second is judged, and the payments of a minute are about as many as were asked for."""
    shops, judge = Told(200, 4), Judge(POLICY)
    for second in range(120):
        for tally in shops.second(second, every_leaf=second == 0):
            judge.take(tally)
        assert judge.time_ms == tally.boundary_ms
    minute = sum(judge.rates()[0][1][60_000])
    assert 54_000 < minute < 66_000
    assert len(judge.board.nodes.leaves) == 200


def test_a_quick_run_says_so() -> None:
    """Its figures are not those of a whole one."""
    whole = found()
    assert "quick run" not in page(whole)
    assert "quick run" in page({**whole, "run": {**RUN, "quick": True}})
