"""The seeded shop platform that rehearsals take their events from: its size, its habits, its names.

Every figure that makes simulated shops look like shops stands here. Does not know events, files or Kafka.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from detector.contracts.scope import Scope
from detector.rehearsal.fault import Fault

Floats: TypeAlias = npt.NDArray[np.float64]

BANK_NAMES = (
    "bnp", "aurora", "borealis", "cedar", "delta", "estuary", "fjord", "garnet", "harbour", "iris",
    "juniper", "kestrel", "lagoon", "meridian", "nordlys", "opal", "prairie", "quartz", "riviera", "sable",
)  # fmt: skip
"""Most of the volume first; past them banks are numbered. All but the first are invented."""

BANKS_MAX = 2_000
MERCHANTS_MAX = 100_000
SHOPPERS_MAX = 10_000_000
FAULTS_MAX = 1_000
RATE_MAX = 100_000.0


@dataclass(frozen=True, slots=True)
class Method:
    """A way to pay: its share of payments, usual approval rate, and how long its answers take (log-normal)."""

    name: str
    share: float
    approval: float
    median_ms: int
    spread: float  # sigma of the logarithm
    waits: bool  # the shopper watches the answer come, and may give up


METHODS = (
    Method("card", 0.50, 0.88, 1_200, 0.5, True),
    Method("pix", 0.25, 0.96, 2_500, 0.6, True),
    Method("wallet", 0.13, 0.92, 1_800, 0.5, True),
    Method("transfer", 0.08, 0.95, 40_000, 0.8, False),
    Method("boleto", 0.04, 0.85, 6 * 3_600_000, 1.0, False),
)


@dataclass(frozen=True, slots=True)
class Shops:
    """A shop platform and what happens to it; the same values give the same events, byte for byte.

    `rate`: orders that go on to pay, a second, the mean over a day (retries come on top). `swing`: how far the day's
    cycle departs from it, 0 to 1. Shares are from 0 to 1. Raises ValueError where a value is out of its limits.
    """

    seed: int = 1
    start_ms: int = 1_700_000_000_000
    rate: float = 50.0
    banks: int = 20
    merchants: int = 200
    shoppers: int = 100_000
    day_ms: int = 86_400_000
    swing: float = 0.5
    retry_share: float = 0.5
    abandoned_share: float = 0.02
    chosen_share: float = 0.7  # orders placed with a bank and method already chosen
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for name, low, high in _LIMITS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}; got {value}; choose one between")
        if len(self.faults) > FAULTS_MAX:
            raise ValueError(f"at most {FAULTS_MAX} faults; got {len(self.faults)}; split the scenario")
        for fault in self.faults:
            self._check_known(fault.scope)

    def _check_known(self, scope: Scope) -> None:
        known = {"bank": self.bank_names, "method": METHOD_NAMES, "merchant": self.merchant_names}
        for dimension, name in scope.values:
            if name not in known[dimension]:
                some = ", ".join(known[dimension][:20])
                raise ValueError(f'no such {dimension} among these shops; got "{name}"; use one of {some}')

    @property
    def bank_names(self) -> tuple[str, ...]:
        """Names of the banks, by number; the volume falls with the number."""
        return BANK_NAMES[: self.banks] + tuple(f"bank-{n}" for n in range(len(BANK_NAMES), self.banks))

    @property
    def merchant_names(self) -> tuple[str, ...]:
        """Names of the merchants, by number; the volume falls with the number."""
        return tuple(f"shop-{n}" for n in range(self.merchants))

    def approval(self) -> Floats:
        """Approval rate by [bank, method], each bank and pair a little off its method's."""
        rng = np.random.default_rng([self.seed, 0])
        usual = np.array([method.approval for method in METHODS])
        of_bank = rng.normal(0, 0.02, (self.banks, 1))
        rates: Floats = np.clip(usual + of_bank + rng.normal(0, 0.01, (self.banks, len(METHODS))), 0.05, 0.995)
        return rates


METHOD_NAMES = tuple(method.name for method in METHODS)

_LIMITS: tuple[tuple[str, float, float], ...] = (
    ("seed", 0, 2**63), ("start_ms", 0, 2**52), ("rate", 0.0001, RATE_MAX), ("banks", 1, BANKS_MAX),
    ("merchants", 1, MERCHANTS_MAX), ("shoppers", 1, SHOPPERS_MAX), ("day_ms", 1_000, 2**40), ("swing", 0, 1),
    ("retry_share", 0, 1), ("abandoned_share", 0, 0.99), ("chosen_share", 0, 1),
)  # fmt: skip


def zipf(count: int, exponent: float) -> Floats:
    """Cumulative shares of `count` names whose volume falls as rank to the power of -exponent; the last is 1."""
    shares = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    cumulative: Floats = np.cumsum(shares) / shares.sum()
    cumulative[-1] = 1.0
    return cumulative
