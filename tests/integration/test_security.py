"""One settings object secures every client: TLS, SASL PLAIN and SCRAM, and mutual TLS, on a real broker."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams.commands import main
from streams.embedded import EmbeddedKafka
from streams.settings import Settings

pytestmark = pytest.mark.kafka

WAYS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "mutual TLS")
WRONG = "wrong-password-93c1"


def _settings(secured: EmbeddedKafka, way: str) -> Settings:
    return secured.settings(mutual=True) if way == "mutual TLS" else secured.settings(sasl_mechanism=way)


def _run(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


def _become(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("mutual", [False, True])
def test_topics_are_created(secured: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, mutual: bool) -> None:
    """With the variables that the broker names, `topics create` and `check` succeed."""
    _become(monkeypatch, secured.environment(mutual=mutual))
    assert [_run(["topics", command]) for command in ("create", "check")] == [0, 0]


@pytest.mark.parametrize("way", WAYS)
def test_our_own_clients_connect(secured: EmbeddedKafka, way: str) -> None:
    """A record goes there and back through aiokafka, secured in each way."""
    topic = secured.new_topic("secured")
    arguments = _settings(secured, way).aiokafka()
    assert asyncio.run(_there_and_back(arguments, topic)) == b"secured"


@pytest.mark.parametrize("way", WAYS)
def test_faust_connects(secured: EmbeddedKafka, way: str) -> None:
    """What Faust makes of its credentials connects, secured in each way."""
    settings = _settings(secured, way)
    arguments = {
        "bootstrap_servers": settings.broker.split(","),
        **credentials_to_aiokafka_auth(settings.faust_credentials()),
    }
    assert asyncio.run(_there_and_back(arguments, secured.new_topic("secured"))) == b"secured"


async def _there_and_back(arguments: dict[str, object], topic: str) -> bytes | None:
    async with AIOKafkaProducer(**arguments) as producer:
        await producer.send_and_wait(topic, b"secured")
    async with AIOKafkaConsumer(topic, auto_offset_reset="earliest", **arguments) as consumer:
        return (await consumer.getone()).value


def test_a_wrong_password_is_said_and_not_shown(
    secured: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A wrong password ends with 2 and a sentence that says so; no output contains it, nor the right one."""
    file = tmp_path / "password"
    file.write_text(WRONG, encoding="ascii")
    _become(monkeypatch, secured.environment() | {"PASTILLE_PASSWORD_FILE": str(file)})
    assert _run(["topics", "check"]) == 2
    output = "".join(capsys.readouterr())
    assert "Authentication failed" in output
    assert "check PASTILLE_USERNAME, PASTILLE_PASSWORD_FILE" in output
    right = (secured.folder / "password").read_text(encoding="ascii")
    assert [secret for secret in (WRONG, right) if secret in output] == []


def test_an_unknown_authority_is_refused(
    secured: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker whose certificate the CA file does not vouch for is not talked to."""
    variables = secured.environment()
    del variables["PASTILLE_SSL_CAFILE"]
    _become(monkeypatch, variables)
    assert _run(["topics", "check"]) == 2
    assert "check PASTILLE_SSL_CAFILE" in capsys.readouterr().err


def test_a_client_without_a_certificate_is_refused(
    secured: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The listener for mutual TLS takes nobody who shows no certificate."""
    variables = secured.environment(mutual=True)
    for name in ("PASTILLE_SSL_CERTFILE", "PASTILLE_SSL_KEYFILE"):
        del variables[name]
    _become(monkeypatch, variables)
    assert _run(["topics", "check"]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_secrets_are_readable_by_their_owner_only(secured: EmbeddedKafka) -> None:
    """The password, the keys and the broker's settings are closed to other users."""
    names = ("password", "client.key", "server.pem", "broker-1/server.properties")
    assert {name: oct((secured.folder / name).stat().st_mode & 0o777) for name in names} == dict.fromkeys(
        names, "0o600"
    )


def test_the_password_is_in_no_command_line(secured: EmbeddedKafka) -> None:
    """Whoever lists the processes of the machine sees the broker, and not its password."""
    listing = subprocess.run(["ps", "-ww", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert str(secured.folder) in listing
    assert (secured.folder / "password").read_text(encoding="ascii") not in listing
