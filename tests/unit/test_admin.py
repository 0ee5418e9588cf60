"""Why Kafka cannot be used: the reason that helps is kept among those that only say that time is up. And what is asked
again: what the other brokers would answer."""

import logging
from typing import Any

import pytest
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
)

from streams import admin
from streams.admin import _mend, _Reason, admin_client
from streams.errors import UserError
from streams.settings import Settings

REFUSED = SaslAuthenticationFailedError("Authentication failed due to invalid credentials")
HUNG_UP = KafkaConnectionError("socket disconnected")
TIME_UP = KafkaTimeoutError("Unable to bootstrap")


@pytest.mark.parametrize(
    ("causes", "kept"),
    [
        ([REFUSED, HUNG_UP, TIME_UP], REFUSED),
        ([HUNG_UP, REFUSED, HUNG_UP], REFUSED),
        ([HUNG_UP, TIME_UP], HUNG_UP),
    ],
)
def test_a_refusal_is_kept(causes: list[Exception], kept: Exception) -> None:
    """Whatever is said after a refused password, the refusal is what is told."""
    reason = _Reason()
    for cause in causes:
        reason.emit(logging.LogRecord("kafka", logging.WARNING, "", 0, "failed: %s", (cause,), None))
    assert reason.text == str(kept)


def test_the_mend_fits_the_reason() -> None:
    """A refused password points to the user and password, an unknown authority to the CA file."""
    assert "PASTILLE_PASSWORD_FILE" in _mend(str(REFUSED))
    assert "PASTILLE_SSL_CAFILE" in _mend("[SSL: CERTIFICATE_VERIFY_FAILED]")
    assert "PASTILLE_BROKER" in _mend(str(HUNG_UP))


class FakeKafka:
    """Its brokers, of which the first that are asked fail; `clients` counts who connected, and who is connected."""

    def __init__(self, *errors: KafkaError) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.clients, self.connected = 0, 0

    def __call__(self, **_: Any) -> "FakeKafka":
        self.clients, self.connected = self.clients + 1, self.connected + 1
        return self

    def list_topics(self) -> list[str]:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return ["payments"]

    def close(self) -> None:
        self.connected -= 1


def topics_of(kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an admin client says of it."""
    monkeypatch.setattr(admin, "KafkaAdminClient", kafka)
    monkeypatch.setattr(admin, "PAUSE_S", 0.0)
    with admin_client(Settings(broker="kafka:9092")) as client:
        found: list[str] = client.list_topics()
    return found


def test_a_broker_that_is_gone_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka still names it; another answers a new client, and none is left connected."""
    kafka = FakeKafka(HUNG_UP, NodeNotReadyError(1), RequestTimedOutError())
    assert topics_of(kafka, monkeypatch) == ["payments"]
    assert (kafka.asked, kafka.clients, kafka.connected) == (4, 4, 0)


@pytest.mark.parametrize("error", [REFUSED, ClusterAuthorizationFailedError(), UnknownTopicOrPartitionError()])
def test_what_stays_refused_is_asked_once(error: KafkaError, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other broker would say otherwise."""
    kafka = FakeKafka(error)
    with pytest.raises(UserError, match="cannot be used"):
        topics_of(kafka, monkeypatch)
    assert (kafka.asked, kafka.connected) == (1, 0)


def test_it_is_asked_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is said that Kafka cannot be used."""
    monkeypatch.setattr(admin, "MISSED_S", -1.0)
    kafka = FakeKafka(HUNG_UP)
    with pytest.raises(UserError, match=r"got: .*socket disconnected"):
        topics_of(kafka, monkeypatch)
    assert (kafka.asked, kafka.connected) == (1, 0)
