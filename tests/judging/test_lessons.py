"""Lessons: what a Judge that runs is told of what is usual, what it forgets again, and what it asks a person."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from detector.contracts.models import Lesson
from detector.contracts.policy import EvidenceRules, Policy, Rule
from detector.contracts.scope import parse_scope
from detector.counting.tally import Marker, Tally, decode, encode
from detector.judging.judge import Judge
from detector.judging.learned import Learned, from_plain, packed, to_plain
from detector.judging.lessons import forgetting, learned_by, lessons_of
from detector.judging.outage import Change
from detector.judging.state import VERSION, OtherVersion
from detector.rehearsal.replay import Replay
from tests.judging.test_evidence_outages import FAULT_MS, LIVE, START_MS, lines, shops, usual
from tests.judging.test_judge import T0, tally

SAID_MS = START_MS
BNP = parse_scope("bank:bnp")


def marker(lesson: Lesson) -> Marker:
    """As it stands in the log."""
    read = decode(encode(Marker("baseline", text=lesson.model_dump_json())))
    assert isinstance(read, Marker)
    return read


def all_lessons() -> list[Marker]:
    """What the healthy hours teach, as markers."""
    return [marker(lesson) for lesson in lessons_of(usual(), SAID_MS)]


@cache
def told(*faults: str, minutes: int = 8) -> tuple[Tally, ...]:
    """The tallies of a day."""
    found: list[Tally] = []

    def through(record: Tally) -> Tally:
        found.append(record)
        return record

    replay = Replay(LIVE, through=through)
    replay.feed(lines(shops(*faults), minutes * 60_000))
    replay.finish()
    return tuple(found)


def taken(judge: Judge, records: list[Tally | Marker]) -> list[Change]:
    """What changes by them."""
    return [change for record in records for change in judge.take(record)]


def plain(judge: Judge) -> dict[str, Any]:
    """What it has learned, to be compared."""
    return to_plain(judge.learned())


def usual_of(judge: Judge, scope: str) -> tuple[float, float]:
    """Usual rate, and the votes it rests upon, at the boundary."""
    node = judge.board.node_of(parse_scope(scope))
    judge.board.signals.renew()
    known = judge.board.signals.baseline
    return float(known.usual[node]), float(known.votes[node])


@pytest.mark.parametrize("at", [0, 200], ids=["before its scopes are known", "after"])
def test_lessons_teach_what_a_file_teaches(at: int) -> None:
    """A Judge told scope by scope, before or after the scopes appear, knows what one that began with the file knows."""
    day = list(told())
    by_lessons, by_file = Judge(LIVE), Judge(LIVE)
    taken(by_lessons, [*day[:at], *all_lessons(), *day[at:]])
    taken(by_file, list(day[:at]))
    by_file.begin_with(from_plain(to_plain(usual())))
    taken(by_file, list(day[at:]))
    assert plain(by_lessons) == plain(by_file)
    assert usual_of(by_lessons, "bank:bnp") == usual_of(by_file, "bank:bnp")
    assert usual_of(by_lessons, "bank:bnp")[1] > 1_000


def test_a_taught_judge_finds_a_dead_bank_at_once() -> None:
    """The first day is not blind: the evidence pages within a minute, as it does after a day of its own."""
    changes = taken(Judge(LIVE), [*all_lessons(), *told("bank:bnp all_red 5m 12m")])
    [page] = [change.data for change in changes if change.data.severity == "critical"][:1]
    assert (page.scope.to_scope(), page.trigger) == (BNP, "evidence")
    assert 0 < page.detected_at - START_MS - FAULT_MS <= 60_000


@pytest.mark.parametrize("cut", [3, 40], ids=["some wait, none is known", "all are known"])
def test_a_snapshot_between_lessons(cut: int) -> None:
    """Restored between two lessons, with the hour read again, a Judge ends as the one that was never away."""
    day, words = list(told("bank:bnp all_red 5m 8m", minutes=10)), all_lessons()
    records: list[Tally | Marker] = [*words[:5], *day[:cut], *words[5:9], *day[cut:300], *words[9:], *day[300:]]
    at = 5 + cut + 2
    judge = Judge(LIVE)
    taken(judge, records[:at])
    restored = Judge.restore(judge.export())
    for record in records[:at]:
        restored.refill(record)
    for record in records[at:]:
        assert restored.take(record) == judge.take(record)
    assert restored.export()["lessons"] == judge.export()["lessons"]
    assert plain(restored) == plain(judge)
    assert restored.board.signals.export() == judge.board.signals.export()


def test_each_word_is_taken_once() -> None:
    """A lesson that is read again later does not undo what was learned since, a newer one does."""
    judge = Judge(LIVE)
    first, again = lessons_of(usual(), SAID_MS)[0], lessons_of(usual(), SAID_MS + 1)[0]
    assert [judge.lessons.take(one) for one in (first, first, again, again)] == [True, False, True, False]


def test_no_more_scopes_than_the_policy_allows() -> None:
    """What waits is capped by leaves_max, twice; a lesson of a scope that is known to it still changes it."""
    judge = Judge(replace(LIVE, leaves_max=2))
    words = lessons_of(usual(), SAID_MS)
    assert [judge.lessons.take(one) for one in words[:6]] == [True] * 4 + [False] * 2
    assert judge.lessons.take(words[0].model_copy(update={"said_at": SAID_MS + 1}))


def test_lessons_wait_while_evidence_is_off() -> None:
    """Taken by a Judge whose statistics are off, and there when a new policy turns them on."""
    judge, day = Judge(Policy()), list(told())
    taken(judge, [*all_lessons(), *day[:100]])
    restored = Judge.restore(judge.export())
    for one in (judge, restored):
        taken(one, [Marker("policy", text=LIVE.canonical()), *day[100:]])
        assert usual_of(one, "bank:bnp")[1] > 1_000


def test_lessons_of_other_dimensions_are_passed_over() -> None:
    """They were learned of other leaves: nothing is taken."""
    judge = Judge(LIVE)
    lesson = lessons_of(usual(), SAID_MS)[0].model_copy(update={"dimensions": ["method", "bank"]})
    assert not judge.lessons.take(lesson)
    assert judge.lessons.taken == {}


def test_forgetting_begins_anew() -> None:
    """The scope has its parent's rate and no votes of its own; other scopes keep theirs."""
    judge = Judge(LIVE)
    taken(judge, [*all_lessons(), *told()[:100]])
    before = usual_of(judge, "bank:axa"), judge.board.signals.hazard.rate.copy()
    keys = [lesson.scope for lesson in lessons_of(usual(), SAID_MS) if "bnp" in lesson.scope]
    taken(judge, [*map(marker, forgetting(keys, LIVE.dimensions, SAID_MS + 1)), *told()[100:110]])
    rate, votes = usual_of(judge, "bank:bnp")
    assert votes == 10
    assert rate == pytest.approx(usual_of(judge, "platform")[0], abs=0.01)
    known, node = judge.board.signals.baseline, judge.board.nodes.node_number[parse_scope("bank:bnp")]
    on_trial = (known.hours, known.came, known.windows, known.answers, known.gaps)
    assert all(not account[1, node].any() for account in on_trial), "nor is the hour before learned later"
    assert usual_of(judge, "bank:axa") == before[0]
    assert set(keys).isdisjoint(judge.learned().nodes)
    assert not np.array_equal(judge.board.signals.hazard.rate, before[1])


