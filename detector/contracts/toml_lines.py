"""On which line of a TOML text a key stands, which `tomllib` does not say.

Asks `tomllib` itself about ever shorter beginnings of the text, so that there is no second grammar to be wrong.
Does not know what any key means.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and, in arrays of tables, positions from 0: `("scope", 2, "all_red", "after_s")`."""


_CHARACTERS_MAX: Final = 4_000_000
"""So much is parsed to find where a text that ends too soon goes wrong."""


def open_line(text: str) -> int:
    """The line, from 1, where the statement begins that the end of the text leaves open, like a `[` without its `]`.

    Of a text too long to be looked at so often, the last line that is not blank.
    """
    lines = _lines(text.rstrip())
    looks = max(1, _CHARACTERS_MAX // (len(text) + 1))
    for count in range(len(lines) - 1, max(-1, len(lines) - 1 - looks), -1):
        try:
            tomllib.loads("\n".join(lines[:count]))
        except (ValueError, RecursionError):  # the cut is in the statement, too
            continue
        return count + 1
    return len(lines)


def line_of(text: str, path: Path) -> int:
    """The line, from 1, where the statement that sets `path` begins.

    Where the path is not there (a key that is missing), the line of the nearest part that is; 0 where none is.
    """
    lines = _lines(text)
    _, whole = _beginning(lines, len(lines))
    while path and not _holds(whole, path):
        path = path[:-1]
    if not path:
        return 0
    ends = bisect_left(range(len(lines) + 1), True, key=lambda count: _holds(_beginning(lines, count)[1], path))
    return _beginning(lines, ends - 1)[0] + 1


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _beginning(lines: list[str], count: int) -> tuple[int, dict[str, Any]]:
    """The longest beginning of at most `count` lines that is whole TOML: how many lines, and what they say."""
    while count > 0:
        try:
            return count, tomllib.loads("\n".join(lines[:count]))
        except (ValueError, RecursionError):  # the cut is inside a value of several lines
            count -= 1
    return 0, {}


def _holds(data: Any, path: Path) -> bool:
    for part in path:
        if isinstance(part, int):
            if not isinstance(data, list) or part >= len(data):
                return False
        elif not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True
