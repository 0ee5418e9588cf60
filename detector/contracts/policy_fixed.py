"""What of a policy is fixed while the tallies log goes on: the dimensions and the panes that the log is written in.

Does not know where it is written, nor what becomes of a policy that would change it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from detector.contracts.policy import Policy

__all__ = ["Fixed"]


@dataclass(frozen=True, slots=True)
class Fixed:
    """The two keys, as the policy has them."""

    dimensions: tuple[str, ...]
    pane_ms: int

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Those of a policy."""
        return cls(policy.dimensions, policy.pane_ms)

    @classmethod
    def parse(cls, canonical: str) -> Self:
        """Those of a canonical policy, of whatever version of Pastille. Raises ValueError."""
        try:
            plain = json.loads(canonical)
            return cls(tuple(map(str, plain["dimensions"])), int(plain["pane_ms"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"a canonical policy has dimensions and pane_ms; got: {error!r}") from None

    def other_than(self, written: Fixed) -> Iterator[str]:
        """Each key that is not as it is written, in the policy's words."""
        if self.dimensions != written.dimensions:
            yield f"dimensions = {json.dumps(self.dimensions)} where they are {json.dumps(written.dimensions)}"
        if self.pane_ms != written.pane_ms:
            yield f"pane_s = {self.pane_ms // 1000} where it is {written.pane_ms // 1000}"