def test_forgetting_ends_what_the_evidence_found() -> None:
    """An outage that rests on evidence alone is over by a person's word, and says so; it is not found again."""
    judge, day = Judge(LIVE), told("bank:bnp all_red 5m 12m")
    half = next(n for n, one in enumerate(day) if one.boundary_ms >= START_MS + FAULT_MS + 60_000)
    changes = taken(judge, [*all_lessons(), *day[:half]])
    assert [change.data.scope.to_scope() for change in changes if change.type == "started"] == [BNP]
    keys = [lesson.scope for lesson in lessons_of(usual(), SAID_MS) if "bnp" in lesson.scope]
    ended = taken(judge, [*map(marker, forgetting(keys, LIVE.dimensions, SAID_MS + 1))])
    assert [(change.type, change.data.reason) for change in ended] == [("resolved", "baseline_reset")]
    assert "had its usual rate forgotten" in ended[0].data.explanation
    assert judge.open_outages() == []


def test_forgetting_leaves_the_policy_its_outage() -> None:
    """Where the operator's rule speaks too the outage stays, by the policy alone."""
    judge, day = Judge(LIVE), told("bank:bnp all_red 5m 14m", minutes=11)
    taken(judge, [*all_lessons(), *day])
    [outage] = judge.open_outages()
    assert outage.trigger == "evidence,policy"
    [change] = taken(judge, [marker(forgetting(["bank:bnp"], LIVE.dimensions, SAID_MS + 1)[0])])
    assert (change.type, change.data.reason, change.data.trigger) == ("updated", "baseline_reset", "policy")


