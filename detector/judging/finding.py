"""Whom the evidence names at a boundary: from nodes past their bars to few scopes, each with its onset and kind.

    nodes past a bar ─▶ onset of the strongest ─▶ every leaf's votes since ─▶ localise ─▶ findings

Silence explains pending explains refusals: what a channel has explained is not asked again by the next. Refusals are
asked about twice, all of them and the technical ones; of two that share a leaf the one that pages is said. A finding
pages where its own evidence passes the page's bar, rests on votes enough and matters (five points and five approvals
less than usual); else it warns. Decides nothing about outages that are open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from detector.arrays import Bools, Float64s, Int32s, Int64s
from detector.compiled import allocating
from detector.contracts.scope import Scope
from detector.counting.ages import EDGES, age_bin
from detector.judging import shops
from detector.judging.board import Board
from detector.judging.evidence import FEWER, PAGE, SLOW, SLOWER, STALL, TECHNICAL, TICKET, best_onset
from detector.judging.flow import NO, YES
from detector.judging.hazard import WIDTH_S
from detector.judging.lately import Lately
from detector.judging.later import late_since
from detector.judging.localise import Cause, Table, levels, localise
from detector.judging.outage import Kind, Standing
from detector.judging.ring import APPROVED, DECLINED, END, ERROR, PENDING, Rows

WINDOW_MS = 3_600_000
"""Evidence is looked at since its onset, but no further back."""
STALL_MIN_MS = 90_000
"""Silence shorter than this is no stall, however many payments were due: platforms pause for a minute, and go on."""
TECHNICAL_MIN_MS = 10_000
"""Technical refusals come at once, approvals when the shopper has done his part: before that nothing tells who is well,
and a name would be too wide."""
POINTS_MIN, LOST_MIN = 0.05, 5.0
CAUSES_MAX = 16
CASE_MIN = 5.0
"""Nats of its own that a scope needs to be named."""
_PATIENCE_MS = {STALL: STALL_MIN_MS, TECHNICAL: TECHNICAL_MIN_MS}
_CHANNELS = ((STALL, 1 << STALL), (SLOW, 1 << SLOW))
_REFUSALS = ((PAGE, 1 << PAGE | 1 << TICKET), (TECHNICAL, 1 << TECHNICAL))
_YES, _NO, _WAITS, _DUE, _TECHNICAL, _LATE_YES, _LATE_NO, _LATE_DUE = range(8)


@dataclass(frozen=True, slots=True)
class Finding:
    """A scope that is not itself, by one channel; rates are None where the channel is not about them."""

    scope: Scope
    channel: int
    kind: Kind
    severity: Literal["critical", "warning"]
    onset_ms: int
    return_period_s: float
    baseline_rate: float | None
    lower_bound: float | None
    cells: frozenset[int]
    down: tuple[float, float]
    """Yes and no, or seen and due, since the onset."""
    technical: float = 0.0
    """How many of the no are for a technical reason."""

    @property
    def standing(self) -> Standing:
        """As that of an outage."""
        return Standing.PAGES if self.severity == "critical" else Standing.WARNS


def find(board: Board, lately: Lately, blamed: Collection[str]) -> list[Finding]:
    """What the evidence names at the board's boundary; `lately` says what each merchant did, `blamed` who is to blame
    already."""
    explained = np.zeros(len(board.nodes.leaves), np.bool_)
    found: list[Finding] = []
    for channel, bits in _CHANNELS:
        flagged = np.flatnonzero(board.signals.flags & bits)
        if len(flagged):
            found += _in_channel(board, channel, flagged, explained)
    return found + _refusals(board, lately, blamed, explained)


def _refusals(board: Board, lately: Lately, blamed: Collection[str], explained: Bools) -> list[Finding]:
    """What the channels of refusals name that others have not explained."""
    found: list[Finding] = []
    for channel, bits in _REFUSALS:
        flagged = np.flatnonzero(board.signals.flags & bits)
        if len(flagged):
            found += _in_channel(board, channel, flagged, explained.copy())
    named = [named for finding in found if (named := _past_gate(board, lately, blamed, finding)) is not None]
    said: list[Finding] = []
    for finding in sorted(named, key=lambda finding: finding.severity):  # critical comes first
        if not any(_says_again(finding, other) for other in said):
            said.append(finding)
    return said


def _says_again(finding: Finding, other: Finding) -> bool:
    """Whether the other channel of refusals has said as much."""
    shares = finding.scope == other.scope or bool(finding.cells & other.cells)
    return finding.channel != other.channel and shares


def _past_gate(board: Board, lately: Lately, blamed: Collection[str], finding: Finding) -> Finding | None:
    """The finding, or that one merchant is to blame; None where merchants have no names and could be one."""
    leaves = {board.nodes.leaves[leaf] for leaf in finding.cells}
    cells = sorted(finding.cells)
    if finding.channel == PAGE:
        (yes, no), weight = finding.down, board.signals.weights.answer[TICKET, 0, cells].mean(axis=0)
        counts = lately.since(finding.onset_ms, leaves, board.policy.open_ms)
    else:
        yes, no = sum(finding.down) - finding.technical, finding.technical
        weight = board.signals.weights.technical[0, cells].mean(axis=0)
        counts = lately.technical_since(finding.onset_ms, leaves, board.policy.open_ms)
    merchant = shops.suspect(counts, yes, no, weight[:, YES], weight[:, NO], blamed)
    if merchant is None or board.policy.rules(finding.scope).min_merchants <= 1:
        return finding
    if shops.is_nameless(merchant):
        return None
    banks = tuple(pair for pair in finding.scope.values if pair[0] == "bank")
    scope = Scope((*banks, ("merchant", merchant)))
    return replace(finding, scope=scope, severity="warning")


def _in_channel(board: Board, channel: int, flagged: Int64s, explained: Bools) -> Iterator[Finding]:
    evidence = board.signals.evidence
    strongest = int(flagged[np.argmax(evidence.m[flagged, channel])])
    _, onset_ms = best_onset(evidence, strongest, channel)
    onset_ms = max(onset_ms, board.boundary_ms - WINDOW_MS)
    if board.boundary_ms - onset_ms < _PATIENCE_MS.get(channel, 0):
        return
    seen = since(board, onset_ms)
    leaves = np.flatnonzero(~explained & _has_seen(board, channel, seen))
    llr = _llr(board, channel, seen, onset_ms)[leaves]
    values = board.nodes.leaf_nodes[leaves, 1 : 1 + len(board.policy.dimensions)]
    table = Table(board.policy.dimensions, values, llr)
    # Only those that are nodes: what is named must be watched, too.
    named = tuple(level for level in levels(table.dimensions) if len(level) in (0, 1, len(table.dimensions)))
    for cause in localise(table, causes_max=CAUSES_MAX, levels=named):
        cells = leaves[cause.cells]
        explained[cells] = True
        finding = _finding(board, channel, cause, cells, seen, onset_ms, flagged)
        if finding is not None:
            yield finding


def _has_seen(board: Board, channel: int, seen: Float64s) -> Bools:
    volume = board.signals.due.volume[board.nodes.own_nodes()]
    votes = seen[:, :_TECHNICAL].sum(axis=1) + (seen[:, _LATE_DUE] if channel == SLOW else 0.0)
    has_seen: Bools = (volume if channel == STALL else votes) > 0
    return has_seen


def _llr(board: Board, channel: int, seen: Float64s, onset_ms: int) -> Float64s:
    """Nats of every leaf since the onset, by alternative."""
    signals = board.signals
    if channel == STALL:
        due = signals.due.volume[board.nodes.own_nodes()] * (board.boundary_ms - onset_ms) / 1000
        return _count_llr(seen[:, :_DUE].sum(axis=1), due, FEWER)
    if channel == SLOW:
        own = board.nodes.own_nodes()
        answered, due = seen[:, _YES] + seen[:, _NO], signals.due.slow_keep[own]
        late, weight = seen[:, _LATE_YES] + seen[:, _LATE_NO], signals.due.late_weight[own]
        expected = (answered + seen[:, _DUE]) * due + weight * seen[:, _LATE_DUE] * signals.due.late_keep[own]
        return _count_llr(answered + weight * late, expected, SLOWER)
    if channel == TECHNICAL:
        weight, wait = signals.technical_weights()
        yes, no = seen[:, _YES] + seen[:, _NO] - seen[:, _TECHNICAL], seen[:, _TECHNICAL]
    else:
        weight, wait = signals.weights.answer[TICKET, 0], signals.weights.wait[TICKET, 0]
        yes, no = seen[:, _YES], seen[:, _NO]
    nats: Float64s = yes[:, None] * weight[..., YES] + no[:, None] * weight[..., NO]
    nats += np.einsum("lb,lbj->lj", _waiting_since(board, onset_ms, wait.shape[1]), wait)
    return nats


def _answers(seen: Float64s) -> tuple[Float64s, Float64s]:
    """Answers seen and due, of votes since the onset and of those that waited for long by then."""
    answered = seen[..., _YES] + seen[..., _NO]
    late = seen[..., _LATE_YES] + seen[..., _LATE_NO]
    return answered + late, answered + seen[..., _DUE] + seen[..., _LATE_DUE]


def _count_llr(seen: Float64s, due: Float64s, shares: Float64s) -> Float64s:
    answer: Float64s = seen[:, None] * np.log(shares) + (1 - shares) * due[:, None]
    return answer


def _finding(board: Board, channel: int, cause: Cause, cells: Int64s, seen: Float64s, onset_ms: int,
             flagged: Int64s) -> Finding | None:  # fmt: skip
    """What a cause is as a finding; None where no node past its bar shares a leaf with it, or it has no case itself:
    one that recovered since another's onset is not named again for what it showed before."""
    scope = Scope(tuple(board.nodes.scopes[number].values[0] for _, number in cause.fixed))
    node = board.node_of(scope)
    is_in = np.zeros(len(seen), np.bool_)
    is_in[cells] = True
    near = [other for other in flagged.tolist() if is_in[board.nodes.leaves_of(other)].any()]
    if not near or not _speaks(board, channel, node):
        return None
    page = board.signals.evidence.m[:, channel]
    m = np.maximum(page, board.signals.evidence.m[:, TICKET]) if channel == PAGE else page
    lead = node if node in near else max(near, key=lambda other: float(m[other]))
    totals = seen[cells].sum(axis=0)
    of_rates = channel in (PAGE, TECHNICAL)
    usual = float(board.signals.baseline.usual[node])
    pages = board.signals.flags[lead] & (1 << channel) and _matters(board, channel, totals, usual, node)
    return Finding(
        scope, channel, _kind(channel, totals), "critical" if pages else "warning", onset_ms,
        float((page if pages else m)[lead]),
        usual if of_rates else None, board.signals.bar(node) if of_rates else None, frozenset(cells.tolist()),
        _down(board, channel, node, totals, onset_ms), float(totals[_TECHNICAL]) if of_rates else 0.0,
    )  # fmt: skip


