"""Whether an outage calls somebody: what is worth a page does, unless it is announced, the Judge is behind the clock,
or the policy pages nobody. Knows no counts, and does not know what is worth a page.
"""

from __future__ import annotations

from detector.contracts.models import Severity
from detector.judging.board import Board
from detector.judging.outage import Outage


class Severities:
    """What keeps the outages of a board from paging; `catching_up`: the Judge is behind the clock."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.catching_up = False

    @property
    def is_muted(self) -> bool:
        """Whether nothing pages now."""
        return self.catching_up or self.board.policy.page_mode == "shadow"

    @property
    def loud(self) -> Severity:
        """What pages, if anything may."""
        return "warning" if self.is_muted else "critical"

    def of(self, outage: Outage) -> Severity:
        """What it is by all that is known now."""
        return self.loud if outage.is_loud and outage.announced_ms is None else "warning"

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

    def follow_mode(self, outage: Outage) -> None:
        """Another [page] mode holds from now on."""
        if self.board.policy.page_mode == "shadow":
            outage.severity = "warning"
            return
        outage.catching_up = outage.catching_up and self.catching_up
        self.weigh(outage)
