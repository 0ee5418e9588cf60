"""What was measured, as goals and as a page: pure, from rows to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tests.benchmarks.scale.feeds import GROWS, PIX, SHOPS, Noticed
from tests.benchmarks.scale.ledgers import Ledger
from tests.benchmarks.scale.ticks import Tick
from tests.benchmarks.scale.workers import Work

BYTES_MAX = 130
SAID_GROWS_MAX = 1.5
"""What a source says, from the last rate but one to the last: the rate alone would be more."""
LATER_MAX_S, LAG_MAX = 0.25, 1_000
"""What may be noticed of another feed's growth: looks are a second apart, and each falls anywhere between boundaries;
a second's worth of events."""
TICK_MAX_MS = 100.0
"""A tenth of a second for the work of a second, with many leaves."""
TICK_LEAVES, TICK_SOURCES = 5_000, 64

Goal = dict[str, Any]


def kept(run: Mapping[str, Any], ledgers: Sequence[Ledger], works: Sequence[Work], ticks: Sequence[Tick],
         noticed: Sequence[Noticed]) -> dict[str, Any]:  # fmt: skip
    """What is written to `scale.json`."""
    return {
        "run": dict(run),
        "goals": {
            "bytes a payment in the ledger": _bytes(ledgers),
            "what a source says": _said(ledgers),
            "the other feed, while one grows": _unnoticed(noticed),
            f"a boundary judged, {TICK_LEAVES:,} leaves and {TICK_SOURCES} sources": _tick(ticks),
        },
        "ledgers": [asdict(one) for one in ledgers],
        "works": [asdict(one) for one in works],
        "feeds": [asdict(one) for one in noticed],
        "ticks": [asdict(one) for one in ticks],
    }


def _bytes(ledgers: Sequence[Ledger]) -> Goal:
    """Of what grows with the payments; counters of leaves and shops and cells are as large at a low rate."""
    first, last = ledgers[0], ledgers[-1]
    each = (last.memory - first.memory) / (last.payments - first.payments)
    whole = f"all tables: {first.bytes_each:.0f} at {first.rate:,} a second, {last.bytes_each:.0f} at {last.rate:,}"
    return {
        "goal": f"<= {BYTES_MAX} for each more, from {first.rate:,} to {last.rate:,} a second",
        "measured": f"{each:.0f}; {whole}", "met": each <= BYTES_MAX,
    }  # fmt: skip


def _said(ledgers: Sequence[Ledger]) -> Goal:
    """Independent of traffic, once every cell has its hashes."""
    before, last = ledgers[-2:]
    grows, rate = last.said_per_s / before.said_per_s, last.rate / before.rate
    return {
        "goal": f"bytes a second no more than {SAID_GROWS_MAX:g} times, from {before.rate:,} to {last.rate:,} a second",
        "measured": f"{grows:.2f} times, at {rate:.2f} times the rate", "met": grows <= SAID_GROWS_MAX,
    }  # fmt: skip


def _unnoticed(noticed: Sequence[Noticed]) -> Goal:
    before, after = (one for one in noticed if one.feed == SHOPS)
    later_s = after.behind_p50_s - before.behind_p50_s
    return {
        "goal": f"at most {LATER_MAX_S:g} s later in the middle, at most {LAG_MAX:,} events unread",
        "measured": f"{later_s:+.2f} s, {after.lag_max:,} events",
        "met": later_s <= LATER_MAX_S and after.lag_max <= LAG_MAX,
    }


def _tick(ticks: Sequence[Tick]) -> Goal:
    found = [one.p99_ms for one in ticks if (one.leaves, one.sources) == (TICK_LEAVES, TICK_SOURCES)]
    measured = f"{found[0]:.0f} ms" if found else "not measured"
    return {
        "goal": f"p99 at most {TICK_MAX_MS:g} ms of CPU",
        "measured": measured,
        "met": bool(found) and found[0] <= TICK_MAX_MS,
    }


