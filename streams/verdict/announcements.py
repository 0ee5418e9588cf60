"""What people announce on the maintenances topic, as markers for the log: obeyed only when they are read back from it.

The topic is the truth: what the Judge does not know as it stands there is said to it, what is no longer there is called
off. Does not know what a maintenance does to an outage.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from detector.contracts.models import Maintenance
from detector.contracts.scope import parse_scope
from detector.counting.tally import Marker
from detector.judging.judge import Judge
from detector.judging.maintenance import is_forgotten
from streams.compacted import unquoted
from streams.maintenances import fold
from streams.settings import Settings
from streams.stopping import stop_consumer
from streams.verdict.lessons import Schoolbook

__all__ = ["Announcements", "Notices", "news"]

log = logging.getLogger(__name__)

REPEAT_S: Final = 60.0
"""A marker that was written and not read back yet, because the Judge is behind, is not written again so soon."""
BATCH_MAX: Final = 500
BATCHES_MAX: Final = 20
"""Of one poll; between two of them the loop does other things."""
KNOWN_MAX: Final = 100_000
"""Of the topic; those of the Judge are far fewer, by the policy's limit."""


class Notices:
    """What the topic says, as far as it was read. `refused` is how many the Judge has no room for."""

    def __init__(self, follows_clock: bool) -> None:
        self.refused = 0
        self._follows_clock = follows_clock
        self._known: dict[str, Maintenance] = {}
        self._said_s: dict[Maintenance, float] = {}

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        """A record of the topic; what is no maintenance is passed over, with a line in the log."""
        try:
            if value is not None and len(self._known) >= KNOWN_MAX:
                raise ValueError(f"the topic may hold at most {KNOWN_MAX}; more are there; delete those")
            fold(self._known, key, value)
        except ValueError as error:
            log.warning("verdict: record %d of the maintenances is passed over: %s", offset, unquoted(error))

    def markers(self, judge: Judge, wall_ms: int, now_s: float) -> list[Marker]:
        """What is to be written to the log now."""
        at_most = judge.policy.maintenances_max
        at_ms = judge.time_ms if judge.time_ms > 0 or not self._follows_clock else wall_ms
        found = [said.model_copy(update={"declared_at": self._since_ms(said, wall_ms)})
                 for said in news(self._known, judge, at_ms)]  # fmt: skip
        fits = [said for said in found if judge.maintenances.has_room_for(said, at_most)]
        self._tell_refused(len(found) - len(fits), at_most)
        return [Marker("maintenance", text=said.model_dump_json()) for said in fits if self._may_say(said, now_s)]

    def _since_ms(self, said: Maintenance, wall_ms: int) -> int | None:
        """From when it is obeyed: no clock but ours may put it off, and where none moves time it holds at once."""
        if said.declared_at is None or not self._follows_clock:
            return None
        return min(said.declared_at, wall_ms)

    def _tell_refused(self, refused: int, at_most: int) -> None:
        if refused > self.refused:
            log.warning("verdict: at most %d maintenances are remembered; %d more are refused; cancel some, or raise "
                        "maintenances_max in the policy's [limits]", at_most, refused)  # fmt: skip
        self.refused = refused

    def _may_say(self, said: Maintenance, now_s: float) -> bool:
        self._said_s = {other: said_s for other, said_s in self._said_s.items() if now_s - said_s < REPEAT_S}
        if _meaning(said) in self._said_s:
            return False
        self._said_s[_meaning(said)] = now_s
        scope = parse_scope(said.scope).masked
        log.info("verdict: maintenance %s of %s%s", said.maintenance_id, scope, ", off" * said.cancelled)
        return True


class Announcements:
    """Follows what people say, from the beginning of its two topics: maintenances, and what is usual."""

    def __init__(self, settings: Settings) -> None:
        self.notices = Notices(settings.clock == "wall")
        self.lessons = Schoolbook()
        self._takers = {
            TopicPartition(settings.topics.maintenances, 0): self.notices.take,
            TopicPartition(settings.topics.baselines, 0): self.lessons.take,
        }
        self._is_read = False
        self._ends: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(**settings.aiokafka(), enable_auto_commit=False, auto_offset_reset="earliest")

    async def start(self) -> None:
        """Connect. Raises aiokafka's KafkaError where no broker answers."""
        await self._consumer.start()
        self._consumer.assign(list(self._takers))
        self._ends = await self._consumer.end_offsets(list(self._takers))
        await self._consumer.seek_to_beginning(*self._takers)

    async def stop(self) -> None:
        """Disconnect."""
        await stop_consumer(self._consumer)

    async def poll(self) -> bool:
        """Take what has come since; whether all is read that was there at the start."""
        for _ in range(BATCHES_MAX):
            batches = await self._consumer.getmany(max_records=BATCH_MAX)
            for at, records in batches.items():
                for record in records:
                    self._takers[at](record.key, record.value, record.offset)
            if not batches:
                break
            await asyncio.sleep(0)
        self._is_read = self._is_read or await self._has_reached(self._ends)
        return self._is_read

    async def _has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all([await self._consumer.position(at) >= end for at, end in ends.items()])


def news(topic: Mapping[str, Maintenance], judge: Judge, at_ms: int) -> Iterator[Maintenance]:
    """What the topic says and the Judge does not know; what it knows and the topic does not, as cancelled."""
    known = {mine.maintenance_id: mine for mine in judge.maintenances.all()}
    for said in topic.values():
        mine = known.pop(said.maintenance_id, None)
        is_nothing = mine is None and is_forgotten(said, at_ms)
        if not is_nothing and (mine is None or _meaning(said) != _meaning(mine)):
            yield said
    for mine in known.values():
        if not mine.cancelled and mine.ends_at > at_ms:
            yield mine.model_copy(update={"cancelled": True, "declared_at": None})


def _meaning(maintenance: Maintenance) -> Maintenance:
    return maintenance.model_copy(update={"declared_at": None})
