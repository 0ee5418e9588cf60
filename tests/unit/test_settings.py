"""Connection settings: what the environment may say, what each client gets, what must never be shown."""

import os
from pathlib import Path

import pytest

from streams.errors import UserError
from streams.settings import Feed, Settings, load_settings

PASSWORD = "correct horse battery"
PATIENCE = {"request_timeout_ms": 7_000, "metadata_max_age_ms": 5_000}
"""What clients of aiokafka are told beside the connection: none waits for ever for a broker that stands still."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PASTILLE_"):
            monkeypatch.delenv(name)


def _with_password(**more: object) -> Settings:
    return load_settings(security_protocol="SASL_PLAINTEXT", username="shop", password=PASSWORD, **more)


def test_defaults_connect_to_this_machine_without_security() -> None:
    """With nothing set, clients are told the loopback broker and no security at all."""
    settings = load_settings()
    expected = {"bootstrap_servers": ["127.0.0.1:9092"], "security_protocol": "PLAINTEXT"}
    assert settings.kafka_python() == expected
    assert settings.aiokafka() == expected | PATIENCE
    assert settings.faust_broker() == "kafka://127.0.0.1:9092"
    assert settings.faust_credentials() is None
    assert settings.feeds == (Feed(name="default", payments="payments", orders="orders"),)


def test_environment_names_feeds_topics_and_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds, our topics' names and the first start can all be set from the environment."""
    monkeypatch.setenv("PASTILLE_FEEDS", '[{"name": "pix", "payments": "pix.payments", "orders": null}]')
    monkeypatch.setenv("PASTILLE_TOPICS__TALLIES", "x.tallies")
    monkeypatch.setenv("PASTILLE_FROM", "earliest")
    monkeypatch.setenv("PASTILLE_BROKER", "kafka-1:9092, kafka-2:9092")
    settings = load_settings()
    assert settings.feeds == (Feed(name="pix", payments="pix.payments", orders=None),)
    assert settings.feeds[0].topics == ("pix.payments",)
    assert (settings.topics.tallies, settings.topics.outages) == ("x.tallies", "pastille.outages")
    assert settings.from_ == "earliest"
    assert settings.faust_broker() == "kafka://kafka-1:9092;kafka://kafka-2:9092"


def test_readers_are_named_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that must read the outages are names between commas; by default there are none."""
    assert load_settings().outage_readers == ()
    monkeypatch.setenv("PASTILLE_OUTAGE_READERS", "pager, checkout.routing,")
    assert load_settings().outage_readers == ("pager", "checkout.routing")
    monkeypatch.setenv("PASTILLE_OUTAGE_READERS", "pager,no group")
    with pytest.raises(UserError, match="PASTILLE_OUTAGE_READERS"):
        load_settings()


def test_an_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line says wins over the environment, and an option that is not given says nothing."""
    monkeypatch.setenv("PASTILLE_BROKER", "kafka-1:9092")
    assert load_settings(broker="kafka-9:9092").broker == "kafka-9:9092"
    assert load_settings(broker=None).broker == "kafka-1:9092"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"feeds": [{"name": "a"}, {"name": "a", "payments": "p", "orders": None}]}, "feed names must differ; got a"),
        ({"feeds": [{"payments": "orders"}]}, "topic names must differ; got orders"),
        ({"topics": {"tallies": "payments"}}, "topic names must differ; got payments"),
        ({"security_protocol": "SASL_SSL"}, "needs a user and a password; got neither"),
        ({"security_protocol": "SSL", "ssl_certfile": __file__}, "belong together"),
    ],
)
def test_mistakes_are_named(wrong: dict[str, object], named: str) -> None:
    """Each mistake in the settings ends in one error that names the variable or the rule."""
    with pytest.raises(UserError, match=named):
        load_settings(**wrong)


SASL: dict[str, object] = {"username": "shop", "password_file": __file__, "sasl_mechanism": "PLAIN"}
TLS: dict[str, object] = {
    "ssl_cafile": __file__, "ssl_certfile": __file__, "ssl_keyfile": __file__, "ssl_keyfile_password_file": __file__,
    "check_hostname": False,
}  # fmt: skip
UNUSED = {"PLAINTEXT": SASL | TLS, "SSL": SASL, "SASL_PLAINTEXT": TLS}
USER = {"SASL_PLAINTEXT": {"username": "shop", "password": PASSWORD}}


@pytest.mark.parametrize(("protocol", "name"), [(protocol, name) for protocol in UNUSED for name in UNUSED[protocol]])
def test_what_the_protocol_does_not_use_is_refused(protocol: str, name: str) -> None:
    """No user, password, mechanism, certificate, key or look at the host name is left unused without a word."""
    needed = USER.get(protocol, {})
    with pytest.raises(UserError, match=rf"PASTILLE_{name.upper()}\b.* would not be used; got security protocol"):
        load_settings(security_protocol=protocol, **needed, **{name: UNUSED[protocol][name]})


def test_a_default_that_is_asked_for_is_not_passed_over() -> None:
    """Who asks for the host name to be looked at, as is usual, does not get a connection that looks at nothing."""
    with pytest.raises(UserError, match=r"PASTILLE_CHECK_HOSTNAME would not be used; .*; set PASTILLE_SECURITY_PROTO"):
        load_settings(check_hostname=True)


