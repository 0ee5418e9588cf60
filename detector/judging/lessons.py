"""Lessons: what is usual of one scope, said to a Judge that runs, and which of them it has taken.

A lesson comes as a marker of the log and holds from there on: of a scope that is known at once, of one that is not
from when it appears. Of one without values all that was learned is forgotten. Knows no outages.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import Any

from detector.contracts.models import Lesson
from detector.contracts.scope import Leaf, Scope, leaf_scope, parse_scope
from detector.judging.board import Board
from detector.judging.learned import Arrays, Learned, from_plain, leaves_unpacked, nodes_unpacked, packed, to_plain

SCOPES_A_LEAF = 2
"""The cap on leaves, so many times, is the cap on scopes that lessons are of: a leaf brings its own, and others."""


def lessons_of(learned: Learned, said_ms: int) -> list[Lesson]:
    """One for each scope, from the platform down."""
    leaves = {leaf_scope(learned.dimensions, leaf).key: arrays for leaf, arrays in learned.leaves.items()}
    keys = sorted({*learned.nodes, *leaves}, key=lambda key: (len(parse_scope(key).values), key))
    origin = learned.origin
    return [
        Lesson(
            scope=key, said_at=said_ms, dimensions=list(learned.dimensions),
            policy_version=origin.policy_version or None, learned_from=origin.first_ms or None,
            learned_to=origin.last_ms or None,
            baseline=packed(learned.nodes[key]) if key in learned.nodes else None,
            hazard=packed(leaves[key]) if key in leaves else None,
        )
        for key in keys
    ]  # fmt: skip


def forgetting(scopes: Iterable[str], dimensions: Iterable[str], said_ms: int) -> list[Lesson]:
    """That these scopes begin anew."""
    return [Lesson(scope=key, said_at=said_ms, dimensions=list(dimensions)) for key in scopes]


def learned_by(lesson: Lesson) -> Learned:
    """What a lesson teaches. Raises ValueError where its values or its scope are something else."""
    dimensions = tuple(lesson.dimensions)
    scope = scope_of(lesson)
    nodes = {} if lesson.baseline is None else {scope.key: nodes_unpacked(lesson.baseline)}
    if lesson.hazard is None:
        return Learned(dimensions, nodes, {})
    leaf = _leaf_of(scope, dimensions)
    if leaf is None:
        raise ValueError(f"only a leaf ({' and '.join(dimensions)}) has a hazard; got one of {lesson.scope}")
    return Learned(dimensions, nodes, {leaf: leaves_unpacked(lesson.hazard)})


def scope_of(lesson: Lesson) -> Scope:
    """The scope with its values in the order of the lesson's dimensions. Raises ValueError for one of others."""
    values = parse_scope(lesson.scope).values
    if unknown := {name for name, _ in values} - set(lesson.dimensions):
        raise ValueError(f"a lesson's scope is of its dimensions; got {', '.join(sorted(unknown))}; learn it again")
    return Scope(tuple(sorted(values, key=lambda pair: lesson.dimensions.index(pair[0]))))


def _leaf_of(scope: Scope, dimensions: tuple[str, ...]) -> Leaf | None:
    found = dict(scope.values)
    return tuple(found[name] for name in dimensions) if len(found) == len(dimensions) else None


class Lessons:
    """The lessons that a board has taken: `taken[scope key]` is when the newest of a scope was said."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.taken: dict[str, int] = {}
        self._packed: list[Arrays] = []
        self._plain: dict[str, Any] = {}

    def is_news(self, lesson: Lesson) -> bool:
        """Whether it was not taken yet."""
        return self.taken.get(lesson.scope) != lesson.said_at

    def fits(self, lesson: Lesson) -> bool:
        """Whether it was learned by the dimensions that are judged by, and there is room for its scope."""
        policy = self._board.policy
        has_room = lesson.scope in self.taken or len(self.taken) < SCOPES_A_LEAF * policy.leaves_max
        return tuple(lesson.dimensions) == policy.dimensions and has_room

    def take(self, lesson: Lesson) -> bool:
        """Obey it from here on; False where it was taken before, or does not fit."""
        if not (self.is_news(lesson) and self.fits(lesson)):
            return False
        scope, signals = scope_of(lesson), self._board.signals
        self.taken[lesson.scope] = lesson.said_at
        if lesson.forgets:
            signals.forget(scope, _leaf_of(scope, signals.waiting.dimensions))
        else:
            signals.learn_from(learned_by(lesson))
        return True

    def export(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {"taken": dict(self.taken), "waiting": self._waiting()}

    def _waiting(self) -> dict[str, Any]:
        """What waits for room, packed anew where it changed only: while statistics are off it is all they learned."""
        waiting = self._board.signals.waiting
        arrays = [*waiting.nodes.values(), *waiting.leaves.values()]
        if not self._plain or len(arrays) != len(self._packed) or not all(map(is_, arrays, self._packed)):
            self._packed, self._plain = arrays, to_plain(waiting)
        return self._plain

    def load(self, state: dict[str, Any]) -> None:
        """Take an `export` back, after the board has."""
        self.taken = dict(state["taken"])
        self._board.signals.waiting = from_plain(state["waiting"])
