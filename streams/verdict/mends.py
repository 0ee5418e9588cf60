"""Two places in which Faust would wait for ever, and does not here.

Each stands on private names of Faust's, which a test holds on to, and can go when Faust has mended its own.
Knows no table and no topic.
"""

from __future__ import annotations

import logging
from typing import Any, Final, cast

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode.services import WaitArgT
from mode.utils.times import Seconds

__all__ = ["mend"]

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0


def mend(app: faust.App) -> None:
    """Give an app that is not started a consumer and a recovery of ours."""
    cast(Any, app.transport).Consumer = _Consumer
    tables = cast(TableManager, app.tables)
    tables._recovery = _Recovery(app, tables, beacon=tables.beacon)


class _Unpaused(set[TP]):
    """The partitions that Faust reads, true where there are none too: aiokafka takes no partitions for all of them, and
    what is read of a paused one while the group deals is lost. So could be all of the table's changelog, for which
    Faust then waits for ever."""

    def __bool__(self) -> bool:
        return True


class _Consumer(Consumer):
    """Faust's own, which reads nothing of a partition that is paused."""

    logger = logging.getLogger(f"{Consumer.__module__}.mended")  # its chatter is no more ours than before

    def _reset_state(self) -> None:
        super()._reset_state()
        self._active_partitions = _Unpaused()


class _Recovery(Recovery):
    """Faust's own, which begins anew where Kafka does not answer in time: Faust takes that for its own end, and
    recovers no table any more; an error of Kafka's ends all of Faust."""

    logger = logging.getLogger(f"{Recovery.__module__}.mended")

    async def _wait(self, coro: WaitArgT, timeout: Seconds | None = None) -> None:
        try:
            await super()._wait(coro, timeout)
        except (ServiceStopped, KafkaError) as error:
            if self.should_stop or isinstance(error, IllegalStateError):  # the group deals anew, and says so
                raise
            why = "no answer in time" if isinstance(error, ServiceStopped) else f"{type(error).__name__}: {error}"
            log.warning("verdict: the table is not recovered yet: %s; tried again", why)
            await self.sleep(PAUSE_S)
            self.signal_recovery_start.set()
            raise RebalanceAgain from error
