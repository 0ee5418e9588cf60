"""A topic that refuses what is written to it: which, with what word of Kafka's, since when, and what to do about it.

Knows Kafka's errors; not what was written, nor what waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

__all__ = ["Refused", "by_topic", "mend"]

_MENDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (MessageSizeTooLargeError, "raise its max.message.bytes with kafka-configs; 'pastille topics check' says to what"),
    (UnknownTopicOrPartitionError, "run 'pastille topics create'"),
    (InvalidTopicError, "give it another name in PASTILLE_TOPICS"),
    (TopicAuthorizationFailedError, "give this user the right to write to it"),
    (ClusterAuthorizationFailedError, "give this user the right to write to it"),
)
_ELSE: Final = "look for a full disk and for replicas that are not in sync on the brokers"


@dataclass(frozen=True, slots=True)
class Refused:
    """`since_s` is on the loop's clock; what is not `lasting` may be over with the next leader."""

    sentence: str
    since_s: float
    is_lasting: bool


def mend(error: BaseException) -> tuple[str, bool]:
    """What to do about a refusal, and whether it lasts until somebody does."""
    found = next((do for kind, do in _MENDS if isinstance(error, kind)), None)
    return found or _ELSE, found is not None


def by_topic(topic: str, error: KafkaError) -> KafkaError:
    """The error, with the topic that it speaks of and what to do."""
    return KafkaError(f"topic {topic} must take what is written; got {type(error).__name__}; {mend(error)[0]}")
