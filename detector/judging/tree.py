"""The shape of `Nodes` for compiled loops.

`leaf_nodes[leaf, place]`; `members[first[node] : first[node + 1]]` are a node's leaves; `answer_ms[leaf]`;
`rules[node]` = all-red T (ms) and n, all-pending T and n, merchants. Knows nothing of counts.
"""

from __future__ import annotations

from typing import NamedTuple

from detector.arrays import Int32s, Int64s


class Tree(NamedTuple):
    """Which leaves count for which nodes, and their rules."""

    leaf_nodes: Int32s
    first: Int64s
    members: Int32s
    answer_ms: Int64s
    rules: Int64s
