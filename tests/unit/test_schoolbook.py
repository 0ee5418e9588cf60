"""The topic of baselines against what the Judge has taken: what is said to it, when again, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from detector.contracts.models import Lesson
from detector.contracts.policy import Policy
from detector.judging.judge import Judge
from detector.judging.lessons import forgetting, lessons_of
from streams.verdict.lessons import AT_ONCE_MAX, REPEAT_S, Schoolbook
from tests.judging.test_evidence_outages import LIVE, usual

SAID_MS = 1_700_000_000_000


def book(*lessons: Lesson) -> Schoolbook:
    """One that has read these."""
    found = Schoolbook()
    for offset, lesson in enumerate(lessons):
        found.take(lesson.scope.encode(), lesson.model_dump_json().encode(), offset)
    return found


def words(found: Schoolbook, judge: Judge, now_s: float = 0.0) -> list[tuple[str, int]]:
    """Scope and moment of what is said now."""
    said = [json.loads(marker.text) for marker in found.markers(judge, now_s)]
    return [(one["scope"], one["said_at"]) for one in said]


def test_what_was_taken_is_not_said_again() -> None:
    """Each word is said until the Judge has it; a newer one of the scope is said again."""
    judge, lessons = Judge(LIVE), lessons_of(usual(), SAID_MS)
    found = book(*lessons)
    markers = found.markers(judge, 0.0)
    assert [marker.kind for marker in markers] == ["baseline"] * len(lessons)
    for marker in markers:
        judge.take(marker)
    assert words(found, judge, 1_000.0) == []
    [again] = forgetting(["bank:bnp"], LIVE.dimensions, SAID_MS + 5)
    found.take(b"bank:bnp", again.model_dump_json().encode(), 99)
    assert words(found, judge) == [("bank:bnp", SAID_MS + 5)]


def test_of_a_scope_the_newest_word_counts() -> None:
    """What was said before it is never written to the log, and without a value there is no word."""
    [old], [new] = (forgetting(["bank:bnp"], LIVE.dimensions, SAID_MS + n) for n in range(2))
    found = book(old, new)
    assert words(found, Judge(LIVE)) == [("bank:bnp", SAID_MS + 1)]
    found.take(b"bank:bnp", None, 2)
    assert words(found, Judge(LIVE), 1_000.0) == []


def test_a_marker_is_not_written_again_soon() -> None:
    """While the Judge is behind it reads late what was written: it is written again after a minute."""
    found, judge = book(lessons_of(usual(), SAID_MS)[0]), Judge(LIVE)
    assert [len(words(found, judge, at_s)) for at_s in (0.0, 1.0, REPEAT_S - 1, REPEAT_S + 1)] == [1, 0, 0, 1]


def test_many_are_said_in_few_turns() -> None:
    """Five thousand scopes are three turns, a second each."""
    found, judge = book(*forgetting([f"bank:b{n}" for n in range(5_000)], LIVE.dimensions, SAID_MS)), Judge(LIVE)
    assert [len(words(found, judge)) for _ in range(4)] == [AT_ONCE_MAX, AT_ONCE_MAX, 5_000 - 2 * AT_ONCE_MAX, 0]


@pytest.mark.parametrize("policy", [replace(LIVE, dimensions=("method", "bank")), replace(LIVE, leaves_max=1)])
def test_what_does_not_fit_is_counted(policy: Policy) -> None:
    """Lessons of other dimensions, or of more scopes than the Judge has room for, are refused and not written."""
    lessons, judge = lessons_of(usual(), SAID_MS), Judge(policy)
    fit = 2 if policy.dimensions == LIVE.dimensions else 0
    found = book(*lessons)
    for _ in range(len(lessons)):
        for marker in found.markers(judge, 0.0):
            judge.take(marker)
    assert (len(judge.lessons.taken), found.refused) == (fit, len(lessons) - fit)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"bank:axa", None), (b"bank:bnp", b"no json"), (None, None), (b"bank:bnp", b'{"scope": "x"}'),
        (b"merchant:blumen-meier", None), (b"bank:bnp", b'{"scope": "merchant:blumen-meier,x"}'),
    ],
)  # fmt: skip
def test_what_is_no_record(key: bytes | None, value: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over, with a line in the log that names no merchant of it, and what was known stays."""
    [lesson] = forgetting(["bank:bnp"], LIVE.dimensions, SAID_MS)
    found = book(lesson)
    found.take(key, value or lesson.model_dump_json().encode(), 7)
    assert "record 7 of the baselines is passed over" in caplog.text
    assert "umen" not in caplog.text
    assert words(found, Judge(LIVE)) == [("bank:bnp", SAID_MS)]
