"""What becomes of an outage of the evidence while it is open, and after: better, worse, silent, back again."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from detector.contracts.models import OutageData
from detector.counting.tally import Tally
from detector.judging.judge import Judge
from detector.judging.outage import Change
from detector.rehearsal.replay import Replay
from tests.judging.test_evidence_outages import LIVE, START_MS, found, handed_over, lines, pages, shops, usual


def told(changes: list[Change]) -> list[tuple[str, str, str, str, str | None]]:
    """Type, scope, kind, severity and reason of each."""
    return [
        (change.type, change.data.scope.to_scope().key, change.data.kind, change.data.severity, change.data.reason)
        for change in changes
    ]


def routed_away(line: bytes) -> bool:
    """Whether the checkouts offer bnp no more when this is sent: from the eighth minute on."""
    event = json.loads(line)
    return event.get("bank") == "bnp" and event["occurred_at"] >= START_MS + 8 * 60_000


def at_s(change: Change) -> int:
    """Seconds since the day's start."""
    return (change.data.updated_at - START_MS) // 1000


def test_what_comes_back_soon_is_linked_and_wakes_nobody() -> None:
    """A bank that dies again four minutes after it recovered is a new outage that names the one before, silently."""
    changes = found("bank:bnp all_red 5m 8m", "bank:bnp all_red 12m 15m", minutes=22)
    first, again = (change.data for change in changes if change.type == "started")
    assert told(changes)[-2:] == [
        ("started", "bank:bnp", "all_red", "warning", "reopened"),
        ("resolved", "bank:bnp", "all_red", "warning", "recovered"),
    ]
    assert (first.continues_id, again.continues_id) == (None, first.outage_id)
    assert "was over for 4 min 0 s. Nobody is called again" in again.explanation
    assert list(pages(changes)) == ["bank:bnp"]
    # Trouble that came back must be well for twice as long.
    ended, over = (change.data.updated_at - change.data.ended_at for change in changes if change.data.ended_at)
    assert (120_000 <= ended < 180_000, 240_000 <= over < 300_000) == (True, True)


def test_what_comes_back_wider_pages() -> None:
    """After a bank the whole platform dies: linked, and somebody is called, once. The operator's rule calls for a
    leaf of which nothing was approved since the bank died, as it does without evidence."""
    changes = found("bank:bnp all_red 5m 8m", "platform all_red 12m 15m", minutes=17)
    loud = pages(changes)
    assert list(loud) == ["bank:bnp", "platform", "bank:bnp,method:boleto"]
    assert [data.trigger for data in loud.values()] == ["evidence", "evidence", "policy"]
    assert loud["platform"].continues_id == loud["bank:bnp"].outage_id


def test_half_way_back_is_a_drop_and_not_over() -> None:
    """A dead bank of which half is approved again is a drop, after it has been one for a minute, and goes on."""
    changes = found("bank:bnp all_red 5m 8m", "bank:bnp errors 8m 14m share=0.5", minutes=17)
    better = next(change for change in changes if change.data.reason == "partly_recovered")
    assert (better.data.kind, better.data.severity) == ("drop", "critical")
    assert 8 * 60 + 60 <= at_s(better) <= 8 * 60 + 150
    assert "recovered in part" in better.data.explanation
    ends = [at_s(change) for change in changes if change.type == "resolved"]
    assert (len(ends), ends[0] >= 14 * 60 + 120) == (1, True)


def test_a_drop_that_dies_is_worse() -> None:
    """A bank that refuses a third and then everything becomes all red, in an update that says so."""
    changes = found("bank:bnp errors 5m 8m share=0.3", "bank:bnp all_red 8m 12m", minutes=12)
    kinds = [(change.data.kind, change.data.reason) for change in changes if change.type == "updated"]
    assert kinds[-1] == ("all_red", "worse")
    assert len([change for change in changes if change.type == "updated"]) <= 3


