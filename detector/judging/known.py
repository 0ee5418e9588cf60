"""What is usual of each scope now, and how far it may be trusted, as figures for a person.

Reads the statistics of a Judge, or those of a file given to none yet; changes nothing that is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detector.contracts.policy import Policy
from detector.contracts.scope import Scope, parse_scope
from detector.judging import baseline as usual
from detector.judging import frozen
from detector.judging.baseline import HOUR_MS, SLOTS
from detector.judging.learned import Learned
from detector.judging.nodes import Nodes
from detector.judging.signals import Signals, parents_of

_MONDAY_MS, _SATURDAY_MS = 4 * 24 * HOUR_MS, 2 * 24 * HOUR_MS
"""1970-01-01 was a Thursday."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An hour of a working day (0 to 23) or of Saturday and Sunday (24 to 47); rate from 0 to 1, -1: not known."""

    rate: float
    votes: float  # that it rests upon, with those lent to it
    hourly: float  # votes expected in the hour


@dataclass(frozen=True, slots=True)
class Known:
    """One scope in the slot of a moment."""

    scope: Scope
    slot: int
    rate: float
    votes: float
    own_votes: float  # of the last days, none of them lent
    tau: float  # how much the rate wanders from hour to hour, on the logit
    bar: float  # the lowest rate that still is usual
    hourly: float
    frozen_since_ms: int | None
    slots: tuple[Slot, ...]


def known_of(signals: Signals, nodes: Nodes) -> list[Known]:
    """Every scope that statistics are kept of, the platform first."""
    slots, taus = _slots(signals, nodes), usual.pooled_tau(signals.baseline, parents_of(nodes))
    return [_known(signals, node, nodes.scopes[node], float(taus[node]), slots) for node in range(len(signals.flags))]


def signals_of(policy: Policy, learned: Learned, at_ms: int) -> tuple[Signals, Nodes]:
    """Statistics that begin with what was learned, as of a moment."""
    nodes = Nodes(replace(policy, evidence=replace(policy.evidence, mode="shadow"), dimensions=learned.dimensions))
    nodes.numbers(tuple(learned.leaves))
    for key in learned.nodes:
        nodes.add(parse_scope(key))
    signals = Signals(nodes.policy, nodes)
    signals.time_ms = at_ms
    signals.begin_with(learned)
    return signals, nodes


def _known(signals: Signals, node: int, scope: Scope, tau: float,
           slots: list[tuple[usual.Floats, ...]]) -> Known:  # fmt: skip
    known, rate = signals.baseline, float(signals.baseline.usual[node])
    since_ms = int(signals.frozen_ms[node])
    return Known(
        scope, usual.slot_of(max(signals.time_ms, 0)), rate, float(known.votes[node]), float(known.level[node].sum()),
        tau, signals.bar(node), _hourly(float(known.volume[node])),
        None if since_ms == frozen.NOT else since_ms,
        tuple(Slot(float(rates[node]), float(votes[node]), _hourly(float(volume[node])))
              for rates, votes, volume in slots),
    )  # fmt: skip


def _hourly(a_second: float) -> float:
    return 3600 * a_second if a_second >= 0 else -1.0


def _slots(signals: Signals, nodes: Nodes) -> list[tuple[usual.Floats, ...]]:
    """(usual, votes, volume) of every node in each slot, by what works them out for the slot that goes on."""
    size = len(signals.flags)
    view = signals.baseline._replace(usual=np.zeros(size), votes=np.zeros(size), volume=np.zeros(size))
    found: list[tuple[usual.Floats, ...]] = []
    for slot in range(SLOTS):
        day_ms = _MONDAY_MS if slot < SLOTS // 2 else _SATURDAY_MS
        usual.refresh(view, parents_of(nodes), day_ms + slot % 24 * HOUR_MS)
        found.append((view.usual.copy(), view.votes.copy(), view.volume.copy()))
    return found