def page(found: Mapping[str, Any]) -> str:
    """The page."""
    run = found["run"]
    return "\n".join([
        HEAD, *_goals(found["goals"]), "", "![How cost grows](scale.svg)", LEDGERS, *_ledgers(found["ledgers"]),
        WORKS, *_works(found["works"]), FEEDS, *_feeds(found["feeds"]), TICKS, *_ticks(found["ticks"]), "",
        f"{run['machine']}. {run['when']}. {run['took_s'] / 60:.0f} minutes.{QUICK if run['quick'] else ''}", "",
    ])  # fmt: skip


def _goals(goals: Mapping[str, Goal]) -> list[str]:
    return [
        f"| {name} | {one['goal']} | {one['measured']} | {'yes' if one['met'] else '**no**'} |"
        for name, one in goals.items()
    ]


def _ledgers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"| {one['rate']:,} | {one['payments']:,} | {one['memory'] / 1e6:,.0f} | "
        f"{one['memory'] / one['payments']:.0f} | {one['said_per_s'] / 1000:.1f} |"
        for one in rows
    ]


def _works(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"| {one['partitions']} | {one['workers']} | {one['events'] / one['wall_s']:,.0f} | "
        f"{one['events'] / one['cpu_s']:,.0f} | {one['cpu_s'] / one['wall_s']:.2f} | {one['memory_mb']:,.0f} |"
        for one in rows
    ]


def _feeds(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"| {one['feed']} | {one['stretch']} | {one['workers']} | {one['rate']:,.0f} | {one['lag_max']:,} | "
        f"{one['behind_p50_s']:.2f} | {one['behind_p99_s']:.2f} |"
        for one in rows
    ]


def _ticks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"| {one['leaves']:,} | {one['sources']} | {one['p50_ms']:.1f} | {one['p99_ms']:.1f} | "
        f"{one['memory_mb']:,.0f} |"
        for one in rows
    ]


HEAD = """# Scale: measured

`make bench-scale` writes this page. When to add workers, by which metric, and what that costs, is in
[OPERATIONS](../OPERATIONS.md).

| what | goal | measured | met |
|---|---|---|---|"""
QUICK = " A quick run: fewer of everything, rates too low for the second goal, and rings of a quarter of an hour."
LEDGERS = """
## A source's ledger

Payments of 250 leaves and 200,000 shoppers at a steady rate, until as many are forgotten as come (20 minutes after
their newest event). Memory is what the process took for it; indexes grow by half when they are full, the other tables
as they are written to. Some of it is there at any rate: the counters of 50,000 pairs of leaf and shop, the cells of the
open panes. What the source says a second grows until every cell has its smallest hashes, and then no more.

| payments a second | held | memory, MB | bytes each | said, kB a second |
|---|---|---|---|---|"""
WORKS = """
## Workers and partitions

The events of the [throughput benchmark](throughput.md), which become readable all at once, when every worker has its
sources; the broker takes its share of the same cores, so that more workers than cores count no more.

| partitions | workers | events a second | events a CPU second | cores in use | memory of all, MB |
|---|---|---|---|---|---|"""
FEEDS = f"""
## One feed grows, the other does not notice

Two feeds of one installation, each with workers of its own (`PASTILLE_FEEDS`). {PIX.upper()} grows {GROWS}-fold, and
gets one worker more before; nothing is done to the {SHOPS}. Unread: events of all its sources, at most. Behind: how far
its sources' newest boundaries lie behind the clock, a second of which is the lateness and up to one the boundary's.

| feed | | workers | events a second | unread, at most | behind, s: p50 | p99 |
|---|---|---|---|---|---|---|"""
TICKS = """
## Judging

One Judge that is told 1,000 payments a second, spread over leaves as shops are over banks, by so many sources. The
ring holds the whole hour. CPU of one boundary, all that is due at it among it: every five seconds a pane begins, and
what is usual is refreshed. Memory: of the process, beside what it has before the first tally.

| leaves | sources | ms a boundary: p50 | p99 | memory, MB |
|---|---|---|---|---|"""