def _speaks(board: Board, channel: int, node: int) -> bool:
    sums = board.signals.evidence.sums[node]
    return bool(max(sums[channel].max(), sums[TICKET].max() if channel == PAGE else 0.0) >= CASE_MIN)


def _matters(board: Board, channel: int, totals: Float64s, usual: float, node: int) -> bool:
    """Whether enough is known to page, and enough is lost."""
    signals, votes_min = board.signals, board.policy.evidence.votes_min
    if channel == TECHNICAL:
        known, asked = signals.technical, totals[:_DUE].sum()
        refused = totals[_TECHNICAL] - (1 - known.usual[node]) * asked
        return bool(known.votes[node] >= votes_min and refused >= max(LOST_MIN, POINTS_MIN * asked))
    if signals.baseline.votes[node] < votes_min:
        return False
    if channel != PAGE:
        return True
    asked = totals[_YES] + totals[_NO] + min(totals[_WAITS], totals[_DUE])
    return bool(usual * asked - totals[_YES] >= LOST_MIN and usual - totals[_YES] / max(asked, 1.0) >= POINTS_MIN)


def _kind(channel: int, totals: Float64s) -> Kind:
    if channel == STALL:
        return "stall"
    if channel == SLOW:
        return "all_pending" if _answers(totals)[0] == 0 else "slow"
    return "all_red" if totals[_YES] == 0 else "drop"


