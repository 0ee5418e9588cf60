"""What is usual: each scope's approval rate and volume by hour of the day, and how far both may be trusted.

    level = votes of the last days (half-life 3 d) with 15 votes at the parent's rate (leaf → method → platform → 0.9)
    usual = votes of the slot (half-life 14 d) with 200 votes at the level;    48 slots: hour × working day or weekend
    shift = z · √(tau² + 1/(n p) + 1/(n (1 − p)))    how far the null lies below the usual, on the logit

tau is how much the rate wanders from hour to hour beyond chance. An hour is learned one hour late, and not at all
where it or the next one was not healthy: an outage is never learned as usual. See docs/EVIDENCE.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detector.arrays import Bools, Float64s, Int32s, Int64s
from detector.compiled import compiled

HOUR_MS = 3_600_000
SLOTS = 48
ROOT_RATE, ROOT_VOTES, PARENT_VOTES, SLOT_VOTES, START_VOTES = 0.9, 10.0, 15.0, 200.0, 10.0
LEVEL_HALF_LIFE_H, SLOT_HALF_LIFE_DAYS = 72, 14
TAU_START, TAU_MIN, TAU_LEARNING, HOUR_VOTES_MIN = 0.25, 0.10, 0.01, 20
TAU_SPREAD = 0.02
"""How much tau² differs from scope to scope."""
VOLUME_TAU_MIN, VOLUME_TAU_ONE_WEEK, VOLUME_WEEKS = 0.2, 0.3, 4
WINDOW_MS, WINDOW_VOTES_MIN, WINDOW_PRIOR_H = 120_000, 8.0, 4.0
"""How far volume wanders within an hour is seen in windows of two minutes, of hours with so many votes in each."""
DAY_MIN, DAY_MAX = 0.5, 2.0
HOURS_BETWEEN_MAX = 7
"""Between two hours of a day that are no further from each other the others are guessed."""
RATE_MIN, RATE_MAX = 0.0005, 0.9995
LATEST, BEFORE = range(2)
APPROVED, REFUSED = range(2)

Floats = npt.NDArray[np.float64]


class Baseline(NamedTuple):
    """Per node. `hours` accounts for the hour that goes on and the one before, in votes."""

    hours: Float64s  # [2, node, APPROVED REFUSED]
    came: Float64s  # [2, node]
    level: Float64s  # [node, APPROVED REFUSED]
    slots: Float64s  # [node, slot, APPROVED REFUSED]
    tau2: Float64s  # [node]: as found, also below 0 by chance; `pooled_tau` has the floor
    volumes: Float64s  # [node, slot, week]: votes of an hour; -1: not known
    volume_tau2: Float64s  # [node]: from hour to hour
    window: Float64s  # [node]: votes of the two minutes that go on
    windows: Float64s  # [2, node, COUNT SUM SQUARES]: of the logs of such windows, `hours` alike
    bursts: Float64s  # [node, 2]: variance of the log within hours, summed over hours, and how many these are
    answers: Float64s  # [2, node, SEEN DUE LATE LATE_DUE]: answers, and those due by the hazard; see `answers`
    ratio: Float64s  # [node, SEEN DUE LATE LATE_DUE]: of the last weeks
    ratio_slots: Float64s  # [node, slot, SEEN DUE LATE LATE_DUE]
    gap: Float64s  # [node]: late answers due since the last came
    gaps: Float64s  # [2, node]: sum of their squares, `hours` alike
    clumps: Float64s  # [node, 2]: half of these in answers, and how many answers these are
    frozen: Bools  # [2, node]: the hour that goes on, or the one before, was not healthy
    usual: Float64s  # [node]: approval rate in the slot that goes on
    votes: Float64s  # [node]: how many votes that rests upon
    volume: Float64s  # [node]: votes a second expected in the slot that goes on; -1: not known
    day: Float64s  # [node]: how the last hours compare with what was expected of them


def make_baseline(nodes: int) -> Baseline:
    """Nothing is known: the root's rate with ten votes."""
    return Baseline(
        np.zeros((2, nodes, 2)), np.zeros((2, nodes)), np.zeros((nodes, 2)), np.zeros((nodes, SLOTS, 2)),
        np.full(nodes, TAU_START**2), np.full((nodes, SLOTS, VOLUME_WEEKS), -1.0),
        np.full(nodes, VOLUME_TAU_MIN**2), np.zeros(nodes), np.zeros((2, nodes, 3)), np.zeros((nodes, 2)),
        np.zeros((2, nodes, 4)), np.zeros((nodes, 4)), np.zeros((nodes, SLOTS, 4)),
        np.zeros(nodes), np.zeros((2, nodes)), np.zeros((nodes, 2)),
        np.zeros((2, nodes), np.bool_), np.full(nodes, ROOT_RATE),
        np.full(nodes, START_VOTES), np.full(nodes, -1.0), np.ones(nodes),
    )  # fmt: skip


