"""What becomes of a fetch that the client refuses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException

from streams.intake.reader import Reader, TopicPartition
from streams.settings import load_settings

AT = TopicPartition("payments", 0)


def fetch(error: Exception) -> Any:
    """What a fetch comes to that the client answers so."""

    async def getmany(*_: Any, **__: Any) -> None:
        raise error

    async def run() -> Any:
        reader = Reader(load_settings(), ["payments"])
        await reader._consumer.stop()
        reader._consumer = SimpleNamespace(getmany=getmany)
        return await reader.fetch([AT], 0)

    return asyncio.run(run())


def test_whatever_the_client_raises_is_kafkas_error() -> None:
    """Where it makes the records, broken bytes end in any exception: the session ends by it, not the worker."""
    with pytest.raises(CorruptRecordException, match="cannot read what it fetched: SystemError: Negative size"):
        fetch(SystemError("Negative size"))
    with pytest.raises(ConnectionResetError):
        fetch(ConnectionResetError())
