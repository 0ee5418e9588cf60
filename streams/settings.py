"""Connection settings: where Kafka is, how to prove who we are, what our topics are called.

Read from the environment (`PASTILLE_…`) once, at the start of a command. The one object gives every Kafka client its
arguments, so that no client can be secured differently from another. It does not know rules or limits of detection:
those are the policy's.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from streams.errors import UserError
from streams.patience import METADATA_MS, REQUEST_MS

__all__ = ["Feed", "Settings", "TopicNames", "load_settings"]

FEEDS_MAX = 32
READERS_MAX = 16
SECRET_CHARACTERS_MAX = 4096
GOT_CHARACTERS_MAX = 80
SASL_FIELDS: Final = ("username", "password", "password_file", "sasl_mechanism")
TLS_FIELDS: Final = (
    "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_keyfile_password", "ssl_keyfile_password_file", "check_hostname",
)  # fmt: skip


def _bootstrap(text: str) -> str:
    servers = [server.strip() for server in text.split(",") if server.strip()]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or "/" in host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("must be host:port, several separated by commas; set it like kafka-1:9092,kafka-2:9092")
    if not servers:
        raise ValueError("must name at least one host:port; set it like 127.0.0.1:9092")
    return ",".join(servers)


TopicName = Annotated[str, Field(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Bootstrap = Annotated[str, AfterValidator(_bootstrap)]
# Names separated by commas, as a person writes them, and not JSON.
GroupNames = Annotated[tuple[TopicName, ...], NoDecode, BeforeValidator(lambda value: _separated(value))]
ExistingFile = Annotated[Path, AfterValidator(lambda path: _existing(path))]


def _separated(value: object) -> object:
    return tuple(filter(None, (name.strip() for name in value.split(",")))) if isinstance(value, str) else value


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("is not a readable file; give the path of an existing one")
    return path


class Feed(BaseModel):
    """A named pair of topics, both keyed by `order_id`; `orders` may be none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = "default"
    payments: TopicName = "payments"
    orders: TopicName | None = "orders"

    @property
    def topics(self) -> tuple[str, ...]:
        """The feed's topics, payments first."""
        return (self.payments,) if self.orders is None else (self.payments, self.orders)