def _down(board: Board, channel: int, node: int, totals: Float64s, onset_ms: int) -> tuple[float, float]:
    if channel in (PAGE, TECHNICAL):
        return float(totals[_YES]), float(totals[_NO])
    if channel == SLOW:
        answered, due = _answers(totals)
        return float(answered), float(due)
    volume = float(board.signals.due.volume[node])
    return float(totals[:_DUE].sum()), volume * (board.boundary_ms - onset_ms) / 1000


def since(board: Board, onset_ms: int) -> Float64s:
    """Every leaf's votes that began since the onset: approved, refused, waiting, and how many answers were due of
    those that wait; how many of the refused are so for a technical reason. Then late answers: approved, refused, and
    due of votes that wait longer than their pane is open. Shape [leaf, 8]."""
    rate = board.signals.hazard.rate.sum(axis=2)
    cumulative = np.cumsum(rate * WIDTH_S, axis=1)
    votes = votes_since(
        board.in_hand(board.rows), cumulative, EDGES, max(board.pane_of(onset_ms), board.oldest),
        int(board.marks.newest[0]), board.boundary_ms, board.policy.pane_ms, board.policy.open_ms,
        len(board.nodes.leaves),
    )  # fmt: skip
    late: Float64s = late_since(board.signals.flow, onset_ms, board.boundary_ms)
    return np.hstack([votes, late])


