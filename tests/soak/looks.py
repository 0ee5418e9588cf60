"""What is looked at, and how: a worker's metrics, and what the system says of its process.

Each quantity comes with how much it may rise. Draws no conclusion.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client.samples import Sample

from detector.contracts.policy import DEFAULT, Policy
from streams.stress.ground import WorkerProcess
from tests.soak.flat import Limit

__all__ = ["Look", "Looks", "fill_s", "limits", "look"]

MEMORY_SHARE: Final = 0.05
PAYMENTS_SHARE: Final = 0.1
"""More payments are tried again while a bank is down, and a ledger swings."""
QUEUES: Final = ("tallies", "letters", "held", "waiting")


@dataclass(frozen=True, slots=True)
class Look:
    """A moment, `at_s` after the load began. `judged_s` of judging for boundaries up to `boundary_s`; the process's
    numbers are None where the system does not tell them."""

    at_s: float
    lag: float
    queues: dict[str, float]
    payments: float
    age_s: float
    judged_s: float
    boundary_s: float
    counted: float
    letters: float
    late_answers: float
    started: float
    memory_mb: float | None
    files: float | None
    threads: float | None


@dataclass
class Looks:
    """All looks, in order."""

    found: list[Look] = field(default_factory=list)

    def of(self, name: str) -> list[tuple[float, float]]:
        """One quantity over time; without the looks at which it was not known."""
        if name == "tick":
            return self._ticks()
        if name in QUEUES:
            return [(one.at_s, one.queues.get(name, 0.0)) for one in self.found]
        return [(one.at_s, value) for one in self.found if (value := getattr(one, name)) is not None]

    def _ticks(self) -> list[tuple[float, float]]:
        """CPU milliseconds of judging a boundary, between each look and the next."""
        pairs = zip(self.found, self.found[1:], strict=False)
        return [(after.at_s, 1000 * (after.judged_s - before.judged_s) / (after.boundary_s - before.boundary_s))
                for before, after in pairs if after.boundary_s > before.boundary_s]  # fmt: skip


def fill_s(policy: Policy) -> float:
    """How long a ledger takes to fill: until the first payments go, 2 H after their newest event, or when the last pane
    of their vote block has closed; a minute more is the sweep's. And a block more, as payments go block by block, so
    that a ledger swings and its tables are as large as they get at the first peak."""
    kept_ms = max(2 * policy.horizon_ms, policy.vote_block_ms + policy.open_ms + policy.pane_ms)
    return (kept_ms + policy.vote_block_ms) / 1000 + 60


def limits(rate: float, lasts_s: float) -> tuple[Limit, ...]:
    """Every quantity and what it may rise by; queues by what a second brings, since one look is a moment.

    A third of the time is warm-up, and for what a ledger holds at least as long as it takes to fill.
    """
    third_s = lasts_s / 3
    filled_s = max(third_s, fill_s(DEFAULT))
    return (
        Limit("memory_mb", "MB", MEMORY_SHARE, 0.0, filled_s),
        Limit("payments", "in the ledgers", PAYMENTS_SHARE, 0.0, filled_s),
        Limit("lag", "events", 0.0, rate, third_s),
        *(Limit(name, "records", 0.0, rate if name == "held" else 20.0, third_s) for name in QUEUES),
        Limit("age_s", "s", 0.0, 1.0, third_s),
        Limit("tick", "CPU ms", 0.2, 1.0, third_s),
        Limit("files", "open", 0.0, 2.0, third_s),
        Limit("threads", "threads", 0.0, 1.0, third_s),
    )


def look(worker: WorkerProcess, began_s: float) -> Look:
    """Look at a worker. Raises UserError where it has ended or does not answer."""
    samples = worker.samples()
    boundary_s = _sum(samples, "pastille_boundary_seconds")
    queues = {one.labels["queue"]: one.value for one in samples if one.name == "pastille_queue_records"}
    status = _status(worker.pid)
    return Look(
        time.monotonic() - began_s,
        _sum(samples, "pastille_ingest_lag_events"),
        queues,
        _sum(samples, "pastille_ledger_payments"),
        time.time() - boundary_s,
        _sum(samples, "pastille_judge_seconds_total"),
        boundary_s,
        _sum(samples, "pastille_events_total"),
        _sum(samples, "pastille_dead_letters_total"),
        _sum(samples, "pastille_late_answers_total"),
        _sum(samples, "pastille_outages_total"),
        None if "VmRSS" not in status else status["VmRSS"] / 1024,
        _files(worker.pid),
        status.get("Threads"),
    )


def _sum(samples: Sequence[Sample], name: str) -> float:
    return sum(one.value for one in samples if one.name == name)


def _status(pid: int) -> dict[str, float]:
    """The numbers of `/proc/…/status`, where there is one."""
    found: dict[str, float] = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, said = line.partition(":")
            if said.split() and said.split()[0].isdigit():
                found[name] = float(said.split()[0])
    return found


def _files(pid: int) -> float | None:
    try:
        return float(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
