"""Whether Kafka answers, asked every few seconds on a connection of its own: any broker, and a leader for all we need.

The clients at work try again for ever and say nothing but log lines; this says it. Does not know what is written or
read, nor whether a write is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.settings import Settings

__all__ = ["Pulse"]

ANSWER_S: Final = 5.0
MISSED_MAX: Final = 2
"""Answers that may fail to come in a row before it is said: a leader moves within one."""
SHOWN_MAX: Final = 3
NO_LEADER: Final = -1


class Pulse:
    """`problem` is what is wrong with Kafka, None where it is well; `is_deaf` where nothing can be heard of others;
    `partitions` how many each topic has that was there at the newest answer."""

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self._settings = settings
        self._topics = sorted(topics)
        self._client: AIOKafkaClient | None = None
        self._missed = 0
        self.partitions: Mapping[str, int] = {}
        self.problem: str | None = None
        self.is_deaf = False

    async def feel(self) -> None:
        """Ask once; takes at most some seconds."""
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                answers = await self._asked()
        except (KafkaError, OSError, TimeoutError):
            answers = False
        if not answers:
            # The next one begins at the addresses of the settings: those that were told may be gone for ever.
            await self.close()
        elif self._client is not None:
            counts = {topic: len(self._client.cluster.partitions_for_topic(topic) or ()) for topic in self._topics}
            self.partitions = {topic: count for topic, count in counts.items() if count}
        self._note(self._away() if not answers else self._missing() or self._leaderless(), is_deaf=not answers)

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _asked(self) -> bool:
        """Fresh metadata of our topics; whether a broker gave them."""
        if self._client is None:
            client = AIOKafkaClient(**self._settings.aiokafka() | {"request_timeout_ms": int(ANSWER_S * 1000)})
            try:
                await client.bootstrap()
            except BaseException:
                await client.close()
                raise
            self._client = client
            client.set_topics(self._topics)
        return bool(await self._client.force_metadata_update())

    def _note(self, problem: str | None, *, is_deaf: bool) -> None:
        self._missed = 0 if problem is None else self._missed + 1
        if problem is None or self._missed >= MISSED_MAX:
            self.problem, self.is_deaf = problem, is_deaf or self._is_lost(self._settings.topics.tallies)

    def _away(self) -> str:
        return (
            f"no broker answers; got none at {self._settings.broker}; nothing is counted or judged until one does, "
            "and then it goes on by itself: look at the brokers and at the network between"
        )

    def _missing(self) -> str | None:
        assert self._client is not None, "asked only where a broker answered"
        cluster = self._client.cluster
        unknown = [topic for topic in self._topics if not cluster.partitions_for_topic(topic)]
        hidden = [topic for topic in unknown if topic in cluster.unauthorized_topics]
        if hidden:
            return f"topics must be described; got no right to {_some(hidden)}; give it to this user"
        if unknown:
            return f"topics must be there; got none named {_some(unknown)}; run 'pastille topics create'"
        return None

    def _leaderless(self) -> str | None:
        lost = [name for topic in self._topics for name in self._lost(topic)]
        if not lost:
            return None
        return (
            f"partitions must have a leader; got none of {_some(lost)}; bring back the brokers that hold them, and "
            "look for a full or broken disk there"
        )

    def _is_lost(self, topic: str) -> bool:
        return self._client is not None and any(self._lost(topic))

    def _lost(self, topic: str) -> Iterable[str]:
        assert self._client is not None, "asked only where a broker answered"
        cluster = self._client.cluster
        found = cluster.partitions_for_topic(topic)
        if not found:
            return [topic]
        leaders = {at: cluster.leader_for_partition(TopicPartition(topic, at)) for at in sorted(found)}
        return [f"{topic}/{at}" for at, leader in leaders.items() if leader in (None, NO_LEADER)]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
    return ", ".join(names[:SHOWN_MAX]) + more
