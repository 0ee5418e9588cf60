"""One mistake in a policy file, and how it is worded: "what; got; do".

Does not know on which line a key stands, nor what is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from detector.contracts.toml_lines import Path

Plain: TypeAlias = dict[str, Any]
"""The policy's fields as JSON knows them; times in ms."""

_GOT_CHARACTERS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the path of the key in the file, and the words."""

    path: Path
    message: str


def worded(path: Path, what: str, got: Any, mend: str) -> Problem:
    """The mistake at a path: it must be so, it is this, and that mends it."""
    return Problem(path, f"{dotted(path)} {what}; got {shown(got)}; {mend}")


def dotted(path: Path) -> str:
    """A path as a person writes it, without positions."""
    return ".".join(str(part) for part in path if isinstance(part, str)) or "the policy"


def shown(value: Any) -> str:
    """A value of the file, in a few words."""
    if value is None:
        return "nothing"
    try:
        words = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    except (RecursionError, ValueError):  # tables without end in each other, a number of thousands of digits
        return "more than can be shown"
    return words if len(words) <= _GOT_CHARACTERS_MAX else f"{words[:_GOT_CHARACTERS_MAX]}…"


def seconds(value_ms: int) -> str:
    """Milliseconds as the file says them."""
    return f"{value_ms / 1000:g}"
