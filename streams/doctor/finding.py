"""What a check says: one mistake, worded "what; got; do", with the place of an example and never its values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from streams.reading import Place

Severity: TypeAlias = Literal["error", "warning", "info"]
"""`error`: outages will be missed or wrong. `warning`: less is seen than could be. `info`: good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake. `check` is the file and the section of docs/DOCTOR.md that found it; `where` a feed, or empty."""

    check: str
    severity: Severity
    where: str
    what: str
    got: str
    do: str
    example: Place | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the fields, the example as `topic/partition/offset`."""
        return asdict(self) | {"example": None if self.example is None else str(self.example)}


def share(part: int, whole: int) -> str:
    """`3 of 40 (7.5 %)`."""
    return f"{part} of {whole} ({100 * part / whole:.3g} %)"
