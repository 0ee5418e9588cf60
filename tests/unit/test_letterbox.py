"""The dead-letter topic as a list, whatever stands on it and however much."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from detector.contracts.policy import DEFAULT
from streams.deadletters import Letter, dead_letter
from streams.letterbox import SENT, Fate, Fates, Found, Survey, Verdict
from streams.reading import Place, Record
from streams.settings import load_settings

NOW_MS = 1_800_000_000_000
SEND = Fate(Verdict.SEND)


def letter(at: int, offset: int, reason: str = "unknown_status", partition: int = 0) -> Record:
    """A letter at a place of the topic, of the record with that offset."""
    value = dead_letter("payments", 0, offset, b"k", (), reason, None, NOW_MS, b"{}", 100)
    return Record(Place("dead", partition, at), NOW_MS + at, b"k", value, ())


def mark(at: int, of: int, partition: int = 0) -> Record:
    """The mark of a letter."""
    return Record(Place("dead", partition, at), NOW_MS + at, b"sent", None, ((SENT, str(of).encode()),))


def surveyed(*records: Record, reason: str | None = None) -> Survey:
    """A survey of records, each letter to be sent that has the reason."""
    survey = Survey("dead", lambda letter: SEND if reason in (None, letter.reason) else None)
    survey.take(records)
    return survey


def test_a_mark_of_no_offset_is_no_mark() -> None:
    """A header that anybody may write is no reason to end: such a record is unreadable."""
    marks = [b"1" * 5_000, b"\xb2", b"", b"-1"]
    records = [Record(Place("dead", 0, at), 1, None, None, ((SENT, mark),)) for at, mark in enumerate(marks)]
    assert surveyed(*records).unreadable == len(marks)


def test_marks_take_no_letter_from_view() -> None:
    """However many marks stand behind the letters, all that were not sent are found, the oldest first."""
    letters = [letter(at, at) for at in range(30_000)]
    marks = [mark(30_000 + at, at) for at in range(25_000)]
    findings = surveyed(*letters, *marks).oldest_first()
    assert findings.counts() == {SEND: 5_000, Fate(Verdict.ALREADY_SENT): 25_000}
    assert next(iter(findings.of({Verdict.SEND}))) == Found(Place("dead", 0, 25_000), SEND)
    assert [found.place.offset for found in findings.last_first().first(2)] == [29_999, 29_998]


def test_a_mark_is_for_every_letter_of_its_record() -> None:
    """Of several letters of one record the newest is sent, and none where one was: by partition, and by record."""
    findings = surveyed(letter(0, 7), letter(1, 7), letter(2, 8), letter(3, 8), mark(4, 2), letter(2, 9, partition=1))
    said = {(found.place.partition, found.place.offset): found.fate.verdict for found in findings.oldest_first()}
    assert said == {
        (0, 0): Verdict.SAME_RECORD, (0, 1): Verdict.SEND,
        (0, 2): Verdict.ALREADY_SENT, (0, 3): Verdict.ALREADY_SENT, (1, 2): Verdict.SEND,
    }  # fmt: skip


def test_a_mark_counts_where_nobody_asks_for_its_letter() -> None:
    """A record that was sent by a letter with another reason was sent."""
    survey = surveyed(letter(0, 7, "not_json"), letter(1, 7), letter(2, 8), mark(3, 0), reason="unknown_status")
    assert survey.oldest_first().counts() == {Fate(Verdict.ALREADY_SENT): 1, SEND: 1}
    assert survey.reasons == {"not_json", "unknown_status"}


@pytest.mark.parametrize("named", [1, 5, 10**19 - 1])
def test_a_mark_before_its_letter_marks_nothing(named: int) -> None:
    """Marks stand behind what they name: one that names itself, what is to come or what cannot be is passed over."""
    records = [letter(0, 7), mark(1, named), *(letter(at, at) for at in range(2, 6))]
    assert surveyed(*records).oldest_first().counts() == {SEND: 5}


def test_an_empty_topic_has_no_letters() -> None:
    """Nothing is found where nothing stands, or nothing is asked for."""
    for survey in (surveyed(), surveyed(letter(0, 1), mark(1, 0), reason="flood")):
        assert (len(survey.oldest_first()), survey.oldest_first().counts()) == (0, Counter())


def fate(key: bytes | None = b"k", partition: int = 0, **changes: Any) -> Fate:
    """What becomes of a letter with a payment event, with changes; its feed has three partitions."""
    event = {"payment_id": "p-1", "order_id": "o-1", "bank": "bnp", "method": "card", "status": "approved",
             "occurred_at": NOW_MS}  # fmt: skip
    value = json.dumps(event | changes).encode()
    settings = load_settings()
    topic = settings.feeds[0].payments
    fates = Fates(settings, DEFAULT, {topic: 3}, lambda: NOW_MS)
    return fates.of(Letter(topic, partition, 7, key, (), "unknown_status", None, NOW_MS, value))


def test_what_no_open_pane_hears_is_too_late() -> None:
    """By the pane of the payment's start, or of its answer where that comes a horizon later."""
    closed_ms = NOW_MS - DEFAULT.open_ms
    assert fate(occurred_at=closed_ms) == SEND
    assert fate(occurred_at=closed_ms - 1) == Fate(Verdict.TOO_LATE)
    assert fate(occurred_at=closed_ms + 60_000, started_at=closed_ms - 1) == Fate(Verdict.TOO_LATE)
    assert fate(started_at=closed_ms - 1) == SEND  # a late answer
    assert fate(occurred_at=closed_ms - 1, started_at=closed_ms - DEFAULT.horizon_ms) == Fate(Verdict.TOO_LATE)


def test_a_letter_whose_partition_is_gone_is_told() -> None:
    """Without a key it belongs to its partition alone; with one, to whichever the topic has now."""
    settings = load_settings()
    topic = settings.feeds[0].payments
    assert fate(None, 2) == SEND
    assert fate(None, 3) == Fate(Verdict.NO_PARTITION, f"{topic} has 3 partitions")
    assert fate(b"k", 3) == SEND
    value = json.dumps({"payment_id": "p", "order_id": "o", "bank": "b", "method": "card", "status": "approved",
                        "occurred_at": NOW_MS}).encode()  # fmt: skip
    kept = Letter(topic, 0, 7, b"k", (), "unknown_status", None, NOW_MS, value)
    assert Fates(settings, DEFAULT, {}, lambda: NOW_MS).of(kept) == Fate(Verdict.NO_PARTITION, f"there is no {topic}")


def test_a_thousand_partitions_that_are_gone_are_one_line() -> None:
    """What becomes of letters is told by as few words as there are topics, whichever partitions they name."""
    assert len({fate(None, partition) for partition in range(3, 1_003)}) == 1
