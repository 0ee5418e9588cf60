"""What a worker says on `/metrics`: one typed list of names, and a page that reads Judge and Counters when asked.

The list is also the documentation (`docs/METRICS.md` is made from it and tested against it). Counting is asked on the
event loop, where it lives; the Judge, and the writing of thousands of lines, are beside it: a scrape must hold up no
tally. Knows the words of Prometheus; keeps no value of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol, TypeAlias

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from detector.contracts.models import SCOPE_DIMENSIONS
from detector.contracts.policy_keys import DIMENSIONS
from detector.contracts.scope import Scope
from detector.counting.columns import STATUSES
from detector.judging.outage import Outage
from streams.degraded.board import Reason
from streams.degraded.lookout import Lookout
from streams.intake.ingest import Intake
from streams.intake.lane import Totals
from streams.verdict.agent import Verdict
from streams.verdict.tenure import Facts, Tenure

__all__ = ["METRICS", "Metric", "WorkerMetrics", "markdown"]

Labels: TypeAlias = tuple[str, ...]
Samples: TypeAlias = list[tuple[Labels, float]]
Family: TypeAlias = GaugeMetricFamily | CounterMetricFamily

log = logging.getLogger(__name__)

SCOPE: Final = ("dimension", *SCOPE_DIMENSIONS)
COUNTED: Final = ("dimension", *DIMENSIONS)
"""Labels of a scope, and of one that is counted: no merchant is. Bank and method are always written, the others only
where the scope fixes them: to Prometheus an empty label is none, and the page is of thousands of lines."""
SELDOM: Final = frozenset(SCOPE_DIMENSIONS) - {"bank", "method"}
OUTAGES_MAX: Final = 1_000
"""Open outages that have a series; a policy bounds scopes, but not the shops among them."""
WINDOWS: Final[Mapping[int, str]] = {60_000: "1m", 300_000: "5m", 900_000: "15m", 3_600_000: "1h"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its full name, kind, labels and the sentence that says what it is."""

    name: str
    kind: Literal["gauge", "counter"]
    labels: Labels
    help: str

    def family(self, samples: Samples) -> Family:
        """Its samples, as Prometheus's client has them."""
        made: Family
        if self.kind == "gauge":
            made = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        else:
            made = CounterMetricFamily(self.name.removesuffix("_total"), self.help, labels=self.labels)
        for labels, value in samples:
            named = zip(self.labels, labels, strict=True)
            written = {name: label for name, label in named if label or name not in SELDOM}
            made.samples.append(Sample(self.name, written, value))
        return made


