"""Dead letters on a real broker: listing them, and sending again what decodes now, once, with its key and headers."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.contracts.policy import DEFAULT
from streams.commands import deadletters, main
from streams.deadletters import dead_letter
from streams.embedded import EmbeddedKafka
from streams.resending import ORIGIN
from streams.settings import Settings

pytestmark = pytest.mark.kafka

CARD = "4111111111111111"
Json = dict[str, Any]
NO_LETTERS: Json = {"total": 0, "unreadable": 0, "not_looked_at": 0, "letters": []}
NOTHING_TO_SEND: Json = {
    "dry_run": True, "sent": 0, "left": 0, "not_looked_at": 0, "letters": {}, "failed": [], "records": [],
}  # fmt: skip


@dataclass
class Box:
    """Topics of one test, and the commands on them."""

    kafka: EmbeddedKafka
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def __post_init__(self) -> None:
        self.payments = self.kafka.new_topic("payments", 3)
        self.letters = self.kafka.new_topic("dead-letters", 2)
        feed = {"payments": self.payments, "orders": None}
        self.monkeypatch.setenv("PASTILLE_BROKER", self.kafka.bootstrap)
        self.monkeypatch.setenv("PASTILLE_FEEDS", json.dumps([feed]))
        self.monkeypatch.setenv("PASTILLE_TOPICS__DEAD_LETTERS", self.letters)

    def event(self, **changes: Any) -> bytes:
        """A payment event that decodes, with changes."""
        event: Json = {
            "payment_id": "p-1", "order_id": "o-1", "bank": "bnp", "method": "card", "status": "approved",
            "occurred_at": self.now_ms,
        }  # fmt: skip
        return json.dumps(event | changes).encode()

    def post(self, value: bytes, reason: str = "unknown_status", offset: int = 7, **changes: Any) -> None:
        """Write a letter as a worker would."""
        key, headers = changes.get("key", b"o-1"), changes.get("headers", [])
        topic = changes.get("topic", self.payments)
        letter = dead_letter(topic, changes.get("partition", 1), offset, key, headers, reason, "status",
                             self.now_ms, value, DEFAULT.dead_letter_bytes_max)  # fmt: skip
        self.post_raw(letter, changes.get("box", 0))

    def post_raw(self, value: bytes, partition: int = 0) -> None:
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        producer.send(self.letters, value, b"k", partition=partition).get(timeout=30)
        producer.close()

    def run(self, *arguments: str) -> tuple[int, Json]:
        """Run `pastille deadletters … --json`; exit code and JSON."""
        code = self.run_plain(*arguments, "--json")
        said: Json = json.loads(self.capsys.readouterr().out)
        return code, said

    def run_plain(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["deadletters", *arguments])
        assert isinstance(stopped.value.code, int)
        return stopped.value.code

    def sent(self) -> list[Any]:
        """Everything in the payments topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.bootstrap, auto_offset_reset="earliest")
        parts = [TopicPartition(self.payments, number) for number in range(3)]
        ends = consumer.end_offsets(parts)
        consumer.assign(parts)
        consumer.seek_to_beginning()
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for batch in consumer.poll(timeout_ms=500).values():
                found += batch
        consumer.close()
        return found


