"""The policy read by a person with all payments on paper: no ring, no folds, no increments.

Each question walks every payment again. What it says of a scope must be what the board says.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detector.contracts.policy import Policy
from detector.contracts.scope import Leaf, Scope
from detector.counting.tally import Cells, Source, Tally

RED = ("declined", "error")
ORDER = ("pending", "approved", "declined", "error", "cancelled", "cancelled_late")


@dataclass(frozen=True)
class Payment:
    """One payment: its statuses by the time it got them, the first at its start."""

    leaf: Leaf
    voter: int
    merchant: int
    statuses: tuple[tuple[int, str], ...]

    @cached_property
    def start_ms(self) -> int:
        """When it began."""
        return self.statuses[0][0]

    def at(self, boundary_ms: int, answer_ms: int) -> str | None:
        """Its status as counted at a boundary; None: not begun yet."""
        for at_ms, status in reversed(self.statuses):
            if at_ms < boundary_ms:
                late = status == "cancelled" and 0 <= answer_ms <= at_ms - self.start_ms
                return "cancelled_late" if late else status
        return None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the policy sees in one scope: its streak in numbers, and whether it is in breach."""

    first: int
    red: int
    overdue: int
    payments: int
    breach: bool


def history(chance: random.Random, policy: Policy, leaves: list[Leaf], length_ms: int, start_ms: int) -> list[Payment]:
    """Payments at random, with spells in which a leaf is dead, hangs or is silent."""
    payments = []
    for leaf in leaves:
        at, mood = start_ms, "well"
        gap = chance.choice((2_000, 7_000, 30_000))
        while at < start_ms + length_ms:
            if chance.random() < 0.04:
                mood = chance.choice(("well", "well", "red", "hang", "silent", "mixed"))
            at += 1 + int(chance.expovariate(1 / gap))
            if mood != "silent":
                payments.append(_payment(chance, policy, leaf, at, mood))
    return payments


def _payment(chance: random.Random, policy: Policy, leaf: Leaf, at: int, mood: str) -> Payment:
    weights = {"well": (8, 1, 1, 1), "red": (0, 9, 0, 1), "hang": (0, 0, 9, 2), "mixed": (1, 5, 5, 3)}[mood]
    end = chance.choices(("approved", "declined", "pending", "cancelled"), weights)[0]
    statuses = [(at, "pending")]
    if end != "pending":
        statuses.append((at + chance.randrange(1, policy.horizon_ms - 1_000), end))
        if chance.random() < 0.1:
            statuses.append((statuses[-1][0] + 1, chance.choice(("approved", "error"))))
    return Payment(leaf, chance.randrange(1, 40), chance.randrange(1, 4), tuple(statuses))


def read(policy: Policy, scope: Scope, payments: list[Payment], boundary_ms: int, newest_ms: int) -> Reading:
    """The scope at a boundary, from all its payments."""
    names, wanted = policy.dimensions, set(scope.values)
    leaves = {payment.leaf for payment in payments}
    answer_ms = {leaf: policy.answer_ms(leaf) for leaf in leaves if wanted <= set(zip(names, leaf, strict=True))}
    mine = [
        (payment.start_ms // policy.pane_ms, status, payment)
        for payment in payments
        if payment.leaf in answer_ms and (status := payment.at(boundary_ms, answer_ms[payment.leaf])) is not None
    ]
    last = max((pane for pane, status, _ in mine if status == "approved"), default=-1)
    streak = [entry for entry in mine if entry[0] > last]
    bad = [entry for entry in streak if _is_bad(policy, entry, newest_ms)]
    if not bad:
        return Reading(-1, 0, 0, len(streak), False)
    reds = sum(status in RED for _, status, _ in bad)
    overdue = len(bad) - reds
    first = min(pane for pane, _, _ in bad)
    rules = policy.rules(scope)
    rule = rules.all_red if reds >= overdue else rules.all_pending
    breach = (
        len({payment.voter for _, _, payment in bad}) >= rule.voters
        and len({payment.merchant for _, _, payment in bad}) >= rules.min_merchants
        and boundary_ms - first * policy.pane_ms >= rule.after_ms
        and 2 * len(bad) >= len(streak)
    )
    return Reading(first, reds, overdue, len(streak), breach)


def _is_bad(policy: Policy, entry: tuple[int, str, Payment], newest_ms: int) -> bool:
    pane, status, payment = entry
    answer_ms = policy.answer_ms(payment.leaf)
    overdue = status == "pending" and answer_ms >= 0 and newest_ms - (pane + 1) * policy.pane_ms >= answer_ms
    return status in RED or status == "cancelled_late" or overdue


class Teller:
    """A source that has all its payments on paper, and says of a boundary what changed."""

    def __init__(self, policy: Policy, payments: list[Payment]) -> None:
        self.policy = policy
        self.starts = sorted(payment.start_ms for payment in payments)
        self.cells: dict[tuple[Leaf, int], list[Payment]] = {}
        changes = []
        for payment in payments:
            cell = payment.leaf, payment.start_ms // policy.pane_ms
            self.cells.setdefault(cell, []).append(payment)
            changes += [(at_ms, cell) for at_ms, _ in payment.statuses]
        self.changes = sorted(changes)

    def tally(self, source: Source, layout: dict[str, int], boundary_ms: int, since_ms: int) -> Tally:
        """All cells that changed in [since, boundary), counted from the payments as they stand."""
        policy = self.policy
        first, last = (bisect_left(self.changes, (at_ms,)) for at_ms in (since_ms, boundary_ms))
        by_cell = {
            cell: [payment for payment in self.cells[cell] if payment.start_ms < boundary_ms]
            for _, cell in self.changes[first:last]
        }
        keys = sorted(by_cell)
        leaves = tuple(sorted({leaf for leaf, _ in keys}))
        counts, lengths, hashes = np.zeros((len(keys), 6), np.int32), np.zeros((len(keys), 5), np.uint8), []
        for row, (leaf, pane) in enumerate(keys):
            groups = _groups(policy, by_cell[leaf, pane], boundary_ms, counts[row])
            rooms = (policy.voters_max, policy.voters_max, policy.merchants_max, policy.merchants_max, 2)
            for kind, (group, room) in enumerate(zip(groups, rooms, strict=True)):
                smallest = sorted(group)[:room]
                lengths[row, kind] = len(smallest)
                hashes += smallest
        cells = Cells(
            leaves, np.array([leaves.index(leaf) for leaf, _ in keys], np.int32),
            np.array([pane for _, pane in keys], np.int64), counts, counts.copy(), np.zeros((len(keys), 5), np.int32),
            np.full(len(keys), -1, np.int64), lengths, np.array(hashes, np.uint64),
        )  # fmt: skip
        begun = bisect_left(self.starts, boundary_ms)
        newest = self.starts[begun - 1] if begun else -1
        return Tally(source, layout, 1, boundary_ms, newest, 0, cells)


def _groups(policy: Policy, payments: list[Payment], boundary_ms: int, counts: np.ndarray) -> tuple[set[int], ...]:
    bad, pending, bad_shops, pending_shops, approved = set(), set(), set(), set(), set()
    for payment in payments:
        status = payment.at(boundary_ms, policy.answer_ms(payment.leaf))
        assert status is not None
        counts[ORDER.index(status)] += 1
        if status in (*RED, "cancelled_late"):
            bad.add(payment.voter)
            bad_shops.add(payment.merchant)
        elif status == "pending":
            pending.add(payment.voter)
            pending_shops.add(payment.merchant)
        elif status == "approved":
            approved.add(payment.voter)
    return bad, pending, bad_shops, pending_shops, approved
