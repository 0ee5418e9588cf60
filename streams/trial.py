"""A trial on a real broker: topics and groups with names of their own, and gone afterwards.

Made-up payments must never reach topics that a real worker reads: whoever makes some on a broker of yours goes by this.
Does not know what is tried.
"""

from __future__ import annotations

import secrets
from typing import Any

from streams.admin import admin_client
from streams.errors import UserError
from streams.settings import Feed, Settings, TopicNames, load_settings
from streams.topics import needed_topics

__all__ = ["delete_trial", "trial_settings", "trial_variables"]


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


def delete_trial(settings: Settings) -> None:
    """Delete the trial's topics. Raises UserError where the broker refuses."""
    from kafka.errors import KafkaError

    with admin_client(settings) as admin:
        there = set(admin.list_topics())
        ours: list[Any] = [topic.name for topic in needed_topics(settings) if topic.name in there]
        try:
            admin.delete_topics(ours)
        except KafkaError as error:
            raise UserError(f"the trial's topics are left; got {error}; delete {', '.join(ours)}") from None
