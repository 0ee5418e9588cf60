"""Scoring by hand: which outage answers which incident, delays, duplicates, pages, false outages, excuses."""

from dataclasses import replace
from typing import Any

import pytest

from detector.contracts.models import Evidence, Input, OutageData, ScopeFields, Window
from detector.contracts.policy import DEFAULT
from detector.contracts.scope import Scope, parse_scope
from detector.judging.outage import Change
from detector.rehearsal.raised import Raised, raised
from detector.rehearsal.score import Day, Incident, Outcome, Score, Verdict, matches, score

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BANK = "bank:bnp"


def incident(start: int, end: int, scope: str = BANK, kind: Any = "all_red") -> Incident:
    """Something that went wrong; minutes since the start of the file."""
    return Incident(parse_scope(scope), kind, start * MINUTE, end * MINUTE)


def outage(began: int, detected: int, ended: int | None, scope: str = BANK, kind: Any = "all_red", pages: int = 1,
           scheduled: bool = False, name: str = "") -> Raised:  # fmt: skip
    """Something that was raised; minutes since the start of the file."""
    ended_ms = None if ended is None else ended * MINUTE
    return Raised(name or f"{scope} {detected}", parse_scope(scope), kind, began * MINUTE, detected * MINUTE, ended_ms,
                  "critical" if pages else "warning", pages, scheduled)  # fmt: skip


def day(votes: int = 1_000, scopes: int = 4) -> Day:
    """A day of 24 hours; every stretch of every scope has this many votes."""
    return Day(0, DAY, scopes, DEFAULT, lambda scope, start_ms, end_ms: votes)


def scored(incidents: list[Incident], outages: list[Raised], recorded: Day | None = None) -> Score:
    return score(incidents, outages, recorded or day())


def only(result: Score) -> Outcome:
    (outcome,) = result.outcomes
    return outcome


# ── found ──


def test_an_outage_in_the_window_finds_its_incident() -> None:
    """Delays run from the window's start and from the onset the outage names; it is over so long after the window."""
    outcome = only(scored([incident(100, 120)], [outage(101, 106, 123)]))
    assert (outcome.verdict, outcome.delay_ms, outcome.from_onset_ms) == (Verdict.FOUND, 6 * MINUTE, 5 * MINUTE)
    assert (outcome.pages, outcome.duplicates, outcome.resolve_ms) == (1, 0, 3 * MINUTE)


@pytest.mark.parametrize(
    ("known", "named", "expected"),
    [
        (BANK, BANK, True),
        (BANK, "bank:bnp,method:card", True),
        (BANK, "platform", True),
        ("platform", "bank:other,method:pix", True),
        ("bank:bnp,method:card", "method:card", True),
        (BANK, "bank:cedar", False),
        (BANK, "method:card", False),
        ("bank:bnp,method:card", "bank:bnp,method:pix", False),
    ],
)
def test_scopes_match_where_one_lies_in_the_other(known: str, named: str, expected: bool) -> None:
    """The same scope, one above it or one below it is about the incident; any other names another cause."""
    assert matches(outage(100, 101, 110, named), incident(100, 120, known)) is expected


@pytest.mark.parametrize(
    ("began", "ended", "expected"),
    [(119, 130, True), (124, 130, True), (125, 130, False), (90, 100, False), (90, 101, True), (90, None, True)],
)
def test_times_match_up_to_the_grace(began: int, ended: int | None, expected: bool) -> None:
    """An outage matches a window from 100 to 120 when it overlaps it, or begins in the five minutes after it."""
    assert matches(outage(began, began, ended), incident(100, 120)) is expected


def test_an_outage_just_before_its_window_is_found_early() -> None:
    """Edges are rough: three minutes before the window is a delay of minus three minutes."""
    assert only(scored([incident(100, 120)], [outage(96, 97, 121)])).delay_ms == -3 * MINUTE


def test_what_was_open_long_before_is_false_and_finds_nothing() -> None:
    """An outage that is open all day does not find what goes wrong at noon: it said so before there was anything."""
    result = scored([incident(720, 740)], [outage(60, 65, None)])
    assert only(result).verdict is Verdict.MISSED
    assert [one.outage_id for one in result.false] == ["bank:bnp 65"]


def test_an_incident_within_another_is_found_by_the_outage_of_that() -> None:
    """A stall within a long drop was already told; it has no delay of its own and no page."""
    drop, stall = incident(100, 200, kind="drop"), incident(150, 155, kind="stall")
    result = scored([drop, stall], [outage(101, 103, 204, kind="drop")])
    assert [outcome.verdict for outcome in result.outcomes] == [Verdict.FOUND, Verdict.FOUND]
    assert [outcome.delay_ms for outcome in result.outcomes] == [3 * MINUTE, None]
    assert [outcome.pages for outcome in result.outcomes] == [1, 0]


def test_an_outage_answers_the_incident_of_its_kind() -> None:
    """Where two windows hold an outage, its kind decides, a stall being of a kind of its own, then the shorter one."""
    drop, stall, short = (incident(100, 200, kind="drop"), incident(150, 155, kind="stall"), incident(149, 160))
    result = scored([drop, stall, short], [outage(151, 152, 156, kind="stall"), outage(151, 153, 157, kind="slow")])
    assert [len(outcome.answers) for outcome in result.outcomes] == [0, 1, 1]


# ── too much ──


