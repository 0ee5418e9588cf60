"""Whether transactions of producers end: one that stays open keeps from being read what it wrote, and all behind it.

Knows where partitions are held back and since when; not who writes there. Kafka ends a transaction by itself after the
producer's `transaction.timeout.ms`, but for one that hangs, which an operator must end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition

from streams.verdict.clock import SILENT_S

__all__ = ["HeldBack"]

SHOWN_MAX: Final = 3


class HeldBack:
    """Remembers since when partitions are held back at the same offset."""

    def __init__(self) -> None:
        self._since_s: dict[tuple[TopicPartition, int], float] = {}

    def problem(self, held: Mapping[TopicPartition, int], now_s: float) -> str | None:
        """What is held back for so long that the Judge goes on without it, and what to do; None where nothing is.
        `held[partition]` is the offset."""
        self._since_s = {at: self._since_s.get(at, now_s) for at in held.items()}
        found = sorted(at for at, since_s in self._since_s.items() if now_s - since_s >= SILENT_S)
        if not found:
            return None
        shown = ", ".join(f"{at.topic}/{at.partition} from offset {offset}" for at, offset in found[:SHOWN_MAX])
        more = f" and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
        return (
            f"producers must end their transactions; got one that holds back {shown}{more}; what is behind it is "
            "counted when it ends, and judged without meanwhile: find its producer with kafka-transactions, or abort it"
        )