def _waiting_since(board: Board, onset_ms: int, bins: int) -> Float64s:
    """Votes that began since the onset and wait, by the age they have; shape [leaf, bin]."""
    return waiting_since(
        board.in_hand(board.rows), EDGES, max(board.pane_of(onset_ms), board.oldest), int(board.marks.newest[0]),
        board.boundary_ms, board.policy.pane_ms, len(board.nodes.leaves), bins,
    )  # fmt: skip


@allocating
def waiting_since(rows: Rows, edges: Int64s, begin: int, newest: int, boundary_ms: int, pane_ms: int, leaves: int,
                  bins: int) -> Float64s:  # fmt: skip
    """See `_waiting_since`."""
    out = np.zeros((leaves, bins))
    for pane in range(begin, newest + 1):
        bin_ = min(age_bin(edges, boundary_ms - (pane + 1) * pane_ms), bins - 1)
        for leaf in range(leaves):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END:
                out[leaf, bin_] += rows.votes[row, PENDING]
                row = rows.next[row]
    return out


@allocating
def votes_since(rows: Rows, cumulative: Float64s, edges: Int64s, begin: int, newest: int, boundary_ms: int,
                pane_ms: int, open_ms: int, leaves: int) -> Float64s:  # fmt: skip
    """See `since`."""
    out = np.zeros((leaves, 5))
    for leaf in range(leaves):
        for pane in range(begin, newest + 1):
            row = rows.head[leaf, pane % rows.head.shape[1]]
            while row != END:
                votes: Int32s = rows.votes[row]
                out[leaf, 0] += votes[APPROVED]
                out[leaf, 1] += votes[DECLINED] + votes[ERROR]
                out[leaf, 4] += rows.technical[row]
                if votes[PENDING] > 0:
                    bin_ = age_bin(edges, min(open_ms, boundary_ms - (pane + 1) * pane_ms))
                    out[leaf, 2] += votes[PENDING]
                    out[leaf, 3] += votes[PENDING] * cumulative[leaf, bin_]
                row = rows.next[row]
    return out