def test_updates_of_a_wavering_scope_are_at_least_a_minute_apart() -> None:
    """A bank that is dead and half alive by turns of half a minute does not flap."""
    faults = [f"bank:bnp all_red {300 + 60 * n}s {330 + 60 * n}s" for n in range(8)]
    faults += [f"bank:bnp errors {330 + 60 * n}s {360 + 60 * n}s share=0.5" for n in range(8)]
    changes = found(*faults, minutes=13)
    turns = [at_s(change) for change in changes if change.data.reason in ("partly_recovered", "changed")]
    turns += [at_s(change) for change in changes if change.data.reason == "worse" and at_s(change) > 330]
    assert len(turns) <= 2, turns
    assert all(later - earlier >= 60 for earlier, later in pairwise(sorted(turns)))


def test_a_bank_that_is_routed_away_stays_open_and_asks_for_probes() -> None:
    """Without payments nobody can see a bank recover: the outage says so, and stays."""
    day = [line for line in lines(shops("bank:bnp all_red 5m 20m"), 15 * 60_000) if not routed_away(line)]
    replay = Replay(LIVE, learned=usual())
    changes = replay.feed(day) + replay.finish()
    [quiet] = [change for change in changes if change.data.reason == "no_traffic"]
    assert (quiet.type, quiet.data.scope.to_scope().key) == ("updated", "bank:bnp")
    assert "send 1 to 5 % of the usual ones there" in quiet.data.explanation
    assert not [change for change in changes if change.type == "resolved"]


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("errors 5m 10m share=0.5", {"drop"}),
        ("all_pending 5m 10m", {"all_pending", "slow", "drop"}),
        ("stall 5m 10m", {"all_pending", "stall", "slow", "drop"}),
        ("all_red 5m 10m", {"all_red"}),  # which is in breach at the first boundary that is judged
    ],
)
def test_a_judge_that_lost_everything_goes_on_with_any_kind(fault: str, kinds: set[str]) -> None:
    """What the topic says is open is taken over, whatever its kind, and resolved when it recovers, under its id; what
    else is said is the operator's rule, of a leaf that is answered late."""
    told: list[Tally] = []

    def through(tally: Tally) -> Tally:
        told.append(tally)
        return tally

    replay = Replay(LIVE, through=through, learned=usual())
    day = lines(shops(f"bank:bnp {fault}"), 15 * 60_000)
    changes = replay.feed(day) + replay.finish()
    newest: dict[str, OutageData] = {}
    lost_ms = START_MS + 8 * 60_000
    for change in changes:
        if change.data.updated_at < lost_ms:
            newest[change.data.outage_id] = change.data
    [left] = [data for data in newest.values() if data.ended_at is None]
    assert left.kind in kinds
    judge = Judge(LIVE)
    judge.begin_with(usual())
    judge.adopt(newest.values())
    said = [change for tally in told if tally.boundary_ms >= lost_ms for change in judge.take(tally)]
    after = [change for change in said if change.data.scope == left.scope]
    others = {(change.data.scope.method, change.data.trigger) for change in said if change not in after}
    assert others <= {("boleto", "policy")}
    assert {change.data.outage_id for change in after} == {left.outage_id}
    assert after[0].data.sequence == left.sequence + 1
    assert (after[-1].type, after[-1].data.reason) == ("resolved", "recovered")
    assert not [outage for outage in judge.open_outages() if outage.by_evidence]


def test_growth_is_told_once_a_minute() -> None:
    """However many scopes below an outage are named one by one, an update of it comes once a minute at most."""
    replay = Replay(LIVE, learned=usual())
    changes = replay.feed(lines(shops("platform all_red 5m 13m"), 14 * 60_000)) + replay.finish()
    grown = [at_s(change) for change in changes if change.data.reason == "more_scopes"]
    assert 1 <= len(grown) <= 9
    assert all(later - earlier >= 60 for earlier, later in pairwise(grown))
    assert list(pages(changes)) == ["platform"]


def test_a_new_owner_knows_what_recovered() -> None:
    """A Judge restored between two stops of a bank links the second to the first, as the old one does."""
    day = lines(shops("bank:bnp all_red 5m 7m", "bank:bnp all_red 11m 12m"), 13 * 60_000)
    before, old, new = handed_over(day, START_MS + 10 * 60_000)
    assert [change.type for change in before][-1] == "resolved"
    assert new == old
    assert old[0].data.continues_id == before[0].data.outage_id