METRICS: Final = (
    Metric("pastille_approval_ratio", "gauge", (*COUNTED, "window"),
           "Approved / (approved + declined + error) of the payments started in the window; absent without any."),
    Metric("pastille_pending_ratio", "gauge", (*COUNTED, "window"),
           "Pending / all payments started in the window; absent without any."),
    Metric("pastille_payments_total", "counter", ("bank", "method", "status"),
           "Payments that got a status, once per payment and status; rebuilding does not count again."),
    Metric("pastille_outage_active", "gauge", (*SCOPE, "kind", "severity"),
           "1 for each open outage, by all that its scope fixes, told by the worker that judges."),
    Metric("pastille_outage_children_left_out", "gauge", SCOPE,
           "Scopes below an open outage that its event does not list: more than the policy's children_max."),
    Metric("pastille_outages_left_out", "gauge", (),
           "Open outages without a series of their own: all past 1,000, warnings and the newest first; else 0."),
    Metric("pastille_outages_total", "counter", ("kind", "trigger"), "Outages that this worker started."),
    Metric("pastille_events_total", "counter", ("feed", "topic", "result"),
           "Records read: counted, ignored (by the policy's statuses), rejected, rebuilt (read again after a move)."),
    Metric("pastille_dead_letters_total", "counter", ("reason",), "Records that could not be counted."),
    Metric("pastille_late_answers_total", "counter", (), "Answers that came a horizon or more after the start."),
    Metric("pastille_too_late_total", "counter", (), "Events that would have changed a pane that is closed."),
    Metric("pastille_crowded_total", "counter", (),
           "Times that one order or shopper came to a limit: 64 payments, or 64 events, of an order; is one id all's?"),
    Metric("pastille_held_over_total", "counter", (),
           "Above 0: so many events waited for the other topic of their source that it was waited for no longer."),
    Metric("pastille_names_full", "gauge", ("table",),
           "1 where leaves_max, codes_max or merchant_names_max of [limits] is reached: no more are told apart; "
           "judged_leaves: by those of all workers together, told by the worker that judges."),
    Metric("pastille_card_like_total", "counter", ("field",),
           "Values that look like a card number; counted like any other, kept nowhere."),
    Metric("pastille_misplaced_ratio", "gauge", (),
           "Share of payments sampled lately not keyed by order_id with murmur2; above 0.01: not ready."),
    Metric("pastille_policy_blocked_total", "counter", ("reason",),
           "Times a scope came to lack only this to be in breach, like min_merchants."),
    Metric("pastille_maintenance_active", "gauge", SCOPE, "1 for each scope that is in an announced maintenance now."),
    Metric("pastille_maintenances_refused", "gauge", (),
           "Maintenances of the topic for which there is no room: [limits] maintenances_max."),
    Metric("pastille_baseline_frozen_scopes", "gauge", (),
           "Scopes of which nothing was learned for 24 hours: a new normal (pastille baseline reset), or still down."),
    Metric("pastille_baselines_refused", "gauge", (),
           "Lessons of the topic that do not fit: other dimensions, or scopes past twice leaves_max."),
    Metric("pastille_tallies_left_out_total", "counter", (),
           "Tallies that the Judge left out since one before them was lost; their source says everything anew."),
    Metric("pastille_passed_over_total", "counter", ("what",),
           "Records of the tallies log that the Judge cannot take, as of workers with another policy: see its log."),
    Metric("pastille_ingest_lag_events", "gauge", ("source",),
           "Records of the source not read yet, also behind an open transaction; the lag that Kafka's tools show "
           "includes what is kept for recovery."),
    Metric("pastille_ingest_takes_bytes", "gauge", (),
           "1 where fetched bytes are counted without an object a record; 0, slower, where the client makes records."),
    Metric("pastille_loops_compiled", "gauge", (),
           "1 where the loops are machine code; 0 where plain Python, much slower, counts and judges meanwhile."),
    Metric("pastille_ingest_corrupt_total", "counter", ("topic",),
           "Fetches with a record batch that cannot be read; the worker begins anew and tries again."),
    Metric("pastille_ingest_deleted_total", "counter", ("topic",),
           "Records that were deleted before they were read: retention is too short, or no worker read for too long."),
    Metric("pastille_ledger_payments", "gauge", ("source",),
           "Payments that the source's ledger holds: those of the last 20 minutes (twice horizon_s)."),
    Metric("pastille_queue_records", "gauge", ("queue",),
           "What waits: tallies and letters for the broker's word, held events and waiting tallies for their time."),
    Metric("pastille_watermark_age_seconds", "gauge", ("source",),
           "How far the source's newest boundary lies behind the clock."),
    Metric("pastille_boundary_seconds", "gauge", (), "The newest boundary judged, in epoch seconds of event time."),
    Metric("pastille_judge_active", "gauge", (), "1 where this worker judges, else 0."),
    Metric("pastille_judge_standby", "gauge", (), "1 where a Judge is kept ready to take over, else 0."),
    Metric("pastille_outage_reader_up", "gauge", ("group",),
           "1 where a group of PASTILLE_OUTAGE_READERS has a member, else 0; told by the worker that judges."),
    Metric("pastille_outage_reader_unread_seconds", "gauge", ("group",),
           "Age of the oldest outage event that the group has not read; 0 where it has read all."),
    Metric("pastille_degraded", "gauge", ("reason",),
           f"1 while something around the worker is wrong, else 0: {', '.join(Reason)}."),
    Metric("pastille_http_closed_total", "counter", ("reason",),
           "HTTP connections closed: silent, slow (their answer not taken), crowded (over 100); see OPERATIONS."),
    Metric("pastille_judge_seconds_total", "counter", (),
           "CPU seconds that judging took since this worker's Judge was put together; a boundary is a tick."),
)  # fmt: skip
"""Every metric of a worker, in the order of the documentation."""

PAYMENTS: Final = "pastille_payments_total"
RATIOS: Final = ("pastille_approval_ratio", "pastille_pending_ratio")
SCOPES_KEPT: Final = 1 << 16


class Sources(Protocol):
    """What the page asks the worker."""

    intake: Intake
    verdict: Verdict
    lookout: Lookout

    @property
    def is_compiled(self) -> bool:
        """Whether the loops are machine code."""

    @property
    def http_closed(self) -> Mapping[str, int]:
        """Connections that the HTTP server closed by itself, by reason."""

    def wall_ms(self) -> int:
        """Epoch ms now."""


