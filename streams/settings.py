"""Connection settings: where Kafka is, how to prove who we are, what our topics are called.

Read from the environment (`PASTILLE_…`) once, at the start of a command. The one object gives every Kafka client its
arguments, so that no client can be secured differently from another. It does not know rules or limits of detection:
those are the policy's.
"""

import logging
import os
import ssl
from collections.abc import Sequence
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams.errors import UserError
from streams.patience import METADATA_MS, REQUEST_MS
from streams.settings_values import (
    Bootstrap,
    Environment,
    ExistingFile,
    GroupNames,
    Host,
    Name,
    TopicName,
    require_distinct,
    secret,
)
from streams.settings_words import sentences, strangers, variable

__all__ = ["ELSEWHERE", "Feed", "Settings", "TopicNames", "known_variables", "load_settings"]

log = logging.getLogger(__name__)

FEEDS_MAX = 32
READERS_MAX = 16
ELSEWHERE: Final = ("PASTILLE_CACHE", "PASTILLE_DATA")
"""Variables that others read: where the embedded Kafka is kept, and recorded days for the tests."""
SASL_FIELDS: Final = ("username", "password", "password_file", "sasl_mechanism")
TLS_FIELDS: Final = (
    "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_keyfile_password", "ssl_keyfile_password_file", "check_hostname",
)  # fmt: skip


class Feed(BaseModel):
    """A named pair of topics, both keyed by `order_id`; `orders` may be none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(default="default", description="What metrics and logs call it.")
    payments: TopicName = Field(default="payments", description="The topic of payment events.")
    orders: TopicName | None = Field(default="orders", description="The topic of order events; `null`: there is none.")

    @property
    def topics(self) -> tuple[str, ...]:
        """The feed's topics, payments first."""
        return (self.payments,) if self.orders is None else (self.payments, self.orders)


