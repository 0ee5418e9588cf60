"""Leaves and the scopes above them as numbers: which nodes a leaf counts for, and each node's rules.

    leaf ("bnp", "card")  ->  nodes  platform, bank:bnp, method:card, bank:bnp,method:card

Does not know counts or times. Numbers are given in the order in which leaves are first seen in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.arrays import Int32s, Int64s
from detector.contracts.policy import Policy
from detector.contracts.policy_fixed import Fixed
from detector.contracts.scope import OTHER, PLATFORM, Leaf, Scope, leaf_scope, parse_scope

NO_NODE = -1
"""In `leaf_nodes`: this leaf does not count for a scope of its own (the leaf `other`)."""

_RULE_NUMBERS = 5


@dataclass(slots=True)
class Nodes:
    """All scopes that can be judged. Node 0 is the platform.

    `leaf_nodes[leaf, place]`: node numbers, NO_NODE where there is none; `first[node] : first[node + 1]` is the run
    of a node's leaves in `members`.
    """

    policy: Policy
    leaves: list[Leaf] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    leaf_number: dict[Leaf, int] = field(default_factory=dict)
    node_number: dict[Scope, int] = field(default_factory=dict)
    leaf_nodes: Int32s = field(init=False)
    first: Int64s = field(init=False)
    members: Int32s = field(init=False)
    answer_ms: Int64s = field(init=False)
    rules: Int64s = field(init=False)

    def __post_init__(self) -> None:
        self._node(PLATFORM)
        self._forget_layout()
        self._lay_out()

    @property
    def width(self) -> int:
        """Nodes a leaf counts for: the platform, one a dimension, and itself."""
        return len(self.policy.dimensions) + 2

    def numbers(self, leaves: tuple[Leaf, ...]) -> Int32s:
        """The leaves' numbers, after taking in the new ones; past the cap all are the leaf `other`."""
        known = self.leaf_number
        numbers = list(map(known.get, leaves))
        if None in numbers:
            for leaf in leaves:
                if leaf not in known:
                    self._take_in(leaf)
            self._lay_out()
            numbers = [known[leaf] for leaf in leaves]
        return np.array(numbers, np.int32)

    def add(self, scope: Scope) -> None:
        """A scope known from elsewhere, before a leaf of it is."""
        self._node(scope)
        self._lay_out()

    def obey(self, policy: Policy) -> None:
        """A new policy holds; the Judge passed over one that has other dimensions or panes than the log."""
        assert Fixed.of(policy) == Fixed.of(self.policy), "dimensions and panes are fixed while the log goes on"
        self.policy = policy
        self._forget_layout()
        self._lay_out()

    def load(self, leaves: Iterable[Leaf], keys: Iterable[str]) -> None:
        """Know again the leaves and scopes of a snapshot, under the numbers they had."""
        for key in keys:
            self._node(parse_scope(key))
        for leaf in leaves:
            self.leaf_number[leaf] = len(self.leaves)
            self.leaves.append(leaf)
        self._lay_out()

    def scopes_of(self, leaf: int) -> list[int]:
        """The nodes a leaf counts for."""
        return [int(node) for node in self.leaf_nodes[leaf] if node != NO_NODE]

    def leaves_of(self, node: int) -> Int32s:
        """The leaves that count for a node."""
        return self.members[self.first[node] : self.first[node + 1]]

    def own_nodes(self) -> Int32s:
        """The node that is exactly the leaf, for every leaf; the platform for the leaf `other`."""
        last = self.leaf_nodes[:, -1] if len(self.policy.dimensions) > 1 else self.leaf_nodes[:, 1]
        return np.maximum(last, 0).astype(np.int32)

    def groups(self) -> Int32s:
        """The node of every leaf's method; the platform for the leaf `other`."""
        return np.maximum(self.leaf_nodes[:, self.policy.dimensions.index("method") + 1], 0).astype(np.int32)

    @property
    def is_full(self) -> bool:
        """Whether the leaves of all workers together are as many as the policy tells apart."""
        return len(self.leaves) >= self.policy.leaves_max

    def _take_in(self, leaf: Leaf) -> None:
        other = (OTHER,) * len(self.policy.dimensions)
        if self.is_full and leaf != other:
            if other not in self.leaf_number:
                self._take_in(other)
            self.leaf_number[leaf] = self.leaf_number[other]
            return
        self.leaf_number[leaf] = len(self.leaves)
        self.leaves.append(leaf)
        if leaf != other:
            for pair in zip(self.policy.dimensions, leaf, strict=True):
                self._node(Scope((pair,)))
            self._node(leaf_scope(self.policy.dimensions, leaf))

    def _node(self, scope: Scope) -> int:
        if scope not in self.node_number:
            self.node_number[scope] = len(self.scopes)
            self.scopes.append(scope)
        return self.node_number[scope]

    def _lay_out(self) -> None:
        """Make the arrays longer by what is new."""
        policy, fresh = self.policy, self.leaves[len(self.answer_ms) :]
        nodes = [self._nodes_of(leaf) for leaf in fresh]
        self.leaf_nodes = _with(self.leaf_nodes, nodes)
        self.answer_ms = _with(self.answer_ms, [policy.answer_ms(leaf) for leaf in fresh])
        self.rules = _with(self.rules, [_rule_row(policy, scope) for scope in self.scopes[len(self.rules) :]])
        self.first, self.members = _members(self.leaf_nodes, len(self.scopes))

    def _forget_layout(self) -> None:
        self.leaf_nodes = np.zeros((0, self.width), np.int32)
        self.answer_ms, self.rules = np.zeros(0, np.int64), np.zeros((0, _RULE_NUMBERS), np.int64)

    def _nodes_of(self, leaf: Leaf) -> list[int]:
        """Those a leaf counts for. With one dimension a leaf is its own single scope, which must count it once."""
        scope = leaf_scope(self.policy.dimensions, leaf)
        if scope not in self.node_number:
            return [0] + [NO_NODE] * (self.width - 1)
        singles = [self.node_number[Scope((pair,))] for pair in scope.values]
        return [0, *singles, self.node_number[scope] if len(singles) > 1 else NO_NODE]


def _with(table: npt.NDArray[Any], rows: Sequence[Any]) -> npt.NDArray[Any]:
    """The table with rows after its own."""
    return np.concatenate([table, np.array(rows, table.dtype).reshape(-1, *table.shape[1:])])


def _members(leaf_nodes: Int32s, nodes: int) -> tuple[Int64s, Int32s]:
    """The leaves of each node, run after run, and where each run begins; shape [nodes + 1]."""
    leaf, place = np.nonzero(leaf_nodes != NO_NODE)
    node = leaf_nodes[leaf, place]
    order: npt.NDArray[np.intp] = np.argsort(node, kind="stable")
    first = np.searchsorted(node[order], np.arange(nodes + 1)).astype(np.int64)
    return first, leaf[order].astype(np.int32)


def _rule_row(policy: Policy, scope: Scope) -> tuple[int, int, int, int, int]:
    """All-red T and n, all-pending T and n, merchants."""
    rules = policy.rules(scope)
    red, pending = rules.all_red, rules.all_pending
    return red.after_ms, red.voters, pending.after_ms, pending.voters, rules.min_merchants