@pytest.fixture
def box(kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Box:
    """A dead-letter topic and a feed, both empty."""
    return Box(kafka, monkeypatch, capsys)


def test_an_empty_box_is_no_finding(box: Box) -> None:
    """Without letters, list says none and ends with 0, and replay has nothing to send."""
    for since in ((), ("--since", "99999d")):  # before 1970 is no mistake: all of them
        assert box.run("list", *since) == (0, NO_LETTERS)
    assert box.run("replay") == (0, NOTHING_TO_SEND)


def test_list_shows_the_newest_first_and_no_payload(box: Box) -> None:
    """Letters come newest first, by reason where asked, with place and size; payloads only with --show."""
    box.post(box.event(status="brand_new"), offset=1)
    box.post(b"{no json", "not_json", offset=2, box=1)
    code, said = box.run("list")
    assert (code, said["total"]) == (1, 2)
    assert [each["record"] for each in said["letters"]] == [f"{box.payments}/1/2", f"{box.payments}/1/1"]
    assert said["letters"][0] | {"received_at": ""} == {
        "at": f"{box.letters}/1/0", "received_at": "", "reason": "not_json", "field": "status",
        "record": f"{box.payments}/1/2", "bytes": 8, "sent_again": False,
    }  # fmt: skip
    assert [each["reason"] for each in box.run("list", "--reason", "not_json")[1]["letters"]] == ["not_json"]
    assert [each["reason"] for each in box.run("list", "--limit", "1")[1]["letters"]] == ["not_json"]
    assert box.run("list", "--since", "1d")[1]["total"] == 2
    assert box.run("list", "--since", "2999-01-01T00:00:00Z") == (0, NO_LETTERS)
    assert box.run("list", "--show")[1]["letters"][0]["payload"] == "{no json"
    assert box.run_plain("list", "--show") == 1
    assert "{no json" in box.capsys.readouterr().out


def test_a_letter_is_a_line_of_a_terminal(box: Box) -> None:
    """At eighty columns nothing is cut or folded: a line a letter, its own topic said once, its payload below it."""
    box.monkeypatch.setenv("COLUMNS", "80")
    box.post(box.event(), "control_character", offset=1234567)
    box.post(b"{no json" + b" " * 100, "not_json", offset=2, topic="payments")
    assert box.run_plain("list") == 1
    head, new, old, count = box.capsys.readouterr().out.splitlines()
    assert head.split() == ["letter", "received", "(UTC)", "reason", "field", "bytes", "record"]
    assert new.split()[:1] + new.split()[3:] == ["0/1", "not_json", "status", "108", "payments/1/2"]
    assert old.split()[3:4] + old.split()[6:] == ["control_character", f"{box.payments}/1/1234567"]
    assert len(old) - len(box.payments) + len("payments") <= 80
    assert count == f"2 of 2 dead letters in {box.letters}"
    assert box.run_plain("list", "--show", "--reason", "not_json") == 1
    assert box.capsys.readouterr().out.splitlines()[2] == "    {no json" + " " * 100


def test_an_unknown_reason_is_refused(box: Box) -> None:
    """A slip is no empty answer: the nearest reason is named, and all of them; one that a letter has is known."""
    box.post(box.event(), "from_elsewhere")
    for command in ("list", "replay"):
        assert box.run_plain(command, "--reason", "unknown_statu") == 2
        said = box.capsys.readouterr().err
        assert "got 'unknown_statu'; did you mean unknown_status? use one of bad_currency," in said
        assert "flood" in said
    assert box.run_plain("list", "--reason", "nonsense") == 2
    assert "got 'nonsense'; use one of" in box.capsys.readouterr().err
    assert box.run("list", "--reason", "from_elsewhere")[1]["total"] == 1
    assert box.run("list", "--reason", "flood") == (0, NO_LETTERS)


def test_a_card_number_is_never_shown(box: Box) -> None:
    """No letter, of ours or from elsewhere, shows a card number that it holds, and no control code is printed."""
    box.post(box.event(order_id=CARD), key=CARD.encode())
    box.post_raw(json.dumps({
        "topic": box.payments, "partition": 0, "offset": 1, "reason": "\x1b[31mx", "received_at": 1,
        "payload": "NDExMTExMTExMTExMTExMQ==",
    }).encode())  # fmt: skip
    code, said = box.run("list", "--show")
    assert (code, [each["payload"] for each in said["letters"]]) == (1, [None, None])
    assert box.run_plain("list", "--show") == 1
    shown = box.capsys.readouterr().out
    assert CARD not in shown
    assert "\x1b[31m" not in shown


def test_replay_sends_what_decodes_now_once(box: Box, tmp_path: Path) -> None:
    """A dry run sends nothing; --yes sends what the policy now maps, as it was; a second --yes sends nothing."""
    value = box.event(status="brand_new")
    box.post(value, headers=[("trace", b"\xff\x00")])
    box.post(b"{no json", "not_json", offset=8)
    box.post(box.event(order_id=CARD), offset=9)
    code, said = box.run("replay")
    assert (code, said["letters"]) == (0, {"payload_left_out": 1, "still_wrong": 2})
    policy = tmp_path / "policy.toml"
    policy.write_text('[statuses]\nbrand_new = "approved"\n')
    box.monkeypatch.setenv("PASTILLE_POLICY", str(policy))
    code, said = box.run("replay", "--dry-run")
    assert (code, said["sent"], said["letters"]) == (1, 0, {"payload_left_out": 1, "still_wrong": 1, "send": 1})
    assert box.sent() == []
    code, said = box.run("replay", "--yes")
    assert (code, said["sent"]) == (0, 1)
    (record,) = box.sent()
    assert (record.value, record.key) == (value, b"o-1")
    assert dict(record.headers) == {"trace": b"\xff\x00", ORIGIN: f"{box.letters}/0/0".encode()}
    code, said = box.run("replay", "--yes")
    assert (code, said["sent"], said["letters"]["already_sent"]) == (0, 0, 1)
    assert len(box.sent()) == 1
    assert [each["sent_again"] for each in box.run("list")[1]["letters"]] == [False, False, True]


def test_several_letters_of_one_record_are_sent_once(box: Box) -> None:
    """A record that was refused twice, by a worker that read its log again, is sent once, also over two runs."""
    box.post(box.event())
    box.post(box.event(), box=1)
    assert box.run("replay", "--yes")[1]["letters"] == {"send": 1, "same_record_as_a_newer_letter": 1}
    box.post(box.event())
    assert box.run("replay", "--yes")[1]["letters"] == {"already_sent": 3}
    assert len(box.sent()) == 1


def test_what_would_come_straight_back_is_not_sent(box: Box) -> None:
    """An event still ahead of the clock, one ignored, a foreign topic's and a flood's are not sent."""
    box.post(box.event(occurred_at=box.now_ms + 3_600_000), "clock_ahead", offset=1)
    box.post(box.event(status="refunded"), offset=2)
    box.post(box.event(), offset=3, topic="somewhere-else")
    box.post(b"", "flood", offset=4)
    code, said = box.run("replay", "--yes")
    assert (code, said["sent"]) == (0, 0)
    assert said["letters"] == {
        "still_ahead_of_clock": 1, "ignored_status": 1, "not_a_feed_topic": 1, "payload_left_out": 1,
    }  # fmt: skip


def test_a_letter_without_key_goes_back_to_its_partition(box: Box) -> None:
    """A record that had no key is sent to the partition it stood on; one whose partition is gone is named and left,
    and the others go on."""
    box.post(box.event(), key=None, partition=40, offset=9)
    box.post(box.event(), key=None, partition=2)
    code, said = box.run("replay", "--yes")
    assert (code, said["sent"], said["left"]) == (1, 1, 1)
    assert said["failed"] == [
        {"at": f"{box.letters}/0/0", "why": f"its partition is not there: {box.payments} has 3 partitions"}
    ]
    assert [(each.partition, each.key) for each in box.sent()] == [(2, None)]
    assert box.run("replay")[0] == 1
    assert box.run_plain("replay", "--yes") == 1
    assert f"cannot be sent: {box.letters}/0/0: its partition is not there" in box.capsys.readouterr().out
    assert len(box.sent()) == 1


def test_a_letter_that_is_refused_is_named_and_left(box: Box) -> None:
    """One that the topic finds too large stops none behind it; what was sent is marked."""
    box.payments = box.kafka.new_topic("payments", 3, {"max.message.bytes": "2000"})
    box.monkeypatch.setenv("PASTILLE_FEEDS", json.dumps([{"payments": box.payments, "orders": None}]))
    box.post(box.event(order_id="o-1", note="x" * 4_000), offset=1)
    box.post(box.event(), offset=2)
    for sent in (1, 0):
        code, said = box.run("replay", "--yes", "--limit", "1")  # it uses up nothing of the limit
        assert (code, said["sent"], said["left"]) == (1, sent, 1)
        assert said["failed"] == [{"at": f"{box.letters}/0/0", "why": "MessageSizeTooLargeError"}]
    assert len(box.sent()) == 1


def test_one_that_is_refused_takes_no_other_along(box: Box) -> None:
    """A compacted topic takes nothing without a key, and Kafka answers what comes together as one: the others are sent
    and marked all the same."""
    box.payments = box.kafka.new_topic("payments", 1, {"cleanup.policy": "compact"})
    box.monkeypatch.setenv("PASTILLE_FEEDS", json.dumps([{"payments": box.payments, "orders": None}]))
    for offset in range(9):
        key = None if offset == 4 else b"o-1"
        box.post(box.event(payment_id=f"p-{offset}"), offset=offset, key=key, partition=0)
    for sent in (8, 0):
        code, said = box.run("replay", "--yes")
        assert (code, said["sent"], said["left"]) == (1, sent, 1)
        assert said["failed"] == [{"at": f"{box.letters}/0/4", "why": "InvalidRecordError"}]
    consumer = KafkaConsumer(box.payments, bootstrap_servers=box.kafka.bootstrap, auto_offset_reset="earliest")
    found = [json.loads(next(consumer).value)["payment_id"] for _ in range(8)]
    consumer.close()
    assert sorted(found) == [f"p-{offset}" for offset in range(9) if offset != 4]


def test_limit_and_unreadable(box: Box) -> None:
    """--limit bounds what is sent, oldest first; the rest is said, and sent by the next run; what is no letter is
    counted."""
    for offset in range(5):
        box.post(box.event(payment_id=f"p-{offset}"), offset=offset)
    box.post_raw(b"not a letter")
    for left in (3, 1):
        code, said = box.run("replay", "--yes", "--limit", "2")
        assert (code, said["sent"], said["left"]) == (1, 2, left)
    assert {json.loads(each.value)["payment_id"] for each in box.sent()} == {"p-0", "p-1", "p-2", "p-3"}
    code, said = box.run("replay", "--yes")
    assert (code, said["sent"], said["left"]) == (0, 1, 0)
    assert len(box.sent()) == 5
    assert box.run("list")[1]["unreadable"] == 1


def test_what_was_not_looked_at_is_said(box: Box) -> None:
    """Where the topic holds more than one run looks at, the older part is told, and is no reason to say that all is
    done."""
    box.monkeypatch.setattr(deadletters, "SCANNED_MAX", 2)
    for offset in range(5):
        box.post(box.event(status="refunded"), offset=offset)
    assert [box.run(command)[0] for command in ("list", "replay")] == [1, 1]
    assert box.run("list")[1]["total"] == 2
    assert [box.run(command)[1]["not_looked_at"] for command in ("list", "replay")] == [3, 3]
    assert box.run_plain("replay", "--yes") == 1
    assert "only the newest 2 records were looked at, 3 older ones were not" in box.capsys.readouterr().out


def test_what_comes_too_late_is_told_and_left(box: Box) -> None:
    """A letter of which no open pane would hear is not called sendable; --late sends it all the same."""
    box.post(box.event(occurred_at=box.now_ms - DEFAULT.open_ms - DEFAULT.pane_ms), offset=1)
    assert box.run("replay")[0] == 0
    code, said = box.run("replay", "--yes")
    assert (code, said["sent"], said["letters"]) == (0, 0, {"too_late_to_be_counted": 1})
    assert box.run("replay", "--late")[0] == 1
    assert box.run("replay", "--late", "--yes")[1]["sent"] == 1
    assert box.run("replay", "--late", "--yes")[1]["letters"] == {"already_sent": 1}


@pytest.mark.parametrize(("late", "sent"), [((), 1), (("--late",), 3)])
def test_what_becomes_too_late_while_it_runs_is_left(box: Box, late: tuple[str, ...], sent: int) -> None:
    """A long run sends nothing that will be counted nowhere by the time it is sent, and names it."""
    closing_ms = box.now_ms - DEFAULT.open_ms + 5 * 60_000
    for offset, occurred_ms in enumerate((closing_ms, closing_ms, box.now_ms)):
        box.post(box.event(occurred_at=occurred_ms), offset=offset)
    started = deadletters.open_resender

    def after_six_minutes(settings: Settings) -> Any:
        now_ms[0] += 6 * 60_000
        return started(settings)

    now_ms = [box.now_ms]
    box.monkeypatch.setattr(deadletters, "time", SimpleNamespace(time_ns=lambda: now_ms[0] * 1_000_000))
    box.monkeypatch.setattr(deadletters, "open_resender", after_six_minutes)
    code, said = box.run("replay", "--yes", *late)
    assert (code, said["sent"], len(box.sent())) == (int(sent < 3), sent, sent)
    assert {left["why"] for left in said["failed"]} == ({"too late to be counted by now"} if sent < 3 else set())
    assert len(said["failed"]) == 3 - sent


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["replay", "--dry-run", "--yes"], "exclude each other"), (["list", "--since", "soon"], "write 30m")],
)
def test_wrong_usage_is_said(box: Box, arguments: list[str], word: str) -> None:
    """A call that makes no sense ends with exit code 2 and the mend."""
    assert box.run_plain(*arguments) == 2
    assert word in box.capsys.readouterr().err


def test_a_missing_topic_is_said(box: Box) -> None:
    """Without a dead-letter topic the commands say so, and how to make it."""
    box.monkeypatch.setenv("PASTILLE_TOPICS__DEAD_LETTERS", "no-such-topic")
    assert box.run_plain("list") == 2
    assert "pastille topics create" in box.capsys.readouterr().err
