"""The embedded Kafka: 1 or 3 brokers on free loopback ports, in a temporary folder, from start to sure end.

It does not know topics of ours; `new_topic` makes what a test asks for.
"""

import base64
import os
import random
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kafka.admin import KafkaAdminClient, NewTopic

from streams.admin import admin_client
from streams.embedded.ahead import Unmade, ahead_of_time
from streams.embedded.broker import JVM_OPTIONS, Broker, BrokerError, java, node_folder
from streams.embedded.jars import classpath, jars_folder
from streams.embedded.process import Guard
from streams.embedded.properties import LOOPBACK, Node, Security, node_properties
from streams.errors import UserError
from streams.settings import Settings, load_settings

__all__ = ["EmbeddedKafka"]

USERNAME: Final = "pastille"
BROKERS_ALLOWED: Final = (1, 3)
STARTS_MAX: Final = 3
READY_S: Final = 120.0
POLL_S: Final = 0.05
ANSWER_MS: Final = 5_000
# Below the range from which systems take the ports of outgoing connections: a killed broker's port stays free.
PORTS: Final = range(20_000, 32_000)
PORT_TRIES_MAX: Final = 200


class EmbeddedKafka:
    """A Kafka that is ready once `start` returns, and gone without a trace after `stop`, or when this process dies.

    `brokers` is 1 or 3 (then everything is replicated three times). With `tls`, `bootstrap` wants TLS and a SCRAM
    (or PLAIN) password, `bootstrap_mutual` TLS and a client certificate. `port` fixes the first broker's.
    """

    def __init__(self, brokers: int = 1, *, tls: bool = False, port: int | None = None) -> None:
        if brokers not in BROKERS_ALLOWED:
            raise UserError(f"an embedded Kafka has 1 or 3 brokers; got {brokers}; choose one of them")
        self._count, self._tls, self._port = brokers, tls, port
        self._brokers: tuple[Broker, ...] = ()
        self._guard: Guard | None = None
        self._folder: Path | None = None

    # Life

    def start(self) -> Self:
        """Start, and wait until the admin client sees every broker; UserError where that cannot be."""
        java()  # said before anything is fetched for it
        jars = classpath()
        options = ahead_of_time(jars_folder(), (*JVM_OPTIONS, jars), partial(_start_for_nothing, jars))
        for attempt in range(1, STARTS_MAX + 1):
            try:
                self._start_once(jars, options)
                return self
            except BrokerError as error:
                self.stop()
                self._explain(error, attempt)
            except BaseException:
                self.stop()
                raise
        raise AssertionError("the last attempt returns or raises")

    def stop(self) -> None:
        """End every broker and remove the folder. What was in it is thrown away, so nothing is shut down in order."""
        if self._guard is not None:
            for broker in self._brokers:
                broker.kill()
            self._guard.close()
        self._guard, self._brokers, self._folder = None, (), None

    def kill(self, number: int = 1) -> None:
        """End a broker (counted from 1) by SIGKILL; its data stay."""
        self._brokers[number - 1].kill()

    def restart(self, number: int = 1) -> None:
        """Start a killed broker again, with its data and ports, and wait until the cluster is whole."""
        self._brokers[number - 1].kill()
        self._brokers[number - 1].start()
        self._wait_until_ready()

    def check(self) -> None:
        """UserError where a broker has ended by itself."""
        try:
            for broker in self._brokers:
                broker.check()
        except BrokerError as error:
            raise UserError(str(error)) from None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Facts

    @property
    def folder(self) -> Path:
        """The temporary folder: data, logs and, with TLS, certificates and password."""
        assert self._folder is not None, "the embedded Kafka is not running"
        return self._folder

    @property
    def bootstrap(self) -> str:
        """Where clients connect: host:port, separated by commas."""
        return self._servers("scram_port" if self._tls else "port")

    @property
    def bootstrap_mutual(self) -> str:
        """Where clients connect that show a certificate; only with TLS."""
        assert self._tls, "only an embedded Kafka with TLS has it"
        return self._servers("mutual_port")

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the brokers that run."""
        return tuple(broker.pid for broker in self._brokers if broker.pid is not None)

    # Connecting

    def settings(self, *, mutual: bool = False, **overrides: Any) -> Settings:
        """Settings that connect here, everything else as in the environment or in `overrides`."""
        return load_settings(**{**self.connection(mutual=mutual), **overrides})

    def environment(self, *, mutual: bool = False) -> dict[str, str]:
        """The variables that make another `pastille` process connect here."""
        return {f"PASTILLE_{name.upper()}": str(value) for name, value in self.connection(mutual=mutual).items()}

    def connection(self, *, mutual: bool = False) -> dict[str, Any]:
        """The same, by the names of the fields of Settings."""
        if not self._tls:
            return {"broker": self.bootstrap, "security_protocol": "PLAINTEXT"}
        authority = {"ssl_cafile": self.folder / "ca.pem"}
        if mutual:
            keys = {"ssl_certfile": self.folder / "client.pem", "ssl_keyfile": self.folder / "client.key"}
            return {"broker": self.bootstrap_mutual, "security_protocol": "SSL", **authority, **keys}
        user = {"username": USERNAME, "password_file": self.folder / "password"}
        return {"broker": self.bootstrap, "security_protocol": "SASL_SSL", **authority, **user}

    def new_topic(self, stem: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Make a topic whose name begins with `stem` and is nobody else's; return the name."""
        name = f"{stem}-{secrets.token_hex(4)}"
        with self._admin() as admin:
            admin.create_topics([NewTopic(name, partitions, self._count, topic_configs=dict(config or {}))])
            admin.wait_for_topics([name])
        return name

    # Inside

    def _start_once(self, jars: str, options: Sequence[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pastille-kafka-"))
        self._guard = Guard(self._folder)
        security = self._make_security() if self._tls else None
        nodes = self._nodes()
        texts = [node_properties(node, nodes, security) for node in nodes]
        self._brokers = tuple(Broker(*one, jars, self._guard, options) for one in zip(nodes, texts, strict=True))
        cluster_id = _cluster_id()
        formatting = [broker.begin_format(cluster_id) for broker in self._brokers]
        for broker, process in zip(self._brokers, formatting, strict=True):
            broker.end_format(process)
        for broker in self._brokers:
            broker.start()
        self._wait_until_ready()
        if security is not None:
            self._make_user(security)

    def _nodes(self) -> tuple[Node, ...]:
        ports = _free_ports(4 * self._count)
        if self._port is not None:
            _require_free(self._port)
            ports = [self._port, *(port for port in ports if port != self._port)]
        first, others = ports[: self._count], iter(ports[self._count :])
        return tuple(self._node(number, port, others) for number, port in enumerate(first, start=1))

    def _node(self, number: int, port: int, others: Iterator[int]) -> Node:
        folder = node_folder(self.folder, number)
        if not self._tls:
            return Node(number, port, next(others), folder)
        return Node(number, next(others), next(others), folder, scram_port=port, mutual_port=next(others))

    def _make_security(self) -> Security:
        # Needed with TLS only; without it, nobody waits for the import.
        from streams.embedded.certificates import make_certificates

        files = make_certificates(self.folder)
        security = Security(files.server, files.authority, USERNAME, secrets.token_urlsafe(24))
        file = self.folder / "password"
        file.touch(mode=0o600)
        file.write_text(security.password, encoding="ascii")
        return security

    def _make_user(self, security: Security) -> None:
        from kafka.admin import UserScramCredentialUpsertion

        # Through the client, not `format --add-scram`: an argument of a process is visible to every user. One
        # request each, because Kafka refuses to change one user twice in a request.
        with self._admin() as admin:
            for mechanism in ("SCRAM_SHA_256", "SCRAM_SHA_512"):
                user = UserScramCredentialUpsertion(security.username, mechanism, security.password)
                refused = admin.alter_user_scram_credentials([user])[security.username]
                if refused:
                    raise UserError(f"the embedded Kafka takes no {mechanism} user; got: {refused}; start it again")
        with admin_client(self.settings()):  # it returns once every broker's copy of the users has arrived
            return

    def _admin(self) -> AbstractContextManager[KafkaAdminClient]:
        return admin_client(_inner_settings(self._servers("port")), answer_ms=ANSWER_MS)

    def _servers(self, port: str) -> str:
        assert self._brokers, "the embedded Kafka is not running"
        return ",".join(f"{LOOPBACK}:{getattr(broker.node, port)}" for broker in self._brokers)

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + READY_S
        while not self._is_ready():
            for broker in self._brokers:
                broker.check()
            if time.monotonic() > deadline_s:
                tails = "\n".join(broker.log_tail() for broker in self._brokers)
                raise UserError(f"the embedded Kafka is not ready after {READY_S:g} s; got:\n{tails}")
            time.sleep(POLL_S)

    def _is_ready(self) -> bool:
        running = [broker for broker in self._brokers if broker.pid is not None]
        if not all(_listens(broker.node.port) for broker in running):
            return False
        try:
            with self._admin() as admin:
                return len(admin.describe_cluster()["brokers"]) >= len(running)
        except UserError:
            return False

    def _explain(self, error: BrokerError, attempt: int) -> None:
        """Return where another attempt, on other ports, can mend it; raise UserError otherwise."""
        if "BindException" not in str(error) or attempt == STARTS_MAX or self._port is not None:
            raise UserError(f"the embedded Kafka does not start: {error}") from None


def _start_for_nothing(jars: str, options: Sequence[str]) -> None:
    """Start a broker with these options of Java, and end it in order. Raises Unmade."""
    kafka = EmbeddedKafka()
    try:
        kafka._start_once(jars, options)
        kafka._brokers[0].end()
    except (BrokerError, UserError, subprocess.TimeoutExpired) as error:
        raise Unmade(str(error)) from None
    finally:
        kafka.stop()


def _inner_settings(broker: str) -> Settings:
    """Settings of the unsecured listener between brokers, whatever the environment says about another Kafka."""
    return Settings.model_construct(broker=broker)


def _cluster_id() -> str:
    """A random UUID as Kafka writes it; the first bit is 0, because a leading hyphen would look like an option."""
    value = bytes([secrets.randbits(7)]) + os.urandom(15)
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, PORT_TRIES_MAX):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    if len(found) < count:
        raise UserError(f"no {count} free ports on {LOOPBACK}; got {len(found)}; end what listens there")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: a port just left is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _require_free(port: int) -> None:
    if not 0 < port < 65536 or not _is_free(port):
        raise UserError(f"port {port} cannot be used on {LOOPBACK}; it is taken or not ours; choose another --port")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
