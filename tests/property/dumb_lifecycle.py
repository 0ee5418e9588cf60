"""The life of outages read by a person with all payments on paper: every boundary, every scope, from the beginning.

Plain sets and dicts, no ring, no folds but for what the policy itself says of them. What it writes down must be what
the Judge says, event by event.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from detector.contracts.policy import Policy
from detector.contracts.scope import Leaf, Scope, parse_scope
from tests.property.dumb_judge import RED, Payment, _payment
from tests.property.dumb_outage import Open, Said, Streak
from tests.scripted import ONSET_MS, WELL_MS, Found

Seen = tuple[int, str, Payment]
"""Of a payment: its pane, its status now, itself."""


def storms(chance: random.Random, policy: Policy, leaves: list[Leaf], length_ms: int, start_ms: int) -> list[Payment]:
    """Payments at random, with spells in which everything, a bank, a method or a leaf is dead, hangs or is silent."""
    spells = []
    for _ in range(chance.randrange(3, 8)):
        begin = start_ms + chance.randrange(length_ms // 10, length_ms)
        bank, method = chance.choice(leaves)
        hit = chance.choice([(None, None), (bank, None), (bank, None), (None, method), (bank, method)])
        mood = chance.choice(("red", "red", "hang", "mixed", "silent"))
        spells.append((begin, begin + chance.randrange(length_ms // 20, length_ms // 3), hit, mood))
    payments = []
    for leaf in leaves:
        at, gap = start_ms, chance.choice((1_500, 4_000, 10_000))
        while (at := at + 1 + int(chance.expovariate(1 / gap))) < start_ms + length_ms:
            moods = [mood for begin, end, hit, mood in spells if begin <= at < end and _is_hit(leaf, hit)]
            mood = moods[-1] if moods else "well"
            if mood != "silent":
                payments.append(_payment(chance, policy, leaf, at, mood))
    return payments


def _is_hit(leaf: Leaf, hit: tuple[str | None, str | None]) -> bool:
    return all(wanted in (None, value) for wanted, value in zip(hit, leaf, strict=True))


class Paper:
    """Reads boundary after boundary. What evidence names and calls over, and when, is written down, as in `script`."""

    def __init__(self, policy: Policy, payments: list[Payment], named: dict[int, list[Found]] | None = None,
                 over: dict[str, set[int]] | None = None) -> None:  # fmt: skip
        self.policy, self.payments = policy, payments
        self.named, self.ends = named or {}, over or {}
        leaves = sorted({payment.leaf for payment in payments})
        names = policy.dimensions
        self.scopes: dict[Scope, set[Leaf]] = {}
        for leaf in leaves:
            pairs = tuple(zip(names, leaf, strict=True))
            for scope in (Scope(), *(Scope((pair,)) for pair in pairs), Scope(pairs)):
                self.scopes.setdefault(scope, set()).add(leaf)
        self.answer_ms = {leaf: policy.answer_ms(leaf) for leaf in leaves}
        self.open: dict[Scope, Open] = {}
        self.waiting: dict[Scope, int] = {}
        self.floor: dict[Scope, int] = {}
        self.ordinals: dict[Scope, int] = {}
        self.now_ms = self.newest_ms = 0
        self.seen: dict[Leaf, list[Seen]] = {}

    def boundary(self, now_ms: int) -> list[Said]:
        """What is said at a boundary."""
        self.now_ms, policy = now_ms, self.policy
        self.newest_ms = max((p.start_ms for p in self.payments if p.start_ms < now_ms), default=-1)
        self.seen = {}
        for payment in self.payments:
            status = payment.at(now_ms, self.answer_ms[payment.leaf])
            if status is not None:
                entry = (payment.start_ms // policy.pane_ms, status, payment)
                self.seen.setdefault(payment.leaf, []).append(entry)
        self.look_by_rule()
        return [*self.look_at_open(), *self.look_at_breaches(), *self.look_at_findings()]

    # what a scope shows

    def of(self, scope: Scope) -> list[Seen]:
        """All its payments."""
        return [entry for leaf in self.scopes[scope] for entry in self.seen.get(leaf, [])]

    def is_overdue(self, entry: Seen) -> bool:
        """Cancelled after waiting, or pending and all its pane older than the answer may take."""
        pane, status, payment = entry
        answer_ms = self.answer_ms[payment.leaf]
        waited = answer_ms >= 0 and self.newest_ms - (pane + 1) * self.policy.pane_ms >= answer_ms
        return status == "cancelled_late" or (status == "pending" and waited)

    def streak(self, scope: Scope) -> Streak:
        """The panes after the newest one with an approval, and after where a parent's hold began."""
        mine = self.of(scope)
        after = max([pane for pane, status, _ in mine if status == "approved"] + [self.floor.get(scope, -1)])
        streak, oldest = Streak(), self.oldest()
        cells, folded = set(), [0, 0]
        for entry in mine:
            pane, status, payment = entry
            if pane <= after:
                continue
            streak.payments += 1
            red, overdue = status in RED, self.is_overdue(entry)
            streak.red += red
            streak.overdue += overdue
            if red or overdue:
                streak.first = pane if streak.first < 0 else min(pane, streak.first)
                streak.voters.add(payment.voter)
                streak.merchants.add(payment.merchant)
                cells.add(payment.leaf)
                if pane < oldest:
                    folded[overdue] += 1
        streak.cells, streak.folded = frozenset(cells), (folded[0], folded[1])
        return streak

    def oldest(self) -> int:
        """The oldest pane that is kept apart."""
        policy = self.policy
        kept_ms = policy.ring_ms + policy.horizon_ms + policy.grace_ms
        return self.now_ms // policy.pane_ms - kept_ms // policy.pane_ms - 1

    def age_ms(self, streak: Streak) -> int:
        """How long ago its first bad pane began."""
        return self.now_ms - streak.first * self.policy.pane_ms

    def rule_of(self, scope: Scope, kind: str) -> tuple[int, int]:
        """T and n."""
        rules = self.policy.rules(scope)
        rule = rules.all_red if kind in ("all_red", "drop") else rules.all_pending
        return rule.after_ms, rule.voters

    def is_breach(self, scope: Scope, streak: Streak) -> bool:
        """The policy, literally."""
        after_ms, voters = self.rule_of(scope, streak.kind)
        merchants = self.policy.rules(scope).min_merchants
        bad = streak.red + streak.overdue
        return (streak.first >= 0 and len(streak.voters) >= voters and len(streak.merchants) >= merchants
                and self.age_ms(streak) >= after_ms and 2 * bad >= streak.payments)  # fmt: skip

    # what is open

    def look_by_rule(self) -> None:
        """Holds of what the operator's rule raised. What it calls over lets go of all below, also where evidence does
        not call it over."""
        for scope in sorted(self.open, key=self.rank):
            outage, mine = self.open[scope], self.of(scope)
            if "policy" in outage.by and any(
                self.now_ms - 1_000 <= at < self.now_ms for _, _, p in mine for at, _ in p.statuses
            ):
                if not self.recovers(outage, mine):
                    outage.hold_ms = None
                elif outage.hold_ms is None:
                    outage.hold_ms = self.now_ms
            if outage.height == 2 and outage.hold_ms is not None and self.is_held(outage):
                outage.rule_is_done = True
                self.restart_below(outage, outage.hold_ms)

    def is_held(self, outage: Open) -> bool:
        """For as long as the rule asks."""
        return outage.hold_ms is not None and self.now_ms - outage.hold_ms >= self.policy.resolve.hold_ms

    def over_since(self, outage: Open) -> int | None:
        """All who raised it call it over; since the last of them does."""
        rule_ms = outage.hold_ms if "policy" in outage.by else outage.onset_ms
        if ("policy" in outage.by and not self.is_held(outage)) or rule_ms is None:
            return None
        if "evidence" in outage.by:
            return max(rule_ms, self.now_ms - WELL_MS) if self.now_ms in self.ends.get(outage.scope.key, ()) else None
        return rule_ms

    def look_at_open(self) -> Iterator[Said]:
        """Ends, whether there is traffic, and what grew."""
        for scope in sorted(self.open, key=self.rank):
            outage, mine = self.open[scope], self.of(scope)
            newest = max([outage.began] + [pane for pane, _, _ in mine])
            silence_ms = max(self.rule_of(scope, outage.kind)[0], 5 * outage.gap_ms)
            quiet = self.now_ms >= (newest + 1) * self.policy.pane_ms + silence_ms
            over_ms = self.over_since(outage)
            if over_ms is not None:
                del self.open[scope]
                yield self.say("resolved", outage, "recovered", over_ms)
            elif quiet != outage.quiet:
                outage.quiet = quiet
                yield self.say("updated", outage, "no_traffic" if quiet else "traffic_again")
            else:
                yield from self.grow(outage)

    def grow(self, outage: Open) -> Iterator[Said]:
        """At once, or where evidence has a part in it once a minute."""
        after_ms = max(outage.grown_ms, outage.detected_ms) + 60_000 if "evidence" in outage.by else 0
        if outage.grows and self.now_ms >= after_ms:
            outage.grows, outage.grown_ms = False, self.now_ms
            yield self.say("updated", outage, "more_scopes")

    def recovers(self, outage: Open, mine: list[Seen]) -> bool:
        """Enough approved among the newest panes."""
        rule, pane_ms = self.policy.resolve, self.policy.pane_ms
        window = (self.now_ms - rule.window_ms) // pane_ms
        approved, red, overdue, voters = 0, 0, 0, set()
        for pane in range(self.now_ms // pane_ms, max(outage.began, outage.oldest) - 1, -1):
            if pane < window and approved + red >= rule.decided:
                break
            for entry in mine:
                if entry[0] == pane:
                    approved += entry[1] == "approved"
                    red += entry[1] in RED
                    overdue += self.is_overdue(entry)
                    if entry[1] == "approved":
                        voters.add(entry[2].voter)
        needed = rule.decided - approved - red
        if needed > 0:  # Of what had left the ring when it was found only the sums are known.
            reds, late = outage.folded
            overdue += late * needed // reds if reds >= needed else late
            red += min(reds, needed)
        usual = self.usual_rate(outage) if outage.onset_ms is None else None
        bar = min(0.5, rule.rate_share * (1.0 if usual is None else usual))
        return approved >= rule.approved and len(voters) >= rule.voters and approved >= bar * (approved + red + overdue)

    def usual_rate(self, outage: Open) -> float | None:
        """Of the ring's length before it began, as it stood when its first pane closed, or now if that is earlier."""
        policy = self.policy
        closes_ms = (outage.began + 1) * policy.pane_ms + policy.horizon_ms + policy.grace_ms
        at_ms = min(self.now_ms, closes_ms)
        first = outage.began - policy.ring_ms // policy.pane_ms
        found = [
            payment.at(at_ms, self.answer_ms[payment.leaf])
            for payment in self.payments
            if payment.leaf in self.scopes[outage.scope] and first <= payment.start_ms // policy.pane_ms < outage.began
        ]
        decided = sum(status in ("approved", *RED) for status in found)
        return found.count("approved") / decided if decided else None

    def restart_below(self, parent: Open, hold_ms: int) -> None:
        """Below it by name, by having been its child, or by cells: from where its hold began."""
        for scope in self.scopes:
            streak = self.streak(scope)
            by_cells = streak.first >= 0 and self.is_below(scope, streak.cells, parent.scope, parent.cells)
            if scope.key in parent.children or set(scope.values) > set(parent.scope.values) or by_cells:
                self.floor[scope] = max(self.floor.get(scope, -1), hold_ms // self.policy.pane_ms - 1)

    # what is in breach

    def look_at_breaches(self) -> Iterator[Said]:
        """Platform, bank, method, leaf; who waits, who is a child, who starts."""
        streaks = {scope: self.streak(scope) for scope in self.scopes}
        breaches = sorted((s for s, streak in streaks.items() if self.is_breach(s, streak)), key=self.rank)
        waited, self.waiting = self.waiting, {s: since for s, since in self.waiting.items() if s in breaches}
        started: list[Open] = []
        grown: set[Scope] = set()
        for scope in breaches:
            since_ms, cells = waited.get(scope, self.now_ms), streaks[scope].cells
            self.waiting.pop(scope, None)
            mine = self.open.get(scope)
            if (mine is None or mine.height < 2) and not self.may_be_named(scope, cells):
                continue
            if mine is not None:
                yield from self.join(mine, "policy", True, started)
            elif self.has_parent(scope, cells, 2, grown):
                pass
            elif self.now_ms - since_ms < self.policy.wait_ms and self.is_rising_above(scope, streaks):
                self.waiting[scope] = since_ms
            else:
                yield from self.start(self.of_streak(scope, streaks[scope]), started)
        yield from self.tell(grown, started)

    def has_parent(self, scope: Scope, cells: frozenset[Leaf], height: int, grown: set[Scope]) -> bool:
        """Whether an open outage above it, and not lower than it, takes it as a child."""
        above = [o for o in self.open.values() if o.height >= height and self.is_below(scope, cells, o.scope, o.cells)]
        if above:
            parent = min(above, key=lambda outage: self.rank(outage.scope))
            if scope.key not in parent.children:
                parent.children.append(scope.key)
                grown.add(parent.scope)
        return bool(above)

    def tell(self, grown: set[Scope], started: list[Open]) -> Iterator[Said]:
        """What grew, then what started."""
        for outage in self.open.values():
            if outage.scope in grown and outage not in started:
                outage.grows = True
                yield from self.grow(outage)
        for outage in started:
            yield self.say("started", outage, "None")

    def look_at_findings(self) -> Iterator[Said]:
        """What evidence names joins, is a child, or starts."""
        started: list[Open] = []
        grown: set[Scope] = set()
        found = [(parse_scope(key), severity == "critical", frozenset(cells))
                 for key, severity, cells in self.named.get(self.now_ms, [])]  # fmt: skip
        for scope, pages, cells in sorted(found, key=lambda one: self.rank(one[0])):
            if scope in self.open:
                yield from self.join(self.open[scope], "evidence", pages, started)
            elif not self.has_parent(scope, cells, int(pages), grown):
                yield from self.start(self.of_evidence(scope, pages, cells), started)
        yield from self.tell(grown, started)

    def join(self, outage: Open, who: str, pages: bool, started: list[Open]) -> Iterator[Said]:
        """Said where it is new that this one speaks for it, or that it pages."""
        is_new = who not in outage.by or (who == "policy" and outage.rule_is_done)
        is_louder = pages and not outage.pages
        outage.by.add(who)
        outage.pages |= pages
        if who == "policy":
            outage.rule_is_done = False
            outage.hold_ms = None if "evidence" in outage.by else outage.hold_ms
        if is_new or is_louder:
            yield from self.take_over(outage, started)
            yield self.say("updated", outage, who if is_new else "worse")

    def is_rising_above(self, scope: Scope, streaks: dict[Scope, Streak]) -> bool:
        """An ancestor that may be named has its first bad pane old enough, or waits itself."""
        for upper, streak in streaks.items():
            below = streak.first >= 0 and self.is_below(scope, streaks[scope].cells, upper, streak.cells)
            old_ms = self.rule_of(upper, streak.kind)[0] - self.policy.wait_ms
            rises = upper in self.waiting or self.age_ms(streak) >= old_ms
            if below and rises and self.may_be_named(upper, streak.cells):
                return True
        return False

    def of_streak(self, scope: Scope, streak: Streak) -> Open:
        """An outage of the operator's rule."""
        self.ordinals[scope] = ordinal = self.ordinals.get(scope, 0) + 1
        gap_ms = self.age_ms(streak) // max(1, streak.payments)
        folded = streak.folded if streak.first < self.oldest() else (0, 0)
        return Open(scope, ordinal, streak.kind, streak.first, self.now_ms, streak.cells, gap_ms, folded,
                    self.oldest())  # fmt: skip

    def of_evidence(self, scope: Scope, pages: bool, cells: frozenset[Leaf]) -> Open:
        """An outage of the evidence, with ten votes since its onset."""
        self.ordinals[scope] = ordinal = self.ordinals.get(scope, 0) + 1
        onset_ms = self.now_ms - ONSET_MS
        return Open(scope, ordinal, "drop", onset_ms // self.policy.pane_ms, self.now_ms, cells, ONSET_MS // 10,
                    (0, 0), self.oldest(), by={"evidence"}, pages=pages, onset_ms=onset_ms)  # fmt: skip

    def start(self, outage: Open, started: list[Open]) -> Iterator[Said]:
        """A new outage."""
        yield from self.take_over(outage, started)
        self.open[outage.scope] = outage
        started.append(outage)

    def take_over(self, outage: Open, started: list[Open]) -> Iterator[Said]:
        """The end of the open ones below it, but for those that are higher."""
        lower = [other for other in self.open.values() if other.height <= outage.height]
        below = [other for other in lower if self.is_below(other.scope, other.cells, outage.scope, outage.cells)]
        for other in sorted(below, key=lambda outage: self.rank(outage.scope)):
            outage.children += [key for key in (other.scope.key, *other.children) if key not in outage.children]
            if other in started:
                started.remove(other)
                yield self.say("started", other, "None")
            del self.open[other.scope]
            parent = f"{outage.scope.key}#{outage.ordinal}"
            yield self.say("resolved", other, "superseded", self.now_ms, parent)

    # names

    def is_below(self, x: Scope, x_cells: frozenset[Leaf], y: Scope, y_cells: frozenset[Leaf]) -> bool:
        """By name, or by fewer cells; with equal cells a bank is above what is no bank."""
        if x == y or set(x.values) < set(y.values):
            return False
        equal = x_cells == y_cells and y.dimension == "bank" and x.dimension != "bank"
        return set(y.values) < set(x.values) or x_cells < y_cells or equal

    def may_be_named(self, scope: Scope, cells: frozenset[Leaf]) -> bool:
        """The platform or a method only with two banks."""
        bank_at = self.policy.dimensions.index("bank")
        return scope.dimension in ("bank", "leaf") or len({leaf[bank_at] for leaf in cells}) >= 2

    def rank(self, scope: Scope) -> tuple[int, str]:
        """Platform, bank, method, leaf."""
        return ("platform", "bank", "method", "leaf").index(scope.dimension), scope.key

    def say(self, type_: str, outage: Open, reason: str, ended_ms: int | None = None, parent: str = "") -> Said:
        """One event."""
        outage.sequence += 1
        began_ms = outage.began * self.policy.pane_ms if outage.onset_ms is None else outage.onset_ms
        severity = "critical" if outage.pages and self.policy.page_mode == "live" else "warning"
        return Said(self.now_ms, type_, outage.scope.key, outage.ordinal, outage.sequence, outage.kind,
                    began_ms, outage.detected_ms, ended_ms, reason, severity, tuple(sorted(outage.children)),
                    parent)  # fmt: skip
