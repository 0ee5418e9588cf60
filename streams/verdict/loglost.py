"""A topic of ours that is another than the Judge took or wrote. Knows its name; not what becomes of who finds it so."""

from __future__ import annotations

from aiokafka.errors import KafkaError

__all__ = ["LogLost"]


class LogLost(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """What stood on a topic is not there any more; `what` says how that is seen."""

    def __init__(self, topic: str, what: str) -> None:
        super().__init__(f"topic {topic} {what}: it was made again, or its end was lost")
