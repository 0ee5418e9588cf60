"""An outage as its newest event on the outages topic tells of it, for a Judge that did not start it.

What only the one that did knew is taken to be as it is in most outages, and in doubt so that it pages. Does not know
the topic, nor which events are to be adopted.
"""

from __future__ import annotations

from detector.contracts.models import OutageData
from detector.judging.board import Board
from detector.judging.evidence import PAGE, SLOW, STALL
from detector.judging.finding import Finding
from detector.judging.outage import Outage
from detector.judging.relapse import Past

_CHANNELS = {"stall": STALL, "slow": SLOW, "all_pending": SLOW}


def open_as_told(board: Board, data: OutageData, ordinal: int) -> Outage:
    """The open outage; its leaves are those its scope has by now."""
    scope = data.scope.to_scope()
    node = board.node_of(scope)
    gap_ms = (data.window.end - data.began_at) // max(1, data.evidence.payments)
    is_quiet = data.severity == "warning"
    has_eased = is_quiet and data.reason == "partly_recovered"
    was_muted = data.scheduled or data.catching_up or data.shadow
    return Outage(
        data.outage_id, ordinal, node, scope, data.kind, board.pane_of(data.began_at), data.began_at,
        data.detected_at, data.severity, data.catching_up, cells_of(board, data),
        gap_ms, sequence=data.sequence, children=list(data.children),
        rate=data.evidence.baseline_rate, rate_is_final=True, maintenance_id=data.maintenance_id,
        # Until when is not known here: if nothing covers it any more, the next boundary says so.
        announced_ms=data.updated_at if data.scheduled else None,
        trigger=data.trigger, return_period_s=data.evidence.return_period_s, lower_bound=data.evidence.lower_bound,
        pages=not is_quiet or data.trigger != "evidence" or was_muted or has_eased, eased=has_eased,
        silent=is_quiet and data.continues_id is not None and data.trigger == "evidence",
        called=not is_quiet, continues_id=data.continues_id, times=int(data.continues_id is not None),
        grown_ms=data.updated_at,
    )  # fmt: skip


def past_as_told(board: Board, data: OutageData) -> Past:
    """The outage that recovered."""
    called = data.severity == "critical" or data.continues_id is not None
    ended_ms, times = data.ended_at or data.updated_at, int(data.continues_id is not None)
    scope, is_stall = data.scope.to_scope(), data.kind == "stall"
    return Past(data.outage_id, scope, cells_of(board, data), ended_ms, called, times, is_stall)


def cells_of(board: Board, data: OutageData) -> frozenset[int]:
    """The leaves below its scope; of a merchant's those that it may sell by."""
    fixed = {pair for pair in data.scope.to_scope().values if pair[0] != "merchant"}
    dimensions = board.policy.dimensions
    return frozenset(
        number for number, leaf in enumerate(board.nodes.leaves) if fixed <= set(zip(dimensions, leaf, strict=True))
    )


def finding_as_told(outage: Outage, data: OutageData) -> Finding:
    """What the evidence found, for its recovery to be watched."""
    evidence, channel = data.evidence, _CHANNELS.get(data.kind, PAGE)
    answered = float(evidence.approved + evidence.declined + evidence.error)
    down = (float(evidence.approved), answered - evidence.approved)
    if channel == SLOW:
        down = (answered, answered + evidence.pending)
    elif channel == STALL:
        down = (float(evidence.votes), 0.0)
    return Finding(
        outage.scope, channel, data.kind, data.severity, data.began_at, evidence.return_period_s or 0.0,
        evidence.baseline_rate, evidence.lower_bound, outage.cells, down,
    )  # fmt: skip
