"""A policy is held against the newest snapshot before a worker counts."""

from __future__ import annotations

import msgspec
import pytest

from detector.contracts.policy import Policy
from detector.judging.judge import Judge
from streams import fixed
from streams.errors import UserError
from streams.fixed import require_as_judged
from streams.settings import Settings
from streams.verdict.snapshot import Snapshot

SETTINGS = Settings(broker="localhost:9092")
JUDGED = Judge(Policy()).export()


def keep(monkeypatch: pytest.MonkeyPatch, state: object) -> None:
    """What the newest snapshot holds."""
    snapshot = Snapshot(1, 7, 0, 0, msgspec.msgpack.encode(state))
    monkeypatch.setattr(fixed, "newest_snapshot", lambda _settings: snapshot)


@pytest.mark.parametrize("version", [JUDGED["version"], 1])
def test_what_is_not_as_the_log_is_written_is_refused(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """The sentence has both values of both keys, and the ways out; a snapshot of another version says it, too."""
    keep(monkeypatch, {**JUDGED, "version": version})
    with pytest.raises(UserError) as refused:
        require_as_judged(SETTINGS, Policy(pane_ms=60_000, dimensions=("bank", "method", "psp")))
    assert str(refused.value) == (
        "dimensions and pane_s are fixed while the tallies log goes on; got "
        'dimensions = ["bank", "method", "psp"] where they are ["bank", "method"]; and pane_s = 60 where it is 5; '
        "set them back, or begin anew with another PASTILLE_APP_ID and another topic of tallies in PASTILLE_TOPICS"
    )


def test_all_else_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules, limits and the ring's length are obeyed from the marker on."""
    keep(monkeypatch, JUDGED)
    require_as_judged(SETTINGS, Policy(min_merchants=3, horizon_ms=60_000, ring_ms=7_200_000))


@pytest.mark.parametrize("state", [{}, [], *({"policy": text} for text in ("{}", "x", '{"dimensions":1,"pane_ms":1}'))])
def test_a_snapshot_that_does_not_say_is_no_hindrance(monkeypatch: pytest.MonkeyPatch, state: object) -> None:
    """The Judge leaves such a one, too."""
    keep(monkeypatch, state)
    require_as_judged(SETTINGS, Policy(pane_ms=60_000))


def test_without_a_snapshot_every_policy_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """None was written yet, or it cannot be read now: who gets the seat asks again."""

    def away(_settings: Settings) -> Snapshot | None:
        raise UserError("no broker")

    for newest in (away, lambda _settings: None):
        monkeypatch.setattr(fixed, "newest_snapshot", newest)
        require_as_judged(SETTINGS, Policy(pane_ms=60_000))
