"""The operator's policy alone, without statistics: what it says is exact, and tested by itself."""

from __future__ import annotations

from typing import Any

from detector.contracts.policy import EvidenceRules, Policy


def alone(**rules: Any) -> Policy:
    """A policy with `evidence` off."""
    return Policy(evidence=EvidenceRules(mode="off"), **rules)
