"""Prometheus's text, as `prometheus_client` writes it, for one list of metrics and without an object a sample.

A worker with a thousand leaves tells fifteen thousand samples: what stands between the braces is kept, since it is the
same at every scrape. Knows the format; not what any metric means.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

__all__ = ["CONTENT_TYPE", "Labels", "Samples", "family"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LABELS_KEPT: Final = 1 << 17
"""Label sets whose text is kept; past it the one that was not asked for the longest is made again."""

Labels: TypeAlias = tuple[str, ...]
Samples: TypeAlias = list[tuple[Labels, float]]


def family(name: str, kind: str, labels: Labels, text: str, samples: Iterable[tuple[Labels, float]]) -> str:
    """One metric: what it is, and its samples."""
    head = f"# HELP {name} {_one_line(text)}\n# TYPE {name} {kind}\n"
    return head + "".join([f"{name}{_braces(labels, values)} {float(value)!r}\n" for values, value in samples])


@lru_cache(LABELS_KEPT)
def _braces(labels: Labels, values: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True)) + "}"


def _escaped(value: str) -> str:
    return _one_line(value).replace('"', r"\"")


def _one_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