def slot_of(at_ms: int) -> int:
    """The slot of a time (UTC): 0 to 23 on working days, 24 to 47 on Saturday and Sunday."""
    hour = at_ms // HOUR_MS
    weekday = (hour // 24 + 3) % 7  # 1970-01-01 was a Thursday
    return int(hour % 24 + (24 if weekday >= 5 else 0))


def logit(p: Floats) -> Floats:
    """ln(p ÷ (1 − p))."""
    return np.log(p / (1 - p))


def expit(x: Floats) -> Floats:
    """The inverse of `logit`."""
    return 1 / (1 + np.exp(-x))


def levels(known: Baseline, parents: Int32s) -> tuple[Floats, Floats]:
    """(rate, votes) of every node's level. `parents[node]` is the node that lends it its rate, itself for the root;
    the root is node 0, and its children are no leaves."""
    votes = known.level.sum(axis=1)
    rate = np.empty(len(votes))
    rate[0] = (known.level[0, APPROVED] + ROOT_VOTES * ROOT_RATE) / (votes[0] + ROOT_VOTES)
    for generation in _generations(parents):
        lent = rate[parents[generation]]
        approved = known.level[generation, APPROVED]
        rate[generation] = (approved + PARENT_VOTES * lent) / (votes[generation] + PARENT_VOTES)
    return rate, votes


def _generations(parents: Int32s) -> list[Int64s]:
    """The root's children, then theirs."""
    nodes = np.arange(1, len(parents))
    first = nodes[parents[1:] == 0]
    return [first, nodes[parents[1:] != 0]]


def refresh(known: Baseline, parents: Int32s, at_ms: int) -> None:
    """Work out what is usual in the slot of a time."""
    slot = slot_of(at_ms)
    rate, level_votes = levels(known, parents)
    of_slot = known.slots[:, slot]
    slot_votes = of_slot.sum(axis=1)
    usual = (of_slot[:, APPROVED] + SLOT_VOTES * rate) / (slot_votes + SLOT_VOTES)
    known.usual[:] = np.clip(usual, RATE_MIN, RATE_MAX)
    known.votes[:] = np.minimum(slot_votes + SLOT_VOTES, level_votes + slot_votes + START_VOTES)
    known.volume[:] = _volume(known, slot)


def _volume(known: Baseline, slot: int) -> Floats:
    """Votes a second: the hour's, times the day's factor."""
    expected = _expected(known, slot)
    return np.where(expected >= 0, expected * known.day / 3600, -1.0)


def _expected(known: Baseline, slot: int) -> Floats:
    """Votes of the slot's hour: the median of four weeks, or of the other kind of day's where there is none; of an
    hour that was never learned what lies between the hours around it."""
    own, other = median(known.volumes[:, slot]), median(known.volumes[:, (slot + 24) % SLOTS])
    found: Floats = np.where(own >= 0, own, other)
    for kind in (slot // 24 * 24, (slot // 24 * 24 + 24) % SLOTS):
        missing = np.flatnonzero(found < 0)
        if len(missing):
            found[missing] = _between(known.volumes[missing, kind : kind + 24], slot % 24)
    return found


def _between(volumes: Floats, hour: int) -> Floats:
    """Votes of an hour that is not known, on the log between the nearest that are, `volumes[node, hour, week]` of one
    kind of day; -1 where these are too far from each other."""
    day = np.stack([median(volumes[:, h]) for h in range(24)], axis=1)
    turned = np.roll(day, -hour, axis=1)[:, 1:]  # the hours after it, then those before
    is_known = turned >= 0
    after, before = is_known.argmax(axis=1), 22 - is_known[:, ::-1].argmax(axis=1)
    rows = np.arange(len(day))
    ahead, behind = (np.log(np.maximum(turned[rows, at], 0.5)) for at in (after, before))
    share = (after + 1) / (after + 1 + 23 - before)
    is_near = is_known.any(axis=1) & (after + 1 + 23 - before <= HOURS_BETWEEN_MAX)
    return np.where(is_near, np.exp(ahead * (1 - share) + behind * share), -1.0)


def volume_tau(known: Baseline, parents: Int32s) -> Floats:
    """How far volume wanders, on the log: from hour to hour, within one, and more where few weeks are known."""
    weeks = np.maximum(1, (known.volumes >= 0).sum(axis=2).max(axis=1))
    variance, hours = known.bursts[:, 0], known.bursts[:, 1]
    found = variance / np.maximum(hours, 1e-9)
    within = np.maximum(0.0, _pooled(found, hours / (hours + WINDOW_PRIOR_H), VOLUME_TAU_MIN**2, parents))
    tau: Floats = np.sqrt(known.volume_tau2 + VOLUME_TAU_ONE_WEEK**2 / weeks + within)
    return tau


@compiled
def note_window(known: Baseline, node: int) -> None:
    """Two minutes are over."""
    log = np.log(known.window[node] + 0.5)
    known.windows[LATEST, node, 0] += 1.0
    known.windows[LATEST, node, 1] += log
    known.windows[LATEST, node, 2] += log * log
    known.window[node] = 0.0


def median(history: Floats) -> Floats:
    """The median of what is known in each row; -1 where nothing is."""
    ordered = np.sort(np.where(history >= 0, history, np.inf), axis=1)
    known, rows = (history >= 0).sum(axis=1), np.arange(len(history))
    middle = (ordered[rows, (known - 1) // 2] + ordered[rows, known // 2]) / 2
    return np.where(known > 0, middle, -1.0)


def shift(known: Baseline, z: float, taus: Floats) -> Floats:
    """How far below its usual rate a node's null lies, on the logit; `taus` from `pooled_tau`."""
    p, n = known.usual, known.votes
    width: Floats = z * np.sqrt(taus**2 + 1 / (n * p) + 1 / (n * (1 - p)))
    return width


def pooled_tau(known: Baseline, parents: Int32s) -> Floats:
    """How far each node's rate wanders: its own tau² as far as its hours are large enough to show it, and for the rest
    that of its siblings, or of its parent where they know nothing either."""
    tau2 = _pooled(known.tau2, _certainty(known), TAU_START**2, parents)
    return np.sqrt(np.maximum(tau2, TAU_MIN**2))


def _pooled(found: Floats, own: Floats, start: float, parents: Int32s) -> Floats:
    """Each node's value as far as it is its own (`own`, 0 to 1), else its siblings' mean, its parent's, or `start`."""
    out = found.copy()
    out[0] = own[0] * found[0] + (1 - own[0]) * start
    for generation in _generations(parents):
        above, weight = parents[generation], own[generation]
        total = np.bincount(above, weight, len(out))
        mean = np.bincount(above, weight * found[generation], len(out)) / np.maximum(total, 1e-12)
        pool = np.where(total > 0, mean, out)[above]
        out[generation] = weight * found[generation] + (1 - weight) * pool
    return out


def _certainty(known: Baseline) -> Floats:
    """How much of each tau² is the node's own, 0 to 1: its spread among nodes against the chance in its own hours."""
    hourly = known.level.sum(axis=1) * (1 - 0.5 ** (1 / LEVEL_HALF_LIFE_H))
    chance = 1 / (np.maximum(hourly, 1e-9) * known.usual * (1 - known.usual))
    own: Floats = TAU_SPREAD**2 / (TAU_SPREAD**2 + TAU_LEARNING * chance**2)
    return np.where(hourly >= HOUR_VOTES_MIN, own, 0.0)


def learn(known: Baseline, parents: Int32s, ended_ms: int, is_whole: bool = True) -> Bools:
    """The hour before `ended_ms` is over: learn the one before it, where both were healthy; which nodes did. Of an hour
    that was not seen as a whole the volume is not known."""
    healthy: Bools = ~(known.frozen[LATEST] | known.frozen[BEFORE])
    slot = slot_of(ended_ms - 2 * HOUR_MS)
    _learn_rates(known, parents, slot, healthy)
    if is_whole:
        _learn_volumes(known, slot, healthy)
        _learn_bursts(known, healthy)
    for table in (known.hours, known.came, known.windows, known.frozen):
        table[BEFORE] = table[LATEST]
        table[LATEST] = 0
    return healthy


def _learn_rates(known: Baseline, parents: Int32s, slot: int, healthy: Bools) -> None:
    hour = known.hours[BEFORE]
    approved, refused = hour[:, APPROVED], hour[:, REFUSED]
    rate, _ = levels(known, parents)
    of_slot = known.slots[:, slot]
    usual = np.clip((of_slot[:, APPROVED] + SLOT_VOTES * rate) / (of_slot.sum(axis=1) + SLOT_VOTES), RATE_MIN, RATE_MAX)
    enough = healthy & (approved + refused >= HOUR_VOTES_MIN) & (known.level.sum(axis=1) >= HOUR_VOTES_MIN)
    _learn_tau(known.tau2, approved[enough], refused[enough], usual[enough], enough)
    known.level[:] *= 0.5 ** (1 / LEVEL_HALF_LIFE_H)
    known.level[healthy] += hour[healthy]
    known.slots[:, slot] *= 0.5 ** (1 / SLOT_HALF_LIFE_DAYS)
    known.slots[healthy, slot] += hour[healthy]


def _learn_tau(tau2: Floats, approved: Floats, refused: Floats, usual: Floats, which: Bools) -> None:
    """tau² moves a hundredth of the way to what the hour showed beyond chance, wild hours capped at three sd.

    How far the hour is off is linear in its approvals, (yes − n p) ÷ (n p (1 − p)) on the logit: the logit of few
    refusals is skewed, and would be taken for wandering.
    """
    votes = approved + refused
    chance = 1 / (votes * usual * (1 - usual))
    off = np.abs(approved - votes * usual) * chance
    capped = np.minimum(off, 3 * np.sqrt(np.maximum(tau2[which], TAU_MIN**2) + chance))
    tau2[which] += TAU_LEARNING * (capped**2 - chance - tau2[which])


def _learn_volumes(known: Baseline, slot: int, healthy: Bools) -> None:
    came = known.came[BEFORE]
    expected = median(known.volumes[:, slot])
    met = healthy & (expected >= HOUR_VOTES_MIN) & (came >= 1)
    off = np.log(came[met] / expected[met]) ** 2
    variance = known.volume_tau2[met]
    variance += 10 * TAU_LEARNING * (np.minimum(off, 9 * variance) - 1 / expected[met] - variance)
    known.volume_tau2[met] = np.maximum(variance, VOLUME_TAU_MIN**2)
    ratio = np.clip(came / np.maximum(_expected(known, slot), 1.0), DAY_MIN, DAY_MAX)
    counts = healthy & (_expected(known, slot) >= HOUR_VOTES_MIN)
    known.day[counts] = (known.day[counts] + ratio[counts]) / 2
    known.volumes[healthy, slot, 1:] = known.volumes[healthy, slot, :-1]
    known.volumes[healthy, slot, 0] = came[healthy]


def _learn_bursts(known: Baseline, healthy: Bools) -> None:
    """What an hour's windows show beyond chance; an hour of few votes shows nothing but chance."""
    count, total, squares = known.windows[BEFORE].T
    mean = known.came[BEFORE] / np.maximum(count, 1.0)
    enough = healthy & (count >= 2) & (mean >= WINDOW_VOTES_MIN)
    beyond = (squares - total**2 / np.maximum(count, 1.0)) / np.maximum(count - 1, 1.0) - 1 / np.maximum(mean, 1.0)
    known.bursts[:] *= 0.5 ** (1 / (24 * SLOT_HALF_LIFE_DAYS))
    known.bursts[enough] += np.stack([beyond[enough], np.ones(int(enough.sum()))], axis=1)
