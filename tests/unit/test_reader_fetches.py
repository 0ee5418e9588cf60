"""What becomes of a fetch that the client refuses."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, OffsetResetStrategy
from aiokafka.errors import CorruptRecordException, NoOffsetForPartitionError, OffsetOutOfRangeError

from streams.intake.reader import CONFIRMED_S, Reader, TopicPartition
from streams.settings import load_settings

AT = TopicPartition("payments", 0)


def fetch(error: Exception, is_placed_meanwhile: bool = False) -> Any:
    """What a fetch comes to that the client answers so."""

    async def run() -> Any:
        reader = Reader(load_settings(), ["payments"])
        await reader._consumer.stop()

        async def getmany(*_: Any, **__: Any) -> None:
            if is_placed_meanwhile:
                reader.on_partitions_assigned([AT])
            raise error

        reader._consumer = SimpleNamespace(getmany=getmany, _coordinator=SimpleNamespace(generation=1))
        return await reader.fetch([AT], 0)

    return asyncio.run(run())


def test_whatever_the_client_raises_is_kafkas_error() -> None:
    """Where it makes the records, broken bytes end in any exception: the session ends by it, not the worker."""
    with pytest.raises(CorruptRecordException, match="cannot read what it fetched: SystemError: Negative size"):
        fetch(SystemError("Negative size"))
    with pytest.raises(ConnectionResetError):
        fetch(ConnectionResetError())


def test_what_is_said_of_an_assignment_that_nobody_has_settled_is_nothing() -> None:
    """Between an assignment and the first seek the client looks for a position by itself, and may find none."""
    for error in (NoOffsetForPartitionError(AT), OffsetOutOfRangeError({AT: 7})):
        assert fetch(error, is_placed_meanwhile=True) == {}
        with pytest.raises(type(error)):
            fetch(error)


async def reader_at(position: int, stable: int | None) -> Reader:
    """A reader of a partition of 9 records that has just been fetched."""
    reader = Reader(load_settings(), ["payments"])
    await reader._consumer.stop()
    state = SimpleNamespace(position=position, has_valid_position=True, highwater=9, lso=stable, timestamp=1)
    assignment = SimpleNamespace(tps=[AT], state_value=lambda _: state)
    given: Any = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
    reader._consumer._subscription, reader.assigned = given, frozenset([AT])
    return reader


@pytest.mark.parametrize(
    ("position", "stable", "lag", "held"),
    [(5, 5, 4, {AT: 5}), (0, 0, 9, {AT: 0}), (5, 9, 4, {}), (9, 9, 0, {}), (9, -1, 0, {}), (5, None, 4, {})],
)
def test_what_stands_behind_an_open_transaction_is_no_end(
    position: int, stable: int | None, lag: int, held: dict[TopicPartition, int]
) -> None:
    """It is not read yet: time would go on without it, and nobody would know of it."""

    async def run() -> tuple[int | None, dict[TopicPartition, int]]:
        reader = await reader_at(position, stable)
        return reader.lag(AT), reader.held_back()

    assert asyncio.run(run()) == (lag, held)


@pytest.mark.parametrize(("position", "lag"), [(5, 4), (9, None)])
def test_what_is_not_fetched_for_a_while_has_at_least_its_lag(
    monkeypatch: pytest.MonkeyPatch, position: int, lag: int | None
) -> None:
    """Payments wait where their orders hang: how many do is not unknown, while an end may be one no more."""
    now_s = 0.0
    monkeypatch.setattr("streams.intake.reader.loop_s", lambda: now_s)

    async def run() -> list[int | None]:
        nonlocal now_s
        reader = await reader_at(position, None)
        lags = [reader.lag(AT)]
        now_s += CONFIRMED_S
        return [*lags, reader.lag(AT)]

    assert asyncio.run(run()) == [9 - position, lag]


def test_the_client_moves_no_position_by_itself() -> None:
    """Out of range is raised, with partition and offset; a seek takes back what was found out before it, and nothing
    that is found out later undoes it."""
    source = inspect.getsource(Fetcher._proc_fetch_request)
    assert "if self._default_reset_strategy != OffsetResetStrategy.NONE:" in source
    assert "err = Errors.OffsetOutOfRangeError({tp: fetch_offset})" in source
    assert "tp_state.position != fetch_offset" in source
    assert "res_or_error.check_raise()" in inspect.getsource(Fetcher.fetched_records)
    assert "if tp in self._records:\n            del self._records[tp]" in inspect.getsource(Fetcher.seek_to)
    looked = inspect.getsource(Fetcher._update_fetch_positions)
    assert looked.index("await tp_state.fetch_committed()") < looked.rindex(
        "if tp_state.has_valid_position or tp_state.awaiting_reset:\n                continue"
    ) < looked.index("Errors.NoOffsetForPartitionError(tp)")  # fmt: skip
    assert OffsetResetStrategy.from_str("none") == OffsetResetStrategy.NONE

    async def run() -> str:
        reader = Reader(load_settings(), ["payments"])
        await reader._consumer.stop()
        return str(reader._consumer._auto_offset_reset)

    assert asyncio.run(run()) == "none"
