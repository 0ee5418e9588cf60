"""What is said of a trial that a broker refuses to delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from streams import trial
from streams.errors import UserError
from streams.topics import needed_topics

REFUSED = 29  # TOPIC_AUTHORIZATION_FAILED


class Broker:
    """An admin client of a broker that refuses some of it."""

    def __init__(self, topics: list[str], refused: str = "", groups: str = "OK") -> None:
        self.topics, self.refused, self.groups = topics, refused, groups

    def list_topics(self) -> list[str]:
        """All of them."""
        return self.topics

    def delete_topics(self, names: list[str], raise_errors: bool) -> dict[str, Any]:
        """Delete all but one."""
        return {"topics": [{"name": name, "error_code": REFUSED * (name == self.refused)} for name in names]}

    def delete_groups(self, names: list[str]) -> dict[str, str]:
        """One word for all."""
        return dict.fromkeys(names, self.groups)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Those of a trial."""
    monkeypatch.delenv("PASTILLE_BROKER", raising=False)
    return trial.trial_settings("pastille-test", "kafka-1:9092")


def said(settings: Any, broker: Broker | UserError, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> str:
    """What is said of it on standard error."""

    @contextmanager
    def client(_: Any) -> Iterator[Broker]:
        if isinstance(broker, UserError):
            raise broker
        yield broker

    monkeypatch.setattr(trial, "admin_client", client)
    trial.delete_trial(settings)
    text: str = capsys.readouterr().err
    return text


def test_what_is_gone_is_not_spoken_of(settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Topics and groups that are deleted, or never were."""
    names = [topic.name for topic in needed_topics(settings)]
    assert said(settings, Broker(names), monkeypatch, capsys) == ""
    assert said(settings, Broker(["payments"], groups="GroupIdNotFoundError"), monkeypatch, capsys) == ""


def test_a_refusal_is_one_line_with_the_way_out(settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """What is left, why, and the command that deletes it; nothing of what is gone."""
    names = [topic.name for topic in needed_topics(settings)]
    of_topics = said(settings, Broker(names, refused=names[0]), monkeypatch, capsys)
    assert of_topics.count("\n") == 1
    assert "got TopicAuthorizationFailedError; delete it: kafka-topics.sh" in of_topics
    assert f"--bootstrap-server kafka-1:9092 --delete --topic '{settings.app_id}[.-].*'" in of_topics
    assert "groups" not in of_topics
    of_groups = said(settings, Broker(names, groups="GroupAuthorizationFailedError"), monkeypatch, capsys)
    assert f"--group {settings.app_id}-counter --group {settings.app_id}-judge" in of_groups
    assert "kafka-topics" not in of_groups


def test_members_are_waited_for_and_not_for_ever(settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A group that has members for as long as may be is said."""
    monkeypatch.setattr(trial, "MEMBERS_S", 0.0)
    monkeypatch.setattr(trial, "LOOK_S", 0.0)
    assert "got NonEmptyGroupError;" in said(settings, Broker([], groups="NonEmptyGroupError"), monkeypatch, capsys)


def test_a_broker_that_is_away_raises_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The verdict of a trial is worth more than its end."""
    text = said(settings, UserError("Kafka is away"), monkeypatch, capsys)
    assert "got Kafka is away;" in text
    assert "kafka-topics.sh" in text
    assert "kafka-consumer-groups.sh" in text
