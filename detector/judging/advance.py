"""One boundary of the statistics after another: the loops over all leaves and nodes.

    leaves: answers due, votes weighed ─▶ nodes: the recursion of every channel, recovery ─▶ flags

Works on the arrays that `signals` holds; makes room for nothing, learns nothing, names nobody.
"""

from __future__ import annotations

from typing import NamedTuple

from detector.arrays import Float64s, Int32s, UInt8s
from detector.compiled import compiled, inlined
from detector.counting.ages import EDGES, age_bin
from detector.judging.aging import grow_older
from detector.judging.answers import DUE, LATE, LATE_DUE, SEEN, note_gap
from detector.judging.baseline import WINDOW_MS, Baseline, note_window
from detector.judging.evidence import (
    CHANNELS,
    COUNTS,
    FEWER,
    PAGE,
    SLOW,
    SLOWER,
    STALL,
    TECHNICAL,
    TICKET,
    Evidence,
    Weights,
    accumulate,
    add_leaf,
    count_llr,
)  # fmt: skip
from detector.judging.flow import DUE as DUE_LONG
from detector.judging.flow import MINUTES, NO, YES, Flow, forget_changes
from detector.judging.hazard import Hazard, expect
from detector.judging.later import end_long, grow_long
from detector.judging.recovery import CALM, RATE, SLOW_COUNT, STALL_COUNT, Recovery, is_over, look
from detector.judging.ring import Rows
from detector.judging.technical import Technical, add_technical, begin

MINUTE_MS = 60_000
_PEERS_KEEP = 0.5 ** (1 / 120)
"""What the peers do now is smoothed with a half-life of two minutes."""
_OWN_KEEP = 0.5 ** (1 / 1_800)
"""What a scope does itself, with a half-life of half an hour: a stall is a fall from that too."""
STALL_DOUBT_S = 86_400.0
_DOUBT_KEEP = 0.5 ** (1 / 7_200)
"""From this evidence on what the scope does is believed more slowly, with a half-life of two hours."""
SILENT_VOTES = 5.0
"""Where so many votes lack a scope is silent, and no answer of it is missed: chance does that once in 150 pauses."""


class Due(NamedTuple):
    """Per node, for the second that goes on."""

    slow_keep: Float64s  # of the answers that are due so much is expected, see `answers`
    late_keep: Float64s  # of the late ones
    late_weight: Float64s  # what one of these counts, since they come in clumps
    volume: Float64s  # votes a second expected at least; 0: not watched
    share: Float64s  # of the peers' votes
    pace: Float64s  # votes a second that come now, smoothed
    own: Float64s  # votes a second expected at least, by what came within the last hour
    quiet: Float64s  # of what is usual so much is expected at least
    lacking: Float64s  # votes that should have come since the last one did, by the pace until then


class Figures(NamedTuple):
    """All tables of the statistics."""

    flow: Flow
    hazard: Hazard
    known: Baseline
    evidence: Evidence
    recovery: Recovery
    technical: Technical
    weights: Weights
    due: Due


class Bars(NamedTuple):
    """Return periods in seconds, and how long a recovery must hold."""

    page_s: float
    ticket_s: float
    freeze_s: float
    hold_ms: int


