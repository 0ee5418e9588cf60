"""Hostile records against a running worker: each becomes a dead letter with its reason, and the worker goes on."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from detector.contracts.policy import DEFAULT
from detector.contracts.policy_keys import LIMITS
from streams.embedded import EmbeddedKafka
from streams.tallylog import encoded
from tests.integration.workers import Stage, wait_for
from tests.unit.bad_records import BAD, GOOD

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

HOSTILE = [bad for bad in BAD if bad.topic in ("payments", "orders")]
CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
HOUR_MS = 3_600_000


def good(number: int, **fields: Any) -> tuple[bytes, bytes]:
    """A sound payment now, with its key."""
    event = {**GOOD, "payment_id": f"p-{number}", "order_id": f"o-{number}", "occurred_at": _now_ms(), **fields}
    return event["order_id"].encode(), json.dumps(event).encode()


def letters(stage: Stage) -> list[dict[str, Any]]:
    """The dead letters, in order."""
    return [json.loads(value) for value in stage.read(stage.settings.topics.dead_letters)]


def test_every_hostile_record_is_a_dead_letter(kafka: EmbeddedKafka) -> None:
    """At least 40 kinds of bad record: each on the dead-letter topic with reason, field, offset and payload, and so
    an event an hour ahead of its record; those around it are counted."""
    assert len(HOSTILE) >= 40
    with Stage(kafka, 1) as stage:
        worker = stage.worker("--from", "earliest")
        topics = {"payments": stage.feed.payments, "orders": stage.feed.orders}
        sent: dict[tuple[str, int], Any] = {}
        for kind, topic in topics.items():
            rows = [bad for bad in HOSTILE if bad.topic == kind]
            assert topic is not None
            stage.send_raw(topic, [(b"k", bad.value) for bad in rows])
            sent |= {(topic, offset): bad for offset, bad in enumerate(rows)}
        sound = [good(number) for number in range(51)]
        sound[10] = good(10, occurred_at=_now_ms() + HOUR_MS)
        stage.send_raw(stage.feed.payments, [*sound, (b"k", None)])
        wait_for(lambda: len(letters(stage)) >= len(sent) + 2, stage, f"{len(sent) + 2} dead letters", every_s=1)
        found = {(letter["topic"], letter["offset"]): letter for letter in letters(stage)}
        wrong = {bad.name: found[at] for at, bad in sent.items()
                 if (found[at]["reason"], found[at]["field"] or "") != (bad.reason, bad.field)}  # fmt: skip
        assert wrong == {}
        kept = [at for at, bad in sent.items() if found[at]["payload"] is not None]
        assert all(base64.b64decode(found[at]["payload"]) == sent[at].value for at in kept)
        assert len(kept) > 40
        ahead = found[stage.feed.payments, sum(bad.topic == "payments" for bad in HOSTILE) + 10]
        assert (ahead["reason"], ahead["field"]) == ("clock_ahead", "occurred_at")
        wait_for(lambda: _payments(worker) == 50, stage, "the sound payments around it counted")
        reasons = worker.metrics()
        told = sum(value for (name, _), value in reasons.items() if name == "pastille_dead_letters_total")
        assert told == len(found) == len(letters(stage))


def test_a_payload_is_kept_up_to_the_policys_limit(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """A policy may ask for longer payloads than the default's, up to the most it may ask for: one byte more is left
    out."""
    longest = int(LIMITS["dead_letter_bytes_max"].nearest(10**9))
    assert longest > DEFAULT.dead_letter_bytes_max
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[limits]\ndead_letter_bytes_max = {longest}\n")
    with Stage(kafka, 1) as stage:
        stage.worker("--from", "earliest", "--policy", str(policy))
        stage.send_raw(stage.feed.payments, [(b"k", b"x" * size) for size in (longest, longest + 1)])
        found = wait_for(lambda: len(letters(stage)) == 2 and letters(stage), stage, "two dead letters", every_s=1)
        payloads = [letter["payload"] and len(base64.b64decode(letter["payload"])) for letter in found]
        assert payloads == [longest, None]


def test_card_numbers_are_counted_and_kept_nowhere(kafka: EmbeddedKafka) -> None:
    """What looks like a card number, in any field, key, header or broken record, reaches no topic, label or log."""
    with Stage(kafka, 1) as stage:
        worker = stage.worker("--from", "earliest")
        fields = ("payment_id", "order_id", "merchant_id", "shopper_id", "instrument_id", "bank", "code")
        records = [good(number, **{field: card}) for number, (field, card) in enumerate(
            (field, card) for field in fields for card in (CARD, SPACED))]  # fmt: skip
        broken = [(CARD.encode(), json.dumps({**GOOD, "bank": 7, "note": CARD}).encode()), (b"k", SPACED.encode())]
        stage.send_raw(stage.feed.payments, [*records, *broken])
        wait_for(lambda: len(letters(stage)) >= 2, stage, "two dead letters", every_s=1)
        found = worker.metrics()
        marked = {dict(labels)["field"] for (name, labels) in found if name == "pastille_card_like_total"}
        assert marked == set(fields)
        names = stage.settings.topics
        texts = [b"\n".join(stage.read(topic)) for topic in (names.outages, names.health, names.dead_letters)]
        tallies = [data for value in stage.read(names.tallies) for data in encoded(value)]
        texts.append(b"\n".join(tallies))
        said = [*texts, worker.get("/metrics")[1].encode(), worker.logged().encode()]
        assert [CARD.encode() in text or SPACED.encode() in text for text in said] == [False] * len(said)


def test_a_flood_of_bad_records_does_not_blind_the_worker(kafka: EmbeddedKafka) -> None:
    """Far more bad records than the policy's rate: all are told of, the last in sums, and good ones are counted."""
    flood = 12_000
    with Stage(kafka, 1) as stage:
        worker = stage.worker("--from", "earliest")
        stage.send_raw(stage.feed.payments, [(b"k", b"not an event")] * flood)
        stage.send_raw(stage.feed.payments, [good(number) for number in range(20)])
        wait_for(lambda: worker.counted() == 20, stage, "the good ones counted")
        wait_for(lambda: _told(letters(stage)) == flood, stage, "every bad record told of", every_s=2)
        assert len(letters(stage)) < flood


def _told(found: list[dict[str, Any]]) -> int:
    """How many records the letters speak of; a flood's letter says how many in its first word."""
    return sum(int(letter["field"].split()[0]) if letter["reason"] == "flood" else 1 for letter in found)


def _payments(worker: Any) -> float:
    return sum(value for (name, _), value in worker.metrics().items() if name == "pastille_payments_total")


def _now_ms() -> int:
    return time.time_ns() // 10**6
