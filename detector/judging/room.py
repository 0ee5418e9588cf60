"""Room for more: arrays of nodes and leaves made longer, what is known keeps its number. Knows no statistic."""

from __future__ import annotations

from typing import Any


def longer(old: Any, empty: Any, second: tuple[str, ...] = ()) -> Any:
    """`empty` with the beginnings of its arrays taken from `old`; those named have nodes or leaves on their second
    axis, and what is no array of nodes or leaves keeps its length."""
    for name, before, after in zip(empty._fields, old, empty, strict=True):
        if name in second:
            after[:, : before.shape[1]] = before
        else:
            after[: len(before)] = before
    return empty
