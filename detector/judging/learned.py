"""What a Judge has learned as usual, by name: to be shown, kept in a file, and given to a Judge that knows nothing yet.

Knows scopes and leaves by name, so that it fits a Judge that numbers them otherwise. Does not know how it is learned.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.contracts.scope import Leaf, parse_scope
from detector.judging.baseline import Baseline
from detector.judging.hazard import LEARNED, Hazard
from detector.judging.nodes import Nodes

VERSION = 2
_OF_NODES = ("level", "slots", "tau2", "volumes", "volume_tau2", "bursts")
"""All but the day's factor, which is of the day."""
_OF_LEAVES = ("at_risk", "entered", "answers")


@dataclass(frozen=True, slots=True)
class Learned:
    """`nodes[scope key][array]` and `leaves[leaf][array]`, as `Baseline` and `Hazard` have them."""

    dimensions: tuple[str, ...]
    nodes: dict[str, dict[str, np.ndarray[Any, Any]]]
    leaves: dict[Leaf, dict[str, np.ndarray[Any, Any]]]


def learned_of(known: Baseline, hazard: Hazard, names: Nodes) -> Learned:
    """What statistics have learned so far; nothing where they are off."""
    nodes = {
        scope.key: {name: getattr(known, name)[node].copy() for name in _OF_NODES}
        for node, scope in enumerate(names.scopes[: len(known.usual)])
    }
    leaves = {
        leaf: {name: getattr(hazard, name)[LEARNED, number].copy() for name in _OF_LEAVES}
        for number, leaf in enumerate(names.leaves[: len(hazard.rate)])
    }
    return Learned(names.policy.dimensions, nodes, leaves)


def teach(known: Baseline, hazard: Hazard, learned: Learned, names: Nodes, first_leaf: int, first_node: int) -> None:
    """Give what was learned to the leaves and scopes from these numbers on."""
    for node, scope in enumerate(names.scopes[first_node:], first_node):
        for name, values in learned.nodes.get(scope.key, {}).items():
            getattr(known, name)[node] = values
    for number, leaf in enumerate(names.leaves[first_leaf:], first_leaf):
        for name, values in learned.leaves.get(leaf, {}).items():
            getattr(hazard, name)[LEARNED, number] = values


def to_plain(learned: Learned) -> dict[str, Any]:
    """For a JSON file."""
    return {
        "version": VERSION,
        "dimensions": list(learned.dimensions),
        "nodes": {key: _packed(arrays) for key, arrays in sorted(learned.nodes.items())},
        "leaves": [[list(leaf), _packed(arrays)] for leaf, arrays in sorted(learned.leaves.items())],
    }


def from_plain(plain: Any) -> Learned:
    """Read `to_plain` again. Raises ValueError where it is something else."""
    try:
        if plain["version"] != VERSION:
            raise ValueError(f"learned baselines have version {VERSION}; got {plain['version']}; learn them again")
        nodes = {parse_scope(key).key: _unpacked(arrays) for key, arrays in plain["nodes"].items()}
        leaves = {tuple(leaf): _unpacked(arrays) for leaf, arrays in plain["leaves"]}
        return Learned(tuple(plain["dimensions"]), nodes, leaves)
    except (KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ValueError(f"these are no learned baselines; got {error!r}; make them with baseline learn") from None


def _packed(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, list[Any]]:
    return {
        name: [list(array.shape), base64.b64encode(zlib.compress(array.astype(np.float64).tobytes())).decode()]
        for name, array in arrays.items()
    }


def _unpacked(arrays: dict[str, list[Any]]) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name: np.frombuffer(zlib.decompress(base64.b64decode(data)), np.float64).reshape(shape)
        for name, (shape, data) in arrays.items()
    }
