"""What is offered instead of what is down: as a plain look at every scope says, in one look however much is down."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from detector.contracts.policy import load_policy
from detector.contracts.scope import Scope
from detector.judging.board import Board
from detector.judging.judge import Judge
from detector.judging.offers import DECIDED_MIN, RATE_MIN, WINDOW_MS
from detector.rehearsal.fault import parse_fault
from detector.rehearsal.line import Lines
from detector.rehearsal.replay import Replay
from detector.rehearsal.shops import Shops
from detector.rehearsal.simulate import simulate

DOWN = 12
POLICY = "[all_red]\nafter_s = 20\nvoters = 5\n[evidence]\nmode = 'off'\n"
PLACES = {"method": 1, "bank": 2}


class Played:
    """Thirty banks, of which a dozen are down from the first minute to the fifth."""

    def __init__(self) -> None:
        shops = Shops(rate=40.0, banks=30, swing=0.0)
        faults = tuple(parse_fault(f"bank:{name} all_red 60s 5m") for name in shops.bank_names[5 : 5 + DOWN])
        self._events = simulate(replace(shops, faults=faults))
        self._lines = Lines(shops)
        self._end_ms = shops.start_ms
        self._replay = Replay(load_policy(POLICY))
        self.judge: Judge = self._replay._judge

    def go_on(self, for_ms: int) -> None:
        """Play so much more, at least."""
        self._end_ms += for_ms
        while self.judge.time_ms < self._end_ms:
            self._replay.feed([line.encode() for line in self._lines.values(next(self._events))])


@pytest.fixture(scope="module")
def judge() -> Judge:
    """While they are down."""
    played = Played()
    played.go_on(240_000)
    return played.judge


def plainly(judge: Judge, scope: Scope, down: list[Scope]) -> list[str]:
    """Every scope looked at by itself."""
    board = judge.board
    counts = board.payments_in((WINDOW_MS,))[:, 0, :]
    found = []
    for node, other in enumerate(board.nodes.scopes):
        approved, decided = int(counts[node, 1]), int(counts[node, 1:4].sum())
        is_down = any(set(bad.values) <= set(other.values) for bad in down)
        near = len(other.values) == 1 or other.value("bank") == scope.value("bank")
        if other.values and near and not is_down and decided >= DECIDED_MIN and approved >= RATE_MIN * decided:
            found.append((PLACES.get(other.dimension, 0), -approved / decided, other.key))
    return [key for _, _, key in sorted(found)]


@pytest.mark.parametrize("seed", range(20))
def test_as_a_plain_look_says(judge: Judge, seed: int) -> None:
    """The bank's other leaves, methods, banks, each the best first, and nothing that is down or below it."""
    draw = random.Random(seed)
    down = draw.sample(judge.board.nodes.scopes[1:], draw.randrange(1, 8))
    expected = plainly(judge, down[0], down)
    assert judge.report.offers.instead_of(down[0], down) == expected
    assert judge.report.offers.instead_of(down[0], down) == expected


def test_one_look_however_much_is_down(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The health of all scopes adds the leaves up twice, with a dozen outages and some forty scopes in them."""
    looks: list[tuple[int, ...]] = []
    payments_in = Board.payments_in
    monkeypatch.setattr(Board, "payments_in", lambda self, spans: looks.append(spans) or payments_in(self, spans))
    records = judge.health()
    assert len(judge.open_outages()) == DOWN
    assert len([record for record in records if record.outage_id]) > 3 * DOWN
    assert len(looks) == 2


def test_what_recovers_is_offered_again() -> None:
    """With no look of its own at a boundary, a Judge asked twice says what is so then."""
    played = Played()
    played.go_on(240_000)
    [first, *_] = played.judge.open_outages()
    platform = Scope()
    assert first.scope.key not in played.judge.report.offers.instead_of(platform, [])
    played.go_on(480_000)
    assert first.scope.key in played.judge.report.offers.instead_of(platform, [])
