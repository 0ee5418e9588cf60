"""What of a Judge's changes goes to the outages topic: all that is not there, each outage's events numbered on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from detector.judging.outage import Change
from streams.verdict.outbox import Written
from tests.judging.test_score import change


def numbered(type_: Any, sequence: int, at_ms: int, severity: str = "warning", ended: int | None = None) -> Change:
    """An event of the one outage, the boundary at which it was found, and its number."""
    plain = change(type_, severity, at_ms, ended)
    return replace(plain, data=plain.data.model_copy(update={"sequence": sequence}))


def topic(*changes: Change) -> Written:
    """A topic with these events."""
    written = Written()
    for one in changes:
        written.add(one)
    return written


TOLD = (numbered("started", 1, 10), numbered("updated", 2, 20), numbered("updated", 3, 20))


def test_what_is_there_is_not_told_again() -> None:
    """A Judge that judges the same log anew says the same; what follows goes on as it numbers it."""
    later = (numbered("updated", 4, 20), numbered("updated", 5, 30), numbered("resolved", 6, 40, ended=35))
    assert topic().news((*TOLD, *later)) == [*TOLD, *later]
    assert topic(*TOLD).news((*TOLD, *later)) == list(later)
    assert topic(*TOLD, *later).news((*TOLD, *later)) == []


def test_a_judge_with_less_to_say_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    """It found an open outage with fewer events than are told: what it finds after these is told with numbers of its
    own, so that nobody takes a page or the end for a copy."""
    found = (numbered("started", 1, 8), numbered("updated", 2, 15), numbered("updated", 3, 30, "critical"),
             numbered("resolved", 4, 40, "critical", ended=35))  # fmt: skip
    news = topic(*TOLD).news(found)
    assert [(one.type, one.data.sequence, one.data.severity) for one in news] == [
        ("updated", 4, "critical"), ("resolved", 5, "critical")
    ]  # fmt: skip
    assert caplog.text.count("the topic knows others") == 2
    written = topic(*TOLD, *news)
    assert written.newest["a"].ended_at == 35
    assert written.news(found) == []


def test_a_judge_with_more_to_say_leaves_no_gap() -> None:
    """It took the outage over as it was told, and read again what led there: that is told no more."""
    found = [numbered("updated", 4, 15), numbered("updated", 5, 30), numbered("resolved", 6, 40, ended=35)]
    assert [(one.type, one.data.sequence) for one in topic(*TOLD).news(found)] == [("updated", 4), ("resolved", 5)]


def test_of_an_outage_that_the_topic_does_not_know_numbers_are_kept() -> None:
    """Somebody deleted the topic while it was open."""
    assert topic().news([TOLD[1], TOLD[2]]) == [TOLD[1], TOLD[2]]
