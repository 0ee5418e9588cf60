"""The Faust side of the Judge: an agent on the tallies topic, its snapshots in a table, who holds the seat.

Faust decides which worker owns the one partition; a tenure begins with the first record after that and ends with the
partition, or when a newer Judge fences this one. Where the group deals anew and the partition comes back, a tenure that
nobody fenced goes on. Does not know how a Judge is put together or what it finds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Count
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from detector.contracts.policy import Policy
from detector.contracts.policy_fixed import Fixed
from detector.counting.tally import Marker
from streams.cancelled import lost_is_an_error
from streams.errors import UserError
from streams.fixed import require_fixed
from streams.loopclock import loop_s
from streams.patience import HEARTBEAT_S, SESSION_S
from streams.settings import Settings
from streams.tallylog import TallyLog
from streams.topics import changelog_topic
from streams.unanswered import oldest
from streams.verdict.announcements import Announcements
from streams.verdict.clock import SILENT_S, Watch
from streams.verdict.footing import Footing
from streams.verdict.frozen import Frozen
from streams.verdict.membership import read_along, snapshot_table, tallies_topic
from streams.verdict.outbox import Fenced, TransactionLost
from streams.verdict.passedover import PassedOver
from streams.verdict.setback import Setback
from streams.verdict.snapshot import pack, slot_after
from streams.verdict.standby import Roles, Standby
from streams.verdict.tallyreader import Logged, decoded, open_tally_reader
from streams.verdict.tenure import Tenure, begin_tenure

__all__ = ["Verdict"]

log = logging.getLogger(__name__)

SNAPSHOT_S = 60.0
WATCH_S = 1.0


class Seat(Enum):
    """What the group said last: another worker judges, it deals anew, this one judges."""

    LOST = auto()
    IN_DOUBT = auto()
    OURS = auto()


class Verdict:
    """The seat of the Judge in this worker.

    `failed` is set to the error that made going on impossible; whoever runs the worker must then stop it. What Kafka
    refuses, or a newer Judge, ends the tenure alone: it begins anew after a pause, where the seat is still ours.
    `is_deaf` says whether Kafka is away, so that silence says nothing of the sources; `is_busy` whether the worker has
    more urgent things to do than to stand by.
    """

    def __init__(
        self, app: faust.App, settings: Settings, policy: Policy, wall_ms: Callable[[], int],
        is_deaf: Callable[[], bool] = lambda: False, is_busy: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.app = app
        self._tenure: Tenure | None = None
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.started: Count[tuple[str, ...]] = Count()
        self.refused_maintenances = 0
        self.refused_lessons = 0
        self.left_out = 0
        self.recovered = False
        self._settings, self._policy, self._wall_ms, self._is_deaf = settings, policy, wall_ms, is_deaf
        self._log = TallyLog(settings)
        self._log_is_open = False
        self._left_out = 0
        self.passed_over = PassedOver()
        self._setback = Setback()
        self._lock = asyncio.Lock()
        self._seat = Seat.LOST
        self._may_be_fenced = False
        self._watch = Watch(0.0)
        self._announcements: Announcements | None = None
        self._snapshot_s = 0.0
        self._frozen = Frozen()
        self._footing = Footing(settings, lambda: self.tenure)
        self._at = TP(settings.topics.tallies, 0)
        self._changelog = TP(changelog_topic(settings), 0)
        self._table = snapshot_table(app, settings)
        self._standby = Standby(settings, self._table, Roles(self._stands_by, self._needs_none, is_busy))
        app.agent(tallies_topic(app, settings), name="judge")(self._agent)
        app.on_partitions_revoked.connect(cast(Any, self._revoked))
        app.on_partitions_assigned.connect(cast(Any, self._assigned))

    # Life

    async def start(self) -> None:
        """Start the app; returns when Faust has recovered its table."""
        await self._open_log()
        await self.app.start()
        self.recovered = True

    async def stop(self) -> None:
        """Leave the seat, then Faust's group."""
        self._seat = Seat.LOST
        await self.app.stop()
        async with self._lock:
            await self._vacate()
        await self._log.stop()

    async def watch(self) -> None:
        """Keep a Judge ready where this worker stands by; once a second leave a lost seat, and write what the clock and
        what people say to the log. Never returns."""
        await asyncio.gather(self._standby.run(), self._keep_watch(), self._footing.run(self._give_up))

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                with lost_is_an_error():
                    await self._look()
            except KafkaError as error:
                await self._give_up(error)

    async def _give_up(self, error: KafkaError) -> None:
        async with self._lock:
            await self._set_back(error)

    async def _look(self) -> None:
        if self.app.crashed:  # so says nobody else; and who hears nothing has nothing to say
            self._fail(self.app.crash_reason or RuntimeError("Faust has crashed"))
            return
        self._log.unanswered.check()
        async with self._lock:
            await self._keep_seat()
        if self.tenure is not None and self._settings.clock == "wall":
            await self._say(self.tenure)
        async with self._lock:
            await self._announce()

    async def _keep_seat(self) -> None:
        """Leave a seat that was lost; take one that is ours, also where no record comes to ask for it."""
        if self._seat is Seat.LOST:
            await self._vacate()
        table_is_whole = self.app.tables.actives_ready and not self.app.rebalancing
        if self.holds_seat and table_is_whole and not self._setback.holds_back(loop_s()):
            await self._seated()

    async def _say(self, tenure: Tenure) -> None:
        now_s, judge = loop_s(), tenure.judge
        if self._is_deaf():
            self._watch = Watch(now_s)  # nobody can be heard: each source is given its time anew
            return
        markers = [*self._watch.silent(tenure.live(), now_s)]
        if judge.time_ms > 0:
            markers += self._watch.behind(judge.time_ms, judge.lifecycle.catching_up, self._wall_ms(), now_s)
        for marker in markers:
            log.info("verdict: %s %s", marker.kind, marker.source or "")
            await self._log.send([marker])

    async def _announce(self) -> None:
        """What people say on their topics and the Judge does not know as it stands there."""
        if self.tenure is None or self._announcements is None:
            return
        if await self._announcements.poll():  # what was not read yet is not what was taken back
            notices = self._announcements.notices
            found = notices.markers(self.tenure.judge, self._wall_ms(), loop_s())
            self.refused_maintenances = notices.refused
            found += self._announcements.lessons.markers(self.tenure.judge, loop_s())
            self.refused_lessons = self._announcements.lessons.refused
            await self._log.send(found)
            self._frozen.note(self.tenure.judge)

    # What others ask

    @property
    def tenure(self) -> Tenure | None:
        """The Judge at work here; None while another worker judges, or it is not certain yet that none does."""
        return None if self._may_be_fenced else self._tenure

    @property
    def holds_seat(self) -> bool:
        """Whether judging is this worker's turn."""
        return self._seat is Seat.OURS

    @property
    def has_standby(self) -> bool:
        """Whether a Judge is kept ready here to take over."""
        return self._standby.is_ready

    @property
    def problem(self) -> str | None:
        """Why it does not judge though it is its turn; None where all is well."""
        if not self.holds_seat or self.tenure is not None:
            return None
        if self._setback.why is not None:
            return f"judging is this worker's turn, and Kafka refuses: {self._setback.why}; it is tried again by itself"
        return "judging is this worker's turn, and its Judge is being put together"

    @property
    def waiting_since_s(self) -> float | None:
        """Since when the oldest write waits for the broker, on the loop's clock; None where none does."""
        tenure = self._tenure
        return oldest(self._log.unanswered.since_s, None if tenure is None else tenure.writing_since_s)

    # The partition comes and goes

    async def _revoked(self, _app: Any, *signalled: Any, **_: Any) -> None:
        if self._at in signalled[0]:
            self._seat, self._may_be_fenced = Seat.IN_DOUBT, True

    async def _assigned(self, _app: Any, *signalled: Any, **_: Any) -> None:
        self._seat, self._may_be_fenced = Seat.OURS if self._at in signalled[0] else Seat.LOST, True
        read_along(self.app)

    def _stands_by(self) -> bool:
        """Whether the group means to give this worker the seat where it loses who judges now."""
        return self._is_away and self.app.assignor.is_standby(self._changelog)

    def _needs_none(self) -> bool:
        """Whether no replica kept here will be taken over: none is while the group deals, which may deal this seat."""
        return self._tenure is not None or (self._is_away and not self.app.rebalancing)

    @property
    def _is_away(self) -> bool:
        """Whether another worker judges, and no tenure of ours is left."""
        return self._seat is Seat.LOST and self._tenure is None

    async def _seated(self) -> Tenure | None:
        """The tenure that was, where nobody else has begun one since; else a new one. None where the group dealt while
        Kafka was asked: another may have fenced it by now, and who finds that out by writing begins anew."""
        tenure = self._tenure
        if tenure is not None and self._may_be_fenced:
            self._may_be_fenced = False
            if not await tenure.is_ours():
                return await self._anew()
            self._watch = Watch(loop_s())  # who was not heard while the group dealt was not silent
            await self._read_on(tenure)
            log.info("verdict: the seat is ours again, judging goes on at offset %d", tenure.next)
        if tenure is None and self.holds_seat:
            await self._begin()
        return self.tenure if self.holds_seat else None

    async def _anew(self) -> Tenure | None:
        """A new tenure; None where the seat was lost meanwhile: to begin would fence who judges."""
        await self._vacate()
        return await self._seated()

    async def _vacate(self) -> None:
        tenure, self._tenure = self._tenure, None
        announcements, self._announcements = self._announcements, None
        if announcements is not None:
            await announcements.stop()
        if tenure is not None:
            log.info("verdict: leaving the seat at offset %d", tenure.next)
            await tenure.stop()

    # Records

    async def _agent(self, stream: faust.StreamT[bytes]) -> None:
        """Take the tallies, one after the other."""
        async for event in stream.events():
            try:
                await self._take_surely(event)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self._fail(error)
                await asyncio.Event().wait()  # nothing more is taken, and nothing more is acknowledged

    async def _take_surely(self, event: faust.EventT[bytes]) -> None:
        """Take a record; where Kafka refuses what follows from it, again in a tenure that begins anew."""
        taken = False
        while not taken:
            async with self._lock:
                taken = await self._try(event)
            if not taken:
                await asyncio.sleep(WATCH_S)
                taken = self._seat is Seat.LOST  # who judges now has it from the log

    async def _try(self, event: faust.EventT[bytes]) -> bool:
        """Whether a record was taken. One in hand while the seat is not ours is not, as that could fence who judges."""
        if not self.holds_seat or self._setback.holds_back(loop_s()):
            return False
        try:
            with lost_is_an_error():
                return await self._take(event)
        except KafkaError as error:
            await self._set_back(error)
            return False

    async def _take(self, event: faust.EventT[bytes]) -> bool:
        message, tenure = event.message, await self._seated()
        if tenure is not None and message.offset > tenure.next:
            tenure = await self._without_gap(tenure, message.offset)
        if tenure is None or message.offset > tenure.next:
            return False
        await self._judge(tenure, [Logged(message.offset, round(message.timestamp * 1000),
                                          decoded(message.value, message.offset))])  # fmt: skip
        if loop_s() - self._snapshot_s >= SNAPSHOT_S:
            self._write_snapshot(tenure)
        return True

    async def _without_gap(self, tenure: Tenure, offset: int) -> Tenure | None:
        """With what the stream left out up to an offset, as it may where the group dealt. A new tenure where somebody
        else took it, and is gone, or the log has it no more; None where the seat was lost while the log was read."""
        if not await tenure.is_ours():
            return await self._anew()
        log.info("verdict: the records from offset %d to %d are read from the log", tenure.next, offset - 1)
        async with open_tally_reader(self._settings) as reader:
            async for batch in reader.between(tenure.next, offset):
                if not self.holds_seat:
                    return None
                await self._judge(tenure, batch)
        return tenure if tenure.next >= offset else await self._anew()

    async def _judge(self, tenure: Tenure, batch: Sequence[Logged]) -> None:
        """Take records, and note what they come to."""
        for change in await tenure.take(batch):
            if change.type == "started":
                self.started[change.data.kind, change.data.trigger] += 1
            if change.data.children_left_out:
                scope, rest = change.data.scope.to_scope().key, change.data.children_left_out
                log.warning("verdict: %s has %d scopes below it more than children_max lets it name", scope, rest)
        moved = [source for logged in batch for source in tenure.judge.sources.moved_by(logged.records)]
        self._watch.taken(moved, loop_s())
        self._note_gaps(tenure.judge.sources.left_out)
        self.passed_over.note(tenure.judge)

    def _note_gaps(self, left_out: int) -> None:
        self.left_out += left_out - self._left_out
        if left_out and not self._left_out:
            log.warning("verdict: a tally was lost on its way to the log; %d behind it are left out until their source "
                        "says everything anew, or for %.0f s", left_out, SILENT_S)  # fmt: skip
        self._left_out = left_out

    async def _begin(self) -> None:
        await self._vacate()
        settings, self._may_be_fenced = self._settings, False
        self._left_out = 0
        self.passed_over.begin()
        self._watch = Watch(loop_s())
        await self._open_log()
        self._announcements = Announcements(settings)
        await self._announcements.start()
        self._tenure = tenure = await begin_tenure(settings, self._policy, self._table, self._wall_ms, self._standby)
        await self._read_on(tenure)
        self._setback.is_over()
        # Due at once, and then every minute: short tenures would keep none else, and each leave more of the log to be
        # judged again than the one before. And who stands by begins with it.
        self._snapshot_s = loop_s() - SNAPSHOT_S
        if tenure.judge.policy.version != self._policy.version:
            require_fixed(self._policy, Fixed.of(tenure.judge.policy))
            await self._log.send([Marker("policy", text=self._policy.canonical())])

    async def _read_on(self, tenure: Tenure) -> None:
        """Let Faust read on where the tenure stands: its own place may lie beyond the end of a log that lost its end,
        and it would drop, as read, all that comes up to there."""
        await self.app.consumer.seek_wait({self._at: tenure.next})

    def _write_snapshot(self, tenure: Tenure) -> None:
        self._snapshot_s = loop_s()
        for key, value in pack(tenure.snapshot(), slot_after(self._table)):
            self._table[key] = value

    async def _open_log(self) -> None:
        if not self._log_is_open:
            await self._log.start()
            self._log_is_open = True

    async def _set_back(self, error: KafkaError) -> None:
        """Kafka refused something: the tenure ends, and begins anew when a pause is over."""
        # To begin would fence the newer Judge, whose seat it may be: by then the group has said whose it is.
        least_s = SESSION_S + HEARTBEAT_S if isinstance(error, Fenced | TransactionLost) else 0.0
        if self._setback.note(str(error), loop_s(), least_s):
            log.warning("verdict: %s; the Judge leaves its seat and begins anew by itself, if that is still its own",
                        error)  # fmt: skip
        await self._vacate()
        stale, self._log, self._log_is_open = self._log, TallyLog(self._settings), False
        await stale.stop()

    def _fail(self, error: BaseException) -> None:
        if self.failed.done():
            return
        log.error("verdict: %s: %s", type(error).__name__, error,
                  exc_info=None if isinstance(error, UserError) else error)  # fmt: skip
        self.failed.set_result(error)
