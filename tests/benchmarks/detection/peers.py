"""Other detectors on the same streams: at one false alarm a key-year where they have a threshold to move, else as they
come.

river learns the healthy rate itself; ours does too; the run of refusals that is tuned for a rate is told it. Where a
threshold is moved, it is by halving on a healthy stream in which five alarms are due. Parameters are those published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.detection import clock, ports
from tests.benchmarks.detection.bound import YEAR_MIN, lattice, ratios, run_length
from tests.benchmarks.detection.grid import MAIN

HEALTHY, LONGEST = 2_000, 20_000
DUE = 5
"""Alarms of the streams on which thresholds are found."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`default`: the parameter as published; `low`, `high`: between which it is moved (not at all where equal), from
    more alarms to fewer; `two`: the other one."""

    name: str
    kind: int
    default: float
    low: float
    high: float
    two: float = 0.0
    due: int = 1
    """So many times as many alarms are due where its threshold is found: more for the one that comes close."""


PEERS = (
    Peer("river HDDM_W, lambda 0.05", ports.HDDM_W, math.log(1 / 0.001), 1.0, 60.0, 0.05, 4),
    Peer("river HDDM_A", ports.HDDM_A, math.log(1 / 0.001), 1.0, 60.0),
    Peer("river PageHinkley, delta 0.005, alpha 0.9999", ports.PAGE_HINKLEY, 50.0, 2.0, 120.0, 0.9999),
    Peer("river PageHinkley, delta 0.005, alpha 1", ports.PAGE_HINKLEY, 50.0, 2.0, 120.0, 1.0),
    Peer("river DDM", ports.DDM, 3.0, 1.5, 12.0),
    Peer("river EDDM", ports.EDDM, 0.9, 0.99, 0.05),
    Peer("run of 20 refusals", ports.RUN, 20, 20, 20),
    Peer("run of 45 refusals", ports.RUN, 45, 45, 45),
    Peer("score x0.95 / x1.10 below 0.35", ports.SCORE, 0.35, 0.9, 0.05),
    Peer("score x0.95 / x1.10 below 0.10", ports.SCORE, 0.10, 0.10, 0.10),
)


def run(per_minute: float, runs: int, seed: int, due: int = DUE) -> list[dict[str, Any]]:
    """Rows of all peers on the two main cells at one rate."""
    rows = []
    for p0, p1 in MAIN:
        rows.append(oracle(p0, p1, per_minute, runs, seed))
        rows.append(tuned_run(p0, p1, per_minute, runs, seed))
        for peer in PEERS:
            rows += of_peer(peer, p0, p1, per_minute, runs, seed, due)
        rows += clock.run(p0, p1, per_minute, runs, seed)
        rows += of_river(p0, p1, per_minute, runs, seed)
    return rows


def of_peer(
    peer: Peer, p0: float, p1: float, per_minute: float, runs: int, seed: int, due: int
) -> list[dict[str, Any]]:
    """As published, and with its threshold moved."""
    between, due = per_minute * YEAR_MIN, due * peer.due
    out = [_row(peer.name, False, peer.kind, peer.default, peer.two, 0.0, p0, p1, per_minute, runs, seed, due)]
    if peer.low != peer.high:
        one = threshold(peer, p0, between, seed, due)
        out.append(_row(peer.name, True, peer.kind, one, peer.two, 0.0, p0, p1, per_minute, runs, seed, due))
    return out


def threshold(peer: Peer, p0: float, between: float, seed: int, due: int) -> float:
    """Where `due` alarms come in `due` times as many events as should lie between two."""
    low, high = peer.low, peer.high
    for _ in range(10):
        middle = math.sqrt(low * high)
        alarms, _ = ports.count_alarms(peer.kind, middle, peer.two, 0.0, p0, int(due * between), due + 1, seed)
        low, high = (middle, high) if alarms > due else (low, middle)
    return high


def oracle(p0: float, p1: float, per_minute: float, runs: int, seed: int) -> dict[str, Any]:
    """CUSUM told both rates, played: its mean is below the exact limit, which is of the worst moment to begin."""
    step, up, down = lattice(p0, p1)
    states = next(n for n in range(20, 4_000, 20) if run_length(n, up, down, p0) >= per_minute * YEAR_MIN)
    return _row(
        "CUSUM told both rates", True, ports.CUSUM, *ratios(p0, p1), states * step, p0, p1, per_minute, runs, seed, 2
    )


def tuned_run(p0: float, p1: float, per_minute: float, runs: int, seed: int) -> dict[str, Any]:
    """The shortest run with at most one false alarm a key-year: (1 − q^r) ÷ (p q^r) events lie between two."""
    q, between = 1 - p0, per_minute * YEAR_MIN
    r = next(r for r in range(1, 1_000) if (1 - q**r) / (p0 * q**r) >= between)
    row = _row("run of refusals, told the rate", True, ports.RUN, r, 0.0, 0.0, p0, p1, per_minute, runs, seed, 2)
    return {**row, "false_alarms_per_key_year": between * p0 * q**r / (1 - q**r), "exact": True}


def _row(
    name: str,
    is_matched: bool,
    kind: int,
    one: float,
    two: float,
    bar: float,
    p0: float,
    p1: float,
    per_minute: float,
    runs: int,
    seed: int,
    due: int,
) -> dict[str, Any]:
    between = per_minute * YEAR_MIN
    alarms, events = ports.count_alarms(kind, one, two, bar, p0, int(due * between), 50 * due, seed + 1)
    delays = ports.measure_delays(kind, one, two, bar, p0, p1, HEALTHY, LONGEST, runs, seed + 2)
    return row_of(name, is_matched, one, p0, p1, per_minute, alarms, events / between, delays)


def row_of(
    name: str,
    is_matched: bool,
    parameter: float,
    p0: float,
    p1: float,
    per_minute: float,
    alarms: int,
    years: float,
    delays: Any,
    longest: float = LONGEST,
) -> dict[str, Any]:
    """A peer's row: delays in votes."""
    capped = np.minimum(delays, longest)
    return {
        "name": name,
        "matched": is_matched,
        "parameter": round(float(parameter), 4),
        "p0": p0,
        "p1": p1,
        "per_minute": per_minute,
        "alarms": int(alarms),
        "key_years": float(f"{years:.4g}"),
        "false_alarms_per_key_year": float(f"{alarms / years:.4g}"),
        "votes_mean": round(float(capped.mean()), 3),
        "votes_p95": round(float(np.quantile(capped, 0.95)), 1),
        "missed": round(float(np.isinf(delays).mean()), 4),
        "outages": len(delays),
    }


