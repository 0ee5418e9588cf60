"""The doctor on a real broker: each planted mistake is found by name and place, and healthy topics give nothing.

There is one test of the name of each check.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource

from detector.counting.tally import Cells, Source, Tally, encode
from streams.admin import admin_client
from streams.commands import main
from streams.deadletters import dead_letter
from streams.doctor.checks import CHECKS
from streams.embedded import EmbeddedKafka
from streams.letterbox import SENT
from streams.settings import load_settings
from streams.topics import create_topics
from tests.broker import applied

pytestmark = pytest.mark.kafka

ORDERS = 80
SPAN_MS = 300_000
OWN = ("tallies", "outages", "health", "dead_letters", "maintenances", "baselines")
Json = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One record of the planted traffic; `partition` None: where its key belongs."""

    topic: str
    value: Json | bytes
    timestamp_ms: int
    key: bytes | None = None
    partition: int | None = None


@dataclass
class World:
    """Topics of one test, the traffic it plants, and what the doctor says of it."""

    kafka: EmbeddedKafka
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    payments: str = ""
    orders: str | None = ""
    app_id: str = "no-such"
    own: dict[str, str] = field(default_factory=dict)

    def make_topics(self, payments: int = 2, orders: int = 2) -> None:
        """Feed topics with so many partitions, and Pastille's own."""
        self.payments = self.kafka.new_topic("payments", payments)
        self.orders = self.kafka.new_topic("orders", orders)
        stem = self.payments.removeprefix("payments-")
        self.app_id = f"doctor-{stem}"
        self.own = {name: f"{name}-{stem}" for name in OWN}
        self.environment()
        create_topics(load_settings())

    def let_writers_say_when(self) -> None:
        """A tally has the time its writer gives it: so that one can be old."""
        wanted = {"message.timestamp.type": "CreateTime"}
        with admin_client(load_settings()) as admin:
            admin.alter_configs([ConfigResource("topic", self.own["tallies"], wanted)])
        applied(load_settings())

    def traffic(self) -> list[Sent]:
        """Healthy traffic of the last five minutes: orders, their payments, nine of ten approved."""
        records: list[Sent] = []
        for number in range(ORDERS):
            began = self.now_ms - SPAN_MS + number * SPAN_MS // ORDERS
            order = f"order-{number}"
            who = {"order_id": order, "merchant_id": f"shop-{number % 5}", "bank": f"bank-{number % 3}"}
            who |= {"method": "card"}
            paid: Json = who | {"payment_id": f"payment-{number}"}
            final = {"status": "declined", "code": "51"} if number % 10 == 0 else {"status": "approved"}
            assert self.orders is not None
            records += [
                Sent(self.orders, who | {"status": "placed", "occurred_at": began}, began + 20),
                Sent(self.payments, paid | {"status": "pending", "occurred_at": began + 100}, began + 120),
                Sent(self.payments, paid | {"occurred_at": began + 1_900} | final, began + 1_950),
            ]
        return records

    def send(self, records: list[Sent]) -> None:
        """Write the records as a conforming producer would, where they do not say otherwise."""
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        futures = []
        for sent in records:
            value = sent.value if isinstance(sent.value, bytes) else json.dumps(sent.value).encode()
            key = sent.key
            if key is None and isinstance(sent.value, dict):
                key = sent.value["order_id"].encode()
            futures.append(
                producer.send(sent.topic, value, key, partition=sent.partition, timestamp_ms=sent.timestamp_ms)
            )
        for future in futures:
            future.get(timeout=30)
        producer.close()

    def count(self, boundary_ms: int | None = None, partitions: int = 2, written_ms: int | None = None) -> None:
        """Write the tallies of a worker that has counted every source up to a boundary (default: now)."""
        boundary = (self.now_ms if boundary_ms is None else boundary_ms) // 1_000 * 1_000
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        for partition in range(partitions):
            tally = Tally(Source("default", partition), {"default": partitions}, 1, boundary, boundary, 1, no_cells())
            sent = producer.send(self.own["tallies"], encode(tally), timestamp_ms=written_ms or self.now_ms)
            sent.get(timeout=30)
        producer.close()

    def doctor(self, *arguments: str) -> tuple[int, Json]:
        """Run the command; its exit code and its JSON."""
        code = self.run("doctor", "--json", *arguments)
        return code, json.loads(self.capsys.readouterr().out)

    def found(self, *arguments: str) -> Json:
        """The one finding there must be."""
        code, said = self.doctor(*arguments)
        assert (1 if said["findings"][0]["severity"] != "info" else 0) == code
        assert len(said["findings"]) == 1, said["findings"]
        finding: Json = said["findings"][0]
        assert all(finding[word] for word in ("what", "got", "do"))
        return finding

    def environment(self) -> None:
        """Let commands connect here, with these topics."""
        feed = {"payments": self.payments, "orders": self.orders}
        self.monkeypatch.setenv("PASTILLE_BROKER", self.kafka.bootstrap)
        self.monkeypatch.setenv("PASTILLE_FEEDS", json.dumps([feed]))
        self.monkeypatch.setenv("PASTILLE_APP_ID", self.app_id)
        for name, topic in self.own.items():
            self.monkeypatch.setenv(f"PASTILLE_TOPICS__{name.upper()}", topic)

    def run(self, *arguments: str) -> int:
        """Run `pastille` with these topics; its exit code."""
        self.environment()
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert isinstance(stopped.value.code, int)
        return stopped.value.code


