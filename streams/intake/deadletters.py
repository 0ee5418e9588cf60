"""Dead letters on their way out: a producer of their own, and a bound that a flood of bad records cannot break.

Up to the policy's rate every bad record is one letter; what comes faster is counted and told in one letter a second
and partition (reason `flood`, with the first offset and how many), since the records themselves still stand in their
topic. `room` says beforehand how many may be letters, so that nobody makes more of the others than a sum.

A letter that the topic does not take ends nothing: it is held and tried again beside the session, which counts on and
commits nothing meanwhile. One that is too large is written without its payload. So many may be held; what comes beyond
is told in sums, as a flood is. A letter may be written twice: its record's place tells copies. Does not know what is
wrong with a record.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Count
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from detector.contracts.policy import Policy
from streams.cancelled import lost_is_an_error
from streams.deadletters import FLOOD, Header, dead_letter, shortened
from streams.loopclock import loop_s
from streams.refused import Refused, mend
from streams.settings import Settings
from streams.stopping import stop_producer

__all__ = ["BURST_S", "Bad", "DeadLetters", "Flood", "RateLimit"]

log = logging.getLogger(__name__)

BURST_S = 50
"""Seconds of the policy's rate that may come at once."""
IN_FLIGHT_MAX = 1_000
HELD_MAX = 1_000
HELD_BYTES_MAX = 16 * 1024 * 1024
HANDED_OVER = 100
"""Of those held, so many are written at once when the topic has taken one."""
PATIENCE_S = 1.0
"""A session waits no longer for a letter."""
AGAIN_S = 5.0
"""A topic that refuses a letter is asked again so often."""
SAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that is no event of ours, and why. Of its key and headers it holds what a letter has room for."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: Sequence[Header]
    reason: str
    field: str | None
    received_at_ms: int
    value: bytes

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        named = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.value) + len(self.key or b"") + named

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


@dataclass(frozen=True, slots=True)
class _Letter:
    """As it goes to the topic."""

    key: bytes
    data: bytes


