"""What a person reads who sets a variable wrongly, or one that does not exist: what; got; do."""

import errno
import logging
import os
from pathlib import Path
from typing import NoReturn

import pytest

from streams.errors import UserError
from streams.settings import Settings, load_settings

SECRET = "correct horse battery"
LEAKS = ("Input should", "String should", "Tuple should", "Extra inputs", "Value error", "EnvSettingsSource")
"""How pydantic's own sentences begin."""
SERVICES = {
    "PASTILLE_SERVICE_HOST": "10.0.0.1", "PASTILLE_SERVICE_PORT": "8090", "PASTILLE_SERVICE_PORT_HTTP": "8090",
    "PASTILLE_PORT": "tcp://10.0.0.1:8090", "PASTILLE_PORT_8090_TCP": "tcp://10.0.0.1:8090",
    "PASTILLE_PORT_8090_TCP_PROTO": "tcp", "PASTILLE_PORT_8090_TCP_PORT": "8090",
    "PASTILLE_PORT_8090_TCP_ADDR": "10.0.0.1", "PASTILLE_WORKER_SERVICE_HOST": "10.0.0.2",
    "PASTILLE_WORKER_PORT": "tcp://10.0.0.2:8090", "PASTILLE_HTTPS_PORT": "tcp://10.0.0.3:8090",
}  # fmt: skip
"""What Kubernetes sets for services that are called pastille, pastille-worker and pastille-https."""

SERVERS = ("kafka", "kafka:99999", "kafka://k:9092", "kafka:²", "kafka:-1", "kafka:", ":9092", "::1:9092",
           "[kafka]:9092", "a:b:9092", "a b:9092", "kafka:٩٠", "k..a:9092")  # fmt: skip
"""What is no host:port; ² is a digit to Python, and no number."""
HOSTS = ("127.0.0.1:8090", "localhost:8090", "[::1]:8090", "http://localhost", "a b", " ", "[", "*", "a" * 64)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("PASTILLE_")]:
        monkeypatch.delenv(name)


