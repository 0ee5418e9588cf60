"""Scores a rehearsal: the incidents that are known of a recorded day against the outages that were raised on it.

An outage *matches* an incident when its scope is the incident's, or above or below it, and its life overlaps the
window, with a grace of five minutes after it. It *answers* one at most of those it matches: one that it did not come
long before, of its kind where there is a choice, then the one with the shortest window. An outage that answers none is
false, also where it was still open when something went wrong later. One that answers an incident finds whatever else
it matches, too: incidents lie in each other. Knows no file, and not why an outage was raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from detector.contracts.models import Kind, Severity
from detector.contracts.policy import Policy
from detector.contracts.scope import Scope
from detector.counting.rows import DAY_MS
from detector.rehearsal.poisson import interval
from detector.rehearsal.raised import Raised

GRACE_MS = 300_000
"""How far from its window an incident is still the cause of an outage: payments are answered late, edges are rough."""

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Incident:
    """What is known to have gone wrong; times are epoch ms, the end exclusive. No values in `scope`: everything."""

    scope: Scope
    kind: Kind
    start_ms: int
    end_ms: int
    source: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """What was recorded, and how it was judged: from when to when, how many scopes, by which policy.

    `votes` counts those of a scope from one time to another.
    """

    first_ms: int
    last_ms: int
    scopes: int
    policy: Policy
    votes: Callable[[Scope, int, int], int]

    @property
    def scope_days(self) -> float:
        """How much was judged."""
        return self.scopes * (self.last_ms - self.first_ms) / DAY_MS


class Verdict(Enum):
    """What became of an incident."""

    FOUND = "found"
    MISSED = "missed"
    EXPLAINED = "explained"  # missed, and nobody could have found it


@dataclass(frozen=True, slots=True)
class Outcome:
    """An incident, and what was raised for it.

    `first` is the outage that found it. `delay_ms` runs from the window's start; None also where an outage that answers
    another incident was open by then. `answers`: the outages that are this incident's own.
    """

    incident: Incident
    verdict: Verdict
    why: str | None
    first: Raised | None
    delay_ms: int | None
    answers: tuple[Raised, ...]

    @property
    def from_onset_ms(self) -> int | None:
        """From the onset that the outage itself names to its detection."""
        return None if self.first is None or self.delay_ms is None else self.first.detected_ms - self.first.began_ms

    @property
    def pages(self) -> int:
        """How often a person was called for it."""
        return sum(outage.pages for outage in self.answers)

    @property
    def duplicates(self) -> int:
        """How many outages started beyond the one that was needed; one that is linked to it and silent is the same."""
        return max(0, len(self.answers) - self.reopened - 1)

    @property
    def reopened(self) -> int:
        """How many outages only said that the trouble is back."""
        return sum(outage.continues_id is not None and not outage.pages for outage in self.answers)

    @property
    def resolve_ms(self) -> int | None:
        """From the window's end to that of its last outage; None while one is open, or without any."""
        ends = [outage.ended_ms for outage in self.answers]
        known = [end for end in ends if end is not None]
        return max(known) - self.incident.end_ms if ends and len(known) == len(ends) else None