def test_more_than_one_outage_for_an_incident_is_a_duplicate() -> None:
    """Three outages for one incident are two too many and three pages; it is over when the last of them is."""
    outages = [outage(100, 103, 106), outage(107, 109, 112), outage(113, 116, 128, "bank:bnp,method:card")]
    outcome = only(scored([incident(100, 120)], outages))
    assert (outcome.delay_ms, outcome.duplicates, outcome.pages) == (3 * MINUTE, 2, 3)
    assert outcome.resolve_ms == 8 * MINUTE


def test_what_is_still_open_has_no_end() -> None:
    """As long as one of its outages is open, an incident's has no time of being over."""
    outcome = only(scored([incident(100, 120)], [outage(100, 103, 106), outage(107, 109, None)]))
    assert outcome.resolve_ms is None


def test_false_outages_are_counted_by_severity_and_scheduled_ones_apart() -> None:
    """Per scope-day, with the exact interval: two pages in 4 scope-days are 0.5, from 0.061 to 1.81."""
    outages = [outage(600, 605, 610), outage(700, 705, 710), outage(800, 805, 810, pages=0),
               outage(900, 905, 910, scheduled=True, pages=0)]  # fmt: skip
    result = scored([], outages)
    pages, warnings = result.false_rate("critical"), result.false_rate("warning")
    assert (pages.count, pages.per_scope_day) == (2, 0.5)
    assert (pages.low, pages.high) == (pytest.approx(0.0606, abs=1e-4), pytest.approx(1.806, abs=1e-3))
    assert (warnings.count, len(result.scheduled)) == (1, 1)


# ── whether it is well ──


def test_a_missed_incident_fails() -> None:
    """Enough votes, hours of history, nothing raised: that is missed."""
    result = scored([incident(600, 620)], [])
    assert only(result).verdict is Verdict.MISSED
    assert not result.passed


def test_a_false_page_fails_and_a_false_warning_does_not() -> None:
    """A page wakes a person for nothing; a warning waits for the morning."""
    assert not scored([], [outage(600, 605, 610)]).passed
    assert scored([], [outage(600, 605, 610, pages=0)]).passed
    assert scored([], [outage(600, 605, 610, pages=0, scheduled=True)]).passed


@pytest.mark.parametrize(
    ("start", "end", "kind", "votes", "expected"),
    [
        (10, 60, "all_red", 1_000, "first hour"),
        (50, 70, "all_red", 1_000, None),
        (600, 620, "all_red", 9, "9 votes, and an outage takes 10 voters"),
        (600, 620, "drop", 10, None),
        (600, 606, "stall", 90, "9 votes"),
        (600, 606, "stall", 100, None),
    ],
)
def test_what_nobody_could_find_is_explained(
    start: int, end: int, kind: str, votes: int, expected: str | None
) -> None:
    """The file's first hour, or fewer votes than the policy has voters; of a stall those of the hour before count."""
    result = scored([incident(start, end, kind=kind)], [], day(votes=votes))
    outcome = only(result)
    assert (outcome.verdict is Verdict.EXPLAINED) is (expected is not None)
    assert (expected or "") in (outcome.why or "")
    assert result.passed is (expected is not None)


def test_what_lies_outside_the_file_is_not_scored() -> None:
    """An incident of the day after is told apart, neither found nor missed."""
    result = scored([incident(2_000, 2_010), incident(-20, 0)], [])
    assert (len(result.outside), result.outcomes, result.passed) == (2, (), True)


# ── the life of an outage ──


def change(type_: Any, severity: Any, boundary: int, ended: int | None = None, scheduled: bool = False) -> Change:
    """A change of one outage of a bank."""
    data = OutageData(
        outage_id="a", sequence=1, scope=ScopeFields.of(Scope((("bank", "bnp"),))), kind="all_red", severity=severity,
        began_at=5, detected_at=10, updated_at=boundary, ended_at=ended, scheduled=scheduled,
        window=Window(start=5, end=boundary), evidence=Evidence(payments=0, approved=0, declined=0, error=0, pending=0),
        policy_version="p", input=Input(boundary=boundary), explanation="",
    )  # fmt: skip
    return Change(type_, data)


def test_a_life_is_put_together_from_its_changes() -> None:
    """A warning that becomes critical is one page, however often it is told; its end is the last that was said."""
    changes = [change("started", "warning", 10), change("updated", "critical", 20), change("updated", "critical", 30),
               change("resolved", "critical", 40, ended=35)]  # fmt: skip
    assert raised(changes) == [Raised("a", Scope((("bank", "bnp"),)), "all_red", 5, 10, 35, "critical", 1, False)]


def test_a_scheduled_outage_pages_nobody() -> None:
    """What was announced is no page, critical or not."""
    (life,) = raised([change("started", "critical", 10, scheduled=True)])
    assert (life.pages, life.ended_ms) == (0, None)


def test_a_linked_and_silent_outage_is_no_duplicate() -> None:
    """What says that the trouble is back, and wakes nobody, is the same outage; one that pages is one more."""
    known, first = [incident(100, 200)], outage(101, 106, 123)
    back = replace(outage(130, 131, 150, pages=0), continues_id=first.outage_id)
    loud = replace(outage(160, 161, 203), continues_id=back.outage_id)
    silent = only(scored(known, [first, back]))
    assert (silent.duplicates, silent.reopened, silent.pages) == (0, 1, 1)
    paged = only(scored(known, [first, back, loud]))
    assert (paged.duplicates, paged.reopened, paged.pages) == (1, 1, 2)