def of_river(p0: float, p1: float, per_minute: float, runs: int, seed: int) -> list[dict[str, Any]]:
    """What has no port, on river itself and so on fewer events: at its own rate."""
    from river import drift

    makers = {
        "river ADWIN, delta 0.002": (lambda: drift.ADWIN(delta=0.002), runs // 10, 400_000),
        "river KSWIN, 100 / 30": (lambda: drift.KSWIN(0.005, 100, 30, seed=seed), runs // 50, 20_000),
    }
    rows = []
    for name, (make, times, events) in makers.items():
        chance, detector = np.random.default_rng(seed), make()
        alarms = sum(_speaks(detector, x) for x in chance.random(events) >= p0)
        delays = np.array([_delay(make(), chance, p0, p1) for _ in range(max(10, times))])
        rows.append(
            row_of(name, False, 0.0, p0, p1, per_minute, alarms, events / (per_minute * YEAR_MIN), delays, 2_000)
        )
    return rows


def _speaks(detector: Any, x: Any) -> bool:
    detector.update(int(x))
    return bool(detector.drift_detected)


def _delay(detector: Any, chance: np.random.Generator, p0: float, p1: float) -> float:
    for x in chance.random(HEALTHY) >= p0:
        detector.update(int(x))
    return next((n + 1.0 for n, x in enumerate(chance.random(2_000) >= p1) if _speaks(detector, x)), np.inf)


def check(streams: int, seed: int) -> int:
    """How many (port, stream) speak at other events than river; 0 is right."""
    from river import drift

    makers = {
        "river HDDM_W, lambda 0.05": lambda: drift.binary.HDDMW(),
        "river HDDM_A": lambda: drift.binary.HDDMA(),
        "river DDM": lambda: drift.binary.DDM(),
        "river EDDM": lambda: drift.binary.EDDM(),
        "river PageHinkley, delta 0.005, alpha 0.9999": lambda: drift.PageHinkley(30, 0.005, 50, 0.9999, "up"),
        "river PageHinkley, delta 0.005, alpha 1": lambda: drift.PageHinkley(30, 0.005, 50, 1.0, "up"),
    }
    wrong = 0
    for number in range(streams):
        chance = np.random.default_rng(seed + number)
        stream = np.concatenate([chance.random(1_000) >= p for p in (0.9, 0.6, 0.9, 0.3)]).astype(float)
        for peer in PEERS:
            if peer.name in makers:
                detector = makers[peer.name]()
                theirs = [n for n, x in enumerate(stream) if _speaks(detector, x)]
                wrong += theirs != ports.indices(peer.kind, peer.default, peer.two, stream).tolist()
    return wrong