@dataclass(frozen=True, slots=True)
class Frequency:
    """How many, and how many a scope-day, with the exact interval that holds its mean at 95 %."""

    count: int
    per_scope_day: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a rehearsal. `outside`: incidents that lie not in the time of the file; they are not scored."""

    day: Day
    outcomes: tuple[Outcome, ...]
    outside: tuple[Incident, ...]
    false: tuple[Raised, ...]
    scheduled: tuple[Raised, ...]

    @property
    def passed(self) -> bool:
        """Whether every incident was found, as far as anybody could, and no page was false."""
        missed = any(outcome.verdict is Verdict.MISSED for outcome in self.outcomes)
        return not missed and not any(outage.severity == "critical" for outage in self.false)

    def false_rate(self, severity: Severity) -> Frequency:
        """How often an outage of this severity is raised for nothing."""
        count = sum(outage.severity == severity for outage in self.false)
        low, high = interval(count)
        scope_days = self.day.scope_days
        if not scope_days:  # a file of one moment says nothing of how often
            return Frequency(count, 0.0, 0.0, float("inf"))
        return Frequency(count, count / scope_days, low / scope_days, high / scope_days)


def score(incidents: Sequence[Incident], outages: Sequence[Raised], day: Day) -> Score:
    """Compare what was known with what was raised."""
    inside = [one for one in incidents if one.start_ms <= day.last_ms and one.end_ms > day.first_ms]
    answered = [(outage, _answered(outage, inside)) for outage in outages]
    true = [(outage, incident) for outage, incident in answered if incident is not None]
    none = [outage for outage, incident in answered if incident is None]
    return Score(
        day,
        tuple(_outcome(incident, true, day) for incident in inside),
        tuple(one for one in incidents if one not in inside),
        tuple(outage for outage in none if not outage.scheduled),
        tuple(outage for outage in none if outage.scheduled),
    )


def matches(outage: Raised, incident: Incident) -> bool:
    """Whether the outage can be about the incident: scopes that lie in each other, and times that overlap."""
    mine, theirs = set(outage.scope.values), set(incident.scope.values)
    in_time = outage.began_ms < incident.end_ms + GRACE_MS and (
        outage.ended_ms is None or outage.ended_ms > incident.start_ms
    )
    return in_time and (mine <= theirs or theirs <= mine)


def _answered(outage: Raised, incidents: Iterable[Incident]) -> Incident | None:
    """The one incident that the outage was raised for."""
    candidates = [one for one in incidents if matches(outage, one) and outage.detected_ms >= one.start_ms - GRACE_MS]
    return min(candidates, key=lambda one: _strangeness(outage, one), default=None)


def _strangeness(outage: Raised, incident: Incident) -> tuple[bool, bool, int]:
    """The less the better: payments that stop arriving are one thing, payments that go wrong another."""
    kind, known = outage.kind, incident.kind
    return (kind == "stall") != (known == "stall"), kind != known, incident.end_ms - incident.start_ms


def _outcome(incident: Incident, true: Iterable[tuple[Raised, Incident]], day: Day) -> Outcome:
    found = [outage for outage, _ in true if matches(outage, incident)]
    answers = tuple(outage for outage, other in true if other is incident)
    if not found:
        why = unfindable(incident, day)
        return Outcome(incident, Verdict.EXPLAINED if why else Verdict.MISSED, why, None, None, ())
    first = min(found, key=lambda outage: outage.detected_ms)
    delay_ms = first.detected_ms - incident.start_ms
    was_open = delay_ms < 0 and first not in answers
    return Outcome(incident, Verdict.FOUND, None, first, None if was_open else delay_ms, answers)


def unfindable(incident: Incident, day: Day) -> str | None:
    """Why nobody could have found the incident, in words; None where it is simply missed.

    Today only the policy raises, and it needs n voters, each of whom has a vote.
    """
    if incident.end_ms <= day.first_ms + HOUR_MS:
        return "it lies in the file's first hour, before which nothing is known of what is usual"
    needed, votes = _voters_needed(incident, day.policy), _votes_due(incident, day)
    return f"it holds {int(votes)} votes, and an outage takes {needed} voters" if votes < needed else None


def _votes_due(incident: Incident, day: Day) -> float:
    """How many votes the window holds; of a stall, which holds none, how many it would by the hour before."""
    start_ms, end_ms = incident.start_ms, incident.end_ms
    if incident.kind != "stall":
        return day.votes(incident.scope, start_ms, end_ms)
    before_ms = max(start_ms - HOUR_MS, day.first_ms)
    return day.votes(incident.scope, before_ms, start_ms) * (end_ms - start_ms) / max(1, start_ms - before_ms)


def _voters_needed(incident: Incident, policy: Policy) -> int:
    rules = policy.rules(incident.scope)
    needed = {"all_red": rules.all_red.voters, "all_pending": rules.all_pending.voters}
    return needed.get(incident.kind, min(needed.values()))
