"""Whether an outage calls somebody: what is worth a page does, unless it is announced, the Judge is behind the clock,
or the policy pages nobody: for anything, or for what the evidence alone finds. Knows no counts, and does not know what
is worth a page.
"""

from __future__ import annotations

from typing import Literal

from detector.contracts.models import Severity
from detector.judging.board import Board
from detector.judging.outage import Outage

Mode = Literal["page_mode", "evidence_mode"]
"""Reasons of an `updated` event: by another mode of [page] or [evidence] it pages from now on, or no longer."""


class Severities:
    """What keeps the outages of a board from paging; `catching_up`: the Judge is behind the clock."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.catching_up = False

    def is_silenced(self, outage: Outage) -> bool:
        """Whether the policy lets it page nobody."""
        policy = self.board.policy
        return policy.page_mode == "shadow" or (policy.evidence.mode != "live" and not outage.by_policy)

    def is_muted(self, outage: Outage) -> bool:
        """Whether it pages nobody now."""
        return self.catching_up or self.is_silenced(outage)

    def of(self, outage: Outage) -> Severity:
        """What it is by all that is known now."""
        pages = outage.is_loud and outage.announced_ms is None and not self.is_muted(outage)
        return "critical" if pages else "warning"

    def weigh(self, outage: Outage) -> None:
        """Its severity from now on. What would page keeps the one it has while the Judge is behind; a warning is looked
        at again when that is over."""
        if self.catching_up and outage.is_loud:
            outage.catching_up = outage.catching_up or outage.severity == "warning"
        else:
            outage.severity = self.of(outage)

    def catch_up(self, outage: Outage) -> bool:
        """The Judge is behind no more; whether the outage waited for that."""
        if not outage.catching_up:
            return False
        outage.catching_up = False
        outage.severity = self.of(outage)
        return True

    def follow_mode(self, outage: Outage) -> bool:
        """Another mode of [page] or [evidence] holds from now on; whether its severity is another."""
        was = outage.severity
        if self.is_silenced(outage):
            outage.severity = "warning"
            return was != "warning"
        outage.catching_up = outage.catching_up and self.catching_up
        self.weigh(outage)
        return outage.severity != was