class DeadLetters:
    """Writes letters. `counted[reason]`: bad records, those of a flood included."""

    def __init__(self, settings: Settings, policy: Policy, counted: Count[str]) -> None:
        self._topic = settings.topics.dead_letters
        self._limit = RateLimit(policy.dead_letters_per_s_max, policy.dead_letters_per_s_max * BURST_S)
        self._payload_bytes_max = policy.dead_letter_bytes_max
        self._in_flight: deque[tuple[_Letter, asyncio.Future[Any]]] = deque()
        self._held: deque[_Letter] = deque()
        self._held_bytes = 0
        self._mending: asyncio.Task[None] | None = None
        self._refused: tuple[BaseException, float] | None = None
        self._is_late = False
        self._full_told = False
        self._shortened = 0
        self._shortened_told_s: float | None = None
        self._flood: dict[tuple[str, int], list[int]] = {}
        self._flood_told_s = 0.0
        self.counted = counted
        # Not idempotent: that one takes nothing more behind a letter that was refused, and gives none up.
        self._producer = AIOKafkaProducer(**settings.aiokafka(), acks="all", linger_ms=5, compression_type="gzip")

    @property
    def queued(self) -> int:
        """Letters that the broker has not taken yet, or not said so."""
        return len(self._in_flight) + len(self._held)

    @property
    def refused(self) -> Refused | None:
        """That the topic refuses letters; None where it takes them."""
        if self._refused is None:
            return None
        error, since_s = self._refused
        do, is_lasting = mend(error)
        sums = ", which is all there is room for, later ones are told in sums" if self._is_full else ""
        return Refused(
            f"topic {self._topic} must take dead letters; got {type(error).__name__}; {self.queued} are held{sums}; "
            f"counting and judging go on, and nothing is committed until they are taken: {do}", since_s, is_lasting,
        )  # fmt: skip

    async def start(self) -> None:
        """Connect; raises aiokafka's KafkaError where no broker answers."""
        await self._producer.start()

    async def stop(self) -> None:
        """Deliver what is queued, or give it up where Kafka does not take it, and disconnect. What is held was not
        committed, and is told of again."""
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait([self._mending])
        await stop_producer(self._producer)

    def room(self, now_s: float) -> int:
        """How many bad records may be letters now. `now_s` is monotonic."""
        return 0 if self._is_full else self._limit.room(now_s)

    async def put(self, bad: Sequence[Bad], floods: Sequence[Flood], now_s: float) -> None:
        """Write letters for these records, or hold them; waits a moment where the broker is slow. `now_s` is
        monotonic."""
        for record in bad:
            self.counted[record.reason] += 1
            if not self._is_full and self._limit.admit(now_s):
                await self._send(record.topic, record.partition, record.letter(self._payload_bytes_max))
            else:
                self._sum_up(record.topic, record.partition, record.offset, record.received_at_ms, 1)
        for flood in floods:
            self.counted.update(flood.reasons)
            self._sum_up(flood.topic, flood.partition, flood.offset, flood.received_at_ms, flood.reasons.total())
        self._say_full()
        await self._tell_flood(now_s)

    async def flush(self) -> bool:
        """Whether the topic has every letter put so far; waits a moment for its answers, once where it is slow."""
        await self._tell_flood(None)
        if self._mending is None:
            self._take_answers()
        if self._mending is None and self._in_flight and not self._is_late:
            await asyncio.wait([answer for _, answer in self._in_flight], timeout=PATIENCE_S)
            self._take_answers()
        if self._mending is not None and self._mending.done():
            self._mending.result()  # it ends by itself, or with a mistake of ours
        self._is_late = bool(self._in_flight)
        return self._mending is None and not self._in_flight and not self._flood

    def _sum_up(self, topic: str, partition: int, offset: int, received_at_ms: int, count: int) -> None:
        at = self._flood.setdefault((topic, partition), [offset, 0, received_at_ms])
        at[1] += count

    async def _tell_flood(self, now_s: float | None) -> None:
        """Not while letters are held: the sum goes on."""
        if not self._flood or self._mending is not None or (now_s is not None and now_s - self._flood_told_s < 1):
            return
        self._flood_told_s = now_s or self._flood_told_s
        flood, self._flood = self._flood, {}
        for (topic, partition), (offset, count, received_at_ms) in flood.items():
            field = f"{count} records from this offset on"
            told = Bad(topic, partition, offset, None, (), FLOOD, field, received_at_ms, b"")
            await self._send(topic, partition, told.letter(0))

    async def _send(self, topic: str, partition: int, data: bytes) -> None:
        letter = _Letter(f"{topic}/{partition}".encode(), data)
        if self._mending is None and len(self._in_flight) >= IN_FLIGHT_MAX:
            await self._make_room()
        if self._mending is not None or len(self._in_flight) >= IN_FLIGHT_MAX:
            self._hold([letter])
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._in_flight.append((letter, await self._handed_over(letter)))
        except (KafkaError, OSError):
            self._hold([letter])

    async def _make_room(self) -> None:
        self._take_answers()
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            await asyncio.wait([self._in_flight[0][1]], timeout=PATIENCE_S)
            self._take_answers()

    async def _handed_over(self, letter: _Letter) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = await self._producer.send(self._topic, letter.data, key=letter.key)
        return answer

    def _take_answers(self) -> None:
        """Forget what the topic took, and hold what it did not."""
        in_flight, self._in_flight = self._in_flight, deque()
        back: list[_Letter] = []
        for letter, answer in in_flight:
            if not answer.done():
                self._in_flight.append((letter, answer))
            elif (error := _error(answer)) is not None:
                back.append(letter)
                if not isinstance(error, MessageSizeTooLargeError):  # it may be taken without its payload
                    self._note(error)
        if back:
            self._hold(back)

    # What is held

    @property
    def _is_full(self) -> bool:
        return len(self._held) >= HELD_MAX or self._held_bytes >= HELD_BYTES_MAX

    def _hold(self, letters: Sequence[_Letter]) -> None:
        self._held.extend(letters)
        self._held_bytes += sum(len(letter.data) for letter in letters)
        if self._mending is None:
            self._mending = asyncio.create_task(self._mend())

    def _release(self) -> None:
        self._held_bytes -= len(self._held.popleft().data)

    async def _mend(self) -> None:
        """Write what is held, however long the topic refuses it. It alone takes answers meanwhile."""
        while self._held or self._in_flight:
            if self._in_flight:
                await asyncio.wait([answer for _, answer in self._in_flight])
                self._take_answers()
                continue
            first = self._held[0]
            error = await self._written(first)
            if error is None:
                self._release()
                self._refused = None
                await self._hand_over()
            elif isinstance(error, MessageSizeTooLargeError) and (short := shortened(first.data)) is not None:
                self._held_bytes += len(short) - len(first.data)
                self._held[0] = _Letter(first.key, short)
                self._say_shortened()
            else:
                self._note(error)
                await asyncio.sleep(AGAIN_S)
        self._refused, self._mending, self._full_told = None, None, False

    async def _written(self, letter: _Letter) -> Exception | None:
        """Write one letter by itself; why it is not taken, None where it is."""
        try:
            with lost_is_an_error():
                await (await self._handed_over(letter))
        except (KafkaError, OSError) as error:
            return error
        return None

    async def _hand_over(self) -> None:
        """Some more of those held, for the topic takes them again."""
        for _ in range(min(len(self._held), HANDED_OVER)):
            try:
                with lost_is_an_error():
                    self._in_flight.append((self._held[0], await self._handed_over(self._held[0])))
            except (KafkaError, OSError):
                return  # it is tried by itself, which tells why
            self._release()

    # What is said

    def _note(self, error: BaseException) -> None:
        self._refused = error, loop_s() if self._refused is None else self._refused[1]

    def _say_full(self) -> None:
        if self._is_full and not self._full_told:
            self._full_told = True
            log.warning("intake: topic %s does not take dead letters, and %d are held, which is all there is room for; "
                        "later ones are told in sums", self._topic, len(self._held))  # fmt: skip

    def _say_shortened(self) -> None:
        self._shortened += 1
        if self._shortened_told_s is None or loop_s() - self._shortened_told_s >= SAY_S:
            log.warning("intake: topic %s must take dead letters with their payloads; got MessageSizeTooLargeError for "
                        "%d, which are written without; %s", self._topic, self._shortened,
                        mend(MessageSizeTooLargeError())[0])  # fmt: skip
            self._shortened, self._shortened_told_s = 0, loop_s()


def _error(answer: asyncio.Future[Any]) -> BaseException | None:
    return KafkaConnectionError("cancelled with its connection") if answer.cancelled() else answer.exception()
