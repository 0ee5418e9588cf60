"""A trial: the history of a seed, played and checked, with a planted fault or without; and what is said of a failure.

Does not know what is checked, nor what the faults are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.checks import problems
from tests.simulation.history import History, draw
from tests.simulation.mutants import MUTANTS
from tests.simulation.shrink import shrunk
from tests.simulation.world import SHORT, play, put

SHOWN_MAX = 5
EVENTS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that fails, and what was found to be wrong, worst first."""

    seed: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        shown = [f"  {problem[:600]}" for problem in self.problems[:SHOWN_MAX]]
        more = len(self.problems) - len(shown)
        return "\n".join([f"seed {self.seed}:", *shown, *([f"  and {more} more"] if more else [])])

    @property
    def kind(self) -> str:
        """Which check says so."""
        return self.problems[0].partition(":")[0]


def tried(history: History, mutant: str | None = None) -> Failure | None:
    """Play a history and check what it left; None where all is well."""
    faulty = MUTANTS[mutant].patches() if mutant else ()
    try:
        world = play(history, faulty)
    except Exception as error:
        if mutant is None:
            raise
        return Failure(history.seed, (f"crash: {error!r}",))
    with put(SHORT):
        found = tuple(problems(world))
    return Failure(history.seed, found) if found else None


def first_failure(seeds: Iterable[int], mutant: str | None = None) -> Failure | None:
    """The first of these seeds that fails."""
    return next((failure for seed in seeds if (failure := tried(draw(seed), mutant)) is not None), None)


def told(failure: Failure, mutant: str | None = None) -> str:
    """The failure in words, with the shortest history that fails likewise."""

    def fails(history: History) -> bool:
        again = tried(history, mutant)
        return again is not None and again.kind == failure.kind

    least = shrunk(draw(failure.seed), fails)
    again = tried(least, mutant)
    sent = [f"{one.at_ms / 1000:7.1f} s  {one.topic}/{one.partition(least.partitions)} {one.value().decode()}"
            for one in least.sent[:EVENTS_SHOWN_MAX]]  # fmt: skip
    left_out = len(least.sent) - len(sent)
    return "\n".join([
        str(failure), "shrunk:", str(least), *sent, *([f"and {left_out} events more"] if left_out else []), str(again),
        f"again: make sim FIRST={failure.seed} SEEDS=1{f' MUTANT={mutant}' if mutant else ''}",
    ])  # fmt: skip