def told(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    """The lines of the refusal."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as refused:
        load_settings()
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        *[("BROKER", server, "BROKER: must be host:port, several separated by commas, an IPv6 address in brackets; "
           f"got '{server}'; set it like PASTILLE_BROKER=kafka-1:9092") for server in SERVERS],
        *[("HTTP_HOST", host, f"HTTP_HOST: must be an address or a name, without a port; got '{host}'; set it like "
           "PASTILLE_HTTP_HOST=127.0.0.1") for host in HOSTS],
        ("BROKER", ",", "BROKER: must name at least one host:port; got ','; set it like PASTILLE_BROKER=kafka-1:9092,"),
        ("FEEDS", "[{", "FEEDS: must be a list of JSON; got '[{'; set it like PASTILLE_FEEDS='[{\"name\": \"pix\","),
        ("FEEDS", "[]", "FEEDS: must not be empty; got []; set it like PASTILLE_FEEDS="),
        ("FEEDS", "[" * 90_000, "FEEDS: must be a list of JSON; got '[[[[[[["),
        ("FEEDS", '[{"name": "a", "name": "b"}]', "FEEDS: names in an object must differ; got name more than once; "),
        ("FEEDS", '["a"]', "FEEDS[0]: must be an object of JSON; got 'a'; set it like PASTILLE_FEEDS="),
        ("FEEDS", '[{"name": "a b"}]', "FEEDS[0].name: must match ^[A-Za-z0-9_-]+$; got 'a b'; set it like"),
        ("FEEDS", '[{"nam": "a"}]', "FEEDS[0].nam: is not known; got 'a'; set it like PASTILLE_FEEDS="),
        ("FEEDS", '[{"payments": 3}]', "FEEDS[0].payments: must be a text; got 3; set it like PASTILLE_FEEDS="),
        ("TOPICS", "x", "TOPICS: must be an object of JSON; got 'x'; set it like PASTILLE_TOPICS='{\"tallies\": "),
        ("TOPICS", '{"tallies": ""}', "TOPICS__TALLIES: must not be empty; got ''; set it like PASTILLE_TOPICS="),
        ("TOPICS__TALIES", "x", "TOPICS__TALIES: is not known; got 'x'; set it like PASTILLE_TOPICS="),
        ("APP_ID", "a" * 65, f"APP_ID: must have at most 64 characters; got '{'a' * 65}'; set it like"),
        ("CLOCK", "sun", "CLOCK: must be 'wall' or 'events'; got 'sun'; set it like PASTILLE_CLOCK=wall"),
        ("FROM", "latest", "FROM: must be 'committed-or-recent' or 'earliest'; got 'latest'; set it like PASTILLE_FR"),
        ("FETCH_BYTES", "1", "FETCH_BYTES: must be 65536 or more; got '1'; set it like PASTILLE_FETCH_BYTES=1048576"),
        ("FETCH_BYTES", "9" * 5_000, f"FETCH_BYTES: must be a smaller number; got '{'9' * 79}; set it like PASTILLE_F"),
        ("HTTP_PORT", "70000", "HTTP_PORT: must be 65535 or less; got '70000'; set it like PASTILLE_HTTP_PORT=8090"),
        ("HTTP_PORT", "-1", "HTTP_PORT: must be 0 or more; got '-1'; set it like PASTILLE_HTTP_PORT=8090"),
        ("HTTP_PORT", "²", "HTTP_PORT: must be a whole number; got '²'; set it like PASTILLE_HTTP_PORT=8090"),
        ("HTTP_PORT", "x", "HTTP_PORT: must be a whole number; got 'x'; set it like PASTILLE_HTTP_PORT=8090"),
        ("OUTAGE_READERS", "a," * 17, "OUTAGE_READERS: must have at most 16 entries; got ('a', 'a', "),
        ("POLICY", "nope", "POLICY: must be the path of a readable file; got 'nope'; set it like PASTILLE_POLICY=/etc"),
        ("SECURITY_PROTOCOL", "TLS", "SECURITY_PROTOCOL: must be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'; "),
        ("CHECK_HOSTNAME", "maybe", "CHECK_HOSTNAME: must be true or false; got 'maybe'; set it like PASTILLE_CHECK_H"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str) -> None:
    """One line names the variable and says what must be, what was got, and one that would do."""
    (said,) = told(monkeypatch, **{f"PASTILLE_{name}": value})
    assert said[: len(line) + 9] == f"PASTILLE_{line}"
    assert [leak for leak in LEAKS if leak in said] == []


@pytest.mark.parametrize(
    ("host", "taken"),
    [("::1", "::1"), ("[::1]", "::1"), ("0.0.0.0", "0.0.0.0"), (" shop-1.example ", "shop-1.example"), ("::", "::"),
     ("fe80::1%eth0", "fe80::1%eth0"), ("::ffff:127.0.0.1", "::ffff:127.0.0.1"), ("", "127.0.0.1")],
)  # fmt: skip
def test_an_address_is_taken_as_people_write_it(monkeypatch: pytest.MonkeyPatch, host: str, taken: str) -> None:
    """Also with the brackets of a URL; an empty one counts as not set. A broker's has them, as every client wants."""
    monkeypatch.setenv("PASTILLE_HTTP_HOST", host)
    monkeypatch.setenv("PASTILLE_BROKER", "[::1]:9092,kafka_1.example:1")
    settings = load_settings()
    assert (settings.http_host, settings.broker) == (taken, "[::1]:9092,kafka_1.example:1")


@pytest.mark.parametrize("name", ["PASTILLE_PASSWORD_FILE", "PASTILLE_SSL_KEYFILE_PASSWORD_FILE"])
def test_a_password_in_place_of_its_file_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Who writes the password where its file belongs does not find it in the message."""
    (line,) = told(monkeypatch, **{name: SECRET})
    assert line.startswith(f"{name}: must be the path of a readable file; set it like {name}=/run/secrets/")
    assert SECRET not in line


@pytest.mark.parametrize("name", ["PASTILLE_PASSWORD_FILE", "PASTILLE_POLICY"])
@pytest.mark.parametrize("reason", [errno.EACCES, errno.ENAMETOOLONG])
def test_a_file_that_cannot_be_asked_about_is_a_mistake_like_others(
    monkeypatch: pytest.MonkeyPatch, name: str, reason: int
) -> None:
    """In a folder that this user may not enter, or called by a name too long: a sentence, no error of the system's."""

    def refuses(*_: object, **__: object) -> NoReturn:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(Path, "stat", refuses)
    (line,) = told(monkeypatch, **{name: "/run/secrets/its/file"})
    assert line.startswith(f"{name}: must be the path of a readable file; ")


def test_every_example_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a message says to copy is no mistake itself; files apart, which are not here."""
    for name, field in Settings.model_fields.items():
        for value in field.examples or ():
            if name not in ("username", "security_protocol", "password", "ssl_keyfile_password") and value[0] != "/":
                monkeypatch.setenv(f"PASTILLE_{name.upper()}", value)
    assert load_settings().outage_readers == ("pager", "checkout-routing")


@pytest.mark.parametrize(
    ("option", "wrong", "line"),
    [
        ("policy", Path("nope"), "--policy: must be the path of a readable file; got 'nope'; set it like --policy /et"),
        ("broker", "kafka", "--broker: must be host:port, several separated by commas, an IPv6 address in brackets"),
        ("http_port", 70_000, "--http-port: must be 65535 or less; got 70000; set it like --http-port 8090"),
        ("from_", "latest", "--from: must be 'committed-or-recent' or 'earliest'; got 'latest'; set it like --from "),
    ],
)  # fmt: skip
def test_an_option_is_blamed_for_itself(monkeypatch: pytest.MonkeyPatch, option: str, wrong: object, line: str) -> None:
    """What the command line says wrongly is no mistake of a variable, and the variables' are no options'."""
    monkeypatch.setenv("PASTILLE_CLOCK", "sun")
    with pytest.raises(UserError) as refused:
        load_settings(**{option: wrong})
    lines = str(refused.value).splitlines()
    assert sorted(said[: len(line)] for said in lines)[0] == line
    assert sorted(said.partition(":")[0] for said in lines)[1] == "PASTILLE_CLOCK"


def test_only_our_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable without our prefix is somebody else's, whatever fields are called within."""
    monkeypatch.setenv("FROM_", "latest")
    assert load_settings().from_ == "committed-or-recent"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("PASTILLE_SECURITY_PROTCOL", "PASTILLE_SECURITY_PROTOCOL"),
        ("PASTILLE_SSL_CA_FILE", "PASTILLE_SSL_CAFILE"),
        ("PASTILLE_PASSWD", "PASTILLE_PASSWORD"),
        ("PASTILLE_BROKERS", "PASTILLE_BROKER"),
        ("PASTILLE_TOPIC__TALLIES", "PASTILLE_TOPICS__TALLIES"),
        ("pastille_brokr", "PASTILLE_BROKER"),
    ],
)
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str, meant: str) -> None:
    """A name with a letter or two wrong ends the start, with the name that was meant and without the value."""
    (line,) = told(monkeypatch, **{wrong: SECRET})
    assert line == f"{wrong}: no setting has this name; the nearest is {meant}; correct or unset it"


