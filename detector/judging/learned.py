"""What a Judge has learned as usual, by name: to be shown, kept in a file, and given to a Judge that knows nothing yet.

Knows scopes and leaves by name, so that it fits a Judge that numbers them otherwise. Does not know how it is learned.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from detector.contracts.moments import epoch_ms
from detector.contracts.scope import Leaf, parse_scope
from detector.counting.ages import BINS
from detector.judging.baseline import SLOTS, VOLUME_WEEKS, Baseline, make_baseline
from detector.judging.hazard import LEARNED, Hazard
from detector.judging.nodes import Nodes
from detector.judging.technical import Technical

VERSION: Final = 4
MARK: Final = "pastille_baselines"
"""The first key of a file of baselines; its value is the version of the format."""
SCOPES_MAX: Final = 250_000

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]


class _Kind(NamedTuple):
    """What an array may be: its shape, and between what its values lie."""

    shape: tuple[int, ...]
    least: float
    most: float


_VOTES_MAX, _TAU2_MAX = 1e12, 25.0
_OF_NODES: Final = {
    "level": _Kind((2,), 0, _VOTES_MAX), "slots": _Kind((SLOTS, 2), 0, _VOTES_MAX),
    "volumes": _Kind((SLOTS, VOLUME_WEEKS), -1, _VOTES_MAX),
    "tau2": _Kind((), -_TAU2_MAX, _TAU2_MAX), "volume_tau2": _Kind((), -_TAU2_MAX, _TAU2_MAX),
    "bursts": _Kind((2,), -_VOTES_MAX, _VOTES_MAX), "ratio": _Kind((4,), -_VOTES_MAX, _VOTES_MAX),
    "ratio_slots": _Kind((SLOTS, 4), -_VOTES_MAX, _VOTES_MAX), "clumps": _Kind((2,), 0, _VOTES_MAX),
}  # fmt: skip
"""All but the day's factor, which is of the day."""
_TECHNICAL: Final = "technical"
_OF_TECHNICAL: Final = {_TECHNICAL: _Kind((2,), 0, _VOTES_MAX)}
"""The level of the channel of technical refusals; what was learned before there was one goes without."""
_OF_LEAVES: Final = {
    "at_risk": _Kind((BINS,), 0, _VOTES_MAX), "entered": _Kind((BINS,), 0, _VOTES_MAX),
    "answers": _Kind((BINS, 2), 0, _VOTES_MAX),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """Where it was learned: by which policy, from events of which span, and when that was done; 0 is not known."""

    policy_version: str = ""
    first_ms: int = 0
    last_ms: int = 0
    made_ms: int = 0


@dataclass(frozen=True, slots=True)
class Learned:
    """`nodes[scope key][array]` and `leaves[leaf][array]`, as `Baseline` and `Hazard` have them."""

    dimensions: tuple[str, ...]
    nodes: dict[str, Arrays]
    leaves: dict[Leaf, Arrays]
    origin: Origin = Origin()


def learned_of(known: Baseline, hazard: Hazard, technical: Technical, names: Nodes) -> Learned:
    """What statistics have learned so far; nothing where they are off, or of a scope that taught nothing yet."""
    nodes = {
        scope.key: {name: getattr(known, name)[node].copy() for name in _OF_NODES}
        | ({_TECHNICAL: technical.level[node].copy()} if technical.level[node].any() else {})
        for node, scope in enumerate(names.scopes[: len(known.usual)])
        if known.level[node].any() or (known.volumes[node] > 0).any()
    }
    leaves = {
        leaf: {name: getattr(hazard, name)[LEARNED, number].copy() for name in _OF_LEAVES}
        for number, leaf in enumerate(names.leaves[: len(hazard.rate)])
        if hazard.at_risk[LEARNED, number].any()
    }
    return Learned(names.policy.dimensions, nodes, leaves)


def place(known: Baseline, hazard: Hazard, technical: Technical, learned: Learned, names: Nodes) -> Learned:
    """Give what was learned to the scopes and leaves there is room for; what is left waits for its own."""
    nodes, leaves = dict(learned.nodes), dict(learned.leaves)
    for key in learned.nodes:
        node = names.node_number.get(parse_scope(key))
        if node is not None and node < len(known.usual):
            _give_node(known, technical, node, nodes.pop(key))
    for leaf in learned.leaves:
        number = names.leaf_number.get(leaf)
        # Past the cap on leaves a leaf has the number of another.
        if number is not None and number < len(hazard.rate) and names.leaves[number] == leaf:
            _give_leaf(hazard, number, leaves.pop(leaf))
    return Learned(learned.dimensions, nodes, leaves)


def teach(known: Baseline, hazard: Hazard, technical: Technical, waiting: Learned, names: Nodes, first_leaf: int,
          first_node: int) -> None:  # fmt: skip
    """Give what waits to the leaves and scopes from these numbers on."""
    for node, scope in enumerate(names.scopes[first_node:], first_node):
        if (arrays := waiting.nodes.pop(scope.key, None)) is not None:
            _give_node(known, technical, node, arrays)
    for number, leaf in enumerate(names.leaves[first_leaf:], first_leaf):
        if (arrays := waiting.leaves.pop(leaf, None)) is not None:
            _give_leaf(hazard, number, arrays)


def _give_node(known: Baseline, technical: Technical, node: int, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """What is not given begins anew."""
    fresh = make_baseline(1)
    for name in _OF_NODES:
        getattr(known, name)[node] = arrays.get(name, getattr(fresh, name)[0])
    technical.level[node] = arrays.get(_TECHNICAL, 0.0)


def _give_leaf(hazard: Hazard, leaf: int, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    for name in _OF_LEAVES:
        getattr(hazard, name)[LEARNED, leaf] = arrays.get(name, 0.0)


def forget_node(known: Baseline, technical: Technical, node: int) -> None:
    """The scope begins anew, also its hours that go on."""
    _give_node(known, technical, node, {})
    technical.hours[:, node] = 0.0
    for account in (known.hours, known.came, known.windows, known.answers, known.gaps, known.frozen):
        account[:, node] = 0
    known.window[node], known.gap[node], known.day[node] = 0.0, 0.0, 1.0


def forget_leaf(hazard: Hazard, leaf: int) -> None:
    """How soon the leaf's answers come is not known any more."""
    for name in _OF_LEAVES:
        getattr(hazard, name)[:, leaf] = 0.0


# ── plain values ──


def to_plain(learned: Learned) -> dict[str, Any]:
    """For a JSON file."""
    return {
        MARK: VERSION,
        **asdict(learned.origin),
        "dimensions": list(learned.dimensions),
        "nodes": {key: packed(arrays) for key, arrays in sorted(learned.nodes.items())},
        "leaves": [[list(leaf), packed(arrays)] for leaf, arrays in sorted(learned.leaves.items())],
    }


def from_plain(plain: Any) -> Learned:
    """Read `to_plain` again. Raises ValueError where it is something else."""
    try:
        if plain[MARK] != VERSION:
            raise ValueError(f"learned baselines have version {VERSION}; got {plain[MARK]}; learn them again")
        if len(plain["nodes"]) > SCOPES_MAX or len(plain["leaves"]) > SCOPES_MAX:
            raise ValueError(f"learned baselines have at most {SCOPES_MAX} scopes; got more; learn them again")
        dimensions = tuple(map(str, plain["dimensions"]))
        nodes = {parse_scope(key).key: nodes_unpacked(arrays) for key, arrays in plain["nodes"].items()}
        leaves = {_leaf(leaf, dimensions): leaves_unpacked(arrays) for leaf, arrays in plain["leaves"]}
        times = {name: epoch_ms(plain[name]) for name in ("first_ms", "last_ms", "made_ms")}
        return Learned(dimensions, nodes, leaves, Origin(str(plain["policy_version"]), **times))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"these are no learned baselines; got {error!r}; make them with baseline learn") from None


def _leaf(values: Any, dimensions: tuple[str, ...]) -> Leaf:
    leaf = tuple(map(str, values))
    if len(leaf) != len(dimensions):
        raise ValueError(f"a leaf has a value for each of {', '.join(dimensions)}; got {leaf}; learn them again")
    return leaf


def packed(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, str]:
    """Arrays as texts; their shapes follow from their names."""
    return {
        name: base64.b64encode(zlib.compress(array.astype("<f8").tobytes())).decode() for name, array in arrays.items()
    }


def nodes_unpacked(texts: Mapping[str, str]) -> Arrays:
    """The arrays of a scope. Raises ValueError where they are something else."""
    return {name: _unpacked(name, text, _OF_NODES | _OF_TECHNICAL) for name, text in texts.items()}


def leaves_unpacked(texts: Mapping[str, str]) -> Arrays:
    """The arrays of a leaf. Raises ValueError where they are something else."""
    return {name: _unpacked(name, text, _OF_LEAVES) for name, text in texts.items()}


def _unpacked(name: str, text: str, kinds: Mapping[str, _Kind]) -> np.ndarray[Any, Any]:
    """No more is inflated than the array holds, whatever the text claims to."""
    kind = kinds.get(name)
    if kind is None:
        raise ValueError(f"a learned baseline has {', '.join(kinds)}; got {name!r}; learn it again")
    size = 8 * int(np.prod(kind.shape, dtype=np.int64))
    try:
        inflating = zlib.decompressobj()
        data = inflating.decompress(base64.b64decode(text, validate=True), size + 1)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"{name} is no packed array; got {error}; learn it again") from None
    if len(data) != size or not inflating.eof:
        raise ValueError(f"{name} has {size} bytes; got {len(data)} or more; learn it again")
    values = np.frombuffer(data, "<f8").reshape(kind.shape)
    if not ((values >= kind.least) & (values <= kind.most)).all():
        raise ValueError(f"{name} lies between {kind.least:g} and {kind.most:g}; got other values; learn it again")
    return values