class WorkerMetrics:
    """Reads the worker's parts at scrape time."""

    def __init__(self, worker: Sources) -> None:
        self._worker = worker
        self._left_out = 0

    async def page(self, names: Collection[str] = ()) -> bytes:
        """Every metric of the list, in its order, or those of these names; the judging ones only where this worker
        judges. Rates of all scopes, most of the work, are left where nobody asks for them."""
        wanted = {metric.name: metric for metric in METRICS if not names or metric.name in names}
        rates = not wanted.keys().isdisjoint(RATIOS)
        intake, tenure = self._worker.intake, self._worker.verdict.tenure
        facts = None if tenure is None else await asyncio.to_thread(tenure.facts, rates=rates)
        totals = intake.totals()
        payments = await asyncio.to_thread(intake.payments, totals) if PAYMENTS in wanted else {}
        counted = {PAYMENTS: _samples(payments), **self._counting(totals), **self._placing(), **self._queues()}
        samples = {**counted, **self._judging(tenure, facts), **self._around()}
        return await asyncio.to_thread(_written, [*wanted.values()], samples, facts if rates else None)

    def _counting(self, totals: Totals) -> dict[str, Samples]:
        return {
            "pastille_events_total": _samples(totals.events),
            "pastille_dead_letters_total": _words(self._worker.intake.bad),
            "pastille_card_like_total": _words(totals.card_like),
            "pastille_late_answers_total": [((), totals.late_answers)],
            "pastille_too_late_total": [((), totals.too_late)],
            "pastille_crowded_total": [((), totals.crowded)],
            "pastille_held_over_total": [((), totals.held_over)],
            "pastille_ingest_corrupt_total": _words(self._worker.intake.corrupt),
            "pastille_ingest_deleted_total": _words(self._worker.intake.deleted),
        }

    def _placing(self) -> dict[str, Samples]:
        intake, now_ms = self._worker.intake, self._worker.wall_ms()
        lanes = list(intake.lanes.items())
        lags = {str(source): lag for source, _ in lanes if (lag := intake.lag(source)) is not None}
        ages = {str(source): (now_ms - lane.boundary_ms) / 1000 for source, lane in lanes if lane.boundary_ms >= 0}
        sampled, misplaced = sum(lane.keys.sampled for _, lane in lanes), sum(lane.keys.mismatched for _, lane in lanes)
        takes_bytes: Samples = [] if intake.takes_bytes is None else [((), intake.takes_bytes)]
        return {
            "pastille_misplaced_ratio": [((), misplaced / sampled)] if sampled else [],
            "pastille_ingest_lag_events": _words(lags),
            "pastille_ingest_takes_bytes": takes_bytes,
            "pastille_loops_compiled": [((), self._worker.is_compiled)],
            "pastille_watermark_age_seconds": _words(ages),
        }

    def _around(self) -> dict[str, Samples]:
        lookout = self._worker.lookout
        return {
            "pastille_degraded": _words(lookout.board.flags()),
            "pastille_http_closed_total": _words(self._worker.http_closed),
            "pastille_outage_reader_up": [((one.group,), one.is_there) for one in lookout.readers.readings],
            "pastille_outage_reader_unread_seconds": [((one.group,), one.unread_s) for one in lookout.readers.readings],
        }

    def _queues(self) -> dict[str, Samples]:
        intake, tenure = self._worker.intake, self._worker.verdict.tenure
        queued = dict(intake.queued()) | ({} if tenure is None else {"waiting": tenure.waiting()})
        ledgers = {str(source): lane.counter.stats.payments for source, lane in list(intake.lanes.items())}
        return {"pastille_queue_records": _words(queued), "pastille_ledger_payments": _words(ledgers)}

    def _judging(self, tenure: Tenure | None, facts: Facts | None) -> dict[str, Samples]:
        verdict = self._worker.verdict
        full = dict(self._worker.intake.names_full()) | ({} if facts is None else {"judged_leaves": facts.is_full})
        everywhere: dict[str, Samples] = {
            "pastille_names_full": _words(full),
            "pastille_judge_active": [((), int(tenure is not None))],
            "pastille_judge_standby": [((), int(verdict.has_standby))],
            "pastille_outages_total": _samples(verdict.started),
        }
        if tenure is None or facts is None:
            return everywhere
        outages = self._with_series(facts.open_outages)
        return everywhere | {
            "pastille_judge_seconds_total": [((), tenure.judged_s)],
            "pastille_outage_active": [((*_scope_labels(one.scope), one.kind, one.severity), 1) for one in outages],
            "pastille_outage_children_left_out": _children_left_out(outages, tenure.judge.policy.children_max),
            "pastille_outages_left_out": [((), self._left_out)],
            "pastille_maintenance_active": [(_scope_labels(scope), 1) for scope in facts.maintained],
            "pastille_maintenances_refused": [((), verdict.refused_maintenances)],
            "pastille_baseline_frozen_scopes": [((), len(facts.frozen))],
            "pastille_baselines_refused": [((), verdict.refused_lessons)],
            "pastille_tallies_left_out_total": [((), verdict.left_out)],
            "pastille_passed_over_total": _words(verdict.passed_over.counts),
            "pastille_policy_blocked_total": _words(facts.blocked),
            "pastille_boundary_seconds": [((), facts.time_ms / 1000)] if facts.time_ms >= 0 else [],
        }

    def _with_series(self, outages: Sequence[Outage]) -> Sequence[Outage]:
        """Those that are told, what pages and what is oldest first; that there are too many is said once."""
        left_out = max(0, len(outages) - OUTAGES_MAX)
        if left_out and not self._left_out:
            log.warning("metrics: %d outages are open, %d of them without a series; read the outages topic",
                        len(outages), left_out)  # fmt: skip
        self._left_out = left_out
        return sorted(outages, key=lambda one: (one.severity, one.detected_ms))[:OUTAGES_MAX]


