"""What a stress test's load says of itself: due by the clock, sent or given up by the broker's word."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self

import numpy as np
import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError, TopicAuthorizationFailedError

from detector.rehearsal.shops import RATE_MAX
from streams.commands import stress
from streams.settings import load_settings
from streams.stress import load
from streams.stress.load import EVENTS_AN_ORDER, Due, Load, TooSlow, even_shops

RATE = 200.0


def test_what_is_drawn_is_due_when_its_time_has_come() -> None:
    """Whatever was handed over: nothing tells of that."""
    due = Due(1_000.0)
    assert due.by(99) == 0
    due.draw(np.array([100, 200, 200, 300]), 1_000)
    assert [due.by(now_ms) for now_ms in (99, 100, 250, 300)] == [0, 1, 3, 4]


def test_where_drawing_is_late_the_rate_counts_until_the_load_ends() -> None:
    """A sender that has not come so far as to draw them owes them all the same."""
    due = Due(1_000.0)
    due.draw(np.array([100, 300]), 1_000)
    assert [due.by(now_ms) for now_ms in (301, 550, 1_000, 9_000)] == [3, 252, 702, 702]


def test_what_was_drawn_is_exact_in_the_end() -> None:
    """Block after block, and no estimate is left."""
    due = Due(1_000.0)
    due.draw(np.array([100, 300]), 1_000)
    due.draw(np.array([400, 900]), 1_000)
    assert [due.by(now_ms) for now_ms in (399, 400, 900)] == [2, 3, 4]
    due.end()
    assert due.by(9_000) == 4


def test_the_highest_rate_is_what_the_shops_can_make() -> None:
    """The command refuses more, before it makes topics."""
    even_shops(stress.RATE_MAX, 1)
    assert pytest.approx(RATE_MAX * EVENTS_AN_ORDER) == stress.RATE_MAX


class Producer:
    """Stands for Kafka's: what becomes of a batch is what `answer` says; `handed` is set with the first."""

    answer: KafkaError | None = None
    takes = True
    times_out = 0
    handed: asyncio.Event

    def __init__(self, **_: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def create_batch(self) -> Any:
        """A batch with room for everything."""

        class Batch:
            def append(self, **_: object) -> object:
                return self

            def close(self) -> None:
                pass

        return Batch()

    async def send_batch(self, *_: object, **__: object) -> asyncio.Future[Any]:
        """Its future; or nothing for ever, where no broker takes any."""
        self.handed.set()
        if not self.takes:
            await asyncio.Event().wait()
        if Producer.times_out:
            Producer.times_out -= 1
            raise KafkaTimeoutError
        future = asyncio.get_running_loop().create_future()
        if self.answer is None:
            future.set_result(None)
        else:
            future.set_exception(self.answer)
        return future


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> type[Producer]:
    """In place of Kafka's; a test says what it does."""
    monkeypatch.delenv("PASTILLE_BROKER", raising=False)
    monkeypatch.setattr(load, "AIOKafkaProducer", Producer)
    for name, value in (("answer", None), ("takes", True), ("times_out", 0), ("handed", asyncio.Event())):
        monkeypatch.setattr(Producer, name, value, raising=False)
    return Producer


def of_a_second() -> Load:
    """A short load."""
    return Load(load_settings(), 2, even_shops(RATE, 1))


def test_a_broker_that_takes_nothing_makes_nothing_less_due(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load hangs in its first batch; what is due goes on with the clock, and the batch waits ever longer."""
    producer.takes = False

    async def hang() -> None:
        hanging = of_a_second()
        sending = asyncio.create_task(hanging.run(1.0))
        await producer.handed.wait()
        now_ms, now_s = load._now_ms(), load.time.monotonic()
        monkeypatch.setattr(load, "_now_ms", lambda: now_ms + 60_000)
        monkeypatch.setattr(load.time, "monotonic", lambda: now_s + 60.0)
        assert hanging.sent == 0
        assert hanging.due == pytest.approx(RATE, rel=0.3)
        assert hanging.take_slowest_ms() >= 60_000
        monkeypatch.undo()
        sending.cancel()
        await asyncio.wait([sending])

    asyncio.run(hang())


def test_all_that_was_drawn_is_sent(producer: type[Producer]) -> None:
    """Also where the producer had no room for a while: it is handed over again."""
    producer.times_out = 2
    sent = of_a_second()
    asyncio.run(sent.run(1.0))
    assert (sent.lost, sent.sent) == (0, sent.due)
    assert sent.sent > 0


def test_a_load_that_is_stopped_sends_no_more(producer: type[Producer], monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once, and what was due and not sent stays due."""

    async def stop() -> Load:
        stopped = of_a_second()
        sending = asyncio.create_task(stopped.run(1.0))
        await producer.handed.wait()
        stopped.stop()
        await sending
        return stopped

    stopped = asyncio.run(stop())
    monkeypatch.setattr(load, "_now_ms", lambda: time.time_ns() // 1_000_000 + 60_000)
    assert 0 < stopped.sent < RATE / 2
    assert stopped.due == pytest.approx(RATE, rel=0.3)


def test_what_a_broker_does_not_take_in_time_is_given_up(producer: type[Producer]) -> None:
    """It is counted and said in the end: no refusal, since the rest of the load goes on."""
    producer.answer = RequestTimedOutError()
    late = of_a_second()
    with pytest.raises(TooSlow):
        asyncio.run(late.run(1.0))
    assert (late.sent, late.lost) == (0, late.due)


def test_a_refusal_stays_one(producer: type[Producer]) -> None:
    """What no other try would mend is the broker's own error."""
    producer.answer = TopicAuthorizationFailedError("payments")
    with pytest.raises(TopicAuthorizationFailedError):
        asyncio.run(of_a_second().run(1.0))
