"""A trial on a real broker: topics and groups with names of their own, and gone afterwards.

Made-up payments must never reach topics that a real worker reads: whoever makes some on a broker of yours goes by this.
Does not know what is tried.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from kafka.errors import for_code

from streams.admin import admin_client
from streams.errors import UserError
from streams.settings import Feed, Settings, TopicNames, load_settings
from streams.topics import needed_topics

__all__ = ["delete_trial", "may_be_left", "require_broker", "trial_settings", "trial_variables"]

MEMBERS_S: Final = 20.0
"""A member that was killed is missed after a session of six seconds; where others wait for it, after two."""
LOOK_S: Final = 0.25
GONE: Final = ("OK", "GroupIdNotFoundError")
PASSES: Final = (
    "NonEmptyGroupError", "CoordinatorNotAvailableError", "CoordinatorLoadInProgressError", "NotCoordinatorError",
)  # fmt: skip
NO_ERROR, UNKNOWN_TOPIC = 0, 3


def trial_settings(stem: str, broker: str | None) -> Settings:
    """The environment's settings, with every name beginning like pastille-demo-4f09a1."""
    run = f"{stem}-{secrets.token_hex(3)}"
    feed = Feed(payments=f"{run}.payments", orders=f"{run}.orders")
    names = TopicNames(**{name: f"{run}.{topic}" for name, topic in TopicNames().model_dump().items()})
    return load_settings(broker=broker, feeds=(feed,), topics=names, app_id=run)


def trial_variables(settings: Settings) -> dict[str, str]:
    """The same, as a child reads it from its environment."""
    topics = {f"PASTILLE_TOPICS__{name.upper()}": topic for name, topic in settings.topics.model_dump().items()}
    feeds = ",".join(feed.model_dump_json() for feed in settings.feeds)
    whose = {"PASTILLE_BROKER": settings.broker, "PASTILLE_APP_ID": settings.app_id}
    return {**whose, "PASTILLE_FEEDS": f"[{feeds}]", **topics}


def require_broker(settings: Settings) -> None:
    """UserError where Kafka cannot be used; asked before anything is made, since what never was is not left either."""
    with admin_client(settings):
        pass


def delete_trial(settings: Settings) -> None:
    """Delete the trial's topics and groups; whoever read them has been told to end.

    What the broker refuses to delete is said on standard error, and raises nothing: what was tried is worth more.
    """
    left = _Left(settings)
    reason = "a refusal"
    try:
        with admin_client(settings) as admin:
            reason = left.delete_topics(admin) or reason
            reason = left.delete_groups(admin) or reason
    except UserError as error:
        reason = str(error)
    if left.topics or left.groups:
        with suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"the trial is not gone from the broker; got {reason}; {left.mend()}\n")


def may_be_left(settings: Settings) -> str:
    """What is to be said where nobody waits until the trial is deleted."""
    mend = _Left(settings).mend()
    return f"ended before the trial was gone from the broker; what is left begins with {settings.app_id}; {mend}"


class _Left:
    """What of a trial may still be there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topics: list[Any] = [topic.name for topic in needed_topics(settings)]
        self.groups = [settings.counter_group, settings.judge_group]

    def delete_topics(self, admin: Any) -> str:
        """Why some stay; empty where none does."""
        there = set(admin.list_topics())
        self.topics = [name for name in self.topics if name in there]
        answers = admin.delete_topics(self.topics, raise_errors=False)["topics"] if self.topics else []
        refused = [answer for answer in answers if answer["error_code"] not in (NO_ERROR, UNKNOWN_TOPIC)]
        self.topics = [answer["name"] for answer in refused]
        return ", ".join(sorted({for_code(answer["error_code"]).__name__ for answer in refused}))

    def delete_groups(self, admin: Any) -> str:
        """Why some stay; empty where none does. It waits until their members are gone, or are missed."""
        until_s = time.monotonic() + MEMBERS_S
        while True:
            said = {group: why for group, why in admin.delete_groups(self.groups).items() if why not in GONE}
            self.groups = list(said)
            if not set(said.values()).intersection(PASSES) or time.monotonic() > until_s:
                return ", ".join(sorted(set(said.values())))
            time.sleep(LOOK_S)

    def mend(self) -> str:
        """The commands that delete it."""
        server = f"--bootstrap-server {self._settings.broker} --delete"
        commands = []
        if self.topics:
            commands.append(f"kafka-topics.sh {server} --topic '{self._settings.app_id}[.-].*'")
        if self.groups:
            commands.append(f"kafka-consumer-groups.sh {server} {_options('--group', self.groups)}")
        return "delete it: " + "; ".join(commands)


def _options(name: str, values: Iterable[str]) -> str:
    return " ".join(f"{name} {value}" for value in values)