def no_cells() -> Cells:
    return Cells(
        (), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((0, 6), np.int32), np.zeros((0, 6), np.int32),
        np.zeros((0, 5), np.int32), np.zeros(0, np.int64), np.zeros((0, 5), np.uint8), np.zeros(0, np.uint64),
    )  # fmt: skip


@pytest.fixture
def world(kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    """A world without topics."""
    return World(kafka, monkeypatch, capsys)


@pytest.fixture
def healthy(world: World) -> World:
    """A world with topics and a worker that has counted up to now, and no traffic yet."""
    world.make_topics()
    world.count()
    return world


def changed(world: World, change: Callable[[Sent, Json], Sent]) -> list[Sent]:
    """The healthy traffic with every payment record changed."""
    return [
        change(sent, sent.value) if sent.topic == world.payments and isinstance(sent.value, dict) else sent
        for sent in world.traffic()
    ]


def with_fields(sent: Sent, **fields: Any) -> Sent:
    assert isinstance(sent.value, dict)
    return replace(sent, value={name: value for name, value in (sent.value | fields).items() if value is not None})


def test_a_healthy_feed_gives_no_finding(healthy: World) -> None:
    """Traffic that keeps the contract, and a worker that keeps up, give no finding of any severity, and exit code 0."""
    healthy.send(healthy.traffic())
    code, said = healthy.doctor()
    assert (code, said["findings"]) == (0, [])
    assert said["read"] == {healthy.payments: 2 * ORDERS, healthy.orders: ORDERS}


def test_every_check_has_a_test_and_a_page() -> None:
    """Each check has a test and a section of docs/DOCTOR.md, both of its name, and there is no other section."""
    page = Path(__file__).parents[2] / "docs" / "DOCTOR.md"
    sections = [line.removeprefix("## ").strip() for line in page.read_text().splitlines() if line.startswith("## ")]
    assert sections == list(CHECKS)
    assert [f"test_{name}" for name in CHECKS if f"test_{name}" not in globals()] == []


def test_topics(world: World) -> None:
    """Without topics, the doctor names those of the feed and those of Pastille, and does not hang."""
    world.payments, world.orders = "no-such.payments", "no-such.orders"
    world.own = {name: f"no-such.{name}" for name in OWN}
    code, said = world.doctor()
    assert (code, [(each["check"], each["severity"]) for each in said["findings"]]) == (1, [("topics", "error")] * 2)
    assert "no-such.payments" in said["findings"][0]["got"]
    assert "no-such.orders" in said["findings"][0]["got"]
    assert all(f"no-such.{name}" in said["findings"][1]["got"] for name in OWN)


def test_partitions(world: World) -> None:
    """Payments and orders with different numbers of partitions are found, with both numbers."""
    world.make_topics(payments=3, orders=2)
    world.count(partitions=3)
    world.send(world.traffic())
    finding = world.found()
    assert finding["check"] == "partitions"
    assert f"{world.payments} 3" in finding["got"]
    assert f"{world.orders} 2" in finding["got"]


def test_payments(healthy: World) -> None:
    """An empty feed, or one with nothing in the last minutes, is said: silence must not look like health."""
    assert (healthy.found()["check"], healthy.found()["got"]) == ("payments", "none at all")
    hour_ago = healthy.now_ms - 3_600_000
    healthy.send([replace(sent, timestamp_ms=hour_ago) for sent in healthy.traffic()])
    assert healthy.found("--minutes", "10")["got"].startswith(f"{2 * ORDERS} records")


def test_key(healthy: World) -> None:
    """A key that is not the order_id is found, and so is a record that murmur2 would not have put where it is."""
    records = healthy.traffic()
    records[4] = replace(records[4], key=b"payment-1")
    records[7] = replace(records[7], partition=0)
    records[10] = replace(records[10], partition=0)
    records[13] = replace(records[13], partition=1)
    records[16] = replace(records[16], partition=1)
    healthy.send(records)
    code, said = healthy.doctor()
    assert code == 1
    assert [each["check"] for each in said["findings"]] == ["key", "key"]
    assert said["findings"][0]["got"].startswith("1 of 160")
    assert all(each["example"].startswith(f"{healthy.payments}/") for each in said["findings"])


def test_unparsable(healthy: World) -> None:
    """Records that a worker could not decode are found, with their share and the place of one of them."""
    healthy.send([*healthy.traffic(), Sent(healthy.payments, b"{no json", healthy.now_ms, b"k", 1)])
    finding = healthy.found()
    assert (finding["check"], finding["got"][:8]) == ("unparsable", "1 of 161")
    assert finding["example"].startswith(f"{healthy.payments}/1/")


def test_cards(healthy: World) -> None:
    """A field with card numbers is found by its name, known to the contract or not, and no number is ever shown."""
    card = "4111 1111 1111 1111"
    healthy.send(changed(healthy, lambda sent, _: with_fields(sent, shopper_id=card, pan=4111111111111111)))
    code, said = healthy.doctor()
    assert code == 1
    assert [(each["check"], each["severity"], each["got"]) for each in said["findings"]] == [
        ("cards", "warning", f"160 of 160 (100 %) values of {name} in {healthy.payments}")
        for name in ("pan", "shopper_id")
    ]
    assert said["findings"][0]["example"].startswith(f"{healthy.payments}/")
    assert healthy.run("doctor") == 1
    assert "1111" not in json.dumps(said) + healthy.capsys.readouterr().out


@pytest.mark.parametrize(("off_ms", "severity", "word"), [
    (400_000, "error", "dead letters"), (60_000, "warning", "after"), (-900_000, "warning", "more than 60 s before"),
])  # fmt: skip
def test_clock(healthy: World, off_ms: int, severity: str, word: str) -> None:
    """A producer's clock that is far ahead or behind is found; so far ahead that records are refused is an error."""
    healthy.send(changed(healthy, lambda sent, value: with_fields(sent, occurred_at=value["occurred_at"] + off_ms)))
    finding = healthy.found()
    assert (finding["check"], finding["severity"]) == ("clock", severity)
    assert word in finding["what"]


def test_started_at(healthy: World) -> None:
    """An answer H or more after its payment's first event, without started_at, is found; with it, it is not."""
    old = healthy.now_ms - 700_000
    paid: Json = {"order_id": "o", "payment_id": "p", "merchant_id": "m", "bank": "b", "method": "boleto"}
    began = Sent(healthy.payments, paid | {"status": "pending", "occurred_at": old}, old)
    late = Sent(healthy.payments, paid | {"status": "approved", "occurred_at": healthy.now_ms}, healthy.now_ms)
    healthy.send([*healthy.traffic(), began, with_fields(late, started_at=old)])
    assert healthy.doctor()[1]["findings"] == []
    healthy.send([late])
    assert healthy.found()["check"] == "started_at"


def test_finals(healthy: World) -> None:
    """Payments that stay pending for minutes, and not one answer among them, are found."""
    healthy.send(changed(healthy, lambda sent, _: with_fields(sent, status="pending", code=None)))
    finding = healthy.found()
    assert (finding["check"], finding["severity"]) == ("finals", "error")
    assert finding["got"].startswith(f"{ORDERS} payments pending")


def test_merchants(healthy: World) -> None:
    """Payments without merchant_id, with which min_merchants can never be met, are found."""
    healthy.send(changed(healthy, lambda sent, _: with_fields(sent, merchant_id=None)))
    finding = healthy.found()
    assert (finding["check"], finding["severity"]) == ("merchants", "error")
    assert "min_merchants" in finding["do"]


def test_codes(healthy: World) -> None:
    """Response codes that are not in the table are found, without showing one."""
    healthy.send(changed(healthy, lambda sent, value: with_fields(sent, code=value.get("code") and "OUR_OWN_WORD")))
    finding = healthy.found()
    assert (finding["check"], finding["got"][:6]) == ("codes", "8 of 8")
    assert "OUR_OWN_WORD" not in json.dumps(finding)


def test_orders(healthy: World) -> None:
    """A feed whose orders never flow is information, not a mistake: exit code 0."""
    healthy.send([sent for sent in healthy.traffic() if sent.topic == healthy.payments])
    assert healthy.found()["check"] == "orders"
    healthy.orders = None
    assert healthy.found()["got"] == "no orders topic in the settings"


def test_dead_letters(healthy: World) -> None:
    """Dead letters that wait are found with their reasons; one that was sent again is not."""
    letter = dead_letter(healthy.payments, 0, 5, b"k", [], "unknown_status", "status", healthy.now_ms, b"{}", 65_536)
    healthy.send([*healthy.traffic(), Sent(healthy.own["dead_letters"], letter, healthy.now_ms, b"k")])
    finding = healthy.found()
    assert (finding["check"], finding["example"]) == ("dead_letters", f"{healthy.own['dead_letters']}/0/0")
    assert "unknown_status 1" in finding["got"]
    producer = KafkaProducer(bootstrap_servers=healthy.kafka.bootstrap)
    producer.send(healthy.own["dead_letters"], None, b"sent", [(SENT, b"0")]).get(timeout=30)
    producer.close()
    assert healthy.doctor()[0] == 0


def test_lag(world: World) -> None:
    """No worker ever, a worker that stopped, and one that is behind are told apart, by the tallies alone."""
    world.make_topics()
    world.let_writers_say_when()
    world.send(world.traffic())
    finding = world.found()
    assert (finding["check"], finding["what"]) == ("lag", "no worker has ever counted this feed")
    minute_ago, long_ago = world.now_ms - 60_000, world.now_ms - 200_000
    world.count(long_ago, written_ms=long_ago)
    assert world.found()["what"] == "no worker is running"
    world.count(minute_ago)
    finding = world.found()
    assert finding["what"] == "the worker does not keep up"
    assert "2 of 2 sources" in finding["got"]
    world.count()
    assert world.doctor()[1]["findings"] == []


def test_a_person_reads_the_same(healthy: World) -> None:
    """Without --json the finding is printed in words, with its place and page, and no field's value."""
    healthy.send(changed(healthy, lambda sent, _: with_fields(sent, merchant_id=None)))
    assert healthy.run("doctor") == 1
    said = healthy.capsys.readouterr().out
    assert "error merchants" in said
    assert f"{healthy.payments}/" in said
    assert "docs/DOCTOR.md#merchants" in said
    assert "order-" not in said


def test_a_sample_is_bounded(healthy: World) -> None:
    """--sample reads at most so many records a partition, and --minutes none older than that."""
    healthy.send(healthy.traffic())
    assert healthy.doctor("--sample", "10")[1]["read"] == {healthy.payments: 20, healthy.orders: 20}
    in_a_minute = sum(sent.timestamp_ms >= healthy.now_ms - 60_000 for sent in healthy.traffic())
    assert 0 < sum(healthy.doctor("--minutes", "1")[1]["read"].values()) <= in_a_minute


def test_markers_of_transactions_are_passed(healthy: World) -> None:
    """A feed written in transactions is read to its end, though its last offset is a marker and no record."""
    producer = KafkaProducer(bootstrap_servers=healthy.kafka.bootstrap, transactional_id=f"{healthy.payments}-writer")
    producer.init_transactions()
    producer.begin_transaction()
    for sent in healthy.traffic():
        assert isinstance(sent.value, dict)
        key = sent.value["order_id"].encode()
        producer.send(sent.topic, json.dumps(sent.value).encode(), key, timestamp_ms=sent.timestamp_ms)
    producer.commit_transaction()
    producer.close()
    code, said = healthy.doctor("--seconds", "20")
    assert (code, said["cut_short"], said["findings"]) == (0, False, [])
    assert said["read"] == {healthy.payments: 2 * ORDERS, healthy.orders: ORDERS}


def test_a_broker_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no broker answers, the doctor says so in one sentence and ends with exit code 2."""
    monkeypatch.setattr("streams.reading.CONNECT_MS", 1_000)
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--broker", "127.0.0.1:1"])
    assert stopped.value.code == 2
    assert "Kafka at 127.0.0.1:1 (PLAINTEXT) cannot be used" in capsys.readouterr().err