def test_every_mistake_of_the_connection_is_told() -> None:
    """A user and a CA file without a protocol are two lines, and both lead to the same one."""
    with pytest.raises(UserError) as refused:
        load_settings(username="shop", ssl_cafile=__file__)
    lines = str(refused.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["PASTILLE_USERNAME", "PASTILLE_SSL_CAFILE"]
    assert [line for line in lines if "set PASTILLE_SECURITY_PROTOCOL=SASL_SSL," not in line] == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"ssl_keyfile_password": PASSWORD}, "needs its key; got no PASTILLE_SSL_KEYFILE"),
        ({"ssl_keyfile_password_file": __file__}, "needs its key; got no PASTILLE_SSL_KEYFILE"),
        (
            {**TLS, "ssl_keyfile_password": PASSWORD},
            "KEYFILE_PASSWORD and PASTILLE_SSL_KEYFILE_PASSWORD_FILE; unset one",
        ),
        ({"password": PASSWORD, "password_file": __file__}, "PASTILLE_PASSWORD and PASTILLE_PASSWORD_FILE; unset one"),
    ],
)
def test_passwords_are_one_and_of_something(wrong: dict[str, object], named: str) -> None:
    """A key's password needs a key, and of a password and its file one is set; no message shows one."""
    with pytest.raises(UserError, match=named) as refused:
        load_settings(security_protocol="SSL", **wrong)
    assert PASSWORD not in str(refused.value)


def test_the_password_reaches_every_client() -> None:
    """One user, password and mechanism reach kafka-python, aiokafka and Faust alike."""
    settings = _with_password(sasl_mechanism="SCRAM-SHA-256")
    expected = {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "shop",
        "sasl_plain_password": PASSWORD,
    }
    assert settings.kafka_python() == expected
    assert settings.aiokafka() == expected | PATIENCE
    faust = settings.faust_credentials()
    assert (faust.username, faust.password, faust.mechanism.value) == ("shop", PASSWORD, "SCRAM-SHA-256")
    assert faust.protocol.value == "SASL_PLAINTEXT"


def test_tls_gives_every_client_a_checking_context() -> None:
    """With TLS, each client gets a context that checks the certificate and, unless told otherwise, the host name."""
    settings = load_settings(security_protocol="SSL", check_hostname=False)
    context = settings.kafka_python()["ssl_context"]
    assert (context.verify_mode.name, context.check_hostname) == ("CERT_REQUIRED", False)
    assert load_settings(security_protocol="SSL").aiokafka()["ssl_context"].check_hostname
    assert load_settings(security_protocol="SSL").faust_credentials().protocol.value == "SSL"


def test_a_password_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    """The password is the file's text, without the line end an editor adds."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    settings = load_settings(security_protocol="SASL_PLAINTEXT", username="shop", password_file=file)
    assert settings.kafka_python()["sasl_plain_password"] == PASSWORD


def test_a_password_file_of_another_system_is_read(tmp_path: Path) -> None:
    """The mark with which some editors begin a file is not taken for a letter of the password."""
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbf" + PASSWORD.encode() + b"\r\n")
    settings = load_settings(security_protocol="SASL_PLAINTEXT", username="shop", password_file=file)
    assert settings.kafka_python()["sasl_plain_password"] == PASSWORD


@pytest.mark.parametrize(("text", "said"), [("\n", "has none"), ("x" * 4097, "has more"), ("\xff", "UTF-8")])
def test_a_file_that_is_no_password_is_not_sent(tmp_path: Path, text: str, said: str) -> None:
    """An empty file, or one that is cut where it is too long, would be a wrong password, and nobody would know why."""
    file = tmp_path / "password"
    file.write_bytes(text.encode("latin-1"))
    settings = load_settings(security_protocol="SASL_PLAINTEXT", username="shop", password_file=file)
    with pytest.raises(UserError, match=said):
        settings.kafka_python()


@pytest.mark.parametrize("server", ["kafka-1.shop.example.:9092", "kafka_1:9092", "[::1]:9092", "[fe80::1%eth0]:9092"])
def test_a_broker_is_a_name_or_an_address(server: str) -> None:
    """With dots, underscores, or of version 6 in brackets; what we listen on needs none."""
    host = server.rpartition(":")[0].strip("[]")
    settings = load_settings(broker=server, http_host=host)
    assert (settings.broker, settings.http_host) == (server, host)


def test_secrets_are_never_shown() -> None:
    """Neither the text nor the JSON of settings, nor an error about them, contains a password."""
    settings = load_settings(
        security_protocol="SASL_SSL", username="shop", password=PASSWORD, ssl_certfile=__file__, ssl_keyfile=__file__,
        ssl_keyfile_password=PASSWORD,
    )  # fmt: skip
    with pytest.raises(UserError) as mistaken:
        _with_password(http_port=-1, sasl_mechanism="ROT13", password_file=__file__)
    shown = [repr(settings), str(settings), settings.model_dump_json(), str(mistaken.value)]
    shown.append(repr(_with_password().faust_credentials()))
    assert [text for text in shown if PASSWORD in text] == []


def test_an_unusable_certificate_is_an_error_of_the_settings() -> None:
    """A CA file that is no certificate ends in an error that names the settings to look at."""
    settings = load_settings(security_protocol="SSL", ssl_cafile=__file__)
    with pytest.raises(UserError, match="check PASTILLE_SSL_CAFILE"):
        settings.kafka_python()