class TopicNames(BaseModel):
    """What our own topics are called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tallies: TopicName = Field(default="pastille.tallies", description="What is counted, for the one who judges.")
    outages: TopicName = Field(default="pastille.outages", description="Outage events.")
    health: TopicName = Field(default="pastille.health", description="How each scope is; compacted.")
    dead_letters: TopicName = Field(default="pastille.dead-letters", description="Records that could not be counted.")
    maintenances: TopicName = Field(default="pastille.maintenances", description="Announced maintenances; compacted.")
    baselines: TopicName = Field(default="pastille.baselines", description="Lessons on what is usual; compacted.")


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
        populate_by_name=True,
    )

    # fmt: off
    broker: Bootstrap = Field(
        "127.0.0.1:9092", examples=["kafka-1:9092,kafka-2:9092"],
        description="Kafka's bootstrap servers: host:port, several separated by commas.")
    feeds: tuple[Feed, ...] = Field(
        (Feed(),), min_length=1, max_length=FEEDS_MAX,
        examples=['[{"name": "pix", "payments": "pix.payments", "orders": null}]'],
        description=f"The pairs of topics to read, at most {FEEDS_MAX}: a list of JSON, [see below](#feeds).")
    topics: TopicNames = Field(
        TopicNames(), examples=['{"tallies": "shop.tallies", "outages": "shop.outages"}'],
        description="What Pastille's own topics are called: an object of JSON, [see below](#topics).")
    app_id: Name = Field(
        "pastille", description="What groups and transactions are called by. Workers with the same one share the work.")
    policy: ExistingFile | None = Field(
        None, examples=["/etc/pastille/policy.toml"],
        description="The TOML file of rules and limits; without it those of `deploy/policy.toml`.")
    clock: Literal["wall", "events"] = Field(
        "wall", description="`wall`: where a source says nothing, time goes on by the clock. "
        "`events`: by events alone, for recorded topics; a source that is read to its end holds no other back, and its "
        "last `lateness_s` are told when newer events come.")
    fetch_as: Literal["bytes", "records"] = Field(
        "bytes", description="`bytes`: compiled loops read what is fetched. `records`: the Kafka client does, slower.")
    fetch_bytes: int = Field(
        1 << 20, ge=1 << 16, le=1 << 25,
        description="How much of a partition a broker may send at once: 65536 to 33554432.")
    outage_readers: GroupNames = Field(
        (), max_length=READERS_MAX, examples=["pager,checkout-routing"],
        description=f"Groups that must read the outages, separated by commas, at most {READERS_MAX}; "
        "[degraded](RELIABILITY.md#degraded) while one does not.")
    outage_reader_behind_s: int = Field(
        300, ge=1, description="For how many seconds such a group may leave an outage event unread.")
    http_host: Host = Field(
        "127.0.0.1", description="The address on which `/metrics` and `/health` are; in a container `0.0.0.0`.")
    http_port: int = Field(8090, ge=0, le=65535, description="Their port; 0: a free one, which is printed.")
    from_: Literal["committed-or-recent", "earliest"] = Field(
        "committed-or-recent", validation_alias="PASTILLE_FROM",
        description="Where the very first start begins. `committed-or-recent`: three horizons back (the policy's "
        "`horizon_s`; half an hour). `earliest`: with all there is.")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", examples=["SASL_SSL"],
        description="`PLAINTEXT`: not encrypted, no user. `SSL`: encrypted, no user. `SASL_SSL`: encrypted, a user. "
        "`SASL_PLAINTEXT`: a user, and not encrypted.")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the password is proved: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.")
    username: str | None = Field(None, examples=["pastille"], description="The user.")
    password: SecretStr | None = Field(
        None, examples=["…"], description="The user's password. Better a file: the environment is seen by many.")
    password_file: ExistingFile | None = Field(
        None, examples=["/run/secrets/password"], description="The file that holds the user's password.")
    ssl_cafile: ExistingFile | None = Field(
        None, examples=["/etc/pastille/ca.pem"],
        description="PEM file of the authorities that vouch for brokers; without it the system's.")
    ssl_certfile: ExistingFile | None = Field(
        None, examples=["/etc/pastille/client.pem"],
        description="PEM file of our own certificate, where brokers ask for one (mutual TLS).")
    ssl_keyfile: ExistingFile | None = Field(
        None, examples=["/etc/pastille/client.key"], description="PEM file of that certificate's key.")
    ssl_keyfile_password: SecretStr | None = Field(
        None, examples=["…"], description="The key's password, where it has one. Better a file.")
    ssl_keyfile_password_file: ExistingFile | None = Field(
        None, examples=["/run/secrets/key-password"], description="The file that holds the key's password.")
    check_hostname: bool = Field(
        True, description="Whether a broker's certificate must name the host; `false`: that of any host will do.")
    # fmt: on

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: object, **__: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, else the environment."""
        return init_settings, Environment(settings_cls)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        names = [feed.name for feed in self.feeds]
        topics = [topic for feed in self.feeds for topic in feed.topics] + list(self.topics.model_dump().values())
        require_distinct("feed names", names)
        require_distinct("topic names", topics)
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
    def judge_group(self) -> str:
        """The group of those who may judge, and what the one who does calls its transactions."""
        return f"{self.app_id}-judge"

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
        return secret(self.password, self.password_file)

    def _keyfile_password(self) -> str | None:
        return secret(self.ssl_keyfile_password, self.ssl_keyfile_password_file)


def known_variables() -> list[str]:
    """Every variable that the settings read, in the order of the class."""
    topics = [f"{variable('topics')}__{name.upper()}" for name in TopicNames.model_fields]
    return [*map(variable, Settings.model_fields), *topics]


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with `overrides` (those that are not None) from the command line.

    Raises UserError with one line per mistake, a misspelt variable among them; no line repeats what may be a secret.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    mistakes, others = strangers(os.environ, [*known_variables(), *ELSEWHERE])
    for sentence in others:
        log.warning("%s", sentence)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        mistakes += sentences(error, Settings.model_fields, given)
    if mistakes:
        raise UserError("\n".join(mistakes))
    return settings
