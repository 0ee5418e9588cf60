"""Where a source is taken up: what commits, and the notes beside them, say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from detector.contracts.policy import DEFAULT, Policy
from detector.counting.counter import Counter
from detector.counting.names import Names
from detector.counting.tally import Source
from streams.intake.recovery import (
    NO_BOUNDARY,
    UNKNOWN_FLOOR,
    Begin,
    Committed,
    Note,
    begin_from,
    of_another_log,
    parse_note,
    short_of,
)

DAY_MS = 86_400_000


def test_a_first_start_begins_where_it_is_told() -> None:
    """Without a commit: the given offsets, the given term, nothing noted, nothing read before."""
    assert begin_from({}, {"p": 7, "o": 3}, 1_000) == Begin(1_000, None, {"p": 7, "o": 3}, {"p": 7, "o": 3})


def test_an_owner_goes_on_from_the_notes() -> None:
    """The committed offsets, the next term, the noted boundary, and what was read and told already."""
    found = {"p": Committed(5, Note(8, 61_000, 50)), "o": Committed(2, Note(8, 61_000, 20))}
    assert begin_from(found, {"p": 0, "o": 0}, 1) == Begin(9, 61_000, {"p": 5, "o": 2}, {"p": 50, "o": 20})


def test_notes_that_disagree_are_read_carefully() -> None:
    """The highest term and the lowest boundary: what was perhaps not acknowledged is told again."""
    found = {"p": Committed(5, Note(9, 62_000, 50)), "o": Committed(2, Note(8, 61_000, 20))}
    begin = begin_from(found, {"p": 0, "o": 0}, 1)
    assert (begin.term, begin.noted_ms) == (10, 61_000)


def test_an_owner_that_noted_nothing_may_have_told_something() -> None:
    """So who follows begins again, and says everything."""
    found = {"p": Committed(5, Note(8, NO_BOUNDARY, 5))}
    assert begin_from(found, {"p": 0}, 1) == Begin(9, None, {"p": 5}, {"p": 5}, again=True)


def test_a_foreign_commit_is_an_offset_without_a_note() -> None:
    """A commit of another program: its offset holds, and the source begins anew."""
    assert parse_note("by hand") is None
    odds = {"boundary_ms": 1_500}, {"boundary_ms": -1_000}, {"boundary_ms": 10**21}, {"term": -1}, {"read": 1 << 63}
    for odd in odds:
        assert parse_note(json.dumps({"term": 1, "boundary_ms": 2_000, "read": 3} | odd)) is None
    assert begin_from({"p": Committed(5, None)}, {"p": 0}, 77) == Begin(
        77, None, {"p": 5}, {"p": 5}, cut=frozenset("p")
    )  # fmt: skip


def test_a_topic_that_lost_its_commit_was_cut() -> None:
    """Kafka deletes what was committed of a topic with the topic: the other one's note says that there was something.
    Who is killed before it knows since when leaves that to the next owner."""
    orders = {"o": Committed(2, Note(8, 61_000, 20, floor_ms=40_000))}
    begin = begin_from(orders, {"p": 0, "o": 0}, 1)
    assert (begin.cut, begin.noted_ms, begin.floor_ms) == ({"p"}, 61_000, 40_000)
    notes = {topic: Committed(begin.offsets[topic], begin.note(topic, 0)) for topic in ("p", "o")}
    assert {topic: parse_note(at.note.text()) for topic, at in notes.items() if at.note} == {
        topic: at.note for topic, at in notes.items()
    }  # fmt: skip
    again = begin_from(notes, {"p": 0, "o": 0}, 1)
    assert (again.cut, again.floor_ms, again.term) == ({"p"}, 40_000, 10)
    assert begin_from({}, {"p": 0, "o": 0}, 1).cut == frozenset()


@pytest.mark.parametrize(("first", "begins"), [(0, 0), (3, 3), (9, 5)])
def test_a_commit_of_another_log_says_nothing_of_offsets(first: int, begins: int) -> None:
    """Where a first start begins, or the committed offset, whichever is smaller; all from there on is news, of a term
    that follows, after the boundary that was told."""
    at = of_another_log(Committed(5, Note(8, 61_000, 3_001)), first)
    assert at == Committed(begins, Note(8, 61_000, begins, floor_ms=UNKNOWN_FLOOR))
    begin = begin_from({"p": at}, {"p": first}, 1)
    assert begin == Begin(9, 61_000, {"p": begins}, {"p": begins}, cut=frozenset("p"))
    assert of_another_log(Committed(5, None), first) == Committed(begins, None)


def test_a_policy_that_needs_more_reads_from_further_back() -> None:
    """By the boundary that was noted; not where the note is of a policy that reached as far, or does not say."""
    at = {reach_ms: Committed(5, Note(8, 61_000, 50, reach_ms)) for reach_ms in (0, 9_999, 10_000, 10_001)}
    never = {NO_BOUNDARY: Committed(5, Note(8, NO_BOUNDARY, 5, 9_999)), 1: Committed(5, None)}
    assert short_of({**at, **never}, 10_000) == {9_999: 51_000}


@pytest.mark.parametrize("policy", [DEFAULT, replace(DEFAULT, horizon_ms=60_000), replace(DEFAULT, pane_ms=60_000)])
def test_no_policy_reads_from_before_its_reach(policy: Policy) -> None:
    """`reach_ms` is the most, and no more than two panes too much."""
    counter = Counter(policy, Names(policy), Source("default", 0), {"default": 1})
    depths = [time_ms - counter.commit_from(time_ms) for time_ms in range(DAY_MS, DAY_MS + policy.vote_block_ms, 1_000)]
    assert policy.reach_ms - 2 * policy.pane_ms - 1_000 <= max(depths) <= policy.reach_ms


def test_a_note_reads_what_it_wrote() -> None:
    """Metadata there and back; of an older one that says no reach, too."""
    note = Note(3, -1, 12, 2_760_000)
    assert parse_note(note.text()) == note
    assert parse_note('{"term":3,"boundary_ms":-1,"read":12}') == Note(3, -1, 12, 0)
