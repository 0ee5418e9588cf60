"""The picture of a back-test: which lines it has, how fine they are, and what is drawn where it is given."""

from pathlib import Path

import numpy as np
import pytest

from detector.contracts.policy import DEFAULT
from detector.contracts.scope import Scope
from detector.rehearsal.line import Lines
from detector.rehearsal.panes import MINUTE_MS, Panes
from detector.rehearsal.replay import Replay
from detector.rehearsal.score import Day, Incident, Score, score
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate
from streams.backtest.plot import POINTS_MAX, Band, Line, Picture, draw, picture_of

PNG = b"\x89PNG"
DURATION_MS = 2 * MINUTE_MS


def scored(banks: int, last_ms: int = DURATION_MS) -> tuple[Score, Panes, list[str]]:
    """Two minutes of shops, something known of every bank, and nothing raised."""
    shops, panes = Shops(rate=10.0, banks=banks), Panes(DEFAULT)
    lines, replay = Lines(shops), Replay(DEFAULT, 1, panes.through)
    for events in simulate(shops, DURATION_MS):
        replay.feed([line.encode() for line in lines.values(events)])
    replay.finish()
    names = [scope.key for scope in replay.scopes if scope.dimension == "bank"]
    known = [Incident(Scope((("bank", name.removeprefix("bank:")),)), "drop", shops.start_ms, shops.start_ms + 1)
             for name in names]  # fmt: skip
    day = Day(shops.start_ms, shops.start_ms + last_ms, len(replay.scopes), DEFAULT, panes.votes)
    return score(known, [], day), panes, names


def test_it_has_at_most_eight_lines() -> None:
    """The platform and the first seven of ten banks; how many are left out is said."""
    result, panes, names = scored(banks=10)
    picture = picture_of("day", result, [], panes)
    assert [line.name for line in picture.rates] == ["platform", *names[:7]]
    assert picture.left_out == 3


def test_the_same_line_is_drawn_once() -> None:
    """Where one bank is the whole platform, one line says it all."""
    result, panes, _ = scored(banks=1)
    assert [line.name for line in picture_of("day", result, [], panes).rates] == ["platform"]


@pytest.mark.parametrize(("days", "step_min"), [(1, 1), (2, 5), (30, 60)])
def test_a_longer_day_has_longer_steps(days: int, step_min: int) -> None:
    """A month is not drawn minute by minute; no payment is lost on the way."""
    result, panes, _ = scored(banks=2, last_ms=days * 86_400_000)
    picture = picture_of("day", result, [], panes)
    assert picture.step_min == step_min
    assert len(picture.payments.times) <= POINTS_MAX
    assert set(np.diff(picture.payments.times)) == {step_min * MINUTE_MS}
    counted = picture.payments.values.sum() * step_min
    assert counted == panes.by_minute(Scope(), result.day.first_ms, result.day.last_ms).sum() > 0


def test_baselines_and_evidence_are_drawn_where_given(tmp_path: Path) -> None:
    """A band of what is usual and evidence on a log axis have a place in the picture."""
    times = np.arange(60, dtype=np.int64) * MINUTE_MS
    rate = Line("platform", times, np.full(60, 0.9))
    band = Band(times, np.full(60, 0.85), np.full(60, 0.95))
    evidence = [Line("platform", times, np.geomspace(1.0, 1e9, 60))]
    plain = Picture("day", 1, [rate], Line("payments", times, np.full(60, 50.0)), [(0, MINUTE_MS)], [])
    whole = Picture("day", 1, [rate], plain.payments, plain.incidents, [], 3, band, evidence)
    for name, picture in (("plain.png", plain), ("whole.svg", whole)):
        draw(picture, tmp_path / name)
    assert (tmp_path / "plain.png").read_bytes().startswith(PNG)
    drawn = (tmp_path / "whole.svg").read_text(encoding="utf-8")
    assert "<!-- evidence, s -->" in drawn
    assert "<!-- usual -->" in drawn
    assert "<!-- 3 more scopes are not drawn -->" in drawn
