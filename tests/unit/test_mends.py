"""What is mended of Faust and aiokafka, and that it still needs mending: where it does not, the mend can go."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError, IllegalStateError, KafkaConnectionError
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from streams import app as worker
from streams.intake.reader import Reader
from streams.patience import IDLE_MS
from streams.settings import Settings
from streams.stopping import stop_consumer
from streams.verdict import mends
from streams.verdict.membership import build_app

SETTINGS = Settings(broker="localhost:9092")
YEAR_MS = 365 * 86_400_000


async def waited(recovery: Recovery, what: Callable[[], Awaitable[None]]) -> BaseException | None:
    """How a wait of the recovery's ends that lasts a hundredth of a second at most."""
    try:
        await recovery._wait(what(), timeout=0.01)
    except (ServiceStopped, RebalanceAgain, KafkaConnectionError, IllegalStateError) as error:
        return error
    return None


async def refused() -> None:
    """A request to a broker that is not there."""
    raise KafkaConnectionError


async def stale() -> None:
    """A request for a partition that was dealt to somebody else."""
    raise IllegalStateError


async def answered() -> None:
    """A request that is answered at once."""


def recovery_of(app: faust.App) -> Recovery:
    """What recovers the table of an app."""
    found: Recovery = app.tables.recovery  # type: ignore[attr-defined]  # of the manager
    found._started.set()
    return found


@pytest.mark.parametrize("what", [asyncio.Event().wait, refused])
def test_a_table_is_asked_for_again(what: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer in time, or a broker that is away: the recovery begins anew. Faust's own ends."""
    monkeypatch.setattr(mends, "PAUSE_S", 0.0)

    async def run() -> None:
        app = build_app(SETTINGS, "/nowhere")
        ours = recovery_of(app)
        assert isinstance(await waited(ours, what), RebalanceAgain)
        assert ours.signal_recovery_start.is_set()
        theirs = Recovery(app, app.tables)
        theirs._started.set()
        assert isinstance(await waited(theirs, what), ServiceStopped | KafkaConnectionError)
        assert not theirs.signal_recovery_start.is_set()

    asyncio.run(run())


def test_a_recovery_ends_where_it_should() -> None:
    """It was told to stop; the group deals anew; all is well."""

    async def run() -> None:
        ours = recovery_of(build_app(SETTINGS, "/nowhere"))
        assert await waited(ours, answered) is None
        assert isinstance(await waited(ours, stale), IllegalStateError)
        assert not ours.signal_recovery_start.is_set()
        ours._stopped.set()
        assert isinstance(await waited(ours, asyncio.Event().wait), ServiceStopped)
        assert not ours.signal_recovery_start.is_set()

    asyncio.run(run())


def test_who_fetches_nothing_stays_in_its_group() -> None:
    """However long a worker stands by: aiokafka takes a member out after five minutes without a fetch."""

    async def run() -> None:
        counting: Any = Reader(SETTINGS, ["payments"])
        assert counting._consumer._max_poll_interval_ms == IDLE_MS > YEAR_MS

    asyncio.run(run())
    assert build_app(SETTINGS, "/nowhere").conf.broker_max_poll_interval * 1000 > YEAR_MS
    assert "idle_time >= self._max_poll_interval" in _source(GroupCoordinator.ensure_active_group)


def test_the_groups_refusal_is_heard_without_a_fetch() -> None:
    """aiokafka keeps it for who fetches, and waits until it was heard."""
    assert "raise exc" in _source(GroupCoordinator.check_errors)

    def refuse() -> None:
        raise GroupAuthorizationFailedError

    async def run() -> None:
        reader: Any = Reader(SETTINGS, ["payments"])
        reader._consumer._coordinator = SimpleNamespace(check_errors=refuse)
        await reader.placing(0.0)

    with pytest.raises(GroupAuthorizationFailedError):
        asyncio.run(run())


def test_a_consumer_that_cannot_stop_is_disconnected(caplog: pytest.LogCaptureFixture) -> None:
    """Out of its `stop` comes a cancellation that nobody asked for: no task of ours ends, the client is closed, and the
    log says so."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def run() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers="localhost:9092")
        closed: list[bool] = []

        async def close() -> None:
            closed.append(True)

        consumer.stop, consumer._client.close = cancelled, close
        await stop_consumer(consumer)
        assert closed == [True]
        assert "cancelled with its connection; it is disconnected" in caplog.text

    asyncio.run(run())


def test_a_part_that_was_cancelled_ends_the_worker_with_words() -> None:
    """Not with a traceback of a cancellation."""

    async def run() -> worker.Ending:
        part: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        part.cancel()
        return worker._ending(part)

    ending = asyncio.run(run())
    assert ending.code == 1
    assert "cancelled" in ending.why


def _source(function: Callable[..., Any]) -> str:
    return inspect.getsource(function)
