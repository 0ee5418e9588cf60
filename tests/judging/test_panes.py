"""The counts kept from tallies are those of the payments themselves, however they were counted."""

import json
from collections import Counter

import numpy as np
import pytest

from detector.contracts.policy import DEFAULT
from detector.contracts.scope import PLATFORM, parse_scope
from detector.counting.tally import COUNTS
from detector.rehearsal import panes as panes_module
from detector.rehearsal.line import Lines
from detector.rehearsal.panes import MINUTE_MS, Panes, approval_rate
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate

DURATION_MS = 5 * MINUTE_MS
SHOPS = Shops(rate=4.0, banks=3, shoppers=100_000, swing=0.0, retry_share=0.0)


@pytest.fixture(scope="module")
def day() -> list[bytes]:
    """Five minutes of shops, with retries of nobody."""
    lines = Lines(SHOPS)
    return [line.encode() for events in simulate(SHOPS, DURATION_MS) for line in lines.values(events)]


def replayed(day: list[bytes], sources: int = 1) -> tuple[Panes, int]:
    """What stays of a replay of the day, and up to when."""
    panes = Panes(DEFAULT)
    replay = Replay(DEFAULT, sources, panes.through)
    replay.feed(day)
    replay.finish()
    return panes, replay.time_ms


def kept(day: list[bytes]) -> Panes:
    """What stays of a replay of the day."""
    return replayed(day)[0]


def final_statuses(day: list[bytes], bank: str | None, end_ms: int) -> Counter[str]:
    """The last status of each payment, by hand: answers come after what is pending in a made day."""
    last = {}
    for line in day:
        event = json.loads(line)
        if "payment_id" in event and bank in (None, event["bank"]) and event["occurred_at"] < end_ms:
            last[event["payment_id"]] = event["status"]
    return Counter(last.values())


@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize("scope", ["platform", "bank:bnp"])
def test_counts_are_those_of_the_payments(day: list[bytes], scope: str, sources: int) -> None:
    """Over all that is judged of a day, every answer is there once, whatever the number of sources."""
    panes, end_ms = replayed(day, sources)
    counts = panes.by_minute(parse_scope(scope), SHOPS.start_ms, SHOPS.start_ms + DURATION_MS)
    expected = final_statuses(day, None if scope == "platform" else "bnp", end_ms)
    found = dict(zip(COUNTS, counts.sum(axis=0).tolist(), strict=True))
    assert (found["approved"], found["declined"]) == (expected["approved"], expected["declined"])
    assert len(counts) == 6, "five minutes from 22:13:20 on touch six"
    assert (counts.sum(axis=1) > 0).all()


def test_folding_changes_nothing(day: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Laid over one another after every few cells, the counts are the same as at the end."""
    whole = kept(day).by_minute(PLATFORM, SHOPS.start_ms, SHOPS.start_ms + DURATION_MS)
    monkeypatch.setattr(panes_module, "_NEWS_MAX", 5)
    often = kept(day).by_minute(PLATFORM, SHOPS.start_ms, SHOPS.start_ms + DURATION_MS)
    assert np.array_equal(often, whole)


def test_votes_are_those_of_the_stretch(day: list[bytes]) -> None:
    """Two halves have the votes of the whole; a scope has no more than the platform; an unknown one has none."""
    panes, start_ms, middle_ms = kept(day), SHOPS.start_ms, SHOPS.start_ms + DURATION_MS // 2
    end_ms = start_ms + DURATION_MS
    halves = panes.votes(PLATFORM, start_ms, middle_ms) + panes.votes(PLATFORM, middle_ms, end_ms)
    assert halves == panes.votes(PLATFORM, start_ms, end_ms) > 0
    assert 0 < panes.votes(parse_scope("bank:bnp"), start_ms, end_ms) < halves
    assert panes.votes(parse_scope("bank:nowhere"), start_ms, end_ms) == 0
    assert (panes.has(parse_scope("bank:bnp")), panes.has(parse_scope("bank:nowhere"))) == (True, False)


def test_a_rate_without_answers_is_no_number() -> None:
    """Nine of ten decided payments approved are 0.9; pending and cancelled ones are outside the rate."""
    counts = np.array([[5, 9, 1, 0, 3, 2], [5, 0, 0, 0, 3, 0]])
    assert approval_rate(counts).tolist() == [0.9, pytest.approx(float("nan"), nan_ok=True)]
