"""The dead letters that doctor finds on a real broker, however many marks of sent ones stand behind them."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaProducer

from detector.contracts.policy import DEFAULT
from streams.commands import main
from streams.deadletters import dead_letter
from streams.doctor import checkup
from streams.doctor.checks import dead_letters
from streams.embedded import EmbeddedKafka
from streams.letterbox import SENT

pytestmark = pytest.mark.kafka


@dataclass
class Box:
    """A dead-letter topic, and what doctor says of it."""

    kafka: EmbeddedKafka
    topic: str
    capsys: pytest.CaptureFixture[str]

    def post(self, *reasons: str, marks: int = 0) -> None:
        """Letters of different records, and then so many marks, all of the second letter."""
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        for offset, reason in enumerate(reasons):
            letter = dead_letter("payments", 0, offset, b"k", [], reason, None, time.time_ns() // 1_000_000, b"{}",
                                 DEFAULT.dead_letter_bytes_max)  # fmt: skip
            producer.send(self.topic, letter, b"k")
        for _ in range(marks):
            producer.send(self.topic, None, b"sent", [(SENT, b"1")])
        producer.flush()
        producer.close()

    def found(self) -> list[Any]:
        """What is said of dead letters."""
        with pytest.raises(SystemExit):
            main(["doctor", "--json"])
        said = json.loads(self.capsys.readouterr().out)["findings"]
        return [finding for finding in said if finding["check"] == "dead_letters"]


@pytest.fixture
def box(kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Box:
    """An empty one."""
    topic = kafka.new_topic("dead-letters", 1)
    feed = {"payments": kafka.new_topic("payments", 1), "orders": None}
    monkeypatch.setenv("PASTILLE_BROKER", kafka.bootstrap)
    monkeypatch.setenv("PASTILLE_FEEDS", json.dumps([feed]))
    monkeypatch.setenv("PASTILLE_TOPICS__DEAD_LETTERS", topic)
    return Box(kafka, topic, capsys)


def test_marks_hide_no_letter_that_waits(box: Box) -> None:
    """A long replay writes a mark for each letter that it sent: what it left stands before thousands of them."""
    box.post("unknown_status", "unknown_status", "not_json", "not_json", marks=1_100)
    [finding] = box.found()
    assert (finding["severity"], finding["got"]) == ("warning", "3 in all: not_json 2, unknown_status 1")
    assert finding["example"] == f"{box.topic}/0/3"


def test_what_was_not_looked_at_is_said(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """None among the newest records is not none; where one waits there, that is said alone."""
    for module in (checkup, dead_letters):
        monkeypatch.setattr(module, "LETTERS_MAX", 3)
    box.post("unknown_status", "not_json", marks=3)
    [finding] = box.found()
    assert (finding["severity"], finding["example"]) == ("info", None)
    assert finding["got"] == "none among the newest 3 records, and 2 older ones that were not looked at"
    box.post("not_json")
    [finding] = box.found()
    assert (finding["severity"], finding["got"]) == ("warning", "1 among the newest 3 records: not_json 1")