def _written(wanted: Sequence[Metric], samples: Mapping[str, Samples], facts: Facts | None) -> bytes:
    """The page. Rates are of every scope and window, so they are worked out here, too."""
    registry = CollectorRegistry()
    registry.register(_Page(wanted, samples if facts is None else {**samples, **_ratios(facts)}))
    return generate_latest(registry)


class _Page(Collector):
    """What is told, in the order of the list."""

    def __init__(self, wanted: Sequence[Metric], samples: Mapping[str, Samples]) -> None:
        self._wanted, self._samples = wanted, samples

    def collect(self) -> Iterator[Family]:
        """Every metric that is wanted, also one without samples."""
        for metric in self._wanted:
            yield metric.family(self._samples.get(metric.name, []))


def markdown() -> str:
    """The list as the page `docs/METRICS.md`."""
    rows = [f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.help} |" for m in METRICS]
    head = [
        "# Metrics", "", "What a worker says on `/metrics`. Who looks often asks for less:",
        "`/metrics?name[]=pastille_events_total&name[]=pastille_boundary_seconds`. Made from `streams/metrics.py`;",
        "change it there, then run `python -m streams.metrics > docs/METRICS.md`.", "",
        "`dimension` is `platform`, what a scope fixes, or `leaf` where it fixes more than one; the dimensions it does",
        "not fix are empty, or not there, which is the same to Prometheus.", "",
        "| name | kind | labels | what it is |",
        "|---|---|---|---|",
    ]  # fmt: skip
    return "\n".join([*head, *rows]) + "\n"


def _children_left_out(outages: Sequence[Outage], children_max: int) -> Samples:
    """Children that events do not list, by scope; absent where there are none."""
    found = ((_scope_labels(outage.scope), outage.left_out(children_max)) for outage in outages)
    return [(labels, left_out) for labels, left_out in found if left_out]


def _ratios(facts: Facts) -> dict[str, Samples]:
    """Rates by scope and window. Of a merchant's scope no payment is counted, so it has none."""
    approval: Samples = []
    pending: Samples = []
    for scope, windows in facts.rates:
        counted = _scope_labels(scope)[: len(COUNTED)]
        for window_ms, counts in windows.items():
            waiting, approved, declined, error, *_cancelled = counts
            decided, everything = approved + declined + error, sum(counts)
            if decided:
                approval.append(((*counted, WINDOWS[window_ms]), approved / decided))
            if everything:
                pending.append(((*counted, WINDOWS[window_ms]), waiting / everything))
    return dict(zip(RATIOS, (approval, pending), strict=True))


@lru_cache(SCOPES_KEPT)
def _scope_labels(scope: Scope) -> Labels:
    values = dict(scope.values)
    return (scope.dimension, *(values.get(name, "") for name in SCOPE_DIMENSIONS))


def _samples(values: Mapping[Labels, float]) -> Samples:
    return list(values.items())


def _words(values: Mapping[str, float]) -> Samples:
    """Samples of a metric with one label."""
    return [((word,), value) for word, value in values.items()]


assert set(STATUSES) == {"pending", "approved", "declined", "error", "cancelled"}, "labels of payments_total"

if __name__ == "__main__":
    print(markdown(), end="")
