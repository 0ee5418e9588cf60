"""The doctor's look for card numbers: which values, how many of them, and what is never said."""

from __future__ import annotations

import json
from typing import Any

from detector.contracts.policy import DEFAULT
from streams.doctor.checks.cards import check
from streams.doctor.checkup import Checkup, FeedSample, Letters, TopicSample, decode_records
from streams.doctor.finding import Finding
from streams.reading import Place, Record

NOW_MS = 4_111_111_111_111  # of the year 2100: as a card number it would pass
CARD = "4111111111111111"


def found(*more: dict[str, Any]) -> list[Finding]:
    """What is found in payments that say this, too."""
    records = []
    for number, fields in enumerate(more):
        event = {"payment_id": f"p-{number}", "order_id": f"o-{number}", "bank": "bnp", "method": "card",
                 "status": "approved", "occurred_at": NOW_MS, "amount": NOW_MS}  # fmt: skip
        place = Place("payments", 0, number)
        records.append(Record(place, NOW_MS, b"k", json.dumps(event | fields).encode(), ()))
    events, rejects = decode_records(records, "payments", DEFAULT)
    assert not rejects
    topic = TopicSample("payments", 1, len(more), len(more), tuple(events))
    return list(check(Checkup(DEFAULT, NOW_MS, (FeedSample("default", topic, None),), (), {}, Letters({}), False)))


def test_times_and_amounts_are_none() -> None:
    """Numbers of the contract are what they are."""
    assert found({}, {"started_at": NOW_MS}) == []


def test_a_field_that_is_often_absent_is_found() -> None:
    """It goes by those that have it; the example is one of them, and a number counts as its digits."""
    (finding,) = found(*[{}] * 50, {"pan": int(CARD)}, {"pan": None})
    assert (finding.severity, finding.got) == ("warning", "1 of 1 (100 %) values of pan in payments")
    assert str(finding.example) == "payments/0/50"


def test_ids_that_are_numbers_are_information() -> None:
    """One in ten of them has the check digit."""
    (finding,) = found(*({"order_id": str(number)} for number in range(5_000_000_000_000, 5_000_000_000_160)))
    assert (finding.severity, finding.got) == ("info", "16 of 160 (10 %) values of order_id in payments")


def test_no_number_is_shown() -> None:
    """Neither a value, nor a field that is named so, nor one whose name would write to a terminal."""
    for name in (CARD, "\x1b[31mpan", f"pan{CARD}"):
        (finding,) = found({name: CARD})
        assert finding.got == "1 of 1 (100 %) values of a field with an odd name in payments"
        assert CARD not in json.dumps(finding.as_dict())


def test_fields_have_a_limit() -> None:
    """A sender with a hundred such fields fills no screen."""
    assert len(found({f"field_{number}": CARD for number in range(100)})) == 5
