"""The intake service: sessions with Kafka, one after another, and what was counted in all of them.

A session that Kafka ends is followed by a new one, with everything taken up from the committed notes. Does not know
how a session works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter as Count
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from aiokafka.errors import KafkaError
from mode import Service

from detector.contracts.policy import Policy
from detector.counting.columns import STATUSES
from detector.counting.decoder import Decoder
from detector.counting.names import Names
from detector.counting.tally import Source
from streams.cancelled import lost_is_an_error
from streams.intake.lane import Lane, Totals
from streams.intake.placing import Placing
from streams.intake.reader import TopicPartition
from streams.intake.session import Counting, Session, open_session
from streams.loopclock import loop_s
from streams.refused import Refused
from streams.settings import Settings

__all__ = ["Intake"]

log = logging.getLogger(__name__)

PAUSE_S = 0.5
PAUSE_S_MAX = 10.0
STEADY_S = 60.0
STOP_S = 4.0


class Intake(Service):
    """Counts the sources that the group places here; `failed` is set to the error that made going on impossible."""

    def __init__(self, settings: Settings, policy: Policy, placing: Placing, wall_ms: Callable[[], int]) -> None:
        super().__init__()
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="counting")
        self._names = Names(policy)
        decoder = Decoder(policy, self._names)
        none = dict.fromkeys(placing.topics, 0)  # all topics from the beginning, as `lane.RESULTS`
        self._counting = Counting(
            settings, policy, placing, wall_ms, self._thread, self._names, decoder, corrupt=Count(none),
            deleted=Count(none),
        )  # fmt: skip
        self._session: Session | None = None
        self._problem = "waiting for the loops"
        self._done = asyncio.Event()

    # Life

    @Service.task
    async def _run(self) -> None:
        try:
            await self._sessions()
        except Exception as error:
            if not self.failed.done():
                self.failed.set_result(error)
        finally:
            self._done.set()

    async def _sessions(self) -> None:
        pause_s, said = PAUSE_S, ""
        while not self.should_stop:
            started_s = loop_s()
            try:
                with lost_is_an_error():
                    await self._one_session()
            except (KafkaError, OSError) as error:
                was_steady = loop_s() - started_s > STEADY_S
                pause_s = PAUSE_S if was_steady else min(2 * pause_s, PAUSE_S_MAX)
                self._problem = f"no session with Kafka: {type(error).__name__}: {error}"
                if was_steady or said != self._problem:  # it is tried again as often as need be, and said once
                    log.warning("intake: %s; tried again until it can be", self._problem)
                said = self._problem
                await self.sleep(pause_s)

    async def _one_session(self) -> None:
        try:
            async with open_session(self._counting) as self._session:
                while not self.should_stop:
                    await self._session.cycle()
        finally:
            self._session = None

    async def on_stop(self) -> None:
        """Nothing is committed on the way out: what was not, is counted again by the next owner."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), STOP_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    # What others ask

    @property
    def problem(self) -> str | None:
        """Why this worker's counting is not ready; None when it is."""
        return self._problem if self._session is None else self._session.problem

    @property
    def is_rebuilding(self) -> bool:
        """Whether sources are read again here, or it is not known yet which."""
        return self._session is None or self._session.is_rebuilding

    @property
    def waiting_since_s(self) -> float | None:
        """Since when the oldest write waits for the broker, on the loop's clock; None where none does."""
        return None if self._session is None else self._session.waiting_since_s

    @property
    def letters_refused(self) -> Refused | None:
        """That no dead letter is taken; None where they are."""
        return None if self._session is None else self._session.letters_refused

    @property
    def held_back(self) -> Mapping[TopicPartition, int]:
        """The offset from which on an open transaction keeps records from being read, by partition."""
        return {} if self._session is None else self._session.held_back()

    @property
    def lanes(self) -> Mapping[Source, Lane]:
        """The sources at work here."""
        return {} if self._session is None else self._session.lanes

    @property
    def bad(self) -> Mapping[str, int]:
        """Records that could not be counted, by reason."""
        return self._counting.bad

    @property
    def corrupt(self) -> Mapping[str, int]:
        """Fetches that held a record batch that cannot be read, by topic."""
        return self._counting.corrupt

    @property
    def deleted(self) -> Mapping[str, int]:
        """Records that were deleted before they were read, by topic."""
        return self._counting.deleted

    @property
    def takes_bytes(self) -> bool | None:
        """Whether our loops read what is fetched; None between sessions."""
        return None if self._session is None else self._session.takes_bytes

    def queued(self) -> Mapping[str, int]:
        """What waits here, by queue."""
        return {} if self._session is None else self._session.queued()

    def lag(self, source: Source) -> int | None:
        """Records of a source at work not read yet; None while that is not known."""
        return None if self._session is None else self._session.lag(source)

    def totals(self) -> Totals:
        """What this worker counted since it started, sources that moved on since included."""
        total = Totals()
        for part in (self._counting.retired, *(lane.totals() for lane in self.lanes.values())):
            total.add(part)
        return total

    def names_full(self) -> Mapping[str, bool]:
        """Of each table of names whether the policy's limit is reached."""
        return self._names.full()

    def payments(self, totals: Totals) -> dict[tuple[str, ...], int]:
        """Payments that reached a status, each once, by (bank, method, status). From any thread."""
        found: Count[tuple[str, ...]] = Count()
        for leaf, row in zip(self._names.leaves, totals.payments.tolist(), strict=False):
            values = dict(zip(self._names.policy.dimensions, leaf, strict=True))
            for status, count in zip(STATUSES, row, strict=True):
                found[values.get("bank", ""), values.get("method", ""), status] += count
        return {labels: count for labels, count in found.items() if count}
