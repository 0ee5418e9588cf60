"""How the values of a policy go together, which a single value cannot say.

What is wrong by itself is left out here, and so is what a misspelt key was probably meant to be: it would be held
against the default, and a mistake be told that is none. Does not know on which line a key stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from detector.contracts.policy_keys import RING_S
from detector.contracts.policy_problem import Plain, Problem, seconds, worded
from detector.contracts.toml_lines import Path

_AT_MOST, _AT_LEAST = "at most", "at least"
_ORDERS: Final = (
    ("resolve", "approved", _AT_MOST, "decided"),
    ("resolve", "voters", _AT_MOST, "approved"),
    # What is not worth a ticket is worth no page.
    ("evidence", "page_years", _AT_LEAST, "ticket_years"),
    ("evidence", "page_z", _AT_LEAST, "ticket_z"),
)
_MINUTE_MS: Final = 60_000
PLACES_MAX: Final = 1_000_000_000
"""Pairs of a leaf and a pane that the Judge may have a place for."""
PLACE_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Said:
    """A file that was read: `data` is what it says, `plain` that over the defaults, `answers` each `answer_ms` and
    where it is said, `doubtful` the paths of what is wrong by itself."""

    data: Mapping[str, Any]
    plain: Plain
    answers: Sequence[tuple[Path, int]]
    doubtful: Collection[Path]

    def trusts(self, *paths: Path) -> bool:
        """Whether none of these, and no table that they are in, is wrong by itself."""
        return not any(path[:size] in self.doubtful for path in paths for size in range(1, len(path) + 1))

    def says(self, path: Path) -> bool:
        """Whether the file has the key."""
        found: Any = self.data
        for part in path:
            if not isinstance(found, Mapping) or part not in found:
                return False
            found = found[part]
        return True


def disagreements(said: Said) -> Iterator[Problem]:
    """Every pair of values that do not go together."""
    yield from _answers_within_the_horizon(said)
    for table, name, relation, other in _ORDERS:
        yield from _in_order(said, (table, name), relation, (table, other))
    yield from _ring(said)
    yield from _room(said)


def ring_panes(ring_ms: int, open_ms: int, pane_ms: int) -> int:
    """How many panes the Judge's ring holds: the hour before a pane until that pane is closed."""
    return (ring_ms + open_ms) // pane_ms + 1


def _answers_within_the_horizon(said: Said) -> Iterator[Problem]:
    horizon_ms = said.plain["horizon_ms"]
    for path, value in said.answers:
        if value <= horizon_ms or not said.trusts(path, ("horizon_s",)):
            continue
        longest = ", ".join(map(seconds, (value, horizon_ms)))
        yield Problem(
            path if path[0] != "answer_s" or said.says(path) else ("horizon_s",),  # the default's: that is what is said
            f"answer_s must be at most horizon_s; got {longest}; raise horizon_s, or lower answer_s "
            "(false is never overdue)",
        )


def _in_order(said: Said, path: Path, relation: str, other: Path) -> Iterator[Problem]:
    value, bound = (said.plain[str(table)][name] for table, name in (path, other))
    if (value <= bound if relation == _AT_MOST else value >= bound) or not said.trusts(path, other):
        return
    if not said.says(path):  # the default's
        path, other, value, bound = other, path, bound, value
        relation = _AT_LEAST if relation == _AT_MOST else _AT_MOST
    so, mend = ("less", "raise") if relation == _AT_MOST else ("more", "lower")
    name = ".".join(map(str, other))
    yield worded(path, f"must be {relation} {name}", _short(value), f"set it to {bound:g} or {so}, or {mend} {name}")


def _ring(said: Said) -> Iterator[Problem]:
    ring_ms, parts = said.plain["ring_ms"], ("horizon", "grace", "pane")
    paths: list[Path] = [("ring_s",), *((f"{part}_s",) for part in parts)]
    kept_ms = sum(said.plain[f"{part}_ms"] for part in parts)
    if ring_ms < kept_ms and said.trusts(*paths):
        least_s = -(-kept_ms // _MINUTE_MS) * 60
        mend = f"set ring_s to {least_s} or more" if least_s <= RING_S.most else "lower horizon_s"
        path = next(path for path in paths if said.says(path))
        yield Problem(path, f"ring_s must hold horizon_s + grace_s + pane_s; got {seconds(ring_ms)}; {mend}")
    if ring_ms % _MINUTE_MS and said.trusts(("ring_s",)):
        yield worded(("ring_s",), "must be whole minutes", _short(ring_ms / 1000), "set it to 3600, 7200, …")


def _room(said: Said) -> Iterator[Problem]:
    """The Judge has a place for each pane of each leaf, whether anything came in it or not; a Counter one for each open
    pane, of each source. With `leaves_max` as it is by default there is room for any ring."""
    plain, leaves_path = said.plain, ("limits", "leaves_max")
    panes = ring_panes(plain["ring_ms"], plain["horizon_ms"] + plain["grace_ms"], plain["pane_ms"])
    leaves, paths = plain["leaves_max"], (("ring_s",), ("horizon_s",), ("grace_s",), ("pane_s",))
    if leaves * panes <= PLACES_MAX or not said.trusts(leaves_path, *paths):
        return
    yield Problem(
        leaves_path,
        f"limits.leaves_max × the panes of ring_s + horizon_s + grace_s must be at most {PLACES_MAX:,}; got "
        f"{leaves:,} × {panes:,}, which take {leaves * panes * PLACE_BYTES / 1e9:.1f} GB in the Judge alone; "
        f"set leaves_max to {PLACES_MAX // panes} or less, or lower ring_s",
    )


def _short(number: float) -> float:
    """As the file is likely to say it: 10, not 10.0."""
    return int(number) if number == int(number) else number