class TopicNames(BaseModel):
    """What our own topics are called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tallies: TopicName = "pastille.tallies"
    outages: TopicName = "pastille.outages"
    health: TopicName = "pastille.health"
    dead_letters: TopicName = "pastille.dead-letters"
    maintenances: TopicName = "pastille.maintenances"
    baselines: TopicName = "pastille.baselines"


class Settings(BaseSettings):
    """Everything a Pastille process must know to connect.

    `load_settings` is the way to make one: it words the errors for a person.
    """

    model_config = SettingsConfigDict(
        env_prefix="PASTILLE_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    broker: Bootstrap = "127.0.0.1:9092"
    feeds: tuple[Feed, ...] = Field(default=(Feed(),), min_length=1, max_length=FEEDS_MAX)
    topics: TopicNames = TopicNames()
    app_id: Name = "pastille"
    policy: ExistingFile | None = None
    clock: Literal["wall", "events"] = "wall"
    fetch_as: Literal["bytes", "records"] = "bytes"
    fetch_bytes: int = Field(default=1 << 20, ge=1 << 16, le=1 << 25)
    outage_readers: GroupNames = Field(default=(), max_length=READERS_MAX)
    outage_reader_behind_s: int = Field(default=300, ge=1)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8090, ge=0, le=65535)
    from_: Literal["committed-or-recent", "earliest"] = Field(
        default="committed-or-recent", validation_alias=AliasChoices("PASTILLE_FROM", "from_")
    )

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    password_file: ExistingFile | None = None
    ssl_cafile: ExistingFile | None = None
    ssl_certfile: ExistingFile | None = None
    ssl_keyfile: ExistingFile | None = None
    ssl_keyfile_password: SecretStr | None = None
    ssl_keyfile_password_file: ExistingFile | None = None
    check_hostname: bool = True

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        names = [feed.name for feed in self.feeds]
        topics = [topic for feed in self.feeds for topic in feed.topics] + list(self.topics.model_dump().values())
        _require_distinct("feed names", names)
        _require_distinct("topic names", topics)
        self._check_security()
        return self

    def _check_security(self) -> None:
        """Raise ValueError with a line for each mistake.

        Who names a password or a certificate wants it used: what the protocol does not use is refused, also where it
        says the default, since a connection in plain text works as well and nobody would notice.
        """
        of_sasl, of_tls = self._those_set(SASL_FIELDS), self._those_set(TLS_FIELDS)
        protocol = f"security protocol {self.security_protocol}"
        encrypting = "SASL_SSL" if self.has_sasl or of_sasl else "SSL"
        wrong = [sentence for is_wrong, sentence in (
            (of_sasl and not self.has_sasl,
             f"{', '.join(of_sasl)} would not be used; got {protocol}, which sends no user; "
             "set PASTILLE_SECURITY_PROTOCOL=SASL_SSL, or unset what is not used"),
            (of_tls and not self.has_tls,
             f"{', '.join(of_tls)} would not be used; got {protocol}, which does not encrypt; "
             f"set PASTILLE_SECURITY_PROTOCOL={encrypting}, or unset what is not used"),
            (self.has_sasl and not (self.username and (self.password or self.password_file)),
             f"{protocol} needs a user and a password; got {', '.join(self._those_set(SASL_FIELDS[:3])) or 'neither'}; "
             "set PASTILLE_USERNAME and PASTILLE_PASSWORD_FILE (or PASTILLE_PASSWORD)"),
            (self.password and self.password_file,
             "one password is needed; got PASTILLE_PASSWORD and PASTILLE_PASSWORD_FILE; unset one of them"),
            ((self.ssl_certfile is None) != (self.ssl_keyfile is None),
             "PASTILLE_SSL_CERTFILE and PASTILLE_SSL_KEYFILE belong together; got one of them; set both or neither"),
            (self.ssl_keyfile_password and self.ssl_keyfile_password_file,
             "one password of the key is needed; got PASTILLE_SSL_KEYFILE_PASSWORD and "
             "PASTILLE_SSL_KEYFILE_PASSWORD_FILE; unset one of them"),
            ((self.ssl_keyfile_password or self.ssl_keyfile_password_file) and self.ssl_keyfile is None,
             "a key's password needs its key; got no PASTILLE_SSL_KEYFILE; set it, or unset the password"),
        ) if is_wrong]  # fmt: skip
        if wrong:
            raise ValueError("\n".join(wrong))

    def _those_set(self, fields: Sequence[str]) -> list[str]:
        """The variables of those fields that somebody has set."""
        there = [name for name in fields if name in self.model_fields_set and getattr(self, name) is not None]
        return [f"PASTILLE_{name.upper()}" for name in there]

    @property
    def counter_group(self) -> str:
        """The group of those who count."""
        return f"{self.app_id}-counter"

    @property
    def has_sasl(self) -> bool:
        """Whether a user and a password are sent."""
        return self.security_protocol.startswith("SASL_")

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of every client, or none without TLS.

        Raises UserError where a certificate or key cannot be used.
        """
        if not self.has_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
            context.check_hostname = self.check_hostname
            if self.ssl_certfile is not None:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, self._keyfile_password() or "")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UserError(
                f"the TLS files cannot be used; got: {error}; check PASTILLE_SSL_CAFILE, PASTILLE_SSL_CERTFILE, "
                "PASTILLE_SSL_KEYFILE and the key's password"
            ) from None
        return context

    def kafka_python(self) -> dict[str, Any]:
        """Arguments that every client of kafka-python takes."""
        return {"bootstrap_servers": self.broker.split(","), **self._client_security()}

    def aiokafka(self) -> dict[str, Any]:
        """Arguments that every client of aiokafka takes."""
        waits = {"request_timeout_ms": REQUEST_MS, "metadata_max_age_ms": METADATA_MS}
        return {"bootstrap_servers": self.broker.split(","), **waits, **self._client_security()}

    def faust_broker(self) -> str:
        """The broker URL of a Faust app."""
        return ";".join(f"kafka://{server}" for server in self.broker.split(","))

    def faust_credentials(self) -> Any:
        """`broker_credentials` of a Faust app: SASLCredentials, SSLCredentials or none."""
        if self.security_protocol == "PLAINTEXT":
            return None
        # Faust takes half a second to import; commands that do not need it must not pay.
        from faust import SASLCredentials, SSLCredentials

        context = self.ssl_context()
        if not self.has_sasl:
            return SSLCredentials(context)
        return SASLCredentials(
            username=self.username, password=self._password(), ssl_context=context, mechanism=self.sasl_mechanism
        )

    def _client_security(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.has_tls:
            arguments["ssl_context"] = self.ssl_context()
        if self.has_sasl:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self._password(),
            }
        return arguments

    def _password(self) -> str | None:
        return _secret(self.password, self.password_file)

    def _keyfile_password(self) -> str | None:
        return _secret(self.ssl_keyfile_password, self.ssl_keyfile_password_file)


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with `overrides` (those that are not None) from the command line.

    Raises UserError with one line per mistake; no line repeats what may be a secret.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise UserError("\n".join(_sentence(dict(mistake)) for mistake in error.errors())) from None
    except SettingsError as error:
        raise UserError(f"{error}; PASTILLE_FEEDS is JSON like {_FEEDS_EXAMPLE}") from None


_FEEDS_EXAMPLE = '[{"name": "pix", "payments": "pix.payments", "orders": null}]'


def _sentence(mistake: dict[str, Any]) -> str:
    variable = "__".join(str(part) for part in mistake["loc"]).upper().removeprefix("PASTILLE_").rstrip("_")
    what = str(mistake["msg"]).removeprefix("Value error, ")
    if not variable:
        return what
    got = "" if "PASSWORD" in variable else f"; got {str(mistake['input'])[:GOT_CHARACTERS_MAX]!r}"
    return f"PASTILLE_{variable}: {what}{got}"


def _require_distinct(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} must differ; got {', '.join(twice)} more than once; rename one")


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return None
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.read(SECRET_CHARACTERS_MAX).rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"the secret's file cannot be read; got {file}; make it readable UTF-8 text") from None
