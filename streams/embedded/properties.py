"""The `server.properties` of one broker of an embedded Kafka.

Pure text from values; it does not know processes or files, except for the names it is given.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Node", "Security", "node_properties"]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Node:
    """One broker: its number from 1, its ports on the loopback address, its data folder.

    `scram_port` (TLS and a password) and `mutual_port` (TLS and a client certificate) are none without TLS.
    """

    number: int
    port: int
    controller_port: int
    folder: Path
    scram_port: int | None = None
    mutual_port: int | None = None


@dataclass(frozen=True, slots=True)
class Security:
    """What a broker with TLS listeners must be told."""

    keystore: Path
    truststore: Path
    username: str
    password: str


def node_properties(node: Node, nodes: tuple[Node, ...], security: Security | None) -> str:
    """The text of the file, for `node` in a cluster of `nodes`."""
    settings = _roles(node, nodes) | _listeners(node) | _replication(len(nodes)) | _limits()
    if security is not None:
        settings |= _tls(security)
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _roles(node: Node, nodes: tuple[Node, ...]) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": node.number,
        "controller.quorum.voters": ",".join(f"{n.number}@{LOOPBACK}:{n.controller_port}" for n in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": node.folder / "data",
    }


def _listeners(node: Node) -> dict[str, object]:
    clients = {"PLAINTEXT": node.port, "SCRAM": node.scram_port, "MUTUAL": node.mutual_port}
    advertised = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in clients.items() if port is not None)
    return {
        "listeners": f"{advertised},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL",
    }


def _replication(brokers: int) -> dict[str, object]:
    in_sync = max(1, brokers - 1)
    return {
        "default.replication.factor": brokers,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": brokers,
        "offsets.topic.num.partitions": 8,  # 50 by default, each a folder and a few files to make at the first group
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": brokers,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _limits() -> dict[str, object]:
    return {
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker comes back only when its old session has ended: 9 s by default.
        "broker.session.timeout.ms": 4_000,
        "broker.heartbeat.interval.ms": 1_000,
        # Recorded days are years old, and retention goes by the records' own times: here nothing is ever too old.
        "log.retention.ms": -1,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # of a heap of 512 MB, not the default's 128
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
    }


def _tls(security: Security) -> dict[str, object]:
    module = "org.apache.kafka.common.security"
    plain = (
        f'username="{security.username}" password="{security.password}" user_{security.username}="{security.password}"'
    )
    scram = "listener.name.scram"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": security.keystore,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": security.truststore,
        "listener.name.mutual.ssl.client.auth": "required",
        f"{scram}.sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        f"{scram}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {plain};",
        f"{scram}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
        f"{scram}.scram-sha-256.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
    }
