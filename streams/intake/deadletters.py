"""Dead letters on their way out: a producer of their own, and a bound that a flood of bad records cannot break.

Up to the policy's rate every bad record is one letter; what comes faster is counted and told in one letter a second
and partition (reason `flood`, with the first offset and how many), since the records themselves still stand in their
topic. `room` says beforehand how many may be letters, so that nobody makes more of the others than a sum. Writing waits
for the broker rather than drop anything. Does not know what is wrong with a record.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Count
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from detector.contracts.policy import Policy
from streams.deadletters import FLOOD, Header, dead_letter
from streams.settings import Settings
from streams.stopping import stop_producer
from streams.unanswered import Unanswered

__all__ = ["BURST_S", "Bad", "DeadLetters", "Flood", "RateLimit"]

BURST_S = 50
"""Seconds of the policy's rate that may come at once."""
IN_FLIGHT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that is no event of ours, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: Sequence[Header]
    reason: str
    field: str | None
    received_at_ms: int
    value: bytes

    def letter(self, payload_bytes_max: int) -> bytes:
        """The letter as it stands on the topic; a longer payload is left out."""
        return dead_letter(
            self.topic, self.partition, self.offset, self.key, self.headers,
            self.reason, self.field, self.received_at_ms, self.value, payload_bytes_max,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flood:
    """Bad records of a partition for which there was no room: from `offset` on, how many for each reason."""

    topic: str
    partition: int
    offset: int
    received_at_ms: int
    reasons: Count[str]


class RateLimit:
    """A bucket of `burst` that fills with `per_s`; time is an argument."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left = burst
        self._at_s: float | None = None

    def admit(self, now_s: float) -> bool:
        """Whether one more may pass now."""
        if self.room(now_s) < 1:
            return False
        self._left -= 1
        return True

    def room(self, now_s: float) -> int:
        """How many more may pass now."""
        if self._at_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return int(self._left)


class DeadLetters:
    """Writes letters. `counted[reason]`: bad records, those of a flood included."""

    def __init__(self, settings: Settings, policy: Policy, counted: Count[str]) -> None:
        self._topic = settings.topics.dead_letters
        self._limit = RateLimit(policy.dead_letters_per_s_max, policy.dead_letters_per_s_max * BURST_S)
        self._payload_bytes_max = policy.dead_letter_bytes_max
        self._in_flight: deque[asyncio.Future[Any]] = deque()
        self._flood: dict[tuple[str, int], list[int]] = {}
        self._flood_told_s = 0.0
        self.counted = counted
        self.unanswered = Unanswered()
        self._producer = AIOKafkaProducer(
            **settings.aiokafka(), acks="all", enable_idempotence=True, linger_ms=5, compression_type="gzip"
        )

    @property
    def queued(self) -> int:
        """Letters that the broker has not taken yet, or not said so."""
        return len(self._in_flight)

    async def start(self) -> None:
        """Connect; raises aiokafka's KafkaError where no broker answers."""
        await self._producer.start()

    async def stop(self) -> None:
        """Deliver what is queued, or give it up where Kafka does not take it, and disconnect."""
        await stop_producer(self._producer)

    def room(self, now_s: float) -> int:
        """How many bad records may be letters now. `now_s` is monotonic."""
        return self._limit.room(now_s)

    async def put(self, bad: Sequence[Bad], floods: Sequence[Flood], now_s: float) -> None:
        """Write letters for these records; waits where the broker is slow. `now_s` is monotonic."""
        for record in bad:
            self.counted[record.reason] += 1
            if self._limit.admit(now_s):
                await self._send(record.topic, record.partition, record.letter(self._payload_bytes_max))
            else:
                self._sum_up(record.topic, record.partition, record.offset, record.received_at_ms, 1)
        for flood in floods:
            self.counted.update(flood.reasons)
            self._sum_up(flood.topic, flood.partition, flood.offset, flood.received_at_ms, flood.reasons.total())
        await self._tell_flood(now_s)

    def _sum_up(self, topic: str, partition: int, offset: int, received_at_ms: int, count: int) -> None:
        at = self._flood.setdefault((topic, partition), [offset, 0, received_at_ms])
        at[1] += count

    async def flush(self) -> None:
        """Wait until the broker has every letter put so far. Raises KafkaError where it refuses one."""
        await self._tell_flood(None)
        while self._in_flight:
            await self._in_flight.popleft()

    async def _tell_flood(self, now_s: float | None) -> None:
        if not self._flood or (now_s is not None and now_s - self._flood_told_s < 1):
            return
        self._flood_told_s = now_s or self._flood_told_s
        flood, self._flood = self._flood, {}
        for (topic, partition), (offset, count, received_at_ms) in flood.items():
            field = f"{count} records from this offset on"
            told = Bad(topic, partition, offset, None, (), FLOOD, field, received_at_ms, b"")
            await self._send(topic, partition, told.letter(0))

    async def _send(self, topic: str, partition: int, letter: bytes) -> None:
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            await self._in_flight.popleft()
        key = f"{topic}/{partition}".encode()
        sent = await self._producer.send(self._topic, letter, key=key)
        self.unanswered.add(sent)
        self._in_flight.append(sent)