def test_a_person_is_asked_once_after_a_day() -> None:
    """An outage that keeps its scope from being learned for 24 hours says so once, however its hours are told."""
    policy = Policy(all_red=Rule(30_000, 2), wait_ms=0, min_merchants=1, evidence=EvidenceRules("live"))
    hours_s = 3_600
    found = []
    for step_s in (hours_s // 2, 30 * hours_s):
        judge = Judge(policy)
        changes = [change for at_s in range(5, 60, 5) for change in judge.take(tally(at_s, declined=1))]
        for at_s in range(step_s, 30 * hours_s + 1, step_s):
            changes += judge.take(tally(at_s))
        found.append([(c.data.reason, c.data.updated_at) for c in changes if c.data.reason == "frozen_24h"])
        said = [change.data.explanation for change in changes if change.data.reason == "frozen_24h"]
        assert all(text.endswith("if this is its new normal, pastille baseline reset bank:bnp") for text in said)
        assert judge.board.signals.long_frozen().any()
    assert found[0] == found[1]
    assert len({at_ms for _, at_ms in found[0]}) == len(found[0]) >= 1
    assert all(23 <= (at_ms - T0) / 3_600_000 <= 26 for _, at_ms in found[0])


def test_a_snapshot_of_another_version_is_refused() -> None:
    """Its arrays mean something else: whoever restores is told, and judges the log anew."""
    judge = Judge(LIVE)
    taken(judge, list(told()[:20]))
    state = judge.export()
    unversioned = {key: value for key, value in state.items() if key != "version"}
    for other in ({**state, "version": 99}, unversioned):
        with pytest.raises(OtherVersion, match=f"has version {VERSION}; got"):
            Judge.restore(other)
    arrays = {**state["board"]["arrays"], "fold": state["board"]["arrays"]["fold"][:-1]}
    with pytest.raises(OtherVersion, match="fold has 18 arrays; got 17"):
        Judge.restore({**state, "board": {**state["board"], "signals": None, "arrays": arrays}})


def _text(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"baseline": {"level": _text(bytes(8))}}, "has 16 bytes; got 8"),
        ({"baseline": {"level": _text(bytes(2**20))}}, "has 16 bytes; got 17 or more"),
        ({"baseline": {"level": "AAAA"}}, "level is no packed array"), ({"baseline": {"mood": ""}}, "got 'mood'"),
        ({"baseline": packed({"level": np.array([np.nan, 1])})}, "got other values"),
        ({"baseline": packed({"level": np.array([-1.0, 1])})}, "got other values"),
        ({"scope": "psp:x"}, "of its dimensions; got psp"), ({"hazard": {}, "scope": "bank:bnp"}, "only a leaf"),
    ],
)  # fmt: skip
def test_what_is_no_lesson(change: dict[str, Any], word: str) -> None:
    """Values of another size, of another kind, or of no such thing are refused before anything is inflated."""
    lesson = lessons_of(usual(), SAID_MS)[0].model_copy(update=change)
    with pytest.raises(ValueError, match=word):
        learned_by(lesson)


def test_a_lesson_is_small() -> None:
    """One record a scope, none of them more than a few kilobytes, also where every slot is known."""
    rng = np.random.default_rng(1)
    full = {"level": rng.random(2), "slots": rng.random((48, 2)), "tau2": -rng.random(()),
            "volumes": rng.random((48, 4)), "volume_tau2": rng.random(())}  # fmt: skip
    leaf = {"at_risk": rng.random(41), "entered": rng.random(41), "answers": rng.random((41, 2))}
    learned = Learned(("bank", "method"), {"bank:bnp,method:card": full}, {("bnp", "card"): leaf})
    [lesson] = lessons_of(learned, SAID_MS)
    assert len(lesson.model_dump_json()) < 6_000
    assert to_plain(learned_by(lesson))["nodes"] == to_plain(learned)["nodes"]