@compiled
def run(rows: Rows, leaf_nodes: Int32s, flow: Flow, hazard: Hazard, known: Baseline, evidence: Evidence,
        recovery: Recovery, technical: Technical, weights: Weights, due: Due, flags: UInt8s, bars: Bars,
        sources_away: bool, ages: bool, time_ms: int, until_ms: int, step_ms: int, pane_ms: int,
        closing_ms: int) -> tuple[int, bool]:  # fmt: skip
    """Boundary after boundary, until one changes a flag; (the last, whether it did)."""
    while time_ms < until_ms:
        time_ms += step_ms
        if ages:
            grow_older(rows, flow, EDGES, time_ms, step_ms, pane_ms, closing_ms)
        if time_ms % MINUTE_MS == 0:
            grow_long(flow, age_bin(EDGES, closing_ms), time_ms, MINUTE_MS)
            flow.minutes[:, time_ms // MINUTE_MS % MINUTES] = 0.0
        begin(technical, flow, leaf_nodes)
        add_leaves(leaf_nodes, flow, hazard, known, evidence, technical, weights, time_ms // MINUTE_MS % MINUTES)
        forget_changes(flow)
        begun = technical.begun
        if move_nodes(known, evidence, recovery, begun, due, flags, bars, sources_away, time_ms, step_ms / 1000):
            return time_ms, True
    return time_ms, False


@compiled
def run_all(rows: Rows, leaf_nodes: Int32s, figures: Figures, flags: UInt8s, page_s: float, ticket_s: float,
            freeze_s: float, hold_ms: int, sources_away: bool, ages: bool, time_ms: int, until_ms: int, step_ms: int,
            pane_ms: int, closing_ms: int) -> tuple[int, bool]:  # fmt: skip
    """See `run`; the tables are handed over as one, and the bars one by one, see `hand.Hand`."""
    bars = Bars(page_s, ticket_s, freeze_s, hold_ms)
    return run(
        rows, leaf_nodes, figures.flow, figures.hazard, figures.known, figures.evidence, figures.recovery,
        figures.technical, figures.weights, figures.due, flags, bars, sources_away, ages, time_ms, until_ms, step_ms,
        pane_ms, closing_ms,
    )  # fmt: skip


@compiled
def add_leaves(leaf_nodes: Int32s, flow: Flow, hazard: Hazard, known: Baseline, evidence: Evidence,
               technical: Technical, weights: Weights, minute: int) -> None:  # fmt: skip
    """Every leaf gives the nodes above it what it saw and what was due, and keeps account of what is late."""
    for leaf in range(len(leaf_nodes)):
        due, due_long = expect(hazard, flow, leaf)
        touched, late_yes, late_no = flow.is_touched[leaf], 0.0, 0.0
        if not touched and due + due_long == 0.0:
            continue
        if touched:
            late_yes, late_no = end_long(hazard, flow, leaf)
            flow.minutes[leaf, minute, YES] += late_yes
            flow.minutes[leaf, minute, NO] += late_no
            add_leaf(evidence, weights, flow, leaf_nodes, leaf)
            add_technical(technical, evidence, weights, flow, leaf_nodes, leaf)
        flow.minutes[leaf, minute, DUE_LONG] += due_long
        yes, no = float(flow.ended[leaf, YES]), float(flow.ended[leaf, NO])
        for node in leaf_nodes[leaf]:
            if node >= 0:
                evidence.votes[node, YES] += yes
                evidence.votes[node, NO] += no
                evidence.slow[node, SEEN] += yes + no
                evidence.slow[node, DUE] += due
                evidence.slow[node, LATE] += late_yes + late_no
                evidence.slow[node, LATE_DUE] += due_long
                evidence.came[node] += flow.came[leaf]
                known.hours[0, node, YES] += yes
                known.hours[0, node, NO] += no
                known.came[0, node] += flow.came[leaf]


@compiled
def move_nodes(known: Baseline, evidence: Evidence, recovery: Recovery, begun: UInt8s, due: Due, flags: UInt8s,
               bars: Bars, sources_away: bool, time_ms: int, dt_s: float) -> bool:  # fmt: skip
    """The recursion for every node and channel; whether a flag changed, or an outage is over."""
    changed, no_feed = False, False
    peers, is_window = due.pace[0], time_ms % WINDOW_MS == 0
    for node in range(len(flags)):
        is_silent = falls_silent(evidence, due, node, dt_s) or no_feed
        no_feed |= is_silent and node == 0
        seen, slow_due = answers_due(known, evidence, due, node, is_silent)
        volume = 0.0 if sources_away else arrivals(evidence, due, node, peers, dt_s)
        for channel in range(CHANNELS):
            if channel != TECHNICAL or begun[node]:
                accumulate(evidence, node, channel, COUNTS[channel], time_ms, dt_s)
        votes = evidence.votes[node]
        if recovery.watched[node] == RATE:
            look(recovery, node, votes[YES], votes[NO], votes, time_ms)
        elif recovery.watched[node] == SLOW_COUNT:
            look(recovery, node, seen, slow_due, votes, time_ms)
        elif recovery.watched[node] == STALL_COUNT:
            look(recovery, node, evidence.came[node], volume, votes, time_ms)
        changed |= recovery.watched[node] != CALM and is_over(recovery, node, time_ms, bars.hold_ms)
        changed |= raise_flags(known, evidence, flags, node, bars)
        known.window[node] += evidence.came[node]
        if is_window:
            note_window(known, node)
        evidence.votes[node] = 0.0
        evidence.slow[node] = 0.0
        evidence.came[node] = 0.0
    return changed


@inlined
def falls_silent(evidence: Evidence, due: Due, node: int, dt_s: float) -> bool:
    """Whether nothing of a node begins any more, nor is answered: what waits cannot be told from what is not heard of.

    Silence is the better reason then, and has a channel of its own: where a bank hangs, shoppers go on trying.
    """
    if evidence.came[node] != 0.0:
        due.lacking[node] = 0.0
        return False
    due.lacking[node] += due.pace[node] * dt_s
    slow = evidence.slow[node]
    return bool(due.lacking[node] > SILENT_VOTES and slow[SEEN] == 0.0 and slow[LATE] == 0.0)


@inlined
def answers_due(known: Baseline, evidence: Evidence, due: Due, node: int, is_silent: bool) -> tuple[float, float]:
    """Answers of a node in this boundary, and those expected at least; they are weighed, and kept account of.

    Late answers are payments whose votes were weighed as waiting when their panes closed: they speak here alone.
    Nothing that waits is weighed while the node is silent.
    """
    slow, account = evidence.slow[node], known.answers[0, node]
    quick, late = slow[DUE] * due.slow_keep[node], slow[LATE_DUE] * due.late_keep[node]
    weight = due.late_weight[node]
    seen, expected = slow[SEEN] + weight * slow[LATE], quick + weight * late
    if is_silent:
        evidence.llr[node, PAGE] = 0.0
        evidence.llr[node, TICKET] = 0.0
    elif expected > 0.0 or seen != 0.0:
        count_llr(evidence.llr[node, SLOW], seen, expected, SLOWER)
    if slow[DUE] > 0.0:
        account[SEEN] += slow[SEEN]
        account[DUE] += slow[DUE]
    if slow[LATE_DUE] > 0.0:
        account[LATE] += slow[LATE]
        account[LATE_DUE] += slow[LATE_DUE]
        note_gap(known, node, slow[LATE], slow[LATE_DUE])
    return float(slow[SEEN] + slow[LATE]), float(quick + late)


@inlined
def arrivals(evidence: Evidence, due: Due, node: int, peers: float, dt_s: float) -> float:
    """Votes expected of a node in this boundary, at least: by the hour, its peers and itself; what came is weighed."""
    came = evidence.came[node]
    volume = min(due.volume[node], due.share[node] * (peers - due.pace[node]), due.own[node]) * dt_s
    if volume > 0.0:
        count_llr(evidence.llr[node, STALL], came, volume, FEWER)
    due.pace[node] = _PEERS_KEEP * due.pace[node] + (1.0 - _PEERS_KEEP) * came / dt_s
    keep = _OWN_KEEP if evidence.m[node, STALL] < STALL_DOUBT_S else _DOUBT_KEEP
    due.own[node] = keep * due.own[node] + (1.0 - keep) * due.quiet[node] * came / dt_s
    return float(volume)


@inlined
def raise_flags(known: Baseline, evidence: Evidence, flags: UInt8s, node: int, bars: Bars) -> bool:
    """A bit for each channel past its bar; the hour of a node with evidence enough is not learned."""
    now = 0
    for channel in range(CHANNELS):
        m = evidence.m[node, channel]
        if m >= (bars.ticket_s if channel == TICKET else bars.page_s):
            now |= 1 << channel
        if m >= bars.freeze_s and channel != TICKET:
            known.frozen[0, node] = True
    changed = now != flags[node]
    flags[node] = now
    return bool(changed)
