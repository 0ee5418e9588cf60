"""The whole way of a fetch: a real session, lane, decoder, Counter and dead letters, between stand-ins for Kafka.

The stand-ins do nothing but hand over and keep: a reader with queues, a tallies log and a producer that are lists.
Knows what a session asks of them; nothing of what is right.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Count
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import CorruptRecordException

from detector.contracts.policy import Policy
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.reference import Decoded, ReferenceDecoder
from detector.counting.tally import Marker, Tally
from streams.intake import deadletters
from streams.intake.deadletters import DeadLetters
from streams.intake.lane import Lane
from streams.intake.placing import Place, Placing
from streams.intake.reader import TopicPartition
from streams.intake.recovery import Committed, Note
from streams.intake.session import Counting, Session
from streams.settings import load_settings
from tests.fuzz.events import START_MS, TOPICS

__all__ = ["Letters", "Way", "at"]

PLACING = Placing({topic: Place("default", kind) for kind, topic in enumerate(TOPICS)}, {"default": 1}, ())


def at(topic: str) -> TopicPartition:
    """The one partition of a topic."""
    return TopicPartition(topic, 0)


class _Here(Executor):
    """Does the work at once, in this thread, so that its time can be told."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*arguments, **named))
        except BaseException as error:
            done.set_exception(error)
        return done


class _Reader:
    """Gives what is queued."""

    takes_bytes = True

    def __init__(self) -> None:
        self.round = 1
        self.assigned = frozenset(map(at, TOPICS))
        self.queues: dict[TopicPartition, deque[Sequence[Any]]] = {tp: deque() for tp in self.assigned}
        self.notes: dict[TopicPartition, Committed] = {}

    async def fetch(self, wanted: Iterable[TopicPartition], timeout_ms: int) -> dict[TopicPartition, Sequence[Any]]:
        return {tp: self.queues[tp].popleft() for tp in wanted if self.queues[tp]}

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Committed]:
        return self.notes

    async def commit(self, commits: Mapping[TopicPartition, tuple[int, Note]], round_: int) -> bool:
        return True

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end(self, tp: TopicPartition) -> None:
        pass

    def seek(self, tp: TopicPartition, offset: int) -> None:
        pass

    def lag(self, tp: TopicPartition) -> int:
        return len(self.queues[tp])

    def held_back(self) -> dict[TopicPartition, int]:
        return {}


class _Log:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[Tally | Marker] = []

    async def send(self, records: Sequence[Tally | Marker]) -> list[asyncio.Future[Any]]:
        self.told += records
        return []

    async def acknowledged(self, writes: Sequence[asyncio.Future[Any]]) -> None:
        """All is, at once."""


class _Producer:
    """Keeps what is sent."""

    def __init__(self, **_: Any) -> None:
        self.sent: list[bytes] = []

    async def send(self, _topic: str, value: bytes, key: bytes | None = None) -> asyncio.Future[None]:
        self.sent.append(value)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Letters:
    """Dead letters, and all that was sent; may outlive a session."""

    def __init__(self, policy: Policy) -> None:
        self.counted: Count[str] = Count()
        theirs = deadletters.AIOKafkaProducer
        deadletters.AIOKafkaProducer = _Producer
        try:
            self.out = DeadLetters(load_settings(), policy, self.counted)
        finally:
            deadletters.AIOKafkaProducer = theirs

    def go_on(self) -> None:
        """Forget the time since the last look at the clock: only what a session takes makes room for more letters."""
        self.out._limit._at_s = None

    def take(self) -> list[bytes]:
        """The letters since the last call."""
        producer: Any = self.out._producer
        sent, producer.sent = producer.sent, []
        return list(sent)


class _Kept:
    """A decoder whose last results are kept."""

    def __init__(self, decoder: Decoder | ReferenceDecoder) -> None:
        self._decoder = decoder
        self.results: list[Decoded] = []

    def decode(self, *arguments: Any) -> Decoded:
        self.results.append(self._decoder.decode(*arguments))
        return self.results[-1]


@dataclass
class Way:
    """A session with its stand-ins. `fast` is the product's decoder, otherwise the reference's; the wall's clock stands
    at START_MS."""

    policy: Policy
    letters: Letters
    fast: bool = True
    log: _Log = field(default_factory=_Log)
    clock: str = "events"
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        self.names = Names(self.policy)
        self.reader = _Reader()
        self.decoder = _Kept((Decoder if self.fast else ReferenceDecoder)(self.policy, self.names))
        settings = load_settings(clock=self.clock, from_="earliest")
        decoder: Any = self.decoder
        counting = Counting(settings, self.policy, PLACING, lambda: START_MS, _Here(), self.names, decoder,
                            bad=self.letters.counted)  # fmt: skip
        reader: Any = self.reader
        log: Any = self.log
        self.session = Session(counting, reader, log, self.letters.out)

    @property
    def lane(self) -> Lane:
        """The one lane."""
        (lane,) = self.session.lanes.values()
        return lane

    async def take(self, fetches: Mapping[str, Sequence[Any]]) -> str | None:
        """Let the session read what each topic gave, until nothing is left; the words where it refuses a batch.

        `cpu_s` is what it took.
        """
        for topic, found in fetches.items():
            self.reader.queues[at(topic)].append(found)
        self.decoder.results = []
        self.letters.go_on()
        began_s = time.thread_time()
        try:
            while True:
                await self.session.cycle()
                if not any(self.reader.queues.values()):
                    return None
        except CorruptRecordException as refused:
            return str(refused)
        finally:
            self.cpu_s = time.thread_time() - began_s
