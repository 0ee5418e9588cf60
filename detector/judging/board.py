"""The Judge's picture of now: the ring, the folds and the verdicts, moved on boundary by boundary.

Holds the arrays that the compiled loops work on, and makes room in them. Does not know sources' queues, who is named,
or outages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from detector.arrays import Int32s, Int64s, UInt64s
from detector.contracts.policy import Policy
from detector.contracts.scope import Scope
from detector.counting.hand import Hands, in_hand
from detector.counting.tally import Cells
from detector.judging import fold as folding
from detector.judging import picture, ring, streak
from detector.judging.late import more_ages
from detector.judging.nodes import Nodes
from detector.judging.recent import Sum, pane_sum, recent_sum, totals
from detector.judging.ring import DUE, END, NEWS
from detector.judging.signals import Signals
from detector.judging.state import OtherVersion
from detector.judging.tree import Tree
from detector.judging.windows import SPANS_MS, make_windows, more_leaves, sums_of_nodes

_ROWS = 4096
_Arrays = TypeVar("_Arrays", ring.Leaves, ring.Marks, streak.Verdicts, folding.Fold)


class Board:
    """All counts of a little more than an hour, and what the policy says of every node at `boundary_ms`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.in_hand = Hands()
        self.nodes = Nodes(policy)
        self.ring_panes = policy.ring_panes
        self.voters, self.merchants = policy.voters_max, policy.merchants_max
        self.rows = ring.make_rows(1, self.ring_panes + 2, _ROWS, self.voters, self.merchants)
        self.windows = make_windows(1)
        self.leaves = ring.make_leaves(1)
        self.marks = ring.Marks(np.zeros(1, np.uint8), *(np.full(1, END, np.int64) for _ in range(4)))
        self.tree = self._tree()
        self.signals = Signals(policy, self.nodes)
        self.fold = folding.make_fold(1, 0, self.voters, self.merchants)
        self.found = streak.make_verdicts(1)
        self.boundary_ms = END
        self.oldest = 0
        self.closed = 0
        self.now = np.full(1, END, np.int64)
        self._away: dict[int, int] = {}
        self._tells = True
        self._due_ms = int(streak.NEVER)

    @property
    def moment(self) -> streak.Moment:
        """The boundary, for the loops."""
        policy = self.policy
        return streak.Moment(self.boundary_ms, self.oldest, policy.pane_ms, policy.open_ms, policy.ring_ms, self.now)

    def pane_of(self, at_ms: int) -> int:
        """The pane a time lies in."""
        return at_ms // self.policy.pane_ms

    # ── for the loops ──

    @property
    def _picture(self) -> picture.Picture:
        """All tables."""
        return self.in_hand.whole(
            picture.Picture, self.rows, self.leaves, self.marks, self.fold, self.tree, self.found, self.windows
        )

    @property
    def _ringed(self) -> tuple[ring.Rows, Tree]:
        """What lies in the ring, and for whom."""
        return self.in_hand(self.rows), self.in_hand(self.tree)

    # ── counts come in ──

    def put(self, source: int, cells: Cells, first: int) -> None:
        """Take what a source says; `source` counts from 1. Panes before `first` are left as they are."""
        if len(cells):
            self._put_cells(source, cells, first)
        if self.marks.late[0] >= 0:
            hand = self.in_hand
            folding.empty_before_late(hand(self.fold), hand(self.tree), self.marks.late, self.oldest)

    def _put_cells(self, source: int, cells: Cells, first: int) -> None:
        numbers = self._numbers(cells)
        if self.rows.free[1] < len(cells):
            extra = max(len(self.rows.next), len(cells))
            self.rows = ring.more_rows(self.rows, len(self.rows.head), extra)
        if self.rows.free[3] < len(cells.late_ages):
            self.rows = more_ages(self.rows, max(len(self.rows.ages), len(cells.late_ages)))
        picture.put(
            self._picture, self.in_hand(self.signals.flow), source, max(first, self.oldest), self.policy.pane_ms,
            *self._news, numbers, cells.pane, cells.counts, cells.votes, cells.late, cells.late_start, cells.lengths,
            cells.hashes, _or_zeros(cells.technical, len(cells)), _or_zeros(cells.orders, len(cells)), cells.late_ages,
        )  # fmt: skip

    def clear(self, source: int, first: int, oldest: int) -> None:
        """Before a snapshot: forget what a source said of the panes from `first` on. Where it begins later than the
        pane `oldest`, the source will say no more of those between: what waits there is over."""
        hand, newest = self.in_hand, int(self.marks.newest[0])
        rows, flow = hand(self.rows), hand(self.signals.flow)
        marks, windows = hand(self.marks), hand(self.windows)
        ring.clear_source(
            rows, hand(self.leaves), marks, flow, windows, self.tree.leaf_nodes, source, first, newest, self.oldest,
            self.policy.pane_ms, *self._news,
        )  # fmt: skip
        if oldest < first:
            ring.end_waiting(
                rows, marks, flow, windows, self.tree.leaf_nodes, source, max(oldest, self.oldest),
                min(first, newest + 1), self.policy.pane_ms, *self._news,
            )  # fmt: skip

    @property
    def _news(self) -> tuple[int, int]:
        """The boundary that counts come in for, END where they are no news, and how long a pane is open."""
        return self.boundary_ms if self._tells and self.has_evidence else END, self.policy.open_ms

    def _numbers(self, cells: Cells) -> Int32s:
        known = len(self.nodes.leaves)
        numbers = self.nodes.numbers(cells.leaves)
        if len(self.nodes.leaves) > known:
            self._grow()
        return numbers[cells.leaf]

    @contextmanager
    def without_news(self) -> Iterator[None]:
        """What is put within was judged before: it is no news."""
        known, self._tells = self.marks.dirty.copy(), False
        yield
        self.marks.dirty[: len(known)], self._tells = known, True

    # ── time goes on ──

    def move_to(self, boundary_ms: int, leaving: Callable[[int], None] | None) -> None:
        """Judge's time is `boundary_ms`; `leaving(pane)`, where given, is called before a pane leaves the ring."""
        self.boundary_ms = boundary_ms
        oldest = boundary_ms // self.policy.pane_ms - self.ring_panes
        picture.move(self._picture, boundary_ms, self.policy.pane_ms, max(oldest, self.oldest))
        if oldest <= self.oldest:
            return
        until = min(oldest, int(self.marks.newest[0]) + 1)
        if leaving is None:
            self._leave(until)
        else:
            for pane in range(self.oldest, until):
                leaving(pane)
                self._leave(pane + 1)
        self.oldest = oldest

    def _leave(self, until: int) -> None:
        """The panes from the oldest to before `until` leave the ring."""
        if until > self.oldest:
            picture.leave(self._picture, self.oldest, until, self.policy.pane_ms, int(self.now[0]))
            self.oldest = until

    def age(self, newest_ms: int, away: dict[int, int], sources: int) -> None:
        """Pendings age up to `newest_ms`, those of the sources in `away` (number -> ms) only up to there.

        Where a source comes or goes, every scope is judged anew.
        """
        if len(self.now) <= sources:
            self.now = np.full(sources + 1, newest_ms, np.int64)
        self.now.fill(newest_ms)
        for number, until_ms in away.items():
            self.now[number] = until_ms
        if away != self._away:
            self._away = dict(away)
            self._judge_all()

    @property
    def has_evidence(self) -> bool:
        """Whether the statistics are kept."""
        return self.policy.evidence.mode != "off"

    def coast(self, until_ms: int) -> tuple[int, bool]:
        """How far the statistics move on without counts, and whether they have something to say there."""
        return self.signals.coast(self.in_hand(self.rows), until_ms) if self.has_evidence else (until_ms, False)

    def expect(self) -> None:
        """Counts of the boundary are about to come in."""
        if self.has_evidence:
            self.signals.age(self.in_hand(self.rows), self.boundary_ms)

    def weigh(self) -> None:
        """The counts of the boundary have come in."""
        if self.has_evidence:
            self.signals.step(self.in_hand(self.rows), self.boundary_ms)

    def close_before(self, pane: int) -> None:
        """Panes before `pane` are closed for every source: their sources become one sum."""
        for closing in range(max(self.closed, self.oldest), min(pane, int(self.marks.newest[0]) + 1)):
            ring.close_pane(self.in_hand(self.rows), closing)
        self.closed = max(self.closed, pane)

    def evaluate(self) -> int:
        """Find the verdicts that can have changed; how many nodes are in breach."""
        breaches, self._due_ms = picture.evaluate(self._picture, *self.moment)
        return breaches

    def settle(self) -> None:
        """The boundary is judged: nothing is news any more."""
        self.marks.dirty[:] = 0

    def next_due_ms(self) -> int:
        """When a verdict can change next without news; not later than now where a scope is still to be judged."""
        return self.boundary_ms if np.count_nonzero(self.marks.dirty) else self._due_ms

    def restart(self, node: int, floor: int) -> None:
        """The node's streak begins after the pane `floor`."""
        self.marks.floor[node] = max(int(self.marks.floor[node]), floor)
        self.marks.dirty[node] = max(self.marks.dirty[node], DUE)
        folding.empty_fold(self.in_hand(self.fold), self.in_hand(self.tree), node)

    def _judge_all(self) -> None:
        """Every scope is judged anew at the next boundary, though nothing came in."""
        np.maximum(self.marks.dirty, DUE, out=self.marks.dirty)

    # ── questions ──

    def has_news(self, node: int) -> bool:
        """Did counts of the node come in since the last boundary that was judged?"""
        return bool(self.marks.dirty[node] == NEWS)

    def node_of(self, scope: Scope) -> int:
        """The node of a scope, known or not yet."""
        if scope not in self.nodes.node_number:
            self.nodes.add(scope)
            self._grow()
        return self.nodes.node_number[scope]

    def cells(self, node: int) -> frozenset[int]:
        """The leaves of the bad voters of a node's streak."""
        hand = self.in_hand
        found = streak.bad_leaves(
            hand(self.rows), hand(self.leaves), hand(self.marks), hand(self.fold), hand(self.tree), node, self.moment
        )
        return frozenset(found.tolist())

    def folded(self, node: int) -> tuple[int, int]:
        """Red and overdue of a node's streak that have left the ring."""
        reaches = 0 <= self.found.first[node] < self.oldest
        return (int(self.fold.red[node]), int(self.fold.overdue[node])) if reaches else (0, 0)

    def recent(self, node: int, began: int, voters: UInt64s) -> Sum:
        """What an outage that began in a pane shows lately, see `recent_sum`."""
        rule = self.policy.resolve
        newest = int(self.marks.newest[node])
        return recent_sum(*self._ringed, node, began, newest, self.moment, rule.window_ms, rule.decided, voters)

    def pane_sum(self, node: int, pane: int, voters: UInt64s) -> Sum:
        """One pane of a node."""
        return pane_sum(*self._ringed, node, pane, self.moment, voters, 0)

    def totals(self, node: int, begin: int, newest: int | None = None) -> Int64s:
        """Payments since a pane, and up to a newest one where it is given; see `recent.totals`."""
        newest = int(self.marks.newest[node]) if newest is None else newest
        return totals(*self._ringed, node, begin, newest, self.moment)

    def rate_before(self, node: int, first: int) -> float | None:
        """The approval rate of the hour before a pane: as remembered when it closed, else as it stands now."""
        if self.found.rate_first[node] == first:
            rate = float(self.found.rate[node])
        else:
            rate = float(streak.rate_before(*self._ringed, node, first, self.moment))
        return rate if rate >= 0 else None

    def payments_in(self, spans_ms: tuple[int, ...]) -> Int64s:
        """Payments by node, window and count; `spans_ms` are some of `SPANS_MS`. Shape [node, window, 6]."""
        sums = sums_of_nodes(self.in_hand(self.windows), self.in_hand(self.tree), len(self.nodes.scopes))
        return sums[:, [SPANS_MS.index(span_ms) for span_ms in spans_ms]]

    # ── room and rules ──

    def obey(self, policy: Policy, leaving: Callable[[int], None] | None) -> None:
        """A new policy holds from here on; every verdict is found anew. `leaving` as in `move_to`."""
        self.nodes.obey(policy)
        self.signals.obey(policy, self.in_hand(self.rows), self.boundary_ms)
        self.policy = policy
        self.tree = self._tree()
        self._fit(leaving)
        self._judge_all()

    def _fit(self, leaving: Callable[[int], None] | None) -> None:
        """The ring gets the policy's length, rows and folds the room for its largest n.

        Room for hashes never shrinks. What came before it grew counts no more voters than it brought.
        """
        panes = self.policy.ring_panes
        voters = max(self.voters, self.policy.voters_max)
        merchants = max(self.merchants, self.policy.merchants_max)
        if (panes, voters, merchants) == (self.ring_panes, self.voters, self.merchants):
            return
        self.ring_panes, self.voters, self.merchants = panes, voters, merchants
        self.move_to(self.boundary_ms, leaving)
        self.rows = ring.reshaped(self.rows, panes + 2, voters, merchants)
        self.fold = folding.with_room(self.fold, voters, merchants)

    def _tree(self) -> Tree:
        nodes = self.nodes
        return Tree(nodes.leaf_nodes, nodes.first, nodes.members, nodes.answer_ms, nodes.rules)

    def _grow(self) -> None:
        """Make room for new leaves and nodes; what is known keeps its number."""
        before = self.tree
        self.tree = self._tree()
        leaves, nodes = max(1, len(self.nodes.leaves)), len(self.nodes.scopes)
        if leaves > len(self.rows.head):
            self.rows = ring.more_rows(self.rows, max(leaves, 2 * len(self.rows.head)), 0)
        self.windows = more_leaves(self.windows, leaves)
        self.leaves = _lengthen(self.leaves, leaves, ring.make_leaves(leaves))
        empty = ring.Marks(np.zeros(nodes, np.uint8), *(np.full(nodes, END, np.int64) for _ in range(4)))
        self.marks = _lengthen(self.marks, nodes, empty)
        self.found = _lengthen(self.found, nodes, streak.make_verdicts(nodes))
        members = len(self.tree.members)
        old = self.fold
        self.fold = _lengthen(old, nodes, folding.make_fold(nodes, members, self.voters, self.merchants))
        self.fold = self.fold._replace(holds=_moved_holds(old, before, self.tree))
        self.signals.grow()

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps: all but the ring."""
        arrays = {"leaves": self.leaves, "marks": self.marks, "fold": self.fold, "found": self.found}
        return {
            "names": [list(leaf) for leaf in self.nodes.leaves],
            "scopes": [scope.key for scope in self.nodes.scopes],
            "room": [self.voters, self.merchants],
            "away": list(self._away.items()),
            "boundary_ms": self.boundary_ms,
            "oldest": self.oldest,
            "closed": self.closed,
            "now": self.now.tobytes(),
            "arrays": {name: [array.tobytes() for array in group] for name, group in arrays.items()},
            "signals": self.signals.export() if self.has_evidence else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back; the ring is filled again by `put`. Raises `OtherVersion`."""
        self.voters, self.merchants = state["room"]
        self.rows = ring.make_rows(1, self.ring_panes + 2, _ROWS, self.voters, self.merchants)
        self.fold = folding.make_fold(1, 0, self.voters, self.merchants)
        self.nodes.load([tuple(leaf) for leaf in state["names"]], state["scopes"])
        self._grow()
        for name, group in state["arrays"].items():
            mine = getattr(self, name)
            if len(group) != len(mine):
                raise OtherVersion(f"a snapshot's {name} has {len(mine)} arrays; got {len(group)}")
            loaded = (np.frombuffer(data, a.dtype).reshape(a.shape).copy() for data, a in zip(group, mine, strict=True))
            setattr(self, name, type(mine)(*loaded))
        self.leaves.last_approved[:] = END
        self._judge_all()
        self.boundary_ms, self.oldest, self.closed = state["boundary_ms"], state["oldest"], state["closed"]
        picture.move(self._picture, self.boundary_ms, self.policy.pane_ms, self.oldest)
        self.now = np.frombuffer(state["now"], np.int64).copy()
        self._away = dict(state["away"])
        if state["signals"] is not None:
            self.signals.load(state["signals"])


def _or_zeros(told: Int32s, cells: int) -> Int32s:
    """What a record tells of its cells; 0 for each where it comes from before that was counted."""
    if len(told):
        return told
    zeros = np.zeros((cells, *told.shape[1:]), np.int32)
    zeros.setflags(write=False)  # as all that is told
    return zeros


def _lengthen(old: _Arrays, size: int, empty: _Arrays) -> _Arrays:
    """`empty` with the beginnings of its arrays taken from `old`."""
    pairs: Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = zip(old, empty, strict=True)
    for before, after in pairs:
        length = min(len(before), len(after))
        after[:length] = before[:length]
    return empty


def _moved_holds(old: folding.Fold, before: Tree, after: Tree) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """`holds` beside the new `members`: what was said of a node's leaf is still said of it."""
    holds, tree = np.zeros(len(after.members), np.uint8), in_hand(after)
    for node in range(len(before.first) - 1):
        for i in range(before.first[node], before.first[node + 1]):
            if old.holds[i]:
                holds[folding.member_of(tree, node, int(before.members[i]))] = old.holds[i]
    return holds
