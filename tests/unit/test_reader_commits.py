"""What becomes of a commit that the group's coordinator does not take."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    IllegalGenerationError,
    KafkaError,
    NotCoordinatorForGroupError,
    RequestTimedOutError,
)

from streams.intake import reader as module
from streams.intake.reader import UNCOMMITTED_S_MAX, Reader
from streams.settings import load_settings

ROUND = 1


class _Coordinator:
    """Answers each commit with the next of its answers; None is a yes."""

    generation = 7

    def __init__(self, *answers: type[KafkaError] | None) -> None:
        self._answers = list(answers)

    async def _do_commit_offsets(self, _assignment: None, _offsets: Any) -> None:
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer


def _commit_each(monkeypatch: pytest.MonkeyPatch, gap_s: float, *answers: type[KafkaError] | None) -> list[Any]:
    """What each commit comes to, `gap_s` after one another."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(module, "loop_s", lambda: now.s)

    async def run() -> list[Any]:
        reader = Reader(load_settings(), ["payments"])
        await reader._consumer.stop()
        reader._consumer = SimpleNamespace(_coordinator=_Coordinator(*answers))
        reader.round, reader._generation = ROUND, _Coordinator.generation
        found: list[Any] = []
        for _ in answers:
            try:
                found.append(await reader.commit({}, ROUND))
            except KafkaError as error:
                found.append(type(error))
            now.s += gap_s
        return found

    return asyncio.run(run())


def test_a_coordinator_that_moves_costs_commits_not_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missed for less than half a minute a commit is only not made, however often; the count begins anew after each
    that is taken."""
    moving = (NotCoordinatorForGroupError, RequestTimedOutError, None) * 3
    assert _commit_each(monkeypatch, UNCOMMITTED_S_MAX / 2.5, *moving) == [False, False, True] * 3


def test_a_coordinator_that_stays_away_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """After half a minute it is Kafka's refusal, which the session's owner says and waits for."""
    for away in (RequestTimedOutError, GroupCoordinatorNotAvailableError):
        assert _commit_each(monkeypatch, UNCOMMITTED_S_MAX / 2, *[away] * 3) == [False, False, away]


def test_where_no_coordinator_is_known_a_commit_does_not_wait_for_one() -> None:
    """The client says so at once, and looks for one where it beats: counting goes on meanwhile."""
    source = inspect.getsource(GroupCoordinator._send_req)
    assert "raise Errors.GroupCoordinatorNotAvailableError()" in source
    assert "ensure_coordinator_known" not in source + inspect.getsource(GroupCoordinator._do_commit_offsets)
    assert "await self.ensure_coordinator_known()" in inspect.getsource(GroupCoordinator._heartbeat_routine)


def test_an_absence_is_counted_within_an_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not over when the sources were given away says nothing of the next."""
    answers = (RequestTimedOutError, IllegalGenerationError, RequestTimedOutError)
    assert _commit_each(monkeypatch, UNCOMMITTED_S_MAX, *answers) == [False] * 3


def test_an_assignment_that_is_over_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generation that has passed is told by False, however long."""
    assert _commit_each(monkeypatch, UNCOMMITTED_S_MAX, *[IllegalGenerationError] * 3) == [False] * 3