def test_a_misspelt_variable_is_told_beside_what_it_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a user lacks the password whose name is misspelt, the misspelling stands first."""
    user = {"PASTILLE_SECURITY_PROTOCOL": "SASL_SSL", "PASTILLE_USERNAME": "shop"}
    lines = told(monkeypatch, **user, PASTILLE_PASWORD=SECRET)
    assert [line.partition(" ")[0] for line in lines] == ["PASTILLE_PASWORD:", "security"]
    assert [line for line in lines if SECRET in line] == []


@pytest.mark.parametrize(
    ("other", "hint"),
    [
        ("PASTILLE_TLS", ""),
        ("PASTILLE_IMAGE_TAG", ""),
        ("PASTILLE_FORM", "; the nearest is PASTILLE_FROM"),
        ("PASTILLE_SASL_USERNAME", "; the nearest is PASTILLE_USERNAME"),
        ("PASTILLE_HTTP_PORT_8090", "; the nearest is PASTILLE_HTTP_PORT"),
    ],
)
def test_any_other_unknown_variable_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, other: str, hint: str
) -> None:
    """It may be somebody else's, so the start goes on; one line of the log names it, and not what it holds."""
    monkeypatch.setenv(other, SECRET)
    with caplog.at_level(logging.WARNING):
        load_settings()
    assert [record.getMessage() for record in caplog.records] == [
        f"{other}: no setting has this name, and it changes nothing{hint}"
    ]


def test_what_is_no_mistake_is_passed_over(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of services of Kubernetes, of what others of ours read, or of an empty variable."""
    others = {"PASTILLE_CACHE": "x", "PASTILLE_DATA": "x", "PASTILLE_BROKR": "", "PASTILLE_TOPICS__HEALTH": "h"}
    for name, value in (SERVICES | others).items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        assert load_settings().topics.health == "h"
    assert caplog.records == []


def test_a_port_that_a_person_set_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A PASTILLE_PORT that is no address of Kubernetes' was meant for something, and is not passed over."""
    monkeypatch.setenv("PASTILLE_PORT", "9000")
    with caplog.at_level(logging.WARNING):
        load_settings()
    assert "PASTILLE_PORT: no setting has this name" in caplog.text
