"""`pastille simulate` as a user runs it: to files, to standard output, and to a real Kafka as any producer would."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kafka.partitioner.default import murmur2

from streams.commands import main
from streams.embedded import EmbeddedKafka
from streams.reading import open_reader

PARTITIONS = 4
PASTILLE = (sys.executable, "-c", "from streams.commands import main; main()", "simulate")


def simulate(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*PASTILLE, *arguments], capture_output=True, timeout=120, check=False, **more)


def test_files_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    """The same call gives the same bytes, packed or not; standard output gives them too."""
    asked = ("--for", "20s", "--fault", "bank:bnp all_red 5s 10s")
    files = [tmp_path / name for name in ("a.jsonl", "a.gz", "b.gz")]
    for file in files:
        assert simulate(*asked, "--to", str(file)).returncode == 0
    plain, packed, packed_again = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert packed == packed_again
    assert hashlib.sha256(simulate(*asked).stdout).hexdigest() == plain


def test_a_scenario_file_is_read(tmp_path: Path) -> None:
    """Faults come from a file too, one a line, with comments."""
    scenario = tmp_path / "scenario.txt"
    scenario.write_text("# a bad morning\nbank:bnp all_red 0s 20s  # all of it\n\n", encoding="utf-8")
    lines = [json.loads(line) for line in simulate("--for", "20s", "--scenario", str(scenario)).stdout.splitlines()]
    answers = {line["status"] for line in lines if line.get("bank") == "bnp" and "payment_id" in line}
    assert "error" in answers
    assert "approved" not in answers


@pytest.mark.parametrize(
    "wrong",
    [("--fault", "bank:bnp all_red"), ("--rate", "0"), ("--for", "soon"), ("--start", "2024-01-01"),
     ("--fault", "bank:nowhere all_red 1s 2s"), ("--speed", "-1"), ("--to", "/nowhere/at/all.jsonl"),
     ("--to", "kafka", "--broker", "127.0.0.1:1")],
)  # fmt: skip
def test_mistakes_are_sentences(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option ends with exit code 2 and one sentence, no traceback."""
    assert "error" in refused(capsys, "simulate", *wrong)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a call in this process says, which ends with exit code 2 and without a traceback."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(("--broker", "kafka-1:9092"), "--broker is of --to kafka alone; got --broker kafka-1:9092 and --to -"),
     (("--speed", "1", "--to", "day.jsonl"), "--speed is of --to kafka alone; got --speed 1.0 and --to day.jsonl"),
     (("--for", "90s", "--fault", "bank:bnp all_red 90s 2m"), 'got "bank:bnp all_red 90s 2m" and 90 s; let it begin')],
)  # fmt: skip
def test_what_would_change_nothing_is_refused(
    wrong: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An option of Kafka's without Kafka, and a fault that lies behind the end; no file is begun."""
    monkeypatch.chdir(tmp_path)
    assert said in " ".join(refused(capsys, "simulate", *wrong).split())
    assert not list(tmp_path.iterdir())


def test_a_fault_may_go_on_beyond_the_end() -> None:
    """It is the part that is asked for."""
    assert simulate("--for", "10s", "--fault", "bank:bnp all_red 9s 2m").returncode == 0


def test_a_reader_that_leaves_is_no_mistake() -> None:
    """`simulate | head` ends quietly."""
    process = subprocess.Popen([*PASTILLE, "--for", "10m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""


@pytest.fixture(scope="module")
def feed(kafka: EmbeddedKafka) -> tuple[str, str, dict[str, str]]:
    """A feed of its own: names of the two topics, and the environment that names them."""
    payments, orders = (kafka.new_topic(stem, PARTITIONS) for stem in ("sim-payments", "sim-orders"))
    feeds = json.dumps([{"name": "default", "payments": payments, "orders": orders}])
    return payments, orders, {**os.environ, **kafka.environment(), "PASTILLE_FEEDS": feeds}


@pytest.mark.kafka
def test_kafka_gets_what_a_file_gets(kafka: EmbeddedKafka, feed: tuple[str, str, dict[str, str]]) -> None:
    """Sent as fast as it goes, the topics hold the file's events: payments and orders apart, keyed and placed by
    `order_id` as Kafka's own partitioner does, each record with its event's time."""
    payments, orders, environment = feed
    asked = ("--for", "30s", "--start", str((int(time.time()) - 60) * 1000))
    written = [json.loads(line) for line in simulate(*asked).stdout.splitlines()]
    assert simulate(*asked, "--to", "kafka", "--speed", "0", env=environment).returncode == 0
    with open_reader(kafka.settings()) as reader:
        read = reader.newest([payments, orders], 100_000).records
    for topic, is_order in ((payments, False), (orders, True)):
        events = [event for event in written if ("payment_id" not in event) is is_order]
        got = [json.loads(record.value or b"") for record in read[topic]]
        assert sorted(map(str, got)) == sorted(map(str, events))
        for record, event in zip(read[topic], got, strict=True):
            assert record.key == event["order_id"].encode()
            assert record.place.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
            assert record.timestamp_ms == event["occurred_at"]


@pytest.mark.kafka
def test_a_missing_topic_is_a_sentence(kafka: EmbeddedKafka) -> None:
    """Without topics nothing hangs: the command says which are missing and what to do."""
    feeds = json.dumps([{"payments": "nobody-made-this", "orders": "nor-that"}])
    result = simulate("--to", "kafka", env={**os.environ, **kafka.environment(), "PASTILLE_FEEDS": feeds})
    assert result.returncode == 2
    assert b"nobody-made-this" in result.stderr
    assert b"topics create" in result.stderr
